"""Exporters: checkpoint -> model files for engines. Nothing heavy is loaded before a name is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tinydf_runtime import errors

if TYPE_CHECKING:
    from tinydf_export.request import ExportedModel, ExportRequest
    from tinydf_export.runner import run
    from tinydf_export.targets.table import TARGETS

__all__ = ["TARGETS", "ExportRequest", "ExportedModel", "run"]

_MODULES = {"TARGETS": "targets.table", "ExportRequest": "request", "ExportedModel": "request", "run": "runner"}


def __getattr__(name: str) -> object:
    """Loads a public name's module when it is first used: exporting needs PyTorch, building a plan does not."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with errors.needs("export"):
        return getattr(import_module(f"tinydf_export.{_MODULES[name]}"), name)
