"""Unknown network -> accepted after one run in a child process, before this process loads it.

A small graph can take all memory, run for ever or crash its engine. That costs the child only.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from tinydf_runtime.engines.passed import is_remembered, remember
from tinydf_runtime.errors import ModelFileError, UnavailableError

SCHEMA = "tinydf.first-run/1"
LIMIT_S = 300.0
"""Seconds by the clock to load a network and run it on one picture. ``CPU_S`` comes first but on a very busy
machine."""
CPU_S = 60
"""Seconds of computing; the shipped classifier takes one on a slow board."""

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
    facts = {"schema": SCHEMA, "files_sha256": digest, "engine": f"{engine} {_version(engine)}"}
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
