"""For maintainers: a trained classifier -> the shipped checkpoint and its card, whose figures it measures.

python scripts/finish_classifier.py --run runs/tinydf --data faces --scores scores.npz

SCORES are what ``tinydf-score-clips`` stored for an export of that very run. With them temperature, threshold and the
tables of real people are measured on video, as verdicts are given; without them on single crops, and no verdict says
how rare its score is.

A script, not a command: it replaces files of this repository. Each step is there for everyone's own network, as
``tinydf-join``, ``tinydf-score-clips``, ``tinydf-fpr-table`` and ``tinydf-evaluate``.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from measure_resolutions import multiply_adds
from tinydf.checkpoint import DEFAULT_PATH, Checkpoint, load_checkpoint, save_checkpoint
from tinydf.data.dataset import FixedPairs, collate
from tinydf.data.forgery_types.blending import Forger
from tinydf.data.forgery_types.table import Mixture, forgers_by_type
from tinydf.data.photos import Photo, read_photos
from tinydf.data.series import colour_reals
from tinydf.evaluation.deletion import Deletion, delete_cells, restore_cells
from tinydf.evaluation.operating_point import tabulate_fpr
from tinydf.evaluation.real_people import THRESHOLD_SHARE, measured_spec
from tinydf.evaluation.scored_clips import read_clips
from tinydf.forgery import TinyDF
from tinydf.metrics import Estimate, auc_with_interval, fit_temperature, threshold_at_fpr
from tinydf.train import MODEL_NAME, score_pairs
from tinydf.train_state import STATE_NAME
from tinydf_runtime.io.files import sha256_of, write_atomically
from tinydf_runtime.models.shipped import DEFAULT_MODEL
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.verdict.rules import USUAL_FALSE_ALARMS
from write_real_clips import card_section

TEMPLATE = Path(__file__).with_name("classifier_card.md.in")
DELETED_CROPS = 120
VALIDATION_SEED, TEST_SEED = 11, 12
Logits = tuple[NDArray[np.float64], NDArray[np.float64]]


@click.command()
@click.option("--run", type=click.Path(path_type=Path), required=True, help="Checkpoint to ship.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder with faces.csv.")
@click.option("--scores", type=click.Path(path_type=Path, exists=True), help="By tinydf-score-clips.")
@click.option("--limit", default=0, help="Use only so many photos of a split; 0: all.")
@click.option("--workers", default=1, show_default=True, help="Processes that make samples.")
@click.option("--split", default="test", show_default=True, help="Split to measure; test once, for what is shipped.")
@click.option("--ship/--no-ship", default=True, help="Write the shipped files; else only print the figures.")
def main(run: Path, data: Path, scores: Path | None, limit: int, workers: int, split: str, ship: bool) -> None:
    """Calibrates, measures and describes a trained classifier."""
    checkpoint = load_checkpoint(run)
    model = _rounded(checkpoint)
    if scores is None:
        spec = _fitted(checkpoint.spec, model, _thinned(colour_reals(read_photos(data, "val")), limit), workers)
    else:
        spec = measured_spec([clip for clip in read_clips(scores) if clip.split == "val"], checkpoint.spec)
    temperature, threshold = spec.temperature, spec.threshold
    click.echo(f"temperature {spec.temperature}, threshold {spec.threshold}")

    photos = _thinned(colour_reals(read_photos(data, split)), limit)  # type: ignore[arg-type]
    judged = {name: _score(model, photos, TEST_SEED, forge, workers) for name, forge in forgers_by_type(photos).items()}
    figures = {name: auc_with_interval(*score) for name, score in judged.items()}
    for name, figure in figures.items():
        click.echo(f"{split}, {name}: {figure}")
    real, fake = (np.concatenate(part) for part in zip(*judged.values(), strict=True))
    sources = _by_source(photos * len(judged), real, fake)
    false_alarms = float(
        (np.concatenate([part for part, _ in judged.values()]) / temperature >= _logit(threshold)).mean()
    )
    click.echo(f"{split}, false alarms on single real crops: {false_alarms:.3f}; {sources}")
    deletion = _deletion_words(model, _thinned(photos, DELETED_CROPS))
    click.echo(f"{split}, forgery map: {deletion}")
    if not ship:
        return
    save_checkpoint(replace(checkpoint, spec=spec), DEFAULT_PATH, half=True)
    card = _describe(checkpoint, spec, photos, figures, sources, false_alarms, limit, deletion)
    write_atomically(DEFAULT_MODEL.with_suffix(".md"), card.encode())
    click.echo(f"{DEFAULT_PATH}: calibrate it, embed the export, as the card says, and run scripts/record_shipped.py")


def _fitted(spec: ModelSpec, model: TinyDF, validation: list[Photo], workers: int) -> ModelSpec:
    """Returns a spec with temperature, threshold and fpr table of single crops."""
    real, fake = _score(model, validation, VALIDATION_SEED, Mixture(validation), workers)
    temperature = fit_temperature(real, fake)
    threshold = 1 / (1 + np.exp(-threshold_at_fpr(real, USUAL_FALSE_ALARMS) / temperature))
    return replace(
        spec,
        temperature=round(temperature, 4),
        threshold=round(float(threshold), 4),
        fpr_thresholds=tabulate_fpr(1 / (1 + np.exp(-real / temperature))),
    )


def _deletion_words(model: TinyDF, photos: list[Photo]) -> str:
    """Returns what blurring and restoring the tenth of a forged crop where the map is highest do to its score."""
    pairs = DataLoader(FixedPairs(photos, TEST_SEED, Mixture(photos)), 8, collate_fn=collate)
    blurred, restored = [], []
    for seed, (images, labels, _) in enumerate(pairs):
        forged, originals = images[labels == 1].float(), images[labels == 0].float()
        blurred.append(delete_cells(model, forged, seed))
        restored.append(restore_cells(model, forged, originals, seed))
    return (
        f"giving its highest tenth the original's pixels back changes the logit of a forged crop by "
        f"{_fall_words(restored)}. Blurring that tenth instead changes it by {_fall_words(blurred)}: where that rises, "
        "the network takes the blur itself for a trace, which says nothing about the map. A map that shows what a "
        "verdict rests on has a lower first figure."
    )


def _fall_words(found: list[Deletion]) -> str:
    """Returns the mean changes by map and by chance, and how often the map does better."""
    by_map, by_chance = (np.concatenate([getattr(one, name) for one in found]) for name in ("by_map", "by_chance"))
    return (
        f"{-by_map.mean():+.2f} on average, a random tenth by {-by_chance.mean():+.2f} (of {len(by_map)} crops the "
        f"score falls more by the map than by chance on {(by_map > by_chance).mean():.0%})"
    )


def _operating_words(spec: ModelSpec, false_alarms: float) -> str:
    """Returns how temperature and threshold were found, and what single crops make of the threshold."""
    if spec.real_people is None:
        found, share, who = "fitted on forgeries of the validation people", USUAL_FALSE_ALARMS, "of their real crops"
    else:
        found = "fitted on clips made of photos of the validation people, real and forged, coded as video"
        share, who = THRESHOLD_SHARE, f"of {spec.real_people.people} real people in such clips"
    return (
        f"Logits are divided by a temperature of {spec.temperature}, {found}; below a probability of {spec.threshold}, "
        f"which {share:.0%} {who} reach, a person is real, and fake is said from a margin above it on. Of the "
        f"test people's real single crops {false_alarms:.1%} reach it."
    )


def _rounded(checkpoint: Checkpoint) -> TinyDF:
    """Returns the network as it will be shipped, with weights rounded to float16: the figures are that file's."""
    state = {name: value.half().float() if value.ndim > 1 else value for name, value in checkpoint.state.items()}
    return replace(checkpoint, state=state).build()


