"""The whole check of TensorRT on a machine with a GPU: builds plans, replays golden crops, compares, times.

On any machine:     tinydf-export --target tensorrt --fp16 --out fp16.plan
                    tinydf-export --target tensorrt --int8 --calibration TABLE --out int8.plan
which leave fp16.onnx and int8.onnx and exit 4. On the device, with
`pip install -c constraints.txt '.[tensorrt]'` and no PyTorch:
                    python scripts/check_tensorrt.py fp16.onnx int8.onnx --out check
The folder then holds the plans and check.json; the command exits 3 if something is not as it must be.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from tinydf_export.parity.golden import decode_crops
from tinydf_export.targets.tensorrt.build import build_from_onnx
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.engines.engine import Engine
from tinydf_runtime.engines.loading import load_engine
from tinydf_runtime.engines.quiet_onnxruntime import onnxruntime
from tinydf_runtime.errors import QualityError
from tinydf_runtime.models.plan import read_plan

MAX_BATCH = 16
ROUNDS = 200
# The same types on both sides; what is left is the order of sums and, in 8 bit, values between two steps.
GRAPH_TOLERANCE = {"fp32": 1e-4, "fp16": 0.01, "int8": 0.05}
BATCH_TOLERANCE = {"fp32": 1e-4, "fp16": 0.005, "int8": 0.02}


@click.command(
    "check_tensorrt", cls=OneLineCommand, epilog="Example: check_tensorrt.py fp16.onnx int8.onnx --out check"
)
@click.argument("models", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the results.")
@click.option("--dla-core", type=click.IntRange(0), help="Build for this deep learning accelerator too.")
def main(models: tuple[Path, ...], out: Path, dla_core: int | None) -> None:
    """Checks the plans of MODELS, which tinydf-export --target tensorrt left, on this machine."""
    out.mkdir(parents=True, exist_ok=True)
    cores = [None] if dla_core is None else [None, dla_core]
    results = [check(model, out, core) for model in models for core in cores]
    report = {"schema": "tinydf.check-tensorrt/1", "python": sys.version.split()[0], "results": results}
    (out / "check.json").write_text(json.dumps(report, indent=1) + "\n")
    failed = [f"{result['plan']}: {name}" for result in results for name, fine in result["passed"].items() if not fine]
    click.echo(f"{out / 'check.json'}: {len(results)} plans checked")
    if failed:
        raise QualityError(f"not as it must be: {'; '.join(failed)}. See {out / 'check.json'}.")


def check(model: Path, out: Path, dla_core: int | None) -> dict[str, Any]:
    """Builds, runs and compares one plan; returns its figures and what of it is as it must be."""
    name = model.stem if dla_core is None else f"{model.stem}-dla{dla_core}"
    path, cache = out / f"{name}.plan", out / f"{name}.cache"
    cache.unlink(missing_ok=True)
    built, build_s = [], []
    for _ in ("without a timing cache", "with it"):
        started = time.perf_counter()
        built.append(build_from_onnx(model, path, PlanOptions(MAX_BATCH, dla_core, timing_cache=cache)))
        build_s.append(time.perf_counter() - started)
    facts = read_plan(path)[1]
    started = time.perf_counter()
    engine = load_engine(path, "cuda")
    load_s = time.perf_counter() - started
    crops = varied(decode_crops(facts.golden, facts.spec, path.name))
    found = engine.score(crops)
    graph = run_graph(model, crops)
    alone = np.concatenate([engine.score(crops[row : row + 1]).fake_probability for row in range(len(crops))])
    with ThreadPoolExecutor(4) as pool:
        threads = list(pool.map(lambda _: engine.score(crops).fake_probability, range(8)))
    differences = {
        "golden": built[-1].verification.max_difference,
        "graph_max": float(np.abs(found.fake_probability - graph).max()),
        "graph_mean": float(np.abs(found.fake_probability - graph).mean()),
        "batch_and_single": float(np.abs(found.fake_probability - alone).max()),
    }
    precision, threshold = facts.spec.precision, facts.spec.threshold
    loads_in_trtexec = run_trtexec(path, facts.spec.crop.side_px, MAX_BATCH if dla_core is not None else 1)
    return {
        "plan": path.name,
        "precision": precision,
        "tensorrt": facts.tensorrt,
        "device": facts.device,
        "dla_core": dla_core,
        "size_bytes": built[-1].size_bytes,
        "build_s": build_s,
        "load_s": load_s,
        "crops": len(crops),
        "differences": differences,
        "flipped": int(((found.fake_probability >= threshold) != (graph >= threshold)).sum()),
        "trtexec_loads_it": loads_in_trtexec,
        "ms": {str(batch): latency_ms(engine, crops[:batch]) for batch in (1, 4, MAX_BATCH)},
        "passed": {
            "golden crops": built[-1].verification.passed,
            "agreement with the graph": differences["graph_max"] <= GRAPH_TOLERANCE[precision],
            "batch equals single": differences["batch_and_single"] <= BATCH_TOLERANCE[precision],
            "threads agree": all(np.array_equal(one, threads[0]) for one in threads),
            "finite": bool(np.isfinite(found.fake_probability).all() and np.isfinite(found.forgery_map).all()),
            "trtexec loads it": loads_in_trtexec is not False,
        },
    }


def varied(golden: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the golden crops, mirrored, dim and noisy: enough to fill more than two batches."""
    noise = np.random.default_rng(0).normal(0, 8, golden.shape)
    changed = [
        golden,
        golden[:, :, ::-1],
        golden * 0.6,
        golden + noise,
        golden[:, ::-1],
        255 - golden,
        golden * 0.3 + 90,
    ]
    return np.concatenate([np.clip(one, 0, 255).astype(np.uint8) for one in changed])


def run_graph(model: Path, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns the fake probabilities of the graph as it is written, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
    rows = [session.run(["fake_probability"], {"image": planes[row : row + 1]})[0] for row in range(len(crops))]
    return np.concatenate(rows)


def latency_ms(engine: Engine, crops: NDArray[np.uint8]) -> dict[str, float]:
    """Returns what scoring one batch takes, copies to and from the GPU included."""
    for _ in range(20):
        engine.score(crops)
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        engine.score(crops)
        taken.append((time.perf_counter() - started) * 1e3)
    return {"p50": float(np.percentile(taken, 50)), "p95": float(np.percentile(taken, 95))}


def run_trtexec(plan: Path, side_px: int, batch: int) -> bool | None:
    """Returns whether NVIDIA's own tool reads the plan, None where it is not installed."""
    tool = shutil.which("trtexec") or shutil.which("trtexec", path="/usr/src/tensorrt/bin")
    if tool is None:
        return None
    shape = f"--shapes=image:{batch}x3x{side_px}x{side_px}"
    command = [tool, f"--loadEngine={plan}", shape, "--iterations=10", "--duration=0"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
