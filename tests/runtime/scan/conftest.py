"""A small archive, and scans of it with the tiny networks."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import pytest

from tinydf_runtime.scan.work import Settings

PROGRAM = "import sys; from tinydf_runtime.cli.scan import main; sys.exit(main())"


class Inline:
    """Runs each task at once in this process. A task may be made to fail: ``fail`` maps a file's name to exceptions."""

    tries = False

    def __init__(self, fail: dict[str, list[BaseException]] | None = None) -> None:
        self.fail = fail or {}
        self.tasks: list[tuple[str, str]] = []

    @property
    def free(self) -> int:
        return 1

    def submit(self, task: Any, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        name = Path(args[0]).name
        self.tasks.append((task.__name__, name))
        if task.__name__ == "score_file" and self.fail.get(name):
            future.set_exception(self.fail[name].pop())
            return future
        try:
            future.set_result(task(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def inline() -> Callable[..., Inline]:
    """Makes workers that run each task at once in this process; see ``Inline``."""
    return Inline


@pytest.fixture
def settings(tiny_classifier: Path, tiny_detector: Path) -> Settings:
    return Settings(str(tiny_classifier), str(tiny_detector), sandbox=False)


@pytest.fixture
def draw_archive(tmp_path: Path, draw_squares: Callable[..., Any]) -> Callable[..., Path]:
    """Writes pictures of one face each, all different: ``draw_archive(count, folder="archive")``."""

    def draw(count: int, folder: str = "archive") -> Path:
        archive = tmp_path / folder
        archive.mkdir(exist_ok=True)
        for number in range(count):
            image = draw_squares((60, 60, 160, 160), background=(90, number % 250, 90 + number // 250))
            assert cv2.imwrite(str(archive / f"picture{number:03d}.png"), image)
        return archive

    return draw


@pytest.fixture
def run_command(tiny_classifier: Path, tiny_detector: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts tinydf-scan with the tiny networks: ``run_command(archive, "--out", ledger)``."""

    def run(*arguments: object) -> subprocess.Popen[str]:
        words = [str(one) for one in (*arguments, "--model", tiny_classifier, "--detector", tiny_detector)]
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )

    return run


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., list[dict[str, Any]]]:
    """Returns what a query of a ledger gives: ``rows_of(ledger, query="SELECT * FROM results ORDER BY path")``."""

    def read(ledger: Path, query: str = "SELECT * FROM results ORDER BY path") -> list[dict[str, Any]]:
        database = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=30)
        try:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query)]
        finally:
            database.close()

    return read
