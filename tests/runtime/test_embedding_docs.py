"""The program parts of the README and of docs/embedding.md run, from top to bottom, over drawn networks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinydf_runtime import Image

DOCS = Path(__file__).parents[2] / "docs"


def programs(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def clip(
    write_video: Callable[..., Path],
    draw_squares: Callable[..., Image],
    tiny_classifier: Path,
    tiny_detector: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A drawn video in the current folder."""
    path = write_video([draw_squares((60 + i, 60, 160 + i, 160)) for i in range(50)])
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr("tinydf_runtime.analyzer.DEFAULT_MODEL", tiny_classifier)
    monkeypatch.setattr("tinydf_runtime.analyzer.DEFAULT_DETECTOR", tiny_detector)
    return path


def test_the_page_on_embedding_runs(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for program in programs("embedding.md"):
        exec(program, names)
    printed = capsys.readouterr().out
    assert "person 1: real from 0.0 s to 1.8 s" in printed
    assert "1.8 s, person 1: real" in printed
    assert "missing.onnx" in printed
    assert [item.path for item in names["items"]] == ["clip.mp4", "clip.mp4"]


def test_the_readme_s_program_runs(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = programs("../README.md")
    assert program.count("\n") <= 8
    clip.rename("video.mp4")
    exec(program, {})
    verdict, *moments = capsys.readouterr().out.splitlines()
    assert verdict.startswith("real 0.")
    assert moments[-1] == "[(1, 'real')]"


def test_every_example_named_on_the_page_is_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (DOCS / "embedding.md").read_text(encoding="utf-8"))
    assert len(links) >= 7
    assert [link for link in links if not (DOCS / link).is_file()] == []


def test_the_program_for_gstreamer_is_a_program() -> None:
    (program,) = programs("jetson.md")
    compile(program, "jetson.md", "exec")
