"""Fixtures for the runtime alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

SERVERS = Path(__file__).parents[1] / "stream_servers.py"


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """Starts a server of ``stream_servers.py`` by its class's name, ``serve("RtspServer", picture)``, and ends it."""
    module = sys.modules.get("stream_servers")
    if module is None:
        spec = spec_from_file_location("stream_servers", SERVERS)
        assert spec is not None and spec.loader is not None
        module = sys.modules["stream_servers"] = module_from_spec(spec)
        spec.loader.exec_module(module)
    started: list[Any] = []

    def start(name: str, *arguments: Any, **options: Any) -> Any:
        server = getattr(module, name)(*arguments, **options)
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()
