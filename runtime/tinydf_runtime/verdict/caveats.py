"""What speaks against relying on the pictures of an input -> its verdict with that taken into account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from tinydf_runtime.results import InputVerdict
from tinydf_runtime.types import FaceScore, Reason, Verdict

UNSEEN: frozenset[Reason] = frozenset(
    {"decoding_failed", "damaged_part", "file_changed", "more_tracks", "size_changes"}
)
"""A part was not looked at: what was found counts, and to have found nothing says little."""
CERTAIN_FAKE = 0.9
"""Fake probability that faces in few colours must reach. None of 240 photos of real people did, brought to 256 colours
of their own and to 256 fixed ones; 6 and 5 of them passed the threshold, as 6 did that kept their colours."""

LEAST_QUALITY: dict[str, tuple[float, Reason]] = {
    "over_exposure_prevention": (0.5, "over_exposed"),
    "fine_steps": (0.62, "smoothed"),
    "pattern_prevention": (0.01, "screen_pattern"),
}
"""Measure of ``FaceQuality`` -> what half of a person's faces must reach, and what is wrong where they do not.

Painted and posterised faces have even patches over .4 of their middle; of 80 photos and video frames, the most
compressed among them, none had more than .22, and a mask or sunglasses drawn over the face up to .36.
"""


def doubt_quality(verdict: Verdict, scores: Sequence[FaceScore]) -> Verdict:
    """Returns a track's verdict, inconclusive where its faces are not such as the network was made for.

    Args:
        verdict: Of the scores.
        scores: Of the track.
    """
    known = [score.quality for score in scores if score.quality is not None]
    if not known or verdict.fake_probability is None:
        return verdict
    wrong = [
        reason
        for name, (least, reason) in LEAST_QUALITY.items()
        if median(float(getattr(quality, name)) for quality in known) < least
    ]
    return replace(verdict, label="inconclusive", reasons=(*verdict.reasons, *wrong)) if wrong else verdict


def doubt_palette(verdict: Verdict, caveats: Sequence[Reason]) -> Verdict:
    """Returns a track's verdict, inconclusive where few colours hide a forgery, or look like one.

    Args:
        verdict: Of the scores.
        caveats: See ``VideoReader``.
    """
    certain = verdict.label == "fake" and (verdict.fake_probability or 0.0) >= CERTAIN_FAKE
    if "few_colours" not in caveats or verdict.label == "inconclusive" or certain:
        return verdict
    return replace(verdict, label="inconclusive", reasons=(*verdict.reasons, "few_colours"))


def weigh_caveats(
    verdict: InputVerdict, reasons: tuple[Reason, ...], caveats: Sequence[Reason]
) -> tuple[InputVerdict, tuple[Reason, ...]]:
    """Returns an input's verdict and reasons, the caveats among them.

    Args:
        verdict: Of what was seen.
        reasons: For it.
        caveats: See ``VideoReader``.
    """
    if verdict == "real" and UNSEEN.intersection(caveats):
        verdict = "inconclusive"
    return verdict, (*reasons, *(caveat for caveat in caveats if caveat not in reasons))
