"""Model file -> load time and peak memory, measured in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tinydf_runtime.errors import TinyDFError, UnavailableError

_MAX_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Fresh:
    """Figures from a fresh process.

    Attributes:
        load_ms: From nothing loaded to the first score.
        peak_bytes: The most memory held; None where the system does not say.
    """

    load_ms: float
    peak_bytes: int | None


def measure_fresh(path: Path, device: str, threads: int | None, batch: int) -> Fresh:
    """Opens a model in a new process and scores a batch.

    Raises:
        UnavailableError: The process failed, for example out of memory.
    """
    arguments = [str(path.resolve()), device, str(threads or 0), str(batch)]
    # The module search path goes along, so that a source tree measures itself.
    code = f"import sys; sys.path[:] = {sys.path!r}; from tinydf_export.bench.fresh_process import main; main()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=_MAX_SECONDS, check=True
        )
        return Fresh(**json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        told = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise UnavailableError(
            f"{path.name}: a process of its own could not run it ({told[-1][:200] if told else error}). "
            "Check free memory."
        ) from error


def main() -> None:
    """Measures what the arguments name and prints it as JSON: path, device, threads, batch."""
    path, device, threads, batch = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    # A program that has pictures has loaded NumPy already.
    import numpy as np

    from tinydf_runtime.engines.loading import load_engine

    started = time.perf_counter()
    try:
        engine = load_engine(path, device, threads or None, sandbox=False)
    except TinyDFError as error:
        sys.exit(str(error))
    side_px = engine.spec.crop.side_px
    crops = np.zeros((batch, side_px, side_px, 3), np.uint8)
    engine.score(crops[:1])
    load_ms = (time.perf_counter() - started) * 1e3
    engine.score(crops)
    print(json.dumps(asdict(Fresh(load_ms, peak_memory()))))


def peak_memory() -> int | None:
    """Returns the most bytes that this process ever held; None where the system does not say."""
    try:
        # On Linux the other counter below starts from the parent's peak.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
