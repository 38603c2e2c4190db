from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from lightning_fabric import Fabric

from tinydf.checkpoint import load_checkpoint
from tinydf.cli.train import main
from tinydf.data.dataset import PairSeries
from tinydf.data.photos import Photo
from tinydf.data.samples import Pair
from tinydf.history import HistoryRow, read_history, write_history
from tinydf.train import StepReport, calibrated, train
from tinydf.train_config import Part, TrainConfig
from tinydf.train_state import uncalibrated_spec
from tinydf.train_step import learning_rate_factor, moving_average
from tinydf_runtime.errors import UsageError

CONFIG = TrainConfig(seed=3, steps=4, batch_pairs=2, patch_px=64, validate_every=2)


class StoppedError(Exception):
    """Stands for kill -9 between two steps."""


@pytest.fixture(autouse=True)
def few_batches_for_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinydf.train.STATISTICS_BATCHES", 2)


def run(config: TrainConfig, photos: list[Photo], out: Path, *, stop_after: int = 10**9, resume: bool = False) -> Path:
    def report(step: StepReport) -> None:
        if step.step == stop_after:
            raise StoppedError

    fabric = Fabric(accelerator="cpu", devices=1)
    return train(config, photos[:8], photos[8:12], out, fabric=fabric, resume=resume, workers=0, report=report)


@pytest.fixture(scope="module")
def trained(drawn_photos: list[Photo], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a run of two steps, with its state beside it."""
    return run(replace(CONFIG, steps=2), drawn_photos, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def wide(drawn_photos: list[Photo], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a wider network, after a step."""
    return run(replace(CONFIG, steps=1, width=1.25), drawn_photos, tmp_path_factory.mktemp("wide"))


def test_a_killed_run_goes_on_as_if_nothing_had_happened(drawn_photos: list[Photo], tmp_path: Path) -> None:
    whole = load_checkpoint(run(CONFIG, drawn_photos, tmp_path / "whole"))
    with pytest.raises(StoppedError):
        run(CONFIG, drawn_photos, tmp_path / "killed", stop_after=3)
    resumed = load_checkpoint(run(CONFIG, drawn_photos, tmp_path / "killed", resume=True))
    assert resumed.config == whole.config
    assert all(torch.equal(resumed.state[name], value) for name, value in whole.state.items())


def test_the_saved_state_is_itself_a_checkpoint(trained: Path) -> None:
    assert load_checkpoint(trained.with_name("state.pt")).config["steps"] == 2


def test_other_settings_are_not_resumed(trained: Path, drawn_photos: list[Photo]) -> None:
    with pytest.raises(UsageError, match="other settings"):
        run(replace(CONFIG, steps=4), drawn_photos, trained.parent, resume=True)


class SamePairs(PairSeries):
    """Four pairs, over and over."""

    def __getitem__(self, index: int) -> Pair:
        return super().__getitem__(index % 4)


def test_the_network_learns_four_pairs_by_heart(
    drawn_photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinydf.data.series.PairSeries", SamePairs)
    losses: list[float] = []

    def report(step: StepReport) -> None:
        losses.append(step.loss)

    config = replace(CONFIG, steps=30, batch_pairs=4, validate_every=30, easy_share=0)
    fabric = Fabric(accelerator="cpu", devices=1)
    train(config, drawn_photos, drawn_photos[:4], tmp_path, fabric=fabric, workers=0, report=report)
    assert losses[-1] < 0.75 * losses[0]


def test_learning_rate_rises_then_falls_to_nothing() -> None:
    config = TrainConfig(steps=1000, warmup_share=0.1)
    factors = [learning_rate_factor(step, config) for step in range(1, 1001)]
    assert factors.index(max(factors)) == 99
    assert factors[99] == 1
    assert factors[549] == pytest.approx(0.5, abs=0.01)
    assert factors[-1] == pytest.approx(0)


def test_the_first_averages_forget_the_random_start() -> None:
    average = torch.zeros(1)
    for count in range(60):
        average = moving_average(average, torch.ones(1), torch.tensor(count), decay=0.999)
    assert average.item() > 0.99


def test_the_demo_needs_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinydf.cli.train.DEMO_CONFIG", replace(CONFIG, steps=2))
    monkeypatch.setattr("tinydf.cli.train.DEMO_FACES", 8)
    result = CliRunner().invoke(main, ["--demo", "--out", str(tmp_path / "run"), "--workers", "0", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert load_checkpoint(tmp_path / "run" / "tinydf.safetensors").config["steps"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "--data FACES or --demo"),
        (["--data", "nowhere"], 5, "faces.csv"),
        (["--data", "nowhere", "--patch-px", "100"], 2, "multiple of 32"),
        (["--demo", "--init", "missing.safetensors"], 5, "no such file"),
        (["--demo", "--resume"], 2, "no state to resume from"),
        (["--demo", "--device", "abacus"], 4, "abacus"),
    ],
)
def test_mistakes_give_one_line_and_their_code(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "run"), "--workers", "0"])
    assert result.exit_code == code
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_checkpoint_tells_the_runs_that_it_came_from(
    trained: Path, drawn_photos: list[Photo], tmp_path: Path
) -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    second = train(
        replace(CONFIG, steps=1),
        drawn_photos[:4],
        drawn_photos[4:8],
        tmp_path,
        fabric=fabric,
        init=str(trained),
        workers=0,
    )
    origin = load_checkpoint(second).config["started_from"]
    assert origin["checkpoint"]["step"] == 2
    assert origin["checkpoint"]["started_from"] is None


