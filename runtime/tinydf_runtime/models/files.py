"""A model -> the files that it is made of."""

from __future__ import annotations

from pathlib import Path

MANIFEST = Path("Manifest.json")
DESCRIPTION = Path("Data/com.apple.CoreML/model.mlmodel")
WEIGHTS = Path("Data/com.apple.CoreML/weights/weight.bin")
"""Files in an ``.mlpackage``."""


def facts_path(plan: Path) -> Path:
    """Returns where the facts of a TensorRT plan are: ``model.plan.json`` for ``model.plan``."""
    return plan.with_name(f"{plan.name}.json")


def model_files(path: Path) -> tuple[Path, ...]:
    """Returns the files of a model, first the one that holds its metadata."""
    match path.suffix.lower():
        case ".xml":
            return path, path.with_suffix(".bin")
        case ".plan":
            return facts_path(path), path
        case ".mlpackage":
            return path / DESCRIPTION, path / WEIGHTS, path / MANIFEST
    return (path,)