def _thinned(photos: list[Photo], limit: int) -> list[Photo]:
    # Evenly over the table, which is sorted by source: its beginning would be one collection alone.
    places = np.linspace(0, len(photos) - 1, min(limit or len(photos), len(photos))).round().astype(int)
    return [photos[place] for place in places]


def _score(model: TinyDF, photos: list[Photo], seed: int, forge: Forger, workers: int) -> Logits:
    pairs = DataLoader(FixedPairs(photos, seed, forge), 16, collate_fn=collate, num_workers=workers)
    return score_pairs(model, pairs, torch.device("cpu"))


def _by_source(photos: list[Photo], real: NDArray[np.float64], fake: NDArray[np.float64]) -> dict[str, Estimate]:
    sources = np.array([photo.source for photo in photos])
    enough = [name for name, count in Counter(sources.tolist()).items() if count >= 20]
    return {name: auc_with_interval(real[sources == name], fake[sources == name]) for name in enough}


def _chain(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the settings of the runs that led to a network, the first run first.

    A run that started from joined branches goes back to the runs of its own branch.
    """
    origin = config.get("started_from") or {}
    before = origin.get("checkpoint", {})
    before = before["parts"][config["part"]] if "parts" in before else before
    run = {name: value for name, value in config.items() if name != "started_from"}
    return [*(_chain(before) if before else []), run | ({"init": "lite1"} if "backbone" in origin else {})]


def _command(number: int, run: dict[str, Any], previous: dict[str, Any] | None) -> str:
    start = run.get("init", "none")
    if previous is not None:
        stopped = previous["step"] < previous["steps"]
        start = f"RUN{number - 1}/{STATE_NAME if stopped else MODEL_NAME}"
    options = [
        f"--{name.replace('_', '-')} {run[name]}"
        for name in (
            *("seed", "steps", "batch_pairs", "patch_px", "image_px", "small_share", "part", "learning_rate"),
            *("warmup_share", "easy_share"),
            *("ema_decay", "precision"),
        )
        if name in run
    ]
    remark = f", stopped after step {run['step']}" if run["step"] < run["steps"] else ""
    return f"{number}. `tinydf-train --data FACES --out RUN{number} --init {start} {' '.join(options)}`{remark}"


def _commands(config: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    """Returns the commands that make a checkpoint again, and the settings of the runs among them."""
    parts = config.get("parts")
    chains = [_chain(config)] if parts is None else [_chain(parts["deep"]), _chain(parts["residual"])]
    runs: list[dict[str, Any]] = []
    lines: list[str] = []
    for chain in chains:
        for place, run in enumerate(chain):
            runs.append(run)
            lines.append(_command(len(runs), run, chain[place - 1] if place else None))
    if parts is not None:
        deep, residual = (f"RUN{number}/{MODEL_NAME}" for number in (len(chains[0]), len(runs)))
        count = f" --count {config['validation']['photos']}" if "validation" in config else ""
        command = f"tinydf-join --rgb {deep} --noise {residual} --data FACES{count} --out LAST"
        lines.append(f"{len(runs) + 1}. `{command}`")
    return lines, runs


def _logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def _describe(
    checkpoint: Checkpoint,
    spec: ModelSpec,
    photos: list[Photo],
    figures: dict[str, Estimate],
    sources: dict[str, Estimate],
    false_alarms: float,
    limit: int,
    deletion: str,
) -> str:
    commands, runs = _commands(dict(checkpoint.config))
    rows = [f"| {name} | {one.value:.3f} | {one.low:.3f} to {one.high:.3f} |" for name, one in figures.items()]
    return TEMPLATE.read_text(encoding="utf-8").format(
        checkpoint_sha256=sha256_of(DEFAULT_PATH),
        parameters=f"{sum(parameter.numel() for parameter in TinyDF().parameters()):,}",
        multiply_adds=f"{multiply_adds(TinyDF().eval(), 224) / 1e6:.0f}",
        operating=_operating_words(spec, false_alarms),
        photos=len(photos),
        limit=limit,
        people=len({photo.identities for photo in photos}),
        rows="\n".join(rows),
        sources="\n".join(
            f"| {name} | {one.value:.3f} | {one.low:.3f} to {one.high:.3f} |" for name, one in sources.items()
        ),
        commands="\n".join(commands),
        deletion=deletion,
        validation="\n".join(f"- {line}" for line in checkpoint.config.get("validation", {}).get("figures", [])),
        pairs=f"{sum(run['step'] * run['batch_pairs'] for run in runs):,}",
        real_deepfakes=card_section(sha256_of(DEFAULT_PATH)),
        settings=json.dumps(dict(checkpoint.config), sort_keys=True),
    )


if __name__ == "__main__":
    main()
