"""A network whose every part matters, as a checkpoint and exported once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from torch import nn  # noqa: E402

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint  # noqa: E402
from tinydf.forgery import TinyDF  # noqa: E402
from tinydf_export import ExportedModel, export, float_graph, to_onnx  # noqa: E402
from tinydf_export.golden import draw_golden_crops  # noqa: E402
from tinydf_runtime.crop import CropRecipe  # noqa: E402
from tinydf_runtime.spec import METADATA_KEY, ModelSpec  # noqa: E402

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
    crops = torch.from_numpy(draw_golden_crops(CropRecipe())).permute(0, 3, 1, 2).float()
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        network.train()(crops)
        for norm in norms:
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.add_(norm.running_var.sqrt() * torch.empty_like(norm.running_mean).uniform_(-0.2, 0.2))
            norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.8, 1.25))
            norm.weight.uniform_(0.8, 1.25)
            norm.bias.uniform_(-0.2, 0.2)
        head = network.eval().head.kan2
        stretch = 2 / network(crops)[0].std()
        for weight in (head.base_weight, head.spline_weight, network.residual.verdict.weight):
            weight.mul_(stretch)
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
def plain_model(checkpoint: Checkpoint) -> onnx.ModelProto:
    """The float graph: whole float32 weights, no metadata."""
    return float_graph.build_float_graph(checkpoint)


@pytest.fixture(scope="session")
def exported(
    checkpoint: Checkpoint, plain_model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory
) -> ExportedModel:
    """The checkpoint as a file. Tracing takes long, so the trace is the one of ``plain_model``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "build_float_graph", lambda checkpoint: plain_model)
        return to_onnx.export(checkpoint, tmp_path_factory.mktemp("exported") / "random.onnx")


@pytest.fixture
def with_spec(exported: ExportedModel, tmp_path: Path) -> Callable[[ModelSpec], Path]:
    """Writes ``exported`` with another spec in its metadata, as ``changed.onnx``."""

    def write(spec: ModelSpec) -> Path:
        model = onnx.load(exported.path)
        metadata = {item.key: item.value for item in model.metadata_props} | {METADATA_KEY: spec.to_json()}
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, metadata)
        path = tmp_path / "changed.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write
