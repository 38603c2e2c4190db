"""Judges the same scored clips by several rules, and writes which rule errs how often: docs/verdicts.md.

Run: python scripts/compare_verdict_rules.py SCORES.npz --test-scores TEST.npz (both made by tinydf-score-clips, the
second with --split test). What the runtime knows of real people is measured on every second person of the first, and
tried on the others. Rules are compared on whole clips, on clips spliced from a real and a forged version of one person,
and on crowds of real people. The test people are judged with the thresholds of the shipped file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import click
import numpy as np

from tinydf.evaluation.real_people import THRESHOLD_SHARE, measured_spec
from tinydf.evaluation.scored_clips import Clip, certain_score, read_clips
from tinydf.intervals import wilson
from tinydf.metrics import auc, measure
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.models.shipped import DEFAULT_MODEL
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.types import FaceScore, longer_side
from tinydf_runtime.verdict.aggregate import judge_input, judge_track, judge_tracks
from tinydf_runtime.verdict.evidence import (
    FULL_SIDE_PX,
    MINIMUM_SIDE_PX,
    collect_evidence,
    interval,
    to_logit,
    to_probability,
    trimmed_mean,
)
from tinydf_runtime.verdict.recheck import REACH
from tinydf_runtime.verdict.rules import ALLOWED_FALSE_ALARMS, DecisionRule, RealScores

OUT = Path(__file__).parent.parent / "docs" / "verdicts.md"
CROWDS = (1, 2, 5, 10, 30)
SIDES_PX = (round(MINIMUM_SIDE_PX), 75, round(FULL_SIDE_PX), 240)
THRESHOLD_SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
"""Of real people who reach the lower threshold; ``real_people.THRESHOLD_SHARE`` is the one that is shipped."""
SPLITS, DRAWS = 200, 20
PART_S = 4.0
FEWEST_FORGED = 5
"""With fewer forged clips that the network sees, nothing is said about clips forged in part."""


def mean_of(scores: Sequence[FaceScore]) -> float:
    """Returns the plain mean logit."""
    return float(np.mean([to_logit(score.fake_probability) for score in scores]))


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def share(count: int, total: int) -> str:
    """Returns a share with its 95 % interval."""
    low, high = wilson(count / total, total)
    return f"{percent(count / total)} ({percent(low)} to {percent(high)})"


def labels_row(name: str, labels: Sequence[str]) -> str:
    """Returns a row of a table: how often each label was given."""
    counts = Counter(labels)
    return f"| {name} | " + " | ".join(share(counts[x], len(labels)) for x in ("real", "inconclusive", "fake")) + " |"


def verdict_of(clip: Clip, rule: DecisionRule) -> str:
    """Returns a clip's verdict."""
    return judge_input([verdict for verdict, _ in judge_tracks(clip.tracks, rule)])[0]


def rescored(clip: Clip, rule: DecisionRule) -> str:
    """Returns a clip's verdict after its crops are encoded once more."""
    label, logit = verdict_of(clip, rule), clip.logit(rule)
    if label not in ("real", "fake") or logit is None:
        return label
    distance = logit - to_logit(rule.threshold)
    turned = abs(distance) <= REACH and (distance + clip.shift >= 0) != (distance >= 0)
    return "inconclusive" if turned else label


def compare_scores(real: Sequence[Clip], forged: Sequence[Clip], rule: DecisionRule) -> list[str]:
    """Returns the AUC of several scores of a clip, on those clips that all of them answer."""
    scorers: dict[str, Callable[[Clip], float | None]] = {
        "plain mean logit of the largest track": lambda clip: mean_of(clip.main()),
        "weighted, trimmed mean of the largest track": lambda clip: trimmed_mean(collect_evidence(clip.main())),
        "the runtime's probability": lambda clip: clip.logit(rule),
    }
    answered = [[clip for clip in part if clip.logit(rule) is not None] for part in (real, forged)]
    alone = [[clip for clip in part if clip.people() == 1] for part in answered]
    columns = [
        f"{name}: {len(part[0])} real, {len(part[1])} forged"
        for name, part in (("all", answered), ("one person", alone))
    ]
    lines = [f"| AUC of a score over clips | {' | '.join(columns)} |", "| --- | --- | --- |"]
    for name, score in scorers.items():
        values = (
            auc(*(np.array([score(clip) for clip in kind], np.float64) for kind in part)) for part in (answered, alone)
        )
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |")
    return lines


