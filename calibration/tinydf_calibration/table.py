"""The calibration table: what INT8 needs to know about one network, keyed by hashes of what it was measured on.

The weights' hash is that of the checkpoint's file. The graph's is of its structure alone: the weights in it are folded,
and their last bits may differ between processors.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, numpy_helper

from tinydf_runtime.errors import CalibrationFileError, ModelFileError, StaleTableError
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.trust import strict
from tinydf_runtime.trust.reading import read_model_file

SCHEMA = "tinydf.calibration/2"
MOST_BYTES = 64 << 20
MOST_ENTRIES = 100_000
LARGEST = 1e9
"""Of a range's ends, scales and shifts; ours stay below a thousand."""
NUMBERS = re.compile(r"\[\n([-+.\de,\s]+)\]")
"""A list of numbers as JSON writes it over several lines; text in JSON has no line breaks."""
METHODS = ("min-max", "moving-average", "percentile", "entropy", "mse")


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """Ranges and decisions for one checkpoint; every INT8 target starts from it.

    Attributes:
        checkpoint_sha256: Of the checkpoint file, as ``ModelSpec.checkpoint_sha256``.
        graph_sha256: ``graph_hash`` of the float graph that the names below are from: of its structure.
        crop_sha256: Of the crop config, ``CropConfig.sha256()``.
        sample_sha256: Hash of the calibration crops' bytes, in order.
        samples: How many crops gave the ranges.
        method: Which of ``METHODS`` made the ranges.
        ranges: Tensor of the float graph -> lowest and highest value that INT8 represents.
        float_layers: Nodes that stay in float.
        channel_scales: First of two equalised convs -> factor of each of its output channels.
        weight_moves: Conv -> how its weights round, from ``rounding.encode_moves``; to the nearest where missing.
        bias_shifts: Conv -> what is added to the bias of each of its output channels.
        measured: Agreement and AUC of every method and scheme that was tried, sensitivity by layer.
    """

    checkpoint_sha256: str
    graph_sha256: str
    crop_sha256: str
    sample_sha256: str
    samples: int
    method: str
    ranges: Mapping[str, tuple[float, float]]
    float_layers: tuple[str, ...] = ()
    channel_scales: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    weight_moves: Mapping[str, str] = field(default_factory=dict)
    bias_shifts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Returns the table as one JSON object, keys sorted so that equal tables give equal bytes.

        Lists of numbers stand on one line each.
        """
        text = json.dumps(asdict(self) | {"schema": SCHEMA}, sort_keys=True, indent=1, allow_nan=False) + "\n"
        return NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)

    @classmethod
    def from_json(cls, text: str, source: str) -> CalibrationTable:
        """Reads a table.

        Args:
            text: What ``to_json`` wrote.
            source: The file's name, for the error message.

        Raises:
            CalibrationFileError: The text is no calibration table, or of another schema.
        """
        try:
            fields = strict.Fields(strict.parse(text, MOST_BYTES))
            schema = fields.take("schema", strict.text)
            if schema != SCHEMA:
                raise CalibrationFileError(f"{source}: schema {schema}, expected {SCHEMA}. Calibrate again.")
            table = cls(
                checkpoint_sha256=fields.take("checkpoint_sha256", strict.sha256, empty=True),
                graph_sha256=fields.take("graph_sha256", strict.sha256),
                crop_sha256=fields.take("crop_sha256", strict.sha256),
                sample_sha256=fields.take("sample_sha256", strict.sha256),
                samples=fields.take("samples", strict.whole, 1, 10**9),
                method=fields.take("method", strict.one_of, METHODS),
                ranges=fields.take("ranges", _by_name, _range),
                float_layers=fields.take("float_layers", _names),
                channel_scales=fields.take("channel_scales", _by_name, _scales),
                weight_moves=fields.take("weight_moves", _by_name, _moves),
                bias_shifts=fields.take("bias_shifts", _by_name, _shifts),
                measured=fields.take("measured", _figures),
            )
            fields.end()
        except strict.StrictError as error:
            raise CalibrationFileError(
                f"{source}: cannot be read as a calibration table ({error}). Make it with tinydf-calibrate."
            ) from error
        return table

    def sha256(self) -> str:
        """Returns the hash that an INT8 model's metadata carries: of all that shapes a model, and so not of figures."""
        return hashlib.sha256(replace(self, measured={}).to_json().encode()).hexdigest()


def read_table(path: Path) -> CalibrationTable:
    """Reads a table from its file.

    Raises:
        CalibrationFileError: The file is missing, damaged or of another schema.
    """
    try:
        text = read_model_file(path, MOST_BYTES, "Make the table with tinydf-calibrate.").decode()
    except ModelFileError as error:
        raise CalibrationFileError(str(error)) from error
    except UnicodeDecodeError as error:
        raise CalibrationFileError(f"{path}: no text. Make the table with tinydf-calibrate.") from error
    return CalibrationTable.from_json(text, str(path))


