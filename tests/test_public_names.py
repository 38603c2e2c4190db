"""``__all__`` is the public API: every name in it exists, and nothing public is missing from it."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import pytest

PARTS = ("tinydf", "tinydf_export", "tinydf_runtime", "tinydf_calibration")


def packages_of(part: str) -> list[str]:
    root = importlib.import_module(part)
    return [part, *(info.name for info in pkgutil.walk_packages(root.__path__, f"{part}.") if info.ispkg)]


PACKAGES = [package for part in PARTS for package in packages_of(part)]


def exported(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", []))


def test_all_four_parts_are_importable() -> None:
    assert set(PARTS) <= set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_exists(package: str) -> None:
    module = importlib.import_module(package)
    assert [name for name in exported(module) if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_function_and_class_is_exported(package: str) -> None:
    module = importlib.import_module(package)
    exported_names = set(exported(module))
    missing = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", "").startswith("tinydf")
        and name not in exported_names
    ]
    assert missing == []


@pytest.mark.parametrize("package", PACKAGES)
def test_exported_names_are_unique_and_public(package: str) -> None:
    names = exported(importlib.import_module(package))
    assert len(names) == len(set(names))
    assert [name for name in names if name.startswith("_") and name != "__version__"] == []
