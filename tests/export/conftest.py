"""A network whose every part matters, as a checkpoint and exported once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from torch import nn  # noqa: E402

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint  # noqa: E402
from tinydf.forgery import TinyDF  # noqa: E402
from tinydf_calibration.quantize import quantizable_tensors  # noqa: E402
from tinydf_calibration.table import CalibrationTable, graph_hash  # noqa: E402
from tinydf_export import (  # noqa: E402
    ExportedModel,
    ExportRequest,
    runner,
)
from tinydf_export.parity.golden import draw_golden_crops  # noqa: E402
from tinydf_runtime.faces.crop import CropConfig  # noqa: E402
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal  # noqa: E402
from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec  # noqa: E402

TEMPERATURE = 0.7


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint stored in half precision, of random weights.

    Its batch norms hold statistics of real activations, each shifted a little, so that signals reach the end and a
    fold that forgets one of them shows. Its verdict is stretched until the golden crops' probabilities spread.
    """
    torch.manual_seed(5)
    network = TinyDF()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    crops = torch.from_numpy(draw_golden_crops(CropConfig())).permute(0, 3, 1, 2).float()
    # Statistics of few and similar crops would divide by little, and stretch what float32 rounds.
    varied = torch.cat([crops, crops.flip(3), crops.mT, 255 - crops, (crops + crops.roll(1, 0)) / 2])
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        network.train()(varied)
        for norm in norms:
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.add_(norm.running_var.sqrt() * torch.empty_like(norm.running_mean).uniform_(-0.2, 0.2))
            norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.8, 1.25))
            norm.weight.uniform_(0.8, 1.25)
            norm.bias.uniform_(-0.2, 0.2)
        head = network.eval().head.kan2
        # The noise branch's alone: stretched, random layers this deep would show how a processor rounds.
        network.residual.verdict.weight.mul_(2 / network(crops)[0].std())
        # The splines of one input sum to 1, so an equal share taken from all their weights moves every logit alike.
        head.spline_weight.sub_(network(crops)[0].mean() / head.base_weight.numel())
    path = tmp_path_factory.mktemp("checkpoint") / "random.safetensors"
    spec = ModelSpec(name="random", temperature=TEMPERATURE)
    save_checkpoint(Checkpoint(network.state_dict(), {"seed": 5}, spec), path, half=True)
    return path


@pytest.fixture(scope="session")
def checkpoint(checkpoint_path: Path) -> Checkpoint:
    return load_checkpoint(checkpoint_path)


@pytest.fixture(scope="session")
def plain_model(checkpoint: Checkpoint, trace_once: Callable[[Checkpoint], onnx.ModelProto]) -> onnx.ModelProto:
    """The float graph: whole float32 weights, no metadata."""
    return trace_once(checkpoint)


@pytest.fixture(scope="module")
def traced_once(plain_model: onnx.ModelProto) -> Iterator[None]:
    """Every export of a module takes the trace of ``plain_model``: tracing takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "build_float_graph", lambda checkpoint: plain_model)
        yield


@pytest.fixture(scope="session")
def exported(
    checkpoint: Checkpoint, plain_model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory
) -> ExportedModel:
    """The checkpoint as a file. Tracing takes long, so the trace is the one of ``plain_model``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "build_float_graph", lambda checkpoint: plain_model)
        return runner.run(ExportRequest(checkpoint, "onnx", tmp_path_factory.mktemp("exported") / "random.onnx"))


@pytest.fixture(scope="session")
def make_table(checkpoint: Checkpoint, plain_model: onnx.ModelProto) -> Callable[..., CalibrationTable]:
    """Makes the checkpoint's calibration table: ``make_table({tensor: (low, high)})``."""

    def make(ranges: dict[str, tuple[float, float]]) -> CalibrationTable:
        return CalibrationTable(
            checkpoint.spec.checkpoint_sha256,
            graph_hash(plain_model),
            checkpoint.spec.crop.sha256(),
            "",
            len(draw_golden_crops(checkpoint.spec.crop)),
            "min-max",
            ranges,
        )

    return make


