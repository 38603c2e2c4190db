from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tinydf.cli.evaluate import main
from tinydf.evaluation.function_scorer import open_function
from tinydf.evaluation.scoring import Scorer
from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.files import sha256_of

GREEN = """
from helper_of_the_scorer import share
def score(crops):
    assert crops.dtype == "uint8" and crops.shape[1:] == (224, 224, 3), crops.shape
    return [share(crop[..., 1].mean()) for crop in crops]
"""


@pytest.fixture
def green(tmp_path: Path) -> Path:
    """A detector that calls a crop as fake as it is green, as the hand-written classifier does."""
    (tmp_path / "helper_of_the_scorer.py").write_text("def share(level):\n    return level / 255\n")
    (tmp_path / "my.py").write_text(GREEN)
    return tmp_path / "my.py"


def crops(*greens: int) -> Any:
    pictures = np.zeros((len(greens), 224, 224, 3), np.uint8)
    pictures[..., 1] = np.array(greens)[:, None, None]
    return pictures


def test_a_function_gives_the_logits_that_the_same_network_gives(green: Path, scorer: Scorer) -> None:
    opened = open_function(f"{green}:score", CropConfig())
    levels = crops(0, 51, 204, 255)
    assert opened.logits(levels) == pytest.approx(scorer.logits(levels), abs=1e-4)
    assert opened.sha256 == sha256_of(green) and opened.spec.threshold == 0.5


def test_it_stands_in_the_same_table_with_the_same_figures(
    green: Path, two_methods: Path, tiny_classifier: Path
) -> None:
    arguments = [str(tiny_classifier), "--scorer", f"{green}:score", "--data", str(two_methods), "--json", "-"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["matrix"]["models"] == [str(tiny_classifier), f"{green}:score"]
    assert found["matrix"]["values"][0] == found["matrix"]["values"][1]
    first, second = found["evaluations"]
    assert first["whole"]["counts"] == second["whole"]["counts"] and second["model"]["engine"] == "python"


def test_no_model_is_needed_beside_it(green: Path, two_methods: Path) -> None:
    result = CliRunner().invoke(main, ["--scorer", f"{green}:score", "--data", str(two_methods)])
    assert result.exit_code == 0, result.output
    assert "my.py:score on" in result.stdout


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        ("[0.5]", r"shape \(1,\) for 2 crops"),
        ("[[0.1, 0.9]] * len(crops)", r"shape \(2, 2\)"),
        ("[0.5, 1.5]", "returned 1.5, expected probabilities"),
        ("[0.5, float('nan')]", "returned nan"),
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("['a', 'b']", "raised ValueError"),
    ],
)
def test_what_is_no_probability_is_refused(tmp_path: Path, returned: str, complaint: str) -> None:
    (tmp_path / "bad.py").write_text(f"def score(crops):\n    return {returned}\n")
    with pytest.raises(UsageError, match=complaint):
        open_function(f"{tmp_path / 'bad.py'}:score", CropConfig()).logits(crops(1, 2))


@pytest.mark.parametrize(
    ("address", "error", "complaint"),
    [
        ("my.py", UsageError, "expected FILE.py:FUNCTION"),
        ("my.txt:score", UsageError, "expected FILE.py:FUNCTION"),
        ("{folder}/none.py:score", UnreadableInputError, "no such file"),
        ("{folder}/my.py:other", UsageError, "has no function other"),
        ("{folder}/broken.py:score", UsageError, "cannot be imported .*ModuleNotFoundError"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(green: Path, address: str, error: type[Exception], complaint: str) -> None:
    (green.parent / "broken.py").write_text("import a_library_that_is_not_there\n")
    with pytest.raises(error, match=complaint):
        open_function(address.format(folder=green.parent), CropConfig())


def test_nothing_to_measure_is_a_usage_error(two_methods: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--data", str(two_methods)])
    assert result.exit_code == 2 and "MODEL" in result.stderr and "--scorer" in result.stderr
    fit = ["--fpr", "0.1", "--fit", str(tmp_path / "o.safetensors")]
    result = CliRunner().invoke(main, ["--data", str(two_methods), "--scorer", "my.py:score", *fit])
    assert result.exit_code == 2 and "ends in .safetensors" in result.stderr


def test_a_scorer_that_fails_ends_the_command_with_one_line(
    tmp_path: Path, write_set: Callable[..., Path], flat: Callable[..., Any]
) -> None:
    (tmp_path / "bad.py").write_text("def score(crops):\n    raise KeyError('weights')\n")
    folder = write_set([flat("real", "a", (10,)), flat("Swap", "b", (200,))])
    result = CliRunner().invoke(main, ["--scorer", f"{tmp_path / 'bad.py'}:score", "--data", str(folder)])
    assert result.exit_code == 2 and result.stderr.count("\n") == 1 and "raised KeyError" in result.stderr
