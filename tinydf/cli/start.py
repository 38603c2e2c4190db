"""Console scripts of the training core: an install without its libraries gets one line, not a traceback."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from tinydf_runtime.errors import MissingExtraError
from tinydf_runtime.io.user_folders import keep_caches_together


def prepare() -> None:
    """Runs ``tinydf-prepare``."""
    _start("tinydf-prepare", "tinydf.cli.prepare")


def make_pairs() -> None:
    """Runs ``tinydf-make-pairs``."""
    _start("tinydf-make-pairs", "tinydf.cli.make_pairs")


def train() -> None:
    """Runs ``tinydf-train``."""
    _start("tinydf-train", "tinydf.cli.train")


def join() -> None:
    """Runs ``tinydf-join``."""
    _start("tinydf-join", "tinydf.cli.join")


def train_detector() -> None:
    """Runs ``tinydf-train-detector``."""
    _start("tinydf-train-detector", "tinydf.cli.train_detector")


def score_clips() -> None:
    """Runs ``tinydf-score-clips``."""
    _start("tinydf-score-clips", "tinydf.cli.score_clips")


def fpr_table() -> None:
    """Runs ``tinydf-fpr-table``."""
    _start("tinydf-fpr-table", "tinydf.cli.fpr_table")


def evaluate() -> None:
    """Runs ``tinydf-evaluate``."""
    _start("tinydf-evaluate", "tinydf.cli.evaluate")


def _start(command: str, module: str) -> None:
    keep_caches_together()
    try:
        main = import_module(module).main
    except MissingExtraError as error:
        click.echo(f"{command}: {error}", err=True)
        sys.exit(error.exit_code)
    main()
