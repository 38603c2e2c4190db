from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

pytest.importorskip("coremltools")

from tinydf_export.targets.coreml.mil_file import MilProgram, read_mlpackage
from tinydf_export.targets.coreml.mil_interpreter import run_program
from tinydf_export.targets.coreml.mlpackage import convert_program, write_package
from tinydf_export.targets.coreml.onnx_to_mil import Float, build_program, mil_name
from tinydf_runtime.engines.coreml_package import coremltools
from tinydf_runtime.errors import QualityError, UnknownFormatError

SIDE_PX = 8
RANDOM = np.random.default_rng(2)
Constants = dict[str, NDArray[Any]]


def values(*shape: int) -> NDArray[np.float32]:
    return RANDOM.normal(size=shape).astype(np.float32)


def model_of(nodes: list[NodeProto], constants: Constants) -> ModelProto:
    """A graph whose ``x`` is the picture as float, N x 3 x 8 x 8, within -1..1, and whose ``y`` is the output."""
    shift = {"half": np.array(127.5, np.float32)}
    before = [
        helper.make_node("Cast", ["image"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["wide", "half"], ["centred"]),
        helper.make_node("Div", ["centred", "half"], ["x"]),
    ]
    graph = helper.make_graph(
        [*before, *nodes],
        "test",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 3, SIDE_PX, SIDE_PX])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in (shift | constants).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def program_of(model: ModelProto, folder: Path, precision: Float = "fp32") -> MilProgram:
    target = coremltools.target.iOS17
    package = convert_program(build_program(model, precision, target), SIDE_PX, target)
    write_package(package, folder / "test.mlpackage")
    return read_mlpackage(folder / "test.mlpackage")


def pictures(count: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, 3, SIDE_PX, SIDE_PX), dtype=np.uint8)


