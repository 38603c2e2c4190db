"""Report -> files that people and programs read: JSON, CSV, HTML, drawn video."""
