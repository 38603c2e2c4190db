"""targets/openvino: every precision, equal bytes, and no pair where a bound is missed or the disk is full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.utils
import onnxruntime
import pytest

openvino = pytest.importorskip("openvino")

from tinydf.checkpoint import Checkpoint  # noqa: E402
from tinydf_calibration.quantize import quantizable_tensors  # noqa: E402
from tinydf_calibration.range_methods import choose_ranges  # noqa: E402
from tinydf_calibration.ranges import observe  # noqa: E402
from tinydf_calibration.table import CalibrationTable  # noqa: E402
from tinydf_export import (  # noqa: E402
    ExportedModel,
    ExportRequest,
    runner,
)
from tinydf_export.job import start_job  # noqa: E402
from tinydf_export.parity import report  # noqa: E402
from tinydf_export.parity.golden import draw_golden_crops  # noqa: E402
from tinydf_export.parity.verify import TOLERANCE, verify_model  # noqa: E402
from tinydf_export.targets.openvino import int8 as openvino_int8  # noqa: E402
from tinydf_export.targets.openvino import target as to_openvino  # noqa: E402
from tinydf_runtime.engines.loading import open_engine  # noqa: E402
from tinydf_runtime.engines.quiet_openvino import core  # noqa: E402
from tinydf_runtime.errors import OutputError, QualityError  # noqa: E402
from tinydf_runtime.io.files import write_atomically  # noqa: E402

pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.fixture(scope="module")
def table(
    checkpoint: Checkpoint, plain_model: onnx.ModelProto, make_table: Callable[..., CalibrationTable]
) -> CalibrationTable:
    crops = draw_golden_crops(checkpoint.spec.crop)
    return make_table(choose_ranges(observe(plain_model, quantizable_tensors(plain_model), crops), "min-max"))


@pytest.fixture(scope="module")
def full(checkpoint: Checkpoint, traced_once: None, tmp_path_factory: pytest.TempPathFactory) -> ExportedModel:
    return runner.run(ExportRequest(checkpoint, "openvino", tmp_path_factory.mktemp("openvino") / "full.xml"))


def test_float32_agrees_with_the_checkpoint_and_can_be_verified(full: ExportedModel) -> None:
    result = verify_model(full.path, threads=1)
    assert result.passed and result.engine == "openvino" and result.precision == "fp32"
    assert full.spec == open_engine(full.path).spec
    assert full.size_bytes == full.path.stat().st_size + full.path.with_suffix(".bin").stat().st_size


@pytest.fixture
def loose_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights are no network that few bits could be good for; here the way is tested, not the loss."""
    monkeypatch.setitem(TOLERANCE, "fp16", 0.05)
    monkeypatch.setitem(TOLERANCE, "int8", 1.0)
    monkeypatch.setitem(report.MAX_MAP_DIFFERENCE, "int8", 1.0)


def test_lower_precisions_are_smaller_stay_near_and_give_equal_bytes_each_time(
    checkpoint: Checkpoint, full: ExportedModel, table: CalibrationTable, tmp_path: Path, loose_bounds: None
) -> None:
    half = runner.run(ExportRequest(checkpoint, "openvino", tmp_path / "half.xml", precision="fp16"))
    eight, again = (
        runner.run(ExportRequest(checkpoint, "openvino", tmp_path / name, precision="int8", table=table))
        for name in ("eight.xml", "again.xml")
    )
    for ending in (".xml", ".bin"):
        assert eight.path.with_suffix(ending).read_bytes() == again.path.with_suffix(ending).read_bytes()
    weights = [one.path.with_suffix(".bin").stat().st_size for one in (full, half, eight)]
    assert weights[1] < 0.55 * weights[0] and weights[2] < 0.35 * weights[0]
    assert 0 < half.parity.golden.max_difference < 0.05
    assert eight.spec.calibration_sha256 == table.sha256() and half.spec.calibration_sha256 is None


def test_openvino_computes_each_8_bit_convolution_as_the_graph_says(
    checkpoint: Checkpoint, plain_model: onnx.ModelProto, table: CalibrationTable
) -> None:
    model = onnx.shape_inference.infer_shapes(
        openvino_int8.quantise_layers(
            start_job(ExportRequest(checkpoint, "openvino", Path("m.xml"), "int8", table), plain_model)
        )
    )
    shapes = {
        value.name: [size.dim_value or 1 for size in value.type.tensor_type.shape.dim]
        for value in model.graph.value_info
    }
    makers = {name: node for node in model.graph.node for name in node.output}
    extractor, checked = onnx.utils.Extractor(model), set()
    for node in model.graph.node:
        pair = [node.input[0]] if node.op_type == "Conv" else []
        while pair and pair[-1] in makers and makers[pair[-1]].op_type in ("DequantizeLinear", "QuantizeLinear"):
            pair.append(makers[pair[-1]].input[0])
        kind = (tuple(shapes.get(node.input[0], ())), str(node.attribute), tuple(shapes.get(node.output[0], ())))
        if len(pair) < 3 or kind in checked:
            continue
        checked.add(kind)
        layer = extractor.extract_model([pair[-1]], [node.output[0]])
        values = np.random.default_rng(0).uniform(-1, 6, shapes[pair[-1]]).astype(np.float32)
        expected = _run_plainly(layer, values)
        read = core().read_model(layer.SerializeToString())
        read.reshape(values.shape)
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        found = core().compile_model(read, "CPU", settings)([values])[0]
        assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max(), node.name
    assert len(checked) > 20


def _run_plainly(model: onnx.ModelProto, values: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: values})[0])


def test_layers_that_openvino_gets_wrong_are_told_by_their_shape() -> None:
    def conv(name: str, shape: tuple[int, ...], stride: int, group: int) -> tuple[onnx.NodeProto, onnx.TensorProto]:
        node = onnx.helper.make_node(
            "Conv", ["x", f"{name}_w"], [name], name=name, kernel_shape=shape[2:], strides=[stride] * 2, group=group
        )
        return node, onnx.numpy_helper.from_array(np.zeros(shape, np.float32), f"{name}_w")

    made = [
        conv("grouped", (384, 96, 1, 1), 1, 4),
        conv("patches", (64, 32, 4, 4), 4, 1),
        conv("depthwise", (32, 1, 3, 3), 1, 32),
        conv("stem", (32, 3, 3, 3), 2, 1),
        conv("point", (64, 32, 1, 1), 1, 1),
    ]
    graph = onnx.helper.make_graph([node for node, _ in made], "convs", [], [], [tensor for _, tensor in made])
    assert openvino_int8.miscomputed_layers(onnx.helper.make_model(graph)) == ("grouped", "patches")


def test_a_missed_bound_leaves_no_file(
    checkpoint: Checkpoint, table: CalibrationTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOLERANCE, "fp16", 0.0)
    with pytest.raises(QualityError):
        runner.run(ExportRequest(checkpoint, "openvino", tmp_path / "half.xml", precision="fp16"))
    assert not list(tmp_path.iterdir())


def test_a_pair_is_written_whole_or_the_old_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.xml"
    to_openvino.write_pair(b"old graph", b"old weights", path)

    def refuse(path: Path, content: bytes) -> None:
        raise OutputError(f"{path}: disk full")

    written = write_atomically
    monkeypatch.setattr(
        to_openvino, "write_atomically", lambda at, what: (refuse if at.suffix == ".bin" else written)(at, what)
    )
    with pytest.raises(OutputError, match="disk full"):
        to_openvino.write_pair(b"new graph", b"new weights", path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    assert (path.read_bytes(), path.with_suffix(".bin").read_bytes()) == (b"old graph", b"old weights")