def run(program: MilProgram, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    return run_program(program, {"image": crops.astype(np.float32)}, "test.mlpackage")["y"]


def run_onnx(model: ModelProto, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["y"], {"image": crops})
    assert isinstance(found, np.ndarray)
    return found


def node(kind: str, *inputs: str, **attributes: Any) -> list[NodeProto]:
    return [helper.make_node(kind, list(inputs), ["y"], name="tested", **attributes)]


def ints(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


CASES: dict[str, tuple[list[NodeProto], Constants]] = {
    "strided conv with uneven padding": (
        node("Conv", "x", "w", "b", pads=[1, 0, 2, 1], strides=[2, 1], kernel_shape=[3, 3]),
        {"w": values(4, 3, 3, 3), "b": values(4)},
    ),
    "dilated depthwise conv without bias": (
        node("Conv", "x", "w", group=3, dilations=[2, 2], pads=[2, 2, 2, 2]),
        {"w": values(3, 1, 3, 3)},
    ),
    "average pool": (node("AveragePool", "x", kernel_shape=[4, 2], strides=[4, 2]), {}),
    "padded average pool": (
        node("AveragePool", "x", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], count_include_pad=1),
        {},
    ),
    "global average pool": (node("GlobalAveragePool", "x"), {}),
    "mean that drops its axes": (node("ReduceMean", "x", "axes", keepdims=0), {"axes": ints(2, 3)}),
    "maximum": (node("ReduceMax", "x", "axes", keepdims=1), {"axes": ints(-1, -2)}),
    "clip to 6": (node("Clip", "x", "l", "h"), {"l": np.array(0, np.float32), "h": np.array(6, np.float32)}),
    "clip": (node("Clip", "x", "l", "h"), {"l": np.array(-0.5, np.float32), "h": np.array(0.25, np.float32)}),
    "clip below": (node("Clip", "x", "l"), {"l": np.array(0, np.float32)}),
    "relu": (node("Relu", "x"), {}),
    "sigmoid": (node("Sigmoid", "x"), {}),
    "tanh": (node("Tanh", "x"), {}),
    "abs": (node("Abs", "x"), {}),
    "exp": (node("Exp", "x"), {}),
    "constant first": (node("Sub", "c", "x"), {"c": values(1, 3, 1, 1)}),
    "division by a scalar": (node("Div", "x", "c"), {"c": np.array(7, np.float32)}),
    "batch norm": (
        node("BatchNormalization", "x", "g", "b", "m", "v", epsilon=1e-3),
        {"g": values(3), "b": values(3), "m": values(3), "v": np.abs(values(3))},
    ),
    "edge padding": (node("Pad", "x", "p", mode="edge"), {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)}),
    "constant padding": (
        node("Pad", "x", "p", "c"),
        {"p": ints(0, 0, 1, 0, 0, 0, 0, 1), "c": np.array(2, np.float32)},
    ),
    "smaller by a factor": (
        node("Resize", "x", "", "f", mode="linear", coordinate_transformation_mode="half_pixel"),
        {"f": np.array([1, 1, 5 / 8, 5 / 8], np.float32)},
    ),
    "smaller by a factor that float16 rounds down": (
        [
            helper.make_node("Pad", ["x", "p"], ["larger"], mode="edge"),
            *node("Resize", "larger", "", "f", mode="linear", coordinate_transformation_mode="half_pixel"),
        ],
        {"p": ints(0, 0, 3, 3, 0, 0, 3, 3), "f": np.array([1, 1, 4 / 7 + 1e-7, 4 / 7 + 1e-7], np.float32)},
    ),
    "larger to a size": (
        node("Resize", "x", "", "", "s", mode="linear", coordinate_transformation_mode="half_pixel"),
        {"s": ints(3, 3, 14, 11)},
    ),
    "split, transpose": (
        [
            helper.make_node("Reshape", ["x", "s"], ["five"], allowzero=1),
            helper.make_node("Transpose", ["five"], ["turned"], perm=[0, 2, 1, 3, 4]),
            *node("Reshape", "turned", "back"),
        ],
        {"s": ints(-1, 3, 1, SIDE_PX, SIDE_PX), "back": ints(0, 3, SIDE_PX * SIDE_PX)},
    ),
    "squeeze and unsqueeze": (
        [
            helper.make_node("ReduceMean", ["x", "two"], ["flat"], keepdims=1),
            helper.make_node("Squeeze", ["flat", "two"], ["low"]),
            *node("Unsqueeze", "low", "last"),
        ],
        {"two": ints(2), "last": ints(-1)},
    ),
    "one channel": (node("Gather", "x", "i", axis=1), {"i": np.array(-1, np.int64)}),
    "joined": (
        [helper.make_node("Tanh", ["x"], ["t"]), *node("Concat", "x", "t", "x", axis=1)],
        {},
    ),
    "depth to space": (
        [
            helper.make_node("Concat", ["x", "x", "x", "x"], ["wide12"], axis=1),
            *node("DepthToSpace", "wide12", blocksize=2, mode="DCR"),
        ],
        {},
    ),
    "pixel shuffle": (
        [
            helper.make_node("Concat", ["x", "x", "x", "x"], ["wide12"], axis=1),
            *node("DepthToSpace", "wide12", blocksize=2, mode="CRD"),
        ],
        {},
    ),
    "linear": (
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            *node("Gemm", "flat", "w", "b", transB=1),
        ],
        {"w": values(5, 3 * SIDE_PX * SIDE_PX), "b": values(5)},
    ),
    "linear, weight the other way round": (
        [
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            *node("Gemm", "flat", "w"),
        ],
        {"w": values(3, 5)},
    ),
    "product": (node("MatMul", "x", "w"), {"w": values(SIDE_PX, 4)}),
    "root of a square": (
        [helper.make_node("Mul", ["x", "x"], ["square"]), *node("Sqrt", "square")],
        {},
    ),
    "logarithm of what is near zero": (
        [
            helper.make_node("Abs", ["x"], ["positive"]),
            helper.make_node("Add", ["positive", "tenth"], ["shifted"]),
            *node("Log", "shifted"),
        ],
        {"tenth": np.array(0.1, np.float32)},
    ),
    "shape of the picture": (
        [
            helper.make_node("Shape", ["x"], ["front"], start=0, end=1),
            helper.make_node("Concat", ["front", "rest"], ["all"], axis=0),
            *node("Reshape", "x", "all"),
        ],
        {"rest": ints(3, SIDE_PX * SIDE_PX)},
    ),
    "quantized": (
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["stored"]),
            *node("DequantizeLinear", "stored", "s", "z"),
        ],
        {"s": np.array(0.006, np.float32), "z": np.array(0, np.int8)},
    ),
    "quantized by channel, unsigned": (
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["stored"], axis=1),
            *node("DequantizeLinear", "stored", "s", "z", axis=1),
        ],
        {"s": np.array([0.006, 0.01, 0.03], np.float32), "z": np.array([0, 100, 128], np.uint8)},
    ),
    "stored weight": (
        [
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=0),
            *node("Conv", "x", "w"),
        ],
        {
            "q": RANDOM.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8),
            "s": np.array([0.5, 0.01, 0.002, 0.25], np.float32),
            "z": np.zeros(4, np.int8),
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_program_computes_what_onnx_says(name: str, tmp_path: Path) -> None:
    model = model_of(*CASES[name])
    expected, found = run_onnx(model, pictures()), run(program_of(model, tmp_path), pictures())
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=3e-6, rtol=3e-5)