def write_table(table: CalibrationTable, path: Path) -> None:
    """Writes a table, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    write_atomically(path, table.to_json().encode())


def check_fits(table: CalibrationTable, checkpoint_sha256: str, graph: ModelProto, crop_sha256: str) -> None:
    """Accepts a table that was measured on this network and these crops, in a graph of this structure.

    Args:
        table: To be used.
        checkpoint_sha256: Of the checkpoint that is exported.
        graph: Its float graph.
        crop_sha256: Of its crop config.

    Raises:
        StaleTableError: It was measured on others.
    """
    _check_weights(table, checkpoint_sha256, crop_sha256)
    found, expected = table.graph_sha256, graph_hash(graph)
    if found != expected:
        raise StaleTableError(
            _made_for("graph", found, expected) + "Calibrate this checkpoint with tinydf-calibrate, or keep the ranges "
            "with tinydf-calibrate --rekey TABLE where only the versions of torch or TinyDF have changed."
        )


def rekey(table: CalibrationTable, checkpoint_sha256: str, graph: ModelProto, crop_sha256: str) -> CalibrationTable:
    """Returns a table with all its ranges, rekeyed to the graph that is written today for the same checkpoint.

    Args:
        table: Measured on a graph that other versions wrote.
        checkpoint_sha256: Of the checkpoint that it was measured on.
        graph: Its float graph.
        crop_sha256: Of its crop config.

    Raises:
        StaleTableError: It was measured on other weights or crops, or names what the graph does not have.
    """
    _check_weights(table, checkpoint_sha256, crop_sha256)
    tensors = {name for node in graph.graph.node for name in (*node.input, *node.output)}
    nodes = {node.name for node in graph.graph.node}
    named = {*table.float_layers, *table.channel_scales, *table.weight_moves, *table.bias_shifts}
    missing = sorted((set(table.ranges) - tensors) | (named - nodes))
    if missing:
        raise StaleTableError(
            f"calibration table: {len(missing)} of its names, such as {missing[0]}, are not in this checkpoint's "
            "graph. Calibrate this checkpoint with tinydf-calibrate."
        )
    return replace(table, graph_sha256=graph_hash(graph))


def _check_weights(table: CalibrationTable, checkpoint_sha256: str, crop_sha256: str) -> None:
    for what, found, expected in (
        ("weights", table.checkpoint_sha256, checkpoint_sha256),
        ("crop config", table.crop_sha256, crop_sha256),
    ):
        if found != expected:
            raise StaleTableError(_made_for(what, found, expected) + "Calibrate this checkpoint with tinydf-calibrate.")


def _made_for(what: str, found: str, expected: str) -> str:
    return (
        f"calibration table: was made for the {what} {found[:12] or '(none)'}, but this checkpoint's is "
        f"{expected[:12] or '(none)'}. "
    )


def graph_hash(model: ModelProto) -> str:
    """Returns the SHA-256 over a graph's structure and ``model_version``, which stands for how its weights were made.

    Structure is all but the values of float tensors: operators, names, attributes, inputs, outputs, shapes, types, and
    whole numbers, which are axes and sizes. Metadata and the order of the weights do not count.
    """
    digest = hashlib.sha256(f"version {model.model_version}\0".encode())
    for value in (*model.graph.input, *model.graph.output):
        digest.update(value.name.encode() + b"\0" + value.type.SerializeToString(deterministic=True))
    for node in model.graph.node:
        digest.update(_bare(node).SerializeToString(deterministic=True))
    for tensor in sorted(model.graph.initializer, key=lambda one: one.name):
        digest.update(_outline(tensor).SerializeToString(deterministic=True))
    return digest.hexdigest()


def _bare(node: NodeProto) -> NodeProto:
    bare = NodeProto()
    bare.CopyFrom(node)
    bare.ClearField("metadata_props")
    bare.ClearField("doc_string")
    for attribute in bare.attribute:
        if attribute.type == AttributeProto.TENSOR:
            attribute.t.CopyFrom(_outline(attribute.t))
    return bare


def _outline(tensor: TensorProto) -> TensorProto:
    """Returns name, shape and type of a tensor, with the values where they are whole numbers."""
    values = numpy_helper.to_array(tensor)
    outline = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    if np.issubdtype(values.dtype, np.integer):
        outline.raw_data = np.ascontiguousarray(values).tobytes()
    return outline


def _by_name(value: object, check: Callable[[object], Any]) -> dict[str, Any]:
    return strict.each(strict.mapping(value, MOST_ENTRIES), check)


def _names(value: object) -> tuple[str, ...]:
    return tuple(strict.text(name) for name in strict.rows(value, MOST_ENTRIES))


def _figures(value: object) -> dict[str, Any]:
    """Returns an object of figures that are kept, and never computed with."""
    found: dict[str, Any] = strict.plain(strict.mapping(value, MOST_BYTES), MOST_BYTES)
    return found


def _range(value: object) -> tuple[float, float]:
    low, high = (strict.finite(end, -LARGEST, LARGEST) for end in strict.pair(value))
    if not low <= high:
        raise strict.StrictError(f"range {low} to {high}")
    return low, high


def _scales(value: object) -> tuple[float, ...]:
    return tuple(strict.finite(one, 1 / LARGEST, LARGEST) for one in strict.rows(value, MOST_ENTRIES))


def _shifts(value: object) -> tuple[float, ...]:
    return tuple(strict.finite(one, -LARGEST, LARGEST) for one in strict.rows(value, MOST_ENTRIES))


def _moves(value: object) -> str:
    return strict.text(value, MOST_BYTES)
