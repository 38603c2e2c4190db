"""Who may import whom, export -> tinydf -> runtime and export -> calibration -> runtime, and what is public."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent

FOLDERS = {
    "tinydf": ROOT / "tinydf",
    "tinydf_export": ROOT / "export" / "tinydf_export",
    "tinydf_runtime": ROOT / "runtime" / "tinydf_runtime",
    "tinydf_calibration": ROOT / "calibration" / "tinydf_calibration",
}

MAY_IMPORT = {
    "tinydf_runtime": set[str](),
    "tinydf_calibration": {"tinydf_runtime"},
    "tinydf": {"tinydf_runtime"},
    "tinydf_export": {"tinydf", "tinydf_calibration", "tinydf_runtime"},
}

NEVER_IN_RUNTIME = {"torch", "torchvision", "onnx", "onnxscript", "lightning_fabric", "skimage", "sklearn"}

BOTH_WAYS = {("faces", "models"), ("render", "results")}
"""A model's spec holds the crop config, and the face detector is a model; a report draws itself for notebooks."""

MAY_IMPORT_PYAV = {"av_capture.py", "codecs.py", "image.py", "sound.py", "writer.py"}
"""PyAV is the extra ``video``: what imports one of these files does so only where it is needed."""


def imported_packages(source: str) -> Iterator[str]:
    """Top-level names that a file imports anywhere, also inside functions and through ``import_module``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in {"import_module", "__import__"}:
                yield str(node.args[0].value).split(".")[0]


def all_imports() -> Iterator[tuple[str, str, str]]:
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            for imported in imported_packages(path.read_text(encoding="utf-8")):
                yield package, str(path.relative_to(ROOT)), imported


def test_every_package_is_where_the_table_says() -> None:
    for package, folder in FOLDERS.items():
        assert (folder / "__init__.py").is_file(), package
        assert (folder / "py.typed").is_file(), package


def test_parts_import_only_what_the_table_allows() -> None:
    breaches = [
        f"{path}: {package} must not import {imported}"
        for package, path, imported in all_imports()
        if imported in FOLDERS and imported != package and imported not in MAY_IMPORT[package]
    ]
    assert not breaches, "\n".join(breaches)


def test_rooms_of_the_runtime_import_each_other_in_one_direction() -> None:
    folder = FOLDERS["tinydf_runtime"]
    pairs = set()
    for path in folder.rglob("*.py"):
        if path.name == "__init__.py":
            continue
        room = path.relative_to(folder).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinydf_runtime."):
                pairs.add((room, str(node.module).split(".")[1]))
    both_ways = {(one, other) for one, other in pairs if one < other and (other, one) in pairs}
    assert both_ways == BOTH_WAYS


def test_runtime_names_no_training_library() -> None:
    breaches = [
        f"{path}: {imported}"
        for package, path, imported in all_imports()
        if package == "tinydf_runtime" and imported in NEVER_IN_RUNTIME
    ]
    assert not breaches, "\n".join(breaches)


def test_runtime_names_pyav_where_it_is_wanted_alone() -> None:
    naming = {
        Path(path).name for package, path, imported in all_imports() if (package, imported) == ("tinydf_runtime", "av")
    }
    assert naming == MAY_IMPORT_PYAV


def test_imports_are_found_wherever_they_hide() -> None:
    source = (
        "def f():\n    import a.b\n    from c.d import e\n    importlib.import_module('g.h')\n    from . import i\n"
    )
    assert sorted(imported_packages(source)) == ["a", "c", "g"]


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("tinydf_runtime", ("torch", "cv2", "onnxruntime", "av")),
        ("tinydf_calibration", ("torch", "cv2", "onnxruntime")),
        ("tinydf", ("torch",)),
        ("tinydf_export", ("torch", "onnx")),
    ],
)
def test_importing_a_package_loads_nothing_heavy(package: str, unwanted: tuple[str, ...]) -> None:
    code = f"import sys, {package}; print(*[name for name in {unwanted!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_analyzer_of_tinydf_is_the_runtimes_and_needs_no_torch() -> None:
    code = (
        "import sys, tinydf, tinydf_runtime\n"
        "assert tinydf.Analyzer is tinydf_runtime.Analyzer and 'Analyzer' in dir(tinydf)\n"
        "tinydf.Analyzer().close()\n"
        "assert 'torch' not in sys.modules and not hasattr(tinydf, 'Analyser')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
