"""ONNX + calibration table -> explicit Q/DQ ONNX, which every INT8 target starts from."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from tinydf_calibration.graph import GraphIndex, index_graph
from tinydf_calibration.regions import (
    CLIPPING,
    PASSING,
    clip_behind,
    clip_bounds,
    count_convolutions_before,
    find_quantizable,
    is_pooled,
    source_of,
)
from tinydf_calibration.rounding import moves_of
from tinydf_calibration.scales import (
    ActivationScale,
    activation_scale,
    quantize_bias,
    quantize_weight,
    smallest_weight_scale,
)
from tinydf_calibration.schemes import QDQScheme
from tinydf_calibration.table import CalibrationTable
from tinydf_runtime.errors import StaleTableError


def quantizable_tensors(model: ModelProto) -> tuple[str, ...]:
    """Returns the activations that some scheme quantises: those that ranges are collected for.

    Args:
        model: Prepared float graph.
    """
    index = index_graph(model)
    names: dict[str, None] = {}
    for node in find_quantizable(index):
        for name in (*index.activations(node), _result(node, index)):
            names.setdefault(source_of(name, index))
    return tuple(names)


def quantizable_layers(model: ModelProto) -> tuple[str, ...]:
    """Returns the names of the nodes that can be put to 8 bit or kept in float one by one.

    Args:
        model: Prepared float graph.
    """
    return tuple(node.name for node in find_quantizable(index_graph(model)))


def quantize_model(model: ModelProto, table: CalibrationTable, scheme: QDQScheme) -> ModelProto:
    """Writes quantize/dequantize pairs into a graph, as one engine wants them.

    Args:
        model: Prepared float graph that the table was measured on, with the table's channel scales applied; it stays
            as it is.
        table: Ranges, layers that stay in float, rounding of weights, shifts of biases.
        scheme: How the pairs are written.

    Returns:
        A model with weights stored as int8. Tensors keep the float graph's names.

    Raises:
        StaleTableError: The table lacks a range of this graph, or its rounding does not fit a weight.
    """
    writer = _Writer(model, table, scheme)
    for node in writer.index.nodes:
        writer.write(node)
    return writer.finish()


def select_nodes(index: GraphIndex, table: CalibrationTable, scheme: QDQScheme) -> frozenset[str]:
    """Returns the names of the nodes that compute in 8 bit.

    An operator without weights follows its inputs: it does so only where one of them comes out of 8 bit already. A
    convolution of pooled values does too, unless the scheme says otherwise.
    """
    kept_float = set(table.float_layers)
    chosen: set[str] = set()
    for node in find_quantizable(index):
        if node.op_type not in scheme.operators or node.name in kept_float:
            continue
        leads = node.op_type == "Conv" and (scheme.quantizes_pooled or not is_pooled(node, index))
        if leads and count_convolutions_before(node, index) < scheme.float_first:
            continue
        if leads or any(_maker(name, index) in chosen for name in index.activations(node)):
            chosen.add(node.name)
    return frozenset(chosen)


def corrected_bias(conv: NodeProto, index: GraphIndex, table: CalibrationTable) -> np.ndarray | None:
    """Returns O: a convolution's bias with what the table adds to it, float32; None where there is neither."""
    bias = index.constant(conv.input[2]).astype(np.float32) if len(conv.input) > 2 and conv.input[2] else None
    shift = table.bias_shifts.get(conv.name)
    if shift is None:
        return bias
    return np.asarray(shift, np.float32) + (0 if bias is None else bias)


def _maker(name: str, index: GraphIndex) -> str:
    """Returns the node that computes a tensor, behind operators that move or clip."""
    while (maker := index.producers.get(name)) is not None and maker.op_type in PASSING | CLIPPING:
        name = maker.input[0]
    return str(maker.name) if maker is not None else ""


def _result(node: NodeProto, index: GraphIndex) -> str:
    """Returns the tensor whose range counts for what a node makes: the clipped one where a clip follows."""
    clip = clip_behind(node, index)
    return str(node.output[0] if clip is None else clip.output[0])


