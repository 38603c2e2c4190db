"""How the two networks are opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tinydf_runtime.engines import networks
from tinydf_runtime.engines.engine import Engine, open_engine
from tinydf_runtime.engines.networks import open_networks
from tinydf_runtime.models.spec import ModelSpec


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs a system that tells a process its cores")
@pytest.mark.parametrize(("cores", "given", "opened"), [(1, None, 1), (2, None, 1), (4, None, 2), (4, 3, 3)])
def test_the_classifier_leaves_two_cores_to_the_rest_unless_told_otherwise(
    make_classifier: Callable[..., Path],
    tiny_detector: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    given: int | None,
    opened: int,
) -> None:
    asked: list[int | None] = []

    def remember(path: Path, device: str, threads: int | None, *, allow_fallback: bool, sandbox: bool) -> Engine:
        asked.append(threads)
        return open_engine(path, device, threads, allow_fallback=allow_fallback, sandbox=sandbox)

    monkeypatch.setattr(networks, "open_engine", remember)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    # A model of its own: one that another test still holds would not be opened again.
    classifier = make_classifier(spec=ModelSpec(name=f"threads-{cores}-{given}"))
    open_networks(classifier, tiny_detector, "cpu", given, allow_fallback=False)
    assert asked == [opened]
