"""The folder in which TinyDF, and the libraries that its commands use, may keep what only saves time."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_cache() -> Path | None:
    """Returns the folder, which may not exist yet; None where the system names no home folder."""
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    named = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None)
    if named and Path(named).is_absolute():
        return Path(named) / "tinydf"
    usual = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return None if home is None else home / usual / "tinydf"


def keep_caches_together() -> None:
    """Makes Matplotlib and PyTorch, once imported, keep their caches in ``user_cache``, not elsewhere."""
    cache = user_cache()
    if cache is not None:
        os.environ.setdefault("MPLCONFIGDIR", str(cache / "matplotlib"))
        # Else an export leaves a folder named after the user among the temporary files.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "torch"))
