"""Importing the runtime is cheap, and its public names are all there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tinydf_runtime

HEAVY = ("torch", "cv2", "onnxruntime", "numpy", "click", "rich")


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_loads_neither_opencv_nor_an_engine() -> None:
    code = f"import sys, tinydf_runtime; print([name for name in {HEAVY} if name in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_the_analyzer_is_imported_without_torch() -> None:
    code = "import sys; from tinydf_runtime import Analyzer; Analyzer(); print('torch' in sys.modules)"
    assert run_python(code).strip() == "False"


@pytest.mark.parametrize("name", tinydf_runtime.__all__)
def test_public_names_can_be_fetched(name: str) -> None:
    assert getattr(tinydf_runtime, name) is not None


def test_public_names_are_sorted_and_listed() -> None:
    assert sorted(tinydf_runtime.__all__) == tinydf_runtime.__all__
    assert set(tinydf_runtime.__all__) <= set(dir(tinydf_runtime))


def test_the_version_is_text_and_unknown_names_are_attribute_errors() -> None:
    assert tinydf_runtime.__version__
    with pytest.raises(AttributeError, match="no attribute 'Analyser'"):
        _ = tinydf_runtime.Analyser
