"""ONNX file -> TensorRT plan, on the device that will run it. Needs TensorRT, and neither PyTorch nor ``onnx``."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tinydf_export.parity.verify import Verification, verify_model
from tinydf_export.targets.table import check_target
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime.engines.onnxruntime_engine import open_model
from tinydf_runtime.errors import ModelFileError, QualityError, needs
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.plan import PlanFacts, write_plan
from tinydf_runtime.models.seal import check_seal
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.trust.reading import read_model_file
from tinydf_runtime.trust.record import remove, trust_engine


@dataclass(frozen=True, slots=True)
class OnnxSource:
    """What a plan is built from.

    Attributes:
        name: File name.
        content: Content of the ONNX file.
        spec: Its metadata.
        golden_text: Its golden crops.
    """

    name: str
    content: bytes
    spec: ModelSpec
    golden_text: str


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """A written plan.

    Attributes:
        path: The plan; its facts are in the JSON file beside it.
        spec: Its metadata.
        verification: Its scores of the golden crops on this device.
        size_bytes: Size of the plan.
    """

    path: Path
    spec: ModelSpec
    verification: Verification
    size_bytes: int


def build_from_onnx(source: Path, out: Path, options: PlanOptions | None = None) -> BuiltPlan:
    """Builds a plan from a file and leaves it only if it scores, on this device, as the checkpoint did.

    Args:
        source: ONNX file that ``tinydf-export`` wrote: best with ``--target tensorrt``, which names every type.
        out: Plan to write; a JSON file goes beside it.
        options: What to build.

    Raises:
        UsageError: ``out`` has another ending, or there is no such accelerator.
        MissingExtraError: TensorRT or CUDA's bindings are not installed.
        UnavailableError: There is no GPU, or the plan cannot be built on it.
        ModelFileError: The ONNX file is damaged, foreign, or not readable by this version of TensorRT.
        QualityError: The plan differs from the checkpoint by more than its precision explains; nothing is written.
        OutputError: A file could not be written.
    """
    check_target("tensorrt", out)
    return build_verified_plan(_read_source(source), out, options or PlanOptions())


def build_verified_plan(source: OnnxSource, out: Path, options: PlanOptions) -> BuiltPlan:
    """Builds a plan, replays the golden crops on it, and only then writes it; raises as ``build_from_onnx`` does."""
    with needs("tensorrt"):
        import tensorrt

        from tinydf_export.targets.tensorrt.builder import build_plan
        from tinydf_runtime.engines.cuda_memory import device_name
    device = device_name()
    plan, timing_cache = build_plan(source.content, source.spec.precision, options, _read_cache(options.timing_cache))
    facts = PlanFacts(
        spec=source.spec,
        golden=source.golden_text,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        onnx_sha256=hashlib.sha256(source.content).hexdigest(),
        tensorrt=tensorrt.__version__,
        device=device,
        version_compatible=options.version_compatible,
        dla_core=options.dla_core,
    )
    # It was built here, so that it may run here.
    trust_engine(plan, out.name, "built", host_code=options.version_compatible)
    verification = _verify(plan, facts, out.name)
    if not verification.passed:
        remove(facts.plan_sha256)
        raise QualityError(
            f"{out.name}: differs from its checkpoint by {verification.max_difference:.2g} on this device, expected at "
            f"most {verification.tolerance:g}. Nothing was written; build from an ONNX file of a higher precision."
        )
    if options.timing_cache is not None:
        write_atomically(options.timing_cache, timing_cache)
    write_plan(out, plan, facts)
    return BuiltPlan(out, source.spec, verification, len(plan))


def _verify(plan: bytes, facts: PlanFacts, name: str) -> Verification:
    """Returns what a plan gives for its golden crops, before it is written where it was asked for."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / name
        write_plan(trial, plan, facts)
        return verify_model(trial, "cuda")


def _read_source(path: Path) -> OnnxSource:
    """Reads an ONNX file that ``tinydf-export`` wrote.

    Raises:
        ModelFileError: It is damaged or foreign.
    """
    check_seal(path)
    engine = open_model(path, "cpu", 1)
    if engine.golden_text is None:
        raise ModelFileError(f"{path.name}: no golden crops found. Make the file with tinydf-export.")
    return OnnxSource(path.name, read_model_file(path), engine.spec, engine.golden_text)


def _read_cache(path: Path | None) -> bytes:
    """Returns what an earlier build kept, nothing where there was none or it cannot be read: it only saves time."""
    try:
        return path.read_bytes() if path is not None else b""
    except OSError:
        return b""
