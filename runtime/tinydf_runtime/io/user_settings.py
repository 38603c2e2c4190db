"""The folder in which TinyDF keeps what a user decided, such as whose files may run as code; never in a cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_settings() -> Path | None:
    """Returns the folder, which may not exist yet; None where the system names no home folder."""
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    named = os.environ.get("XDG_CONFIG_HOME") or (os.environ.get("APPDATA") if sys.platform == "win32" else None)
    if named and Path(named).is_absolute():
        return Path(named) / "tinydf"
    usual = "Library/Application Support" if sys.platform == "darwin" else ".config"
    return None if home is None else home / usual / "tinydf"
