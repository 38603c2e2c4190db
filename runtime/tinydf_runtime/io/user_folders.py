"""The user's cache and settings folders, in which TinyDF keeps what it needs again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


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
