from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

pytest.importorskip("coremltools")

from tinydf.checkpoint import Checkpoint, load_default
from tinydf_calibration.quantize import quantizable_layers, quantizable_tensors, quantize_model
from tinydf_calibration.range_methods import choose_ranges
from tinydf_calibration.ranges import observe
from tinydf_calibration.schemes import QDQ_SCHEMES
from tinydf_calibration.table import CalibrationTable, graph_hash, read_table
from tinydf_export import ExportedModel, ExportRequest, runner
from tinydf_export.cli import export as cli
from tinydf_export.graph.weight_only import compress_weights
from tinydf_export.inputs.gather import SHIPPED_TABLE
from tinydf_export.parity import report
from tinydf_export.parity.golden import draw_golden_crops
from tinydf_export.parity.report import score_eagerly
from tinydf_export.parity.verify import TOLERANCE
from tinydf_export.targets.coreml.mil_file import read_mlpackage
from tinydf_export.targets.coreml.mil_interpreter import open_interpreter, run_program
from tinydf_export.targets.coreml.mlpackage import convert_program, write_package
from tinydf_export.targets.coreml.onnx_to_mil import build_program
from tinydf_runtime.engines.coreml_package import coremltools, read_description
from tinydf_runtime.errors import QualityError, StaleTableError, UsageError
from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec, Precision

IOS_16, IOS_17 = 7, 8

Export = Callable[..., ExportedModel]


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """The shipped one: random weights amplify every rounding, and tell nothing of fewer bits than float32's."""
    return load_default()


@pytest.fixture(scope="module")
def plain_model(checkpoint: Checkpoint, trace_once: Callable[[Checkpoint], onnx.ModelProto]) -> onnx.ModelProto:
    return trace_once(checkpoint)


@pytest.fixture(scope="module")
def table(checkpoint: Checkpoint, plain_model: onnx.ModelProto) -> CalibrationTable:
    """Ranges of the golden crops themselves: the best there are for them."""
    crops = draw_golden_crops(checkpoint.spec.crop)
    ranges = choose_ranges(observe(plain_model, quantizable_tensors(plain_model), crops), "min-max")
    return CalibrationTable(
        checkpoint.spec.checkpoint_sha256,
        graph_hash(plain_model),
        checkpoint.spec.crop.sha256(),
        "0" * 64,
        len(crops),
        "min-max",
        ranges,
    )


