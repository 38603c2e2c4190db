"""A network at its first use on a machine -> tried once, and the pass remembered in the user's cache.

One that does not come with TinyDF is loaded and run in a child process before this process loads it: a small graph can
take all memory, run for ever or crash its engine. Of every model the golden crops are replayed once for each engine,
library version, device and machine: some faults of libraries and drivers show on some processors only.
"""

from __future__ import annotations

import hashlib
import json
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from tinydf_runtime.engines.engine import FileEngine
from tinydf_runtime.engines.golden import TOLERANCE, replay_golden
from tinydf_runtime.errors import ModelFileError, OutputError, QualityError, UnavailableError
from tinydf_runtime.io.files import sha256_of, write_atomically
from tinydf_runtime.io.user_folders import user_cache
from tinydf_runtime.machine import read_machine
from tinydf_runtime.trust import strict
from tinydf_runtime.trust.reading import MOST_TEXT_BYTES, read_model_file

FIRST_USE_SCHEMA = "tinydf.first-use/1"
FIRST_RUN_SCHEMA = "tinydf.first-run/1"
LIMIT_S = 300.0
"""Seconds by the clock to load a network and run it on one picture. ``CPU_S`` comes first but on a very busy
machine."""
CPU_S = 60
"""Seconds of computing; the shipped classifier takes one on a slow board."""

_DRIVER = Path("/proc/driver/nvidia/version")
_BOOT = "import sys; sys.path[:] = {path!r}; from tinydf_runtime.engines.first_run_child import main; main()"


def check_first_run(
    files: Sequence[bytes], engine: str, source: str, limit_s: float = LIMIT_S, cpu_s: int = CPU_S
) -> None:
    """Accepts a network that can be loaded and run, tried now or at its first use on this machine.

    Args:
        files: Its files' contents.
        engine: Package of the library that computes it, "onnxruntime" or "openvino".
        source: Its file name, for the error message.
        limit_s: Time limit in seconds by the clock.
        cpu_s: The same in seconds of computing, where the system has such a limit.

    Raises:
        ModelFileError: It cannot be loaded or run, crashes the library, takes too long or too much memory.
        UnavailableError: No process can be started.
    """
    digest = hashlib.sha256(b"".join(hashlib.sha256(file).digest() for file in files)).hexdigest()
    facts = {"schema": FIRST_RUN_SCHEMA, "files_sha256": digest, "engine": f"{engine} {_version(engine)}"}
    if is_remembered("first-run", facts):
        return
    if reason := _run(files, engine, limit_s, cpu_s):
        raise ModelFileError(f"{source}: cannot be loaded and run once ({reason}). It may be damaged; export it again.")
    remember("first-run", facts)


def _run(files: Sequence[bytes], engine: str, limit_s: float, cpu_s: int) -> str:
    """Returns why a network cannot be run; empty if it can."""
    message = b"".join(len(file).to_bytes(8, "little") + file for file in files)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _BOOT.format(path=sys.path), engine, str(cpu_s)],
            input=message,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {limit_s:g} s"
    except OSError as error:
        raise UnavailableError(
            f"{engine}: no process can be started to try a network in ({error}). Free memory, or use "
            "Analyzer(sandbox=False), --no-sandbox, with a network that you trust."
        ) from error
    if done.returncode == 0:
        return ""
    if done.returncode == -getattr(signal, "SIGXCPU", 0):
        return f"not done after {cpu_s} s of computing"
    told = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode > 0 and told:
        return " ".join(told[-1].split())[:200]
    return f"it ends {engine} with status {done.returncode}"


def _version(package: str) -> str:
    """Returns the version of a library without loading it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def check_first_use(engine: FileEngine, path: Path) -> None:
    """Accepts an engine that gives its golden crops' probabilities, now or at an earlier use on this machine.

    A model without golden crops cannot be checked and is accepted. Where the cache cannot be written, the crops are
    replayed each time.

    Args:
        engine: The loaded model.
        path: Its file.

    Raises:
        QualityError: It computes something else.
        ModelFileError: The golden crops are damaged.
    """
    if engine.golden_text is None or not engine.spec.golden_probability:
        return
    facts = _describe(engine, path)
    if is_remembered("first-use", facts):
        return
    expected = np.array(engine.spec.golden_probability, np.float32)
    difference = float(np.abs(replay_golden(engine, path.name) - expected).max())
    allowed = TOLERANCE[engine.spec.precision]
    # Written so that NaN is refused too.
    if not difference <= allowed:
        raise QualityError(
            f"{path.name}: {facts['engine']} computes wrongly on {engine.device} of this machine: golden crops differ "
            f"from the checkpoint by {difference:.2g}, expected at most {allowed:g}. Use another device or engine, or "
            "another version of its library."
        )
    remember("first-use", facts)


def _describe(engine: FileEngine, path: Path) -> dict[str, str]:
    """Returns the facts that determine an engine's results, as a cache key."""
    library = sys.modules.get({"coreml": "coremltools"}.get(engine.name, engine.name))
    machine = read_machine()
    features = ", ".join(name for name, there in machine.features.items() if there)
    return {
        "schema": FIRST_USE_SCHEMA,
        "model_sha256": sha256_of(path),
        "engine": f"{engine.name} {getattr(library, '__version__', '')}".strip(),
        "device": engine.device,
        "machine": f"{platform.node()}, {machine.system}, {machine.processor} ({features})",
        "driver": _driver() if engine.device.startswith("cuda") else "",
    }


def _driver() -> str:
    """Returns the version text of NVIDIA's driver on Linux, else an empty one."""
    try:
        return _DRIVER.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def is_remembered(what: str, facts: Mapping[str, str]) -> bool:
    """Returns whether a check of these facts passed before; False without a cache, or if its entry is damaged."""
    path = _path(what, facts)
    if path is None:
        return False
    try:
        return bool(strict.parse(read_model_file(path, MOST_TEXT_BYTES).decode(), MOST_TEXT_BYTES) == facts)
    except (ModelFileError, ValueError):
        return False


def remember(what: str, facts: Mapping[str, str]) -> None:
    """Records that a check of these facts passed, if the cache can be written."""
    path = _path(what, facts)
    if path is not None:
        with suppress(OSError, OutputError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(dict(facts), indent=1, sort_keys=True).encode())


def _path(what: str, facts: Mapping[str, str]) -> Path | None:
    cache = user_cache()
    name = hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()
    return None if cache is None else cache / what / f"{name}.json"
