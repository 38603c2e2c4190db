"""Exporters: checkpoint -> model files for engines."""

from tinydf_export.targets.table import TARGETS, ExportedModel, export_model

__all__ = ["TARGETS", "ExportedModel", "export_model"]