def compare_verdicts(real: Sequence[Clip], forged: Sequence[Clip], rule: DecisionRule) -> list[str]:
    """Returns which rule gives which verdict how often."""
    lines = ["| rule | called real | inconclusive | called fake |", "| --- | --- | --- | --- |"]
    limit = to_logit(rule.threshold)
    rules: dict[str, Callable[[Clip], str]] = {
        "mean against the threshold": lambda clip: "fake" if clip.tracks and mean_of(clip.main()) >= limit else "real",
        "runtime": lambda clip: verdict_of(clip, rule),
        "and encoded again": lambda clip: rescored(clip, rule),
    }
    for name, judge in rules.items():
        for kind, part in (("real", real), ("forged", forged)):
            lines.append(labels_row(f"{name}: {len(part)} {kind} clips", [judge(clip) for clip in part]))
    return lines


def compare_thresholds(real: Sequence[Clip], forged: Sequence[Clip], rule: DecisionRule) -> list[str]:
    """Returns how many clips lie below the lower threshold, by the share of real people whom it is made for."""
    assert rule.real_people is not None
    parts = [[logit for clip in part if (logit := clip.logit(rule)) is not None] for part in (real, forged)]
    lines = ["| real people who reach the lower threshold | real clips below it | forged clips below it |"]
    lines += ["| --- | --- | --- |"]
    for wanted in THRESHOLD_SHARES:
        limit = rule.real_people.logit_reached_by(wanted)
        below = (share(sum(logit < limit for logit in part), len(part)) for part in parts)
        lines.append(f"| {wanted:.0%} | {' | '.join(below)} |")
    return lines


