"""The user's cache and settings folders, and the record of checks passed on this machine, kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tinydf_runtime.errors import ModelFileError, OutputError
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.trust import strict
from tinydf_runtime.trust.reading import MOST_TEXT_BYTES, read_model_file


def user_cache() -> Path | None:
    """Returns the folder, which may not exist yet; None where the system names no home folder."""
    return _folder("XDG_CACHE_HOME", "LOCALAPPDATA", "Library/Caches" if sys.platform == "darwin" else ".cache")


def user_settings() -> Path | None:
    """Returns the folder, which may not exist yet; None where the system names no home folder."""
    usual = "Library/Application Support" if sys.platform == "darwin" else ".config"
    return _folder("XDG_CONFIG_HOME", "APPDATA", usual)


def _folder(variable: str, windows_variable: str, usual: str) -> Path | None:
    """Returns TinyDF's folder in the one that the environment names, else in the usual one of the home folder."""
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    named = os.environ.get(variable) or (os.environ.get(windows_variable) if sys.platform == "win32" else None)
    if named and Path(named).is_absolute():
        return Path(named) / "tinydf"
    return None if home is None else home / usual / "tinydf"


def keep_caches_together() -> None:
    """Makes Matplotlib and PyTorch, once imported, keep their caches in ``user_cache``, not elsewhere."""
    cache = user_cache()
    if cache is not None:
        os.environ.setdefault("MPLCONFIGDIR", str(cache / "matplotlib"))
        # Else an export leaves a folder named after the user among the temporary files.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "torch"))


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