class _Writer:
    """Collects the nodes and constants of the quantised graph."""

    def __init__(self, model: ModelProto, table: CalibrationTable, scheme: QDQScheme) -> None:
        self.model, self.table, self.scheme = model, table, scheme
        self.index = index_graph(model)
        self.chosen = select_nodes(self.index, table, scheme)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self.paired: dict[str, str] = {}
        """Tensor -> the same after quantize and dequantize."""
        self.absorbed: set[str] = set()
        """Clips that the range behind their operator replaces."""
        self.scales: dict[str, ActivationScale] = {}

    def write(self, node: NodeProto) -> None:
        """Copies a node, with pairs around it where it computes in 8 bit."""
        if node.name in self.absorbed:
            return
        copied = NodeProto()
        copied.CopyFrom(node)
        moves_8_bit = node.op_type in PASSING and self.scheme.writes_outputs and node.input[0] in self.paired
        if node.name not in self.chosen:
            self.nodes.append(copied)
            clips_8_bit = node.op_type in CLIPPING and self._is_result_of_chosen(node)
            if moves_8_bit or (clips_8_bit and self.scheme.writes_outputs):
                self._requantize(copied, node.output[0])
            return
        activations = self.index.activations(node)
        for position, name in enumerate(node.input):
            if name in activations and self._takes_8_bit(node, name):
                copied.input[position] = self._pair(name)
        if node.op_type == "Conv":
            self._write_weights(copied, node.input[0])
        self.nodes.append(copied)
        if self.scheme.writes_outputs:
            clip = clip_behind(node, self.index)
            if clip is None:
                self._requantize(copied, node.output[0])
            elif self.scheme.absorbs_clip and self.scheme.unsigned:
                self.absorbed.add(clip.name)
                self._requantize(copied, clip.output[0])

    def finish(self) -> ModelProto:
        """Returns the quantised model: a copy of the float one with the nodes and constants written so far."""
        quantized = ModelProto()
        quantized.CopyFrom(self.model)
        graph = quantized.graph
        used = {name for node in self.nodes for name in node.input}
        constants = [tensor for tensor in (*graph.initializer, *self.constants.values()) if tensor.name in used]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(constants)
        return shape_inference.infer_shapes(quantized)

    def _is_result_of_chosen(self, clip: NodeProto) -> bool:
        maker = self.index.producers.get(clip.input[0])
        return maker is not None and maker.name in self.chosen and clip_behind(maker, self.index) is clip

    def _takes_8_bit(self, node: NodeProto, name: str) -> bool:
        """Whether a chosen node's input goes through a pair.

        Where only inputs are paired, a sum takes what a convolution has just made as it is: engines add the other
        side while they write the convolution's result.
        """
        if self.scheme.writes_outputs or node.op_type != "Add":
            return True
        maker = self.index.producers.get(name)
        return maker is None or maker.op_type != "Conv" or len(self.index.consumers[name]) > 1

    def _scale(self, name: str) -> ActivationScale:
        source = source_of(name, self.index)
        if source not in self.scales:
            if source not in self.table.ranges:
                raise StaleTableError(
                    f"calibration table: holds no range of {source}, expected one of each of the graph's tensors. "
                    "Calibrate this checkpoint with tinydf-calibrate."
                )
            low, high = self.table.ranges[source]
            maker = self.index.producers.get(source)
            if maker is not None and maker.op_type in CLIPPING:
                lowest, highest = clip_bounds(maker, self.index)
                low, high = max(low, lowest), min(high, highest)
            self.scales[source] = activation_scale(
                low,
                high,
                unsigned=self.scheme.unsigned,
                half=self.scheme.half_scales,
                centred=self.scheme.centred,
            )
        return self.scales[source]

    def _pair(self, name: str) -> str:
        """Returns a tensor after quantize and dequantize, writing both where they are not there yet."""
        if name not in self.paired:
            self._write_pair(name, name, f"{name}_dequantized")
            self.paired[name] = f"{name}_dequantized"
        return self.paired[name]

    def _requantize(self, node: NodeProto, name: str) -> None:
        """Puts a pair behind a node, so that all that take ``name`` get it as 8 bit know it."""
        node.output[0] = f"{name}_float"
        self._write_pair(name, f"{name}_float", name)
        self.paired[name] = name

    def _write_pair(self, name: str, taken: str, given: str) -> None:
        scale = self._scale(name)
        source = source_of(name, self.index)
        names = [f"{source}_scale", f"{source}_zero_point"]
        self._store(names[0], np.asarray(scale.scale))
        self._store(names[1], np.asarray(scale.zero_point))
        self.nodes.append(
            helper.make_node("QuantizeLinear", [taken, *names], [f"{name}_quantized"], name=f"{name}_quantize")
        )
        self.nodes.append(
            helper.make_node("DequantizeLinear", [f"{name}_quantized", *names], [given], name=f"{name}_dequantize")
        )

    def _write_weights(self, conv: NodeProto, taken_from: str) -> None:
        """Replaces a convolution's constants by stored 8-bit weights and, where the scheme says so, a stored bias."""
        taken, scale_name = self._scale(taken_from), f"{source_of(taken_from, self.index)}_scale"
        weight = self.index.constant(conv.input[1]).astype(np.float32)
        bias = corrected_bias(conv, self.index, self.table)
        stores_bias = bias is not None and self.scheme.quantizes_bias
        smallest = smallest_weight_scale(bias, taken.scale) if stores_bias and bias is not None else None
        stored, scales = quantize_weight(weight, smallest, moves_of(self.table, conv.name, weight.shape))
        self._store_dequantized(f"{conv.name}_weight", stored, scales)
        del conv.input[1:]
        conv.input.append(f"{conv.name}_weight")
        if bias is None:
            return
        conv.input.append(f"{conv.name}_bias")
        if stores_bias:
            self._write_bias(conv.name, scale_name, quantize_bias(bias, (scales * taken.scale).astype(np.float32)))
        else:
            self._store(f"{conv.name}_bias", bias)

    def _write_bias(self, conv: str, input_scale: str, stored: np.ndarray) -> None:
        """Stores a bias; engines multiply its scale on loading, from the weight's and the input's."""
        bias = f"{conv}_bias"
        self._store(f"{bias}_quantized", stored)
        factors = [f"{conv}_weight_scale", input_scale]
        self.nodes.append(helper.make_node("Mul", factors, [f"{bias}_scale"], name=f"{bias}_scale"))
        parts = [f"{bias}_quantized", f"{bias}_scale"]
        self.nodes.append(helper.make_node("DequantizeLinear", parts, [bias], name=f"{bias}_dequantize", axis=0))

    def _store(self, name: str, values: np.ndarray) -> None:
        self.constants.setdefault(name, numpy_helper.from_array(values, name))

    def _store_dequantized(self, name: str, stored: np.ndarray, scales: np.ndarray) -> None:
        # No zero point means 0, and takes no space.
        names = [f"{name}_quantized", f"{name}_scale"]
        for one, values in zip(names, (stored, scales), strict=True):
            self._store(one, values)
        self.nodes.append(helper.make_node("DequantizeLinear", names, [name], name=f"{name}_dequantize", axis=0))