@pytest.fixture
def with_spec(exported: ExportedModel, tmp_path: Path) -> Callable[[ModelSpec], Path]:
    """Writes ``exported`` with another spec in its metadata, as ``changed.onnx``."""

    def write(spec: ModelSpec) -> Path:
        model = onnx.load(exported.path)
        metadata = {item.key: item.value for item in model.metadata_props}
        onnx.helper.set_model_props(model, metadata | {METADATA_KEY: spec.to_json(), SEAL_KEY: BLANK_SEAL})
        path = tmp_path / "changed.onnx"
        path.write_bytes(seal(model.SerializeToString()))
        return path

    return write


@pytest.fixture(scope="session")
def small_graph() -> onnx.ModelProto:
    """A network in small for crops of 32 px: filters that lead to a logarithm, a sum of two ways, a head on vectors."""
    side_px = 32
    random = np.random.default_rng(1)

    def weight(*shape: int, scale: float = 0.3) -> np.ndarray:
        return (random.standard_normal(shape) * scale).astype(np.float32)

    constants: dict[str, np.ndarray] = {
        "mean": np.full((1, 3, 1, 1), 120, np.float32),
        # Channels of very different sizes, the first with scales that float16 rounds.
        "w1": weight(8, 3, 3, 3, scale=0.01) * np.logspace(-3, 0, 8).astype(np.float32)[:, None, None, None],
        "b1": weight(8),
        "w2": weight(8, 8, 1, 1),
        "w3": weight(4, 8, 1, 1),
        "filters": weight(2, 3, 3, 3, scale=0.01),
        "tiny": np.array(1e-9, np.float32),
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
        "axes": np.array([2, 3], np.int64),
        "gemm": weight(10, 1),
        "gemm_bias": weight(1),
        "channel_axis": np.array([1], np.int64),
    }
    node = onnx.helper.make_node
    nodes = [
        node("Cast", ["image"], ["pixels"], to=onnx.TensorProto.FLOAT),
        node("Sub", ["pixels", "mean"], ["centred"]),
        node("Conv", ["centred", "w1", "b1"], ["one"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Clip", ["one", "low", "high"], ["clipped"]),
        node("Conv", ["clipped", "w2"], ["two"]),
        node("Add", ["two", "clipped"], ["sum"]),
        node("Conv", ["sum", "w3"], ["map"]),
        node("GlobalAveragePool", ["sum"], ["pooled"]),
        node("ReduceMean", ["pooled", "axes"], ["features"], keepdims=0),
        node("Conv", ["centred", "filters"], ["filtered"]),
        node("Abs", ["filtered"], ["absolute"]),
        node("GlobalAveragePool", ["absolute"], ["energy"]),
        node("Add", ["energy", "tiny"], ["positive"]),
        node("Log", ["positive"], ["logarithm"]),
        node("ReduceMean", ["logarithm", "axes"], ["energies"], keepdims=0),
        node("Concat", ["features", "energies"], ["joined"], axis=1),
        node("Gemm", ["joined", "gemm", "gemm_bias"], ["logit"]),
        node("Sigmoid", ["logit"], ["column"]),
        node("Squeeze", ["column", "channel_axis"], ["fake_probability"]),
        node("ReduceMean", ["map", "channel_axis"], ["map_logit"], keepdims=0),
        node("Sigmoid", ["map_logit"], ["forgery_map"]),
    ]
    for number, item in enumerate(nodes):
        item.name = f"n{number}"
    graph = onnx.helper.make_graph(
        nodes,
        "small",
        [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["n", 3, side_px, side_px])],
        [
            onnx.helper.make_tensor_value_info("fake_probability", onnx.TensorProto.FLOAT, ["n"]),
            onnx.helper.make_tensor_value_info(
                "forgery_map", onnx.TensorProto.FLOAT, ["n", side_px // 2, side_px // 2]
            ),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)


@pytest.fixture(scope="session")
def small_table(small_graph: onnx.ModelProto) -> CalibrationTable:
    """Ranges of ``small_graph``, as wide as its input and its clip."""
    names = quantizable_tensors(small_graph)
    ranges = {name: (-130.0, 136.0) if name == "centred" else (-0.5, 4.5) for name in names}
    return CalibrationTable("", "", "", "", 1, "min-max", ranges, (), {}, {}, {})