@pytest.mark.parametrize("part", ["deep", "residual"])
def test_a_part_learns_alone(part: Part, trained: Path, drawn_photos: list[Photo], tmp_path: Path) -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    config = replace(CONFIG, steps=2, part=part)
    second = train(config, drawn_photos[:8], drawn_photos[8:12], tmp_path, fabric=fabric, init=str(trained), workers=0)
    before, after = load_checkpoint(trained).state, load_checkpoint(second).state
    changed = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert ("residual" in changed) == (part == "residual")
    assert len(changed) == (1 if part == "residual" else 5)


def test_training_ends_with_an_operating_point(trained: Path) -> None:
    spec = load_checkpoint(trained).spec
    assert (spec.temperature, spec.threshold) != (uncalibrated_spec().temperature, uncalibrated_spec().threshold)


def test_the_threshold_lets_a_tenth_of_the_real_faces_through() -> None:
    real = np.random.default_rng(0).normal(-1, 1, 1000)
    spec = calibrated(uncalibrated_spec(), real, real + 2)
    probabilities = 1 / (1 + np.exp(-real / spec.temperature))
    assert (probabilities >= spec.threshold).mean() == pytest.approx(0.1, abs=0.01)


def test_a_wider_network_is_trained_too(wide: Path) -> None:
    checkpoint = load_checkpoint(wide)
    assert (checkpoint.width, checkpoint.config["step"]) == (1.25, 1)
    assert torch.isfinite(checkpoint.build()(torch.zeros(1, 3, 64, 64))[0]).all()


def test_a_teacher_counts_as_much_as_its_weight_says(wide: Path, drawn_photos: list[Photo], tmp_path: Path) -> None:
    name = "residual.verdict.weight"

    def learned(weight: float, out: Path, given: Path | None) -> torch.Tensor:
        config = replace(CONFIG, steps=2, distill_weight=weight)
        fabric = Fabric(accelerator="cpu", devices=1)
        path = train(config, drawn_photos[:8], drawn_photos[8:12], out, fabric=fabric, teacher=given, workers=0)
        return load_checkpoint(path).state[name]

    alone, ignored = learned(0, tmp_path / "alone", None), learned(0, tmp_path / "ignored", wide)
    assert torch.equal(alone, ignored)
    assert not torch.equal(alone, learned(1, tmp_path / "followed", wide))


def test_a_network_of_another_width_is_no_start(wide: Path, drawn_photos: list[Photo], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--width 1\.25"):
        train(CONFIG, drawn_photos, drawn_photos, tmp_path / "x", fabric=Fabric(accelerator="cpu"), init=str(wide))


ROWS = [HistoryRow(200, 0.5, 5e-4, 1.25, 0.71, 0.66, 0.67), HistoryRow(400, 1.0, 1e-4, 1.125, 0.75, 0.7, 0.72)]


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []
    write_history(tmp_path, ROWS)
    assert read_history(tmp_path) == ROWS


def test_the_picture_names_what_it_shows(tmp_path: Path) -> None:
    write_history(tmp_path, ROWS)
    picture = (tmp_path / "history.svg").read_text()
    assert "<svg" in picture
    assert "twins together" in picture