@pytest.fixture(scope="module")
def export_to(checkpoint: Checkpoint, plain_model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Exports the checkpoint without tracing it again."""

    def run(precision: Precision, table: CalibrationTable | None = None, out: Path | None = None) -> ExportedModel:
        out = tmp_path_factory.mktemp("coreml") / f"{precision}.mlpackage" if out is None else out
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner, "build_float_graph", lambda checkpoint: plain_model)
            patch.setattr(report, "BATCHES", (5,))
            return runner.run(ExportRequest(checkpoint, "coreml", out, precision=precision, table=table))

    return run


@pytest.fixture(scope="module")
def halved(export_to: Export) -> ExportedModel:
    return export_to("fp16")


@pytest.fixture(scope="module")
def stored(export_to: Export) -> ExportedModel:
    return export_to("w8", read_table(SHIPPED_TABLE))


@pytest.fixture(scope="module")
def quantized(export_to: Export) -> ExportedModel:
    """With the table that users have: ranges alone, without its rounding, are too coarse for some checkpoints."""
    return export_to("int8", read_table(SHIPPED_TABLE))


def test_float32_package_equals_the_checkpoint(checkpoint: Checkpoint, export_to: Export) -> None:
    exported = export_to("fp32")
    crops = draw_golden_crops(checkpoint.spec.crop)
    engine = open_interpreter(exported.path)
    scores, eager = engine.score(crops), score_eagerly(checkpoint, crops)
    np.testing.assert_allclose(scores.fake_probability, eager.fake_probability, atol=1e-4)
    np.testing.assert_allclose(scores.forgery_map, eager.forgery_map, atol=1e-4)
    np.testing.assert_allclose(engine.score(crops[3:4]).fake_probability, scores.fake_probability[3:4], atol=1e-5)
    assert engine.score(crops[:0]).fake_probability.shape == (0,)
    assert exported.spec.proof["engine"] == engine.name
    assert exported.parity.golden.max_difference < 1e-4


@pytest.mark.parametrize(("name", "bound"), [("halved", 0.005), ("stored", 0.02), ("quantized", 0.06)])
def test_fewer_bits_stay_near_the_checkpoint(name: str, bound: float, request: pytest.FixtureRequest) -> None:
    exported: ExportedModel = request.getfixturevalue(name)
    assert 0 < exported.parity.golden.mean_difference < bound


@pytest.mark.parametrize("activations", [False, True])
def test_8_bit_programs_compute_what_their_graphs_say(
    activations: bool, plain_model: onnx.ModelProto, table: CalibrationTable, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    quantized = quantize_model(plain_model, table, QDQ_SCHEMES["coreml"]) if activations else plain_model
    model = compress_weights(quantized, quantizable_layers(plain_model))
    target, side_px = coremltools.target.iOS17, checkpoint.spec.crop.side_px
    path = tmp_path / "m.mlpackage"
    write_package(convert_program(build_program(model, "fp32", target), side_px, target), path)
    planes = draw_golden_crops(checkpoint.spec.crop).transpose(0, 3, 1, 2).copy()
    expected = all_values(model, planes)
    # Each operation takes what the graph computed before it: a value on the border between two steps may fall either
    # way, by how a processor rounds, and what comes after falls with it.
    found = run_program(read_mlpackage(path), {"image": planes.astype(np.float32)}, path.name, True, instead=expected)
    compared = found.keys() & expected.keys()
    assert {"fake_probability", "forgery_map"} < compared
    assert len(compared) > (0.95 if activations else 0.4) * len(found)
    for name in compared:
        close = np.isclose(found[name], expected[name], rtol=1e-4, atol=1e-4 * np.abs(expected[name]).max())
        if name.endswith("_dequantized"):
            step = np.diff(np.unique(expected[name])).min()
            assert close.mean() > 0.999, name
            assert np.abs(found[name] - expected[name]).max() < 1.01 * step, name
        else:
            assert close.all(), name
    if not activations:
        whole = run_program(read_mlpackage(path), {"image": planes.astype(np.float32)}, path.name)
        np.testing.assert_allclose(whole["fake_probability"], expected["fake_probability"], atol=1e-4)


def all_values(model: onnx.ModelProto, planes: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Every float32 value that a graph computes, by its name, without any optimisation."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    outputs = {output.name for output in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name not in outputs]
    watched.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, names))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = zip((one.name for one in session.get_outputs()), session.run(None, {"image": planes}), strict=True)
    return {name: value for name, value in values if value.dtype == np.float32}


def kinds_of(exported: ExportedModel) -> set[str]:
    return {operation.kind for operation in read_mlpackage(exported.path).operations}


def test_each_precision_asks_for_no_newer_system_than_it_needs(
    halved: ExportedModel, stored: ExportedModel, quantized: ExportedModel
) -> None:
    formats = [read_description(model.path).specificationVersion for model in (halved, stored, quantized)]
    assert formats == [IOS_16, IOS_16, IOS_17]
    assert "constexpr_affine_dequantize" in kinds_of(stored) & kinds_of(quantized)
    assert {"quantize", "dequantize"} <= kinds_of(quantized)
    assert not {"quantize", "dequantize"} & kinds_of(stored)
    assert stored.size_bytes < 0.6 * halved.size_bytes


def test_package_says_what_it_is(stored: ExportedModel, quantized: ExportedModel) -> None:
    description = read_description(stored.path).description
    assert [(value.name, value.type.WhichOneof("Type")) for value in description.input] == [("image", "imageType")]
    assert [value.name for value in description.output] == ["fake_probability", "forgery_map"]
    spec = ModelSpec.from_json(description.metadata.userDefined[METADATA_KEY], "stored")
    assert spec == stored.spec
    assert (spec.precision, spec.calibration_sha256) == ("w8", read_table(SHIPPED_TABLE).sha256())
    assert (quantized.spec.precision, quantized.spec.calibration_sha256) == ("int8", read_table(SHIPPED_TABLE).sha256())
    assert "coremltools" in spec.versions


def test_two_exports_are_equal(stored: ExportedModel, export_to: Export, tmp_path: Path) -> None:
    again = export_to("w8", read_table(SHIPPED_TABLE), out=tmp_path / "again.mlpackage")
    for path in (path for path in stored.path.rglob("*") if path.is_file()):
        assert (again.path / path.relative_to(stored.path)).read_bytes() == path.read_bytes(), path


def test_bound_that_is_missed_leaves_nothing(
    export_to: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOLERANCE, "w8", 0.0)
    with pytest.raises(QualityError):
        export_to("w8", read_table(SHIPPED_TABLE), out=tmp_path / "m.mlpackage")
    assert list(tmp_path.iterdir()) == []


def test_activations_need_ranges_of_this_checkpoint(export_to: Export, table: CalibrationTable, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        export_to("int8", out=tmp_path / "m.mlpackage")
    with pytest.raises(StaleTableError):
        export_to("int8", replace(table, checkpoint_sha256="f" * 64), tmp_path / "m.mlpackage")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "precision"), [([], "fp16"), (["--fp16"], "fp16"), (["--int8"], "w8"), (["--int8", "--fp16"], None)]
)
def test_command_asks_for_weights_alone_unless_told_otherwise(
    options: list[str],
    precision: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Precision] = []

    def refuse(request: ExportRequest) -> ExportedModel:
        asked.append(request.precision)
        raise QualityError("not near enough")

    monkeypatch.setattr(runner, "run", refuse)
    arguments = ["--target", "coreml", *options, "--out", str(tmp_path / "m.mlpackage")]
    result = CliRunner().invoke(cli.main, arguments)
    assert (result.exit_code, asked) == ((2, []) if precision is None else (3, [precision]))


def test_command_wants_ranges_for_activations(checkpoint_path: Path, tmp_path: Path) -> None:
    arguments = [
        str(checkpoint_path),
        "--target",
        "coreml",
        "--int8-activations",
        "--out",
        str(tmp_path / "m.mlpackage"),
    ]
    result = CliRunner().invoke(cli.main, arguments)
    assert result.exit_code == 2
    assert "--calibration" in result.stderr