def compare_crowds(clips: Sequence[Clip], rule: DecisionRule, rng: np.random.Generator) -> list[str]:
    """Returns how often crowds of real people are called fake, each time with other people measured."""
    found = (clip.logit(rule) for clip in clips if clip.kind == "real" and clip.people() == 1)
    logits = np.array([logit for logit in found if logit is not None])
    lines = [f"| real people in a clip ({len(logits) // 2} measured) | called fake | allowed |", "| --- | --- | --- |"]
    for count in CROWDS:
        fake = 0
        for _ in range(SPLITS):
            measured, others = np.split(rng.permutation(len(logits)), [len(logits) // 2])
            own = replace(rule, real_people=RealScores.of_logits(logits[measured].tolist()))
            bar = to_logit(rule.threshold) + own.margin(count)
            fake += sum(logits[rng.choice(others, count, replace=False)].max() >= bar for _ in range(DRAWS))
        lines.append(f"| {count} | {percent(fake / SPLITS / DRAWS)} | {percent(ALLOWED_FALSE_ALARMS)} |")
    return lines


def compare_intervals(longer: Sequence[Clip]) -> list[str]:
    """Returns how often the interval of a part of a long clip holds the mean of all of it."""
    held = total = 0
    widths = []
    for clip in longer:
        scores = clip.main()
        if not scores:
            continue
        whole = trimmed_mean(collect_evidence(scores))
        for start in np.arange(0, scores[-1].time_s - PART_S / 2, PART_S):
            part = collect_evidence([score for score in scores if start <= score.time_s < start + PART_S])
            if len(part.logit) >= PART_S:
                low, high = interval(trimmed_mean(part), part)
                held += low <= to_probability(whole) <= high
                total += 1
                widths.append(high - low)
    if not total:
        return []
    return [
        "| intervals of 4 s | hold the mean of 16 s | median width |",
        "| --- | --- | --- |",
        f"| {total} of {len(longer)} clips | {share(held, total)} | {np.median(widths):.3f} |",
    ]


def compare_segments(real: Sequence[Clip], forged: Sequence[Clip], rule: DecisionRule) -> list[str]:
    """Returns how clips that are forged in part are called."""
    by_person = {clip.person: clip for clip in real}
    limit = to_logit(rule.threshold)
    # Only forgeries that the network sees can be found in part.
    seen = [clip for clip in forged if clip.person in by_person and clip.tracks and mean_of(clip.main()) > limit + 1.5]
    seen = [clip for clip in seen if by_person[clip.person].tracks]
    if len(seen) < FEWEST_FORGED:
        return []
    lines = [f"| forged share of 16 s ({len(seen)} clips) | called fake by the mean | by the runtime | overlap |"]
    lines += ["| --- | --- | --- | --- |"]
    for part in (0.1, 0.2, 0.4, 0.7):
        by_mean, by_rule, overlaps = 0, 0, []
        for clip in seen:
            scores = spliced(by_person[clip.person].main(), clip.main(), part)
            verdict, segments = judge_track(1, scores, rule)
            by_mean += mean_of(scores) >= limit
            by_rule += verdict.label == "fake"
            length = scores[-1].time_s
            true = (length * (0.5 - part / 2), length * (0.5 + part / 2))
            overlaps += [max(overlap((s.start_s, s.end_s), true) for s in segments)] if segments else []
        middle = f"{np.median(overlaps):.2f}" if overlaps else "none"
        lines.append(f"| {part:.0%} | {percent(by_mean / len(seen))} | {percent(by_rule / len(seen))} | {middle} |")
    return lines


def spliced(real: Sequence[FaceScore], forged: Sequence[FaceScore], part: float) -> list[FaceScore]:
    """Returns four rounds of a clip, forged for a share of the time in the middle."""
    length = real[-1].time_s + 0.2
    scores = []
    for turn in range(4):
        for source in (real, forged):
            for score in source:
                place = (turn * length + score.time_s) / (4 * length)
                if (abs(place - 0.5) < part / 2) == (source is forged):
                    scores.append(replace(score, time_s=score.time_s + turn * length))
    return sorted(scores, key=lambda score: score.time_s)


def overlap(found: tuple[float, float], true: tuple[float, float]) -> float:
    """Returns how much of two time spans together they share."""
    shared = max(0.0, min(found[1], true[1]) - max(found[0], true[0]))
    return shared / (max(found[1], true[1]) - min(found[0], true[0]))


def compare(clips: Sequence[Clip], spec: ModelSpec) -> list[str]:
    """Returns all tables: people in the even places are measured, those in the odd places are judged."""
    order = list(dict.fromkeys(clip.person for clip in clips))
    measured = {person for place, person in enumerate(order) if place % 2 == 0}
    own = measured_spec([clip for clip in clips if clip.person in measured], spec, fit=False)
    rule = DecisionRule(own.threshold, own.threshold, own.real_people, certain_score())
    real, forged = (
        [clip for clip in clips if clip.kind == kind and clip.person not in measured] for kind in ("real", "forged")
    )
    assert own.real_people is not None
    head = (
        f"{own.real_people.people} people were measured: threshold {own.threshold:g}, fake from "
        f"{rule.fake_threshold(1):.3f} for one person, {rule.fake_threshold(10):.3f} for one of ten. "
        f"{len(real)} others are judged."
    )
    tables = (
        compare_scores(real, forged, rule),
        compare_verdicts(real, forged, rule),
        compare_thresholds(real, forged, rule),
        compare_crowds(clips, rule, np.random.default_rng(0)),
        compare_intervals([clip for clip in clips if clip.kind == "long"]),
        compare_segments(real, forged, rule),
    )
    return [head, *(line for table in tables if table for line in ("", *table))]


def side_px(clip: Clip) -> float:
    """Returns the median side of the main face, 0 where nobody was found."""
    scores = clip.main()
    return median(longer_side(score.box_xyxy) for score in scores) if scores else 0.0


def compare_shipped(clips: Sequence[Clip], spec: ModelSpec) -> list[str]:
    """Returns what the shipped thresholds give on people whom nothing was chosen on."""
    rule = DecisionRule(spec.threshold, spec.threshold, spec.real_people, certain_score())
    assert spec.real_people is not None
    text = (
        f"The shipped model rests on {spec.real_people.people} validation people: threshold {spec.threshold:g}, fake "
        f"from {rule.fake_threshold(1):.3f} for one person. Clips of test people, whom nothing was chosen on, scored "
        "once:"
    )
    lines = ["", "## Test people, shipped thresholds", "", text, ""]
    lines += ["| as shipped | called real | inconclusive | called fake |", "| --- | --- | --- | --- |"]
    for kind in ("real", "forged"):
        part = [clip for clip in clips if clip.kind == kind]
        lines.append(labels_row(f"{len(part)} {kind} clips", [rescored(clip, rule) for clip in part]))
    for low, high in pairwise(SIDES_PX):
        for kind in ("real", "forged"):
            part = [clip for clip in clips if clip.kind == kind and low <= side_px(clip) < high]
            name = f"{len(part)} {kind} clips, faces of {low} to {high} px"
            lines += [labels_row(name, [rescored(clip, rule) for clip in part])] if part else []
    people = list(dict.fromkeys(clip.person for clip in clips))
    judged = [
        (logit, clip.kind == "forged", people.index(clip.person))
        for clip in clips
        if clip.kind in ("real", "forged") and (logit := clip.logit(rule)) is not None
    ]
    logits, forged, person = (np.array(column) for column in zip(*judged, strict=True))
    return [*lines, "", f"AUC over these clips: {measure(logits, forged, person, rule.threshold)['auc']}."]


@click.command()
@click.argument("scores", type=click.Path(path_type=Path, exists=True))
@click.option("--test-scores", type=click.Path(path_type=Path, exists=True), help="Scores of split test.")
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="What scored them.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT)
@click.option("--test-data", type=click.Path(path_type=Path), help="Also keep the real clips' scores for the tests.")
def main(scores: Path, test_scores: Path | None, model: Path, out: Path, test_data: Path | None) -> None:
    """Writes the page."""
    template = Path(__file__).with_suffix(".md.in").read_text(encoding="utf-8").strip()
    text = [template.format(share=round(100 * THRESHOLD_SHARE)), "", "## What came out", ""]
    spec = open_engine(model, threads=1).spec
    text += compare(read_clips(scores), spec)
    if test_scores is not None:
        text += compare_shipped(read_clips(test_scores), spec)
    out.write_text("\n".join(text) + "\n", encoding="utf-8")
    click.echo("\n".join(text))
    if test_data is not None:
        write_test_data(read_clips(scores), test_data)


def write_test_data(clips: Sequence[Clip], path: Path) -> None:
    """Writes the main track of real clips: clip, whether it is a long one, time, side, detection, probability."""
    rows = [
        (number, clip.kind == "long", score.time_s, side, score.detection_score, score.fake_probability)
        for number, clip in enumerate(clip for clip in clips if clip.kind in ("real", "long"))
        for score in clip.main()
        for side in (max(score.box_xyxy[2] - score.box_xyxy[0], score.box_xyxy[3] - score.box_xyxy[1]),)
    ]
    np.savez_compressed(path, rows=np.round(np.array(rows, np.float64), 4).astype(np.float32))


if __name__ == "__main__":
    main()
