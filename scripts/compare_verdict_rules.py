"""Judges the same scored clips by several rules, and writes which rule errs how often: docs/verdicts.md.

Run: python scripts/compare_verdict_rules.py SCORES.npz (made by score_made_clips.py). Rules are compared on whole
clips, on clips spliced from a real and a forged version of one person, and on crowds of real people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from tinydf.metrics import auc
from tinydf_runtime.aggregate import judge_input, judge_track, judge_tracks
from tinydf_runtime.embedded import DEFAULT_MODEL
from tinydf_runtime.engine import open_engine
from tinydf_runtime.judging.evidence import clarity, to_logit, to_probability
from tinydf_runtime.judging.recheck import REACH
from tinydf_runtime.types import FaceQuality, FaceScore

OUT = Path(__file__).parent.parent / "docs" / "verdicts.md"
CROWDS = (1, 2, 5, 10, 30)
DRAWS = 200


@dataclass(frozen=True, slots=True)
class Clip:
    """A scored clip: person, whether it is forged, its faces, and how far encoding again moves its mean logit."""

    person: str
    forged: bool
    scores: tuple[FaceScore, ...]
    shift: float


def read_clips(path: Path, split: str) -> list[Clip]:
    """Returns the clips of one split."""
    with np.load(path) as stored:
        rows, names, columns = stored["rows"].astype(np.float64), stored["clips"], list(stored["columns"])
    quality = columns.index("sharpness")
    clips = []
    for number, (own_split, label, person) in enumerate(names):
        if own_split != split:
            continue
        own = rows[rows[:, 0] == number]
        scores = tuple(
            FaceScore(
                row[1],
                round(row[1] * 5),
                (0.0, 0.0, row[2], row[2]),
                row[3],
                to_probability(row[4]),
                quality=FaceQuality(*row[quality:]),
            )
            for row in own
        )
        shift = float(np.nanmean(own[:, 5] - own[:, 4].clip(-5, 5)))
        clips.append(Clip(str(person), label == "fake", scores, shift))
    return clips


def mean_of(clip: Clip, weight: Callable[[FaceScore], float]) -> float:
    """Returns the weighted mean logit of a clip."""
    logit = [to_logit(score.fake_probability) for score in clip.scores]
    return float(np.average(logit, weights=[weight(score) for score in clip.scores]))


WEIGHTS: dict[str, Callable[[FaceScore], float]] = {
    "all alike": lambda score: 1.0,
    "size": lambda score: min(1.0, score.box_xyxy[2] / 112),
    "size and detection": lambda score: min(1.0, score.box_xyxy[2] / 112) * score.detection_score,
    "and pose, exposure, sharpness": lambda score: (
        min(1.0, score.box_xyxy[2] / 112) * score.detection_score * (clarity(score.quality) if score.quality else 1.0)
    ),
}


def rescored(clip: Clip, threshold: float) -> str:
    """Returns the label of a clip alone, after its crops are encoded once more."""
    verdict = judge_track(1, clip.scores, threshold)[0]
    if verdict.label == "inconclusive" or verdict.fake_probability is None:
        return verdict.label
    distance = to_logit(verdict.fake_probability) - to_logit(threshold)
    turned = abs(distance) <= REACH and (distance + clip.shift >= 0) != (distance >= 0)
    return "inconclusive" if turned else verdict.label


def spliced(real: Clip, forged: Clip, share: float) -> tuple[FaceScore, ...]:
    """Returns four rounds of a clip, forged for a share of the time in the middle."""
    length = real.scores[-1].time_s + 0.2
    scores = []
    for turn in range(4):
        for source in (real, forged):
            for score in source.scores:
                place = (turn * length + score.time_s) / (4 * length)
                if (abs(place - 0.5) < share / 2) == source.forged:
                    scores.append(replace(score, time_s=score.time_s + turn * length))
    return tuple(sorted(scores, key=lambda score: score.time_s))


def overlap(found: tuple[float, float], true: tuple[float, float]) -> float:
    """Returns how much of two time spans together they share."""
    shared = max(0.0, min(found[1], true[1]) - max(found[0], true[0]))
    return shared / (max(found[1], true[1]) - min(found[0], true[0]))


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def labels_row(name: str, labels: list[str]) -> str:
    """Returns a row of a table: how often each label was given."""
    counts = Counter(labels)
    return (
        f"| {name} | " + " | ".join(percent(counts[x] / len(labels)) for x in ("real", "inconclusive", "fake")) + " |"
    )


def compare(clips: list[Clip], threshold: float, rng: np.random.Generator) -> list[str]:
    """Returns the tables of one split."""
    real, forged = [clip for clip in clips if not clip.forged], [clip for clip in clips if clip.forged]
    lines = ["| faces weigh by | AUC of clips |", "| --- | --- |"]
    for name, weight in WEIGHTS.items():
        of_real, of_forged = (np.array([mean_of(clip, weight) for clip in part]) for part in (real, forged))
        lines.append(f"| {name} | {auc(of_real, of_forged):.3f} |")
    limit = to_logit(threshold)
    plain = [["fake" if mean_of(c, WEIGHTS["all alike"]) >= limit else "real" for c in part] for part in (real, forged)]
    alone = [[judge_track(1, clip.scores, threshold)[0].label for clip in part] for part in (real, forged)]
    again = [[rescored(clip, threshold) for clip in part] for part in (real, forged)]
    lines += ["", "| rule | called real | inconclusive | called fake |", "| --- | --- | --- | --- |"]
    for name, labels in (("mean against the threshold", plain), ("runtime", alone), ("and encoded again", again)):
        lines.append(labels_row(f"{name}: {len(real)} real clips", list(labels[0])))
        lines.append(labels_row(f"{name}: {len(forged)} forged clips", list(labels[1])))
    lines += ["", "| real people in a clip | called real | inconclusive | called fake |", "| --- | --- | --- | --- |"]
    for people in CROWDS:
        given: list[str] = []
        for _ in range(DRAWS):
            chosen = rng.choice(len(real), people, replace=False)
            verdicts = [v for v, _ in judge_tracks({n: real[i].scores for n, i in enumerate(chosen)}, threshold)]
            given.append(judge_input(verdicts)[0])
        lines.append(labels_row(str(people), given))
    # Only forgeries that the network sees can be found in part.
    by_person = {clip.person: clip for clip in real}
    seen = [clip for clip in forged if clip.person in by_person and mean_of(clip, WEIGHTS["all alike"]) > limit + 1.5]
    lines += ["", f"| forged share of 16 s ({len(seen)} clips) | called fake by the mean | by the runtime | overlap |"]
    lines += ["| --- | --- | --- | --- |"]
    for share in (0.1, 0.2, 0.4, 0.7):
        by_mean, by_rule, overlaps = 0, 0, []
        for clip in seen:
            scores = spliced(by_person[clip.person], clip, share)
            verdict, segments = judge_track(1, scores, threshold)
            by_mean += mean_of(Clip("", True, scores, 0.0), WEIGHTS["all alike"]) >= limit
            by_rule += verdict.label == "fake"
            length = scores[-1].time_s
            true = (length * (0.5 - share / 2), length * (0.5 + share / 2))
            overlaps += [max(overlap((s.start_s, s.end_s), true) for s in segments)] if segments else []
        middle = f"{np.median(overlaps):.2f}" if overlaps else "none"
        lines.append(f"| {share:.0%} | {percent(by_mean / len(seen))} | {percent(by_rule / len(seen))} | {middle} |")
    return lines


@click.command()
@click.argument("scores", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), default=OUT)
def main(scores: Path, out: Path) -> None:
    threshold = open_engine(DEFAULT_MODEL, threads=1).spec.threshold
    text = [Path(__file__).with_suffix(".md.in").read_text(encoding="utf-8").strip()]
    for split in ("test", "val"):
        text += ["", f"## Split {split}", ""]
        text += compare(read_clips(scores, split), threshold, np.random.default_rng(0))
    out.write_text("\n".join(text) + "\n", encoding="utf-8")
    click.echo("\n".join(text))


if __name__ == "__main__":
    main()
