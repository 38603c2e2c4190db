"""Facts of a check -> whether it passed on this machine before; kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tinydf_runtime.errors import ModelFileError, OutputError
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.io.user_folders import user_cache
from tinydf_runtime.trust import strict
from tinydf_runtime.trust.reading import MOST_TEXT_BYTES, read_model_file


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
