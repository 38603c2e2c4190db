"""What speaks against relying on the pictures of an input -> its verdict with that taken into account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from tinydf_runtime.results import InputVerdict
from tinydf_runtime.types import FaceScore, Reason, Verdict

UNSEEN: frozenset[Reason] = frozenset({"decoding_failed", "damaged_part", "more_tracks", "size_changes"})
"""A part was not looked at: what was found counts, and to have found nothing says little."""
DOUBTFUL: frozenset[Reason] = frozenset({"few_colours"})
"""What was looked at shows too little, and some of it looks like what a forgery leaves."""
CERTAIN_FAKE = 0.95
"""Fake probability that such pictures must reach. Of 45 photos of real people, brought to 256 colours, 11 passed the
threshold and none reached .9."""

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


def weigh_caveats(
    verdict: InputVerdict, probability: float | None, reasons: tuple[Reason, ...], caveats: Sequence[Reason]
) -> tuple[InputVerdict, tuple[Reason, ...]]:
    """Returns an input's verdict and reasons, the caveats among them.

    Args:
        verdict: Of what was seen.
        probability: Of what was seen.
        reasons: For it.
        caveats: See ``VideoReader``.
    """
    found = set(caveats)
    unsettled = verdict == "real" and found & (UNSEEN | DOUBTFUL)
    if unsettled or (verdict == "fake" and found & DOUBTFUL and (probability or 0.0) < CERTAIN_FAKE):
        verdict = "inconclusive"
    return verdict, (*reasons, *(caveat for caveat in caveats if caveat not in reasons))
