"""Scores of a track -> verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tinydf_runtime.faces.tracker import CERTAIN_SCORE
from tinydf_runtime.results import Verdict
from tinydf_runtime.types import FaceScore
from tinydf_runtime.verdict.aggregate import SIDE_SHARE, SMALL_FACE_LOGITS, judge_input, judge_track, judge_tracks
from tinydf_runtime.verdict.evidence import (
    FULL_SIDE_PX,
    MINIMUM_SIDE_PX,
    collect_evidence,
    to_logit,
    to_probability,
    trimmed_mean,
)
from tinydf_runtime.verdict.rules import ALLOWED_FALSE_ALARMS, BAND, MINIMUM_FACES, DecisionRule, RealScores

STEP_S = 0.2


def scores_of(
    probabilities: list[float], side_px: float = 100.0, detection_score: float = 0.9, step_s: float = STEP_S
) -> list[FaceScore]:
    return [
        FaceScore(i * step_s, i, (10.0, 20.0, 10.0 + side_px, 20.0 + side_px), detection_score, probability)
        for i, probability in enumerate(probabilities)
    ]


def noisy(mean: float, count: int, seed: int = 0, spread: float = 0.5) -> list[float]:
    logits = to_logit(mean) + spread * np.random.default_rng(seed).standard_normal(count)
    return [to_probability(float(logit)) for logit in logits]


@pytest.mark.parametrize(("mean", "label"), [(0.05, "real"), (0.95, "fake")])
def test_agreeing_frames_give_a_plain_verdict(mean: float, label: str) -> None:
    verdict, segments = judge_track(1, scores_of(noisy(mean, 50)), DecisionRule(0.5))
    assert (verdict.label, verdict.reasons, verdict.faces_used) == (label, (), 50)
    assert verdict.fake_probability == pytest.approx(mean, abs=0.03)
    assert len(segments) == (label == "fake")


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_the_verdict_follows_the_threshold(threshold: float) -> None:
    rule = DecisionRule(threshold)
    above = to_probability(to_logit(threshold) + rule.margin(people=1) + 0.1)
    below = to_probability(to_logit(threshold) - 1)
    assert judge_track(1, scores_of([above] * 20), rule)[0].label == "fake"
    assert judge_track(1, scores_of([below] * 20), rule)[0].label == "real"


def test_the_order_of_the_scores_does_not_matter() -> None:
    scores = scores_of(noisy(0.2, 25) + noisy(0.9, 25))
    shuffled = [scores[i] for i in np.random.default_rng(1).permutation(len(scores))]
    assert judge_track(1, shuffled, DecisionRule(0.5)) == judge_track(1, scores, DecisionRule(0.5))


def test_the_probability_rises_with_the_scores() -> None:
    values = [
        judge_track(1, scores_of(noisy(mean, 30)), DecisionRule(0.5))[0].fake_probability
        for mean in (0.1, 0.3, 0.6, 0.9)
    ]
    assert values == sorted(value for value in values if value is not None)


def test_a_clip_forged_in_its_second_half_is_fake_there() -> None:
    verdict, segments = judge_track(3, scores_of(noisy(0.08, 30) + noisy(0.9, 30)), DecisionRule(0.5))
    assert verdict.label == "fake"
    assert verdict.reasons == ("forged_segment",)
    assert verdict.fake_probability is not None and verdict.fake_probability > 0.6
    assert len(segments) == 1
    assert segments[0].track == 3
    assert segments[0].start_s == pytest.approx(30 * STEP_S, abs=0.8)
    assert segments[0].end_s == pytest.approx(59 * STEP_S, abs=0.4)
    assert segments[0].fake_probability == pytest.approx(0.9, abs=0.05)


def test_a_single_high_frame_changes_nothing() -> None:
    probabilities = [0.05] * 50
    probabilities[20] = 1.0
    verdict, segments = judge_track(1, scores_of(probabilities), DecisionRule(0.5))
    assert (verdict.label, segments) == ("real", ())
    assert verdict.fake_probability == pytest.approx(0.05, abs=0.01)


def test_a_part_of_half_a_second_is_no_segment() -> None:
    probabilities = [0.03] * 20 + [0.97] * 3 + [0.03] * 20
    verdict, segments = judge_track(1, scores_of(probabilities), DecisionRule(0.5))
    assert (verdict.label, segments) == ("real", ())


def test_a_short_weak_part_of_a_long_clear_clip_does_not_make_it_fake() -> None:
    verdict, _ = judge_track(1, scores_of([0.03] * 300 + [0.6] * 9 + [0.03] * 300), DecisionRule(0.5))
    assert verdict.label == "real"


def test_two_forged_parts_are_two_segments() -> None:
    probabilities = [0.95] * 20 + [0.05] * 20 + [0.95] * 20
    _, segments = judge_track(1, scores_of(probabilities), DecisionRule(0.5))
    assert len(segments) == 2
    assert segments[0].end_s < segments[1].start_s


def test_a_segment_does_not_reach_over_a_time_without_the_face() -> None:
    early = scores_of([0.95] * 15)
    late = [FaceScore(s.time_s + 20, s.frame + 100, s.box_xyxy, 0.9, 0.95) for s in early]
    _, segments = judge_track(1, early + late, DecisionRule(0.5))
    assert [round(segment.end_s - segment.start_s, 3) for segment in segments] == [2.8, 2.8]


@pytest.mark.parametrize("probability", [0.02, 0.5, 0.98])
def test_too_few_faces_are_inconclusive_without_a_number(probability: float) -> None:
    verdict, segments = judge_track(1, scores_of([probability] * (MINIMUM_FACES - 1)), DecisionRule(0.5))
    assert (verdict.label, verdict.fake_probability, verdict.reasons) == ("inconclusive", None, ("too_few_faces",))
    assert segments == ()


def test_one_face_is_enough_where_the_caller_says_so() -> None:
    verdict, _ = judge_track(1, scores_of([0.97]), DecisionRule(0.5, minimum_faces=1))
    assert (verdict.label, verdict.fake_probability) == ("fake", 0.97)


def test_small_faces_are_inconclusive() -> None:
    verdict, _ = judge_track(1, scores_of([0.98] * 50, side_px=MINIMUM_SIDE_PX - 1), DecisionRule(0.5))
    assert (verdict.label, verdict.fake_probability, verdict.reasons) == ("inconclusive", None, ("faces_too_small",))


def test_the_smaller_a_face_the_further_below_the_threshold_it_must_score_to_be_real() -> None:
    rule = DecisionRule(0.5)
    for side_px in (45.0, 60.0, 84.0, FULL_SIDE_PX - 1):
        needed = SMALL_FACE_LOGITS * (1 - side_px / FULL_SIDE_PX)
        close, far = to_probability(-max(needed, BAND) + 0.001), to_probability(-max(needed, BAND) - 0.001)
        found = judge_track(1, scores_of([close] * 40, side_px=side_px), rule)[0]
        assert found.fake_probability == pytest.approx(close)
        assert (found.label, found.reasons) == (
            "inconclusive",
            ("faces_too_small",) if needed > BAND else ("near_threshold",),
        )
        assert judge_track(1, scores_of([far] * 40, side_px=side_px), rule)[0].label == "real"


def test_a_small_face_is_called_fake_where_a_large_one_is() -> None:
    verdicts = {judge_track(1, scores_of([0.97] * 40, side_px=side), DecisionRule(0.5))[0] for side in (50.0, 300.0)}
    assert {verdict.label for verdict in verdicts} == {"fake"}


def test_small_faces_do_not_count_beside_large_ones() -> None:
    large, small = scores_of([0.05] * 20), scores_of([0.99] * 80, side_px=20)
    verdict, _ = judge_track(1, large + small, DecisionRule(0.5))
    assert (verdict.label, verdict.faces_used) == ("real", 20)


def test_scores_at_the_threshold_are_inconclusive() -> None:
    verdict, _ = judge_track(1, scores_of([0.5] * 50), DecisionRule(0.5))
    assert (verdict.label, verdict.reasons) == ("inconclusive", ("near_threshold",))


def test_frames_that_contradict_each_other_are_inconclusive() -> None:
    flicker = [0.97 if i % 5 else 0.01 for i in range(8)]
    verdict, _ = judge_track(1, scores_of(flicker), DecisionRule(0.8))
    assert verdict.label == "inconclusive"
    assert "frames_disagree" in verdict.reasons


def test_large_and_surely_detected_faces_weigh_more() -> None:
    small, large = scores_of([0.1] * 10, side_px=50), scores_of([0.9] * 10, side_px=150)
    assert trimmed_mean(collect_evidence(small + large)) > 0
    unsure, sure = scores_of([0.1] * 10, detection_score=0.4), scores_of([0.9] * 10, detection_score=0.9)
    assert trimmed_mean(collect_evidence(unsure + sure)) > 0


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_saturated_scores_stay_finite(probability: float) -> None:
    verdict, _ = judge_track(1, scores_of([probability] * 10), DecisionRule(0.5))
    assert verdict.fake_probability is not None
    assert 0 < verdict.fake_probability < 1


def test_an_input_says_what_its_worst_track_says() -> None:
    verdicts = [Verdict(1, "real", 0.1, (), 9), Verdict(2, "fake", 0.9, ("forged_segment",), 9)]
    assert judge_input(verdicts) == ("fake", 0.9, ("forged_segment",))


def test_a_track_with_too_little_evidence_does_not_decide_over_a_credible_one() -> None:
    thin = Verdict(1, "inconclusive", None, ("too_few_faces",), 2)
    assert judge_input([thin, Verdict(2, "real", 0.1, (), 9)]) == ("real", 0.1, ())
    assert judge_input([thin]) == ("inconclusive", None, ("too_few_faces",))


def test_a_doubtful_track_keeps_an_input_from_being_real() -> None:
    doubtful = Verdict(1, "inconclusive", 0.52, ("near_threshold",), 9)
    assert judge_input([doubtful, Verdict(2, "real", 0.1, (), 9)])[0] == "inconclusive"


def test_no_track_is_no_face_and_no_number() -> None:
    assert judge_input([]) == ("no_face", None, ("no_face_found",))


def test_a_mostly_unseen_input_can_be_fake_but_not_real() -> None:
    real, fake = Verdict(1, "real", 0.1, (), 9), Verdict(1, "fake", 0.9, (), 9)
    assert judge_input([real], coverage=0.3) == ("inconclusive", 0.1, ("mostly_unseen",))
    assert judge_input([fake], coverage=0.3)[0] == "fake"
    assert judge_input([real], coverage=0.8)[0] == "real"


@pytest.mark.parametrize(("low", "high", "threshold"), [(0.1, 0.7, 0.25), (0.02, 0.9, 0.5), (0.4, 0.99, 0.5)])
def test_a_segment_starts_and_ends_with_the_change_whatever_the_heights(
    low: float, high: float, threshold: float
) -> None:
    _, segments = judge_track(1, scores_of([low] * 25 + [high] * 50 + [low] * 25), DecisionRule(threshold))
    assert [(round(s.start_s, 3), round(s.end_s, 3)) for s in segments] == [(5.0, 14.8)]


def test_what_may_not_be_a_face_has_no_verdict() -> None:
    verdict, segments = judge_track(1, scores_of([0.95] * 10, detection_score=CERTAIN_SCORE - 0.01), DecisionRule(0.5))
    assert (verdict.label, verdict.fake_probability, verdict.reasons) == ("inconclusive", None, ("uncertain_face",))
    assert segments == ()


def test_the_forged_one_of_a_crowd_is_found() -> None:
    rng = np.random.default_rng(0)
    crowd = {track: scores_of(noisy(rng.uniform(0.05, 0.5), 20, seed=track)) for track in range(1, 31)}
    crowd[17] = scores_of(noisy(0.99, 50))
    verdicts = [verdict for verdict, _ in judge_tracks(crowd, DecisionRule(0.6))]
    assert [verdict.track for verdict in verdicts if verdict.label == "fake"] == [17]
    assert judge_input(verdicts)[0] == "fake"


SHARES = np.linspace(1, 196, 196) / 197
CROWDED = DecisionRule(0.69, 0.69, RealScores.of_logits((0.9 * np.log(1 / SHARES - 1) - 1).tolist()))
"""Two hundred people as the shipped network scores them: the highest at a logit of 3.7."""


@pytest.mark.parametrize(("minimum_faces", "frames"), [(5, 20), (1, 1)], ids=["video", "picture"])
def test_one_overwhelmingly_fake_face_among_sixty_four_is_fake(minimum_faces: int, frames: int) -> None:
    rule = replace(CROWDED, minimum_faces=minimum_faces)
    assert rule.fake_threshold(64) > 0.9933, "beyond what a single frame counts for"
    rng = np.random.default_rng(0)
    real = {track: scores_of(noisy(rng.uniform(0.01, 0.9), frames, seed=track)) for track in range(1, 65)}
    of_real = [verdict for verdict, _ in judge_tracks(real, rule)]
    assert "fake" not in {verdict.label for verdict in of_real} and judge_input(of_real)[0] != "fake"
    crowd = [verdict for verdict, _ in judge_tracks({**real, 17: scores_of([0.9995] * frames)}, rule)]
    assert [verdict.track for verdict in crowd if verdict.label == "fake"] == [17]
    assert judge_input(crowd)[0] == "fake"
    almost = rule.fake_threshold(64) - 1e-4
    assert judge_tracks({**real, 17: scores_of([almost] * frames)}, rule)[16][0].reasons == ("many_people",)


def test_who_is_suspicious_only_for_one_of_many_is_inconclusive() -> None:
    suspicious, plain = scores_of(noisy(0.85, 50)), scores_of(noisy(0.1, 50))
    assert judge_track(1, suspicious, DecisionRule(0.6))[0].label == "fake"
    crowd = {1: suspicious} | dict.fromkeys(range(2, 31), plain)
    verdict = judge_tracks(crowd, DecisionRule(0.6))[0][0]
    assert (verdict.label, verdict.reasons) == ("inconclusive", ("many_people",))


def test_passers_by_who_cannot_be_judged_make_no_crowd() -> None:
    passing = {track: scores_of([0.5] * 2) for track in range(2, 40)}
    tracks = {1: scores_of(noisy(0.85, 50)), **passing}
    assert judge_tracks(tracks, DecisionRule(0.6))[0][0].label == "fake"


def test_a_verdict_says_between_what_it_lies_and_more_frames_bring_that_closer() -> None:
    widths = []
    for count in (5, 20, 100):
        verdict, _ = judge_track(1, scores_of(noisy(0.2, count)), DecisionRule(0.6))
        assert verdict.interval is not None and verdict.fake_probability is not None
        low, high = verdict.interval
        assert low < verdict.fake_probability < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert judge_track(1, [], DecisionRule(0.6))[0].interval is None


def test_an_hour_at_thirty_frames_a_second_is_judged() -> None:
    rng = np.random.default_rng(0)
    probabilities = 1 / (1 + np.exp(1.5 - 0.6 * rng.standard_normal(108_000)))
    verdict, segments = judge_track(1, scores_of(probabilities.tolist(), step_s=1 / 30), DecisionRule(0.6))
    assert (verdict.label, segments) == ("real", ())


def test_a_threshold_that_few_real_faces_reach_is_enough_alone() -> None:
    scores = scores_of([0.93] * 50)
    assert judge_track(1, scores, DecisionRule(0.9))[0].label == "inconclusive"
    assert judge_track(1, scores, DecisionRule(0.9, 0.63))[0].label == "fake"


def test_the_bar_is_where_so_few_of_the_measured_people_score() -> None:
    measured = RealScores.of_logits(np.linspace(-4, 4, 999).tolist())
    rule = DecisionRule(0.6, 0.6, measured)
    bar = to_logit(rule.fake_threshold(1))
    # People are spread evenly over eight logits.
    assert bar == pytest.approx(4 - ALLOWED_FALSE_ALARMS * 8, abs=0.05)
    assert judge_track(1, scores_of([to_probability(bar - 0.15)] * 50), rule)[0].label == "inconclusive"
    assert judge_track(1, scores_of([to_probability(bar + 0.15)] * 50), rule)[0].label == "fake"


def test_a_verdict_says_how_rare_its_score_is_where_that_was_measured() -> None:
    measured = RealScores.of_logits([0.0] * 9 + [2.0])
    rarity = judge_track(1, scores_of([0.8] * 50), DecisionRule(0.6, 0.6, measured))[0].rarity
    assert rarity is not None and (rarity.share, rarity.people) == (0.1, 10)
    assert judge_track(1, scores_of([0.8] * 50), DecisionRule(0.6))[0].rarity is None


def test_a_pattern_that_the_detector_is_less_sure_of_decides_nothing() -> None:
    pattern, person = scores_of([0.99] * 50, detection_score=0.84), scores_of(noisy(0.1, 50), detection_score=0.92)
    verdicts = [verdict for verdict, _ in judge_tracks({1: pattern, 2: person}, DecisionRule(0.5))]
    assert judge_input(verdicts) == ("real", verdicts[1].fake_probability, ())
    assert judge_input(verdicts[:1]) == ("inconclusive", None, ("uncertain_face",))


@pytest.mark.parametrize(("side_px", "count"), [(45.0, 20), (112.0, 5), (200.0, 8)])
def test_who_is_small_or_short_beside_the_main_person_is_judged_only_from_a_fair_share_on(
    side_px: float, count: int
) -> None:
    main = scores_of(noisy(0.1, 100), side_px=200)
    side = scores_of([0.99] * count, side_px=side_px)
    share = min(count, 20) * min(side_px, 112) ** 2 / (20 * 112**2)
    assert judge_tracks({1: main, 2: side}, DecisionRule(0.5))[1][0].fake_probability is not None
    assert share >= SIDE_SHARE
    smaller = scores_of([0.99] * count, side_px=math.sqrt(0.9 * SIDE_SHARE / min(count, 20) * 20) * 112)
    verdict = judge_tracks({1: main, 2: smaller}, DecisionRule(0.5))[1][0]
    assert verdict.reasons in (("side_person",), ("faces_too_small",)) and verdict.fake_probability is None
    # Alone the same person is the main one.
    assert judge_tracks({2: side}, DecisionRule(0.5))[0][0].label == "fake"


def test_ten_people_of_one_size_are_all_judged() -> None:
    crowd = {track: scores_of(noisy(0.1, 10), side_px=50) for track in range(10)}
    assert all(verdict.fake_probability is not None for verdict, _ in judge_tracks(crowd, DecisionRule(0.5)))


def test_who_is_not_fake_never_looks_forged_anywhere() -> None:
    # A part over the threshold, not over the fake threshold.
    verdict, segments = judge_track(1, scores_of([0.2] * 40 + [0.62] * 20), DecisionRule(0.5))
    assert (verdict.label, segments) == ("real", ())
    assert verdict.fake_probability == pytest.approx(trimmed_probability([0.2] * 40 + [0.62] * 20), abs=1e-6)
    verdict, segments = judge_track(1, scores_of([0.6] * 60), DecisionRule(0.5))
    assert (verdict.label, segments) == ("inconclusive", ())


def trimmed_probability(probabilities: list[float]) -> float:
    return to_probability(trimmed_mean(collect_evidence(scores_of(probabilities))))


def test_many_frames_of_one_moment_are_no_evidence() -> None:
    verdict, segments = judge_track(1, scores_of([0.97] * 20, step_s=1 / 30), DecisionRule(0.5))
    assert (verdict.label, verdict.reasons, segments) == ("inconclusive", ("too_few_faces",), ())
    assert judge_track(1, scores_of([0.97] * 40, step_s=1 / 30), DecisionRule(0.5))[0].label == "fake"
