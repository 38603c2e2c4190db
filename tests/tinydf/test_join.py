"""``tinydf-join``: the branches of two networks add up, each times the factor that was fitted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.cli.join import main
from tinydf.forgery import TinyDF
from tinydf.join import fit_factors
from tinydf_runtime.models.spec import ModelSpec


def save_network(path: Path, seed: int, width: float = 1.0) -> Path:
    torch.manual_seed(seed)
    spec = ModelSpec(name="tinydf", temperature=1.0 + seed)
    save_checkpoint(Checkpoint(TinyDF(width).state_dict(), {"seed": seed, "width": width}, spec), path)
    return path


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options that name two networks of random weights."""
    folder = tmp_path_factory.mktemp("branches")
    rgb, noise = (save_network(folder / f"{seed}.safetensors", seed) for seed in (1, 2))
    return ["--rgb", str(rgb), "--noise", str(noise)]


def join(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture(scope="module")
def joined(sources: list[str], drawn_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The networks joined, with the options' former names, and their figures as JSON beside them."""
    out = tmp_path_factory.mktemp("joined") / "joined.safetensors"
    former = ["--deep", sources[1], "--residual", sources[3], "--json", out.with_suffix(".json")]
    result = join(*former, "--data", drawn_folder, "--count", 2, "--out", out)
    assert result.exit_code == 0, result.output
    return out, result


def test_the_branches_add_up_each_times_its_factor(sources: list[str], joined: tuple[Path, Result]) -> None:
    found = load_checkpoint(joined[0])
    rgb, noise = (load_checkpoint(Path(path)).build() for path in (sources[1], sources[3]))
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    with torch.inference_mode():
        parts = (rgb.score_rgb(image), noise.residual(image))
        together = found.build()(image)
    for place, name in enumerate(("verdict", "map")):
        factors = found.config["factors"][name]
        assert min(factors) >= 0
        expected = factors[0] * parts[0][place] + factors[1] * parts[1][place]
        torch.testing.assert_close(together[place], expected, rtol=1e-4, atol=1e-5)
    assert found.spec.temperature == 2.0


def test_the_checkpoint_records_what_was_printed(joined: tuple[Path, Result]) -> None:
    out, result = joined
    config, lines = load_checkpoint(out).config, result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        *("factors", "RGB branch alone", "noise branch alone", "both"),
        "share of the verdict's variance that comes from the RGB branch",
    ]
    assert config["validation"]["figures"] == lines and config["validation"]["photos"] == 2
    assert [config["parts"][name]["seed"] for name in ("deep", "residual")] == [1, 2]
    told = json.loads(out.with_suffix(".json").read_text())
    assert (told["schema"], told["factors"]) == ("tinydf.join/1", config["factors"])


def test_factors_are_those_of_the_labels_and_never_negative() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 2)) * 2
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-(1.5 * logits[:, 0] - logits[:, 1])))).astype(np.float64)
    factors = fit_factors(logits, labels)
    assert factors[0] == pytest.approx(1.5, abs=0.15) and factors[1] == 0


def test_networks_that_do_not_fit_each_other_are_one_line(
    sources: list[str], drawn_folder: Path, tmp_path: Path
) -> None:
    wide = save_network(tmp_path / "wide.safetensors", 3, 2.0)
    result = join(*sources[:2], "--noise", wide, "--data", drawn_folder, "--out", tmp_path / "joined.safetensors")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "width 1 and tinydf of width 2" in result.stderr
    assert not (tmp_path / "joined.safetensors").exists()


def test_a_checkpoint_that_is_not_there_and_a_folder_of_nobody_are_one_line(
    sources: list[str], drawn_folder: Path, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "joined.safetensors"]
    result = join("--rgb", tmp_path / "none.safetensors", *sources[2:], "--data", drawn_folder, *out)
    assert (result.exit_code, result.stderr.count("\n")) == (5, 1) and "no such file" in result.stderr
    (tmp_path / "faces.csv").write_text("file,source,identity,split,faces\na.png,mine,a,train,[]\n")
    result = join(*sources, "--data", tmp_path, *out)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1) and "split val" in result.stderr
