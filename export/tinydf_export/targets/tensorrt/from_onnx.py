"""ONNX file -> TensorRT plan, on the device that will run it. Needs TensorRT, and neither PyTorch nor ``onnx``."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tinydf_export.proof.verify import Verification, verify_model
from tinydf_export.targets.table import check_target
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime.engines.onnxruntime_engine import open_session
from tinydf_runtime.errors import ModelFileError, QualityError, needs
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.plan import PlanFacts, write_plan
from tinydf_runtime.models.seal import check_seal
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """A written plan.

    Attributes:
        path: The plan; its facts are in the JSON file beside it.
        spec: What it says about itself.
        verification: What it said about the golden crops, on this device.
        size_bytes: Size of the plan.
    """

    path: Path
    spec: ModelSpec
    verification: Verification
    size_bytes: int


def build_from_onnx(source: Path, out: Path, options: PlanOptions | None = None) -> BuiltPlan:
    """Builds a plan and leaves it only if it gives, on this device, what the checkpoint gave.

    Args:
        source: ONNX file that ``tinydf-export`` wrote: best with ``--target tensorrt``, which names every type.
        out: Plan to write; a JSON file goes beside it.
        options: What to build.

    Raises:
        UsageError: ``out`` is no name of a plan, or the options contradict each other.
        MissingExtraError: TensorRT or CUDA's bindings are not installed.
        UnavailableError: There is no GPU, or the plan cannot be built on it.
        ModelFileError: The ONNX file is damaged, foreign, or none that this version of TensorRT reads.
        QualityError: The plan differs from the checkpoint by more than its precision explains; nothing is written.
        OutputError: A file could not be written.
    """
    options = options or PlanOptions()
    check_target("tensorrt", out)
    spec, golden = _read_metadata(source)
    with needs("tensorrt"):
        import tensorrt

        from tinydf_export.targets.tensorrt.builder import build_plan
        from tinydf_runtime.engines.cuda_memory import device_name
    device = device_name()
    model = source.read_bytes()
    plan, timing_cache = build_plan(model, spec.precision, options, _read_cache(options.timing_cache))
    facts = PlanFacts(
        spec=spec,
        golden=golden,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        onnx_sha256=hashlib.sha256(model).hexdigest(),
        tensorrt=tensorrt.__version__,
        device=device,
        version_compatible=options.version_compatible,
        dla_core=options.dla_core,
    )
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / out.name
        write_plan(trial, plan, facts)
        verification = verify_model(trial, "cuda")
    if not verification.passed:
        raise QualityError(
            f"{out.name}: differs from its checkpoint by {verification.max_difference:.2g} on this device, expected at "
            f"most {verification.tolerance:g}. Nothing was written; build from an ONNX file of a higher precision."
        )
    if options.timing_cache is not None:
        write_atomically(options.timing_cache, timing_cache)
    write_plan(out, plan, facts)
    return BuiltPlan(out, spec, verification, len(plan))


def _read_metadata(source: Path) -> tuple[ModelSpec, str]:
    """Returns what an ONNX file says about itself, and its golden crops.

    Raises:
        ModelFileError: It is damaged, or none that we wrote.
    """
    check_seal(source)
    metadata = open_session(source, "cpu", 1).get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata or GOLDEN_KEY not in metadata:
        raise ModelFileError(f"{source.name}: no TinyDF metadata found. Make the file with tinydf-export.")
    return ModelSpec.from_json(metadata[METADATA_KEY], source.name), metadata[GOLDEN_KEY]


def _read_cache(path: Path | None) -> bytes:
    """Returns what an earlier build kept, nothing where there was none or it cannot be read: it only saves time."""
    try:
        return path.read_bytes() if path is not None else b""
    except OSError:
        return b""
