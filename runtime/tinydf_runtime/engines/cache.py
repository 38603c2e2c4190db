"""Process-wide cache of networks: callers that ask for the same file and settings share one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast
from weakref import WeakValueDictionary

Network = TypeVar("Network")


class Loaned:
    """A network that is loaded once and stays loaded as long as somebody holds this object."""

    def __init__(self) -> None:
        """Starts empty."""
        self._loading = threading.Lock()
        self._loaded: list[object] = []

    def get(self, load: Callable[[], Network]) -> Network:
        """Returns the network, loaded by the first caller while the others wait; a failed load can be tried again."""
        with self._loading:
            if not self._loaded:
                self._loaded.append(load())
            # The key that leads here names the network's type.
            return cast(Network, self._loaded[0])


_in_use: WeakValueDictionary[tuple[object, ...], Loaned] = WeakValueDictionary()
_looking_up = threading.Lock()
_inherited: list[Loaned] = []
"""Networks of the parent process. Their threads stayed there, and to free them would wait for those for ever."""


def borrow(network: str, path: Path, *settings: object) -> Loaned:
    """Returns the one object of this process for a model file that is opened in this way.

    Args:
        network: What it is loaded as.
        path: Model file or folder. Once its content is replaced it counts as another.
        settings: What else decides how it is loaded.
    """
    key = (network, os.path.realpath(path), _stamps(path), *settings)
    with _looking_up:
        loaned = _in_use.get(key)
        if loaned is None:
            loaned = _in_use[key] = Loaned()
        return loaned


def _stamps(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Returns what changes with a model's content.

    That is of all files in its folder, where it is one, else of the file and of those beside it that belong to it, such
    as the .bin of an .xml.
    """
    try:
        near = path.rglob("*") if path.is_dir() else path.parent.iterdir()
        files = [file for file in near if path.is_dir() or file.name.startswith(f"{path.stem}.")]
        facts = [(file.relative_to(path.parent).as_posix(), file.stat()) for file in files if file.is_file()]
    except OSError:
        # Whoever opens the file says what is wrong with it.
        return ()
    # Relative to the model, so that it does not matter under which name that was asked for.
    return tuple(sorted((name, fact.st_ino, fact.st_mtime_ns, fact.st_size) for name, fact in facts))


def _start_child() -> None:
    """Keeps a forked child from using or freeing its parent's networks."""
    _inherited.extend(_in_use.values())
    _in_use.clear()
    _looking_up.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_looking_up.acquire, after_in_parent=_looking_up.release, after_in_child=_start_child)
