"""Exporters: checkpoint -> model files for engines."""