@pytest.mark.parametrize(
    "name",
    [
        "strided conv with uneven padding",
        "quantized",
        "stored weight",
        "batch norm",
        "smaller by a factor that float16 rounds down",
    ],
)
def test_half_precision_is_near_and_not_equal(name: str, tmp_path: Path) -> None:
    nodes, constants = CASES[name]
    last = helper.make_node(nodes[-1].op_type, nodes[-1].input, ["inner"], name="inner")
    last.attribute.extend(nodes[-1].attribute)
    model = model_of([*nodes[:-1], last, *node("Tanh", "inner")], constants)
    expected, found = run_onnx(model, pictures()), run(program_of(model, tmp_path, "fp16"), pictures())
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    assert 1e-6 < difference < 1e-2


def test_tensors_keep_their_names_and_the_batch_is_free(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["layer.1/relu:0"]), *node("Sigmoid", "layer.1/relu:0")]
    program = program_of(model_of(nodes, {}), tmp_path)
    crops = pictures(4)
    named = run_program(program, {"image": crops.astype(np.float32)}, "test", keep_all=True)
    assert named[mil_name("layer.1/relu:0")].shape == (4, 3, SIDE_PX, SIDE_PX)
    np.testing.assert_array_equal(named["y"][2:3], run(program, crops[2:3]))


def test_half_precision_spares_logarithms_and_outputs(tmp_path: Path) -> None:
    nodes, constants = CASES["logarithm of what is near zero"]
    nodes = [*nodes[:-1], helper.make_node("Log", ["shifted"], ["logs"]), helper.make_node("Relu", ["logs"], ["kept"])]
    program = program_of(model_of([*nodes, *node("Sigmoid", "kept")], constants), tmp_path, "fp16")
    types = {operation.name: operation.output.dtype for operation in program.operations}
    assert {types[name] for name in ("x", "positive", "shifted", "logs", "y")} == {"fp32"}
    assert types["kept"] == "fp16"


def test_stored_weights_stay_stored_unless_their_scales_are_too_small_for_half(tmp_path: Path) -> None:
    nodes, constants = CASES["stored weight"]
    stored = program_of(model_of(nodes, constants), tmp_path, "fp16")
    kinds = [operation.kind for operation in stored.operations]
    assert "constexpr_affine_dequantize" in kinds
    tiny = constants | {"s": np.full(4, 1e-5, np.float32)}
    assert "constexpr_affine_dequantize" not in [
        operation.kind for operation in program_of(model_of(nodes, tiny), tmp_path, "fp16").operations
    ]


def test_unknown_operator_and_form_are_named() -> None:
    target = coremltools.target.iOS17
    with pytest.raises(UnknownFormatError, match="Erf tested"):
        build_program(model_of(node("Erf", "x"), {}), "fp32", target)
    with pytest.raises(UnknownFormatError, match="AveragePool tested: ceil_mode"):
        build_program(model_of(node("AveragePool", "x", kernel_shape=[3, 3], ceil_mode=1), {}), "fp32", target)


def test_constant_that_float16_cannot_hold_is_refused() -> None:
    large = helper.make_node("Mul", ["x", "c"], ["large"], name="large")
    model = model_of([large, *node("Tanh", "large")], {"c": np.full((1, 3, 1, 1), 1e6, np.float32)})
    with pytest.raises(QualityError, match="Mul large"):
        build_program(model, "fp16", coremltools.target.iOS17)
