"""What speaks against relying on the pictures of an input -> its verdict with that taken into account."""

from __future__ import annotations

from collections.abc import Sequence

from tinydf_runtime.findings import InputVerdict
from tinydf_runtime.types import Reason

UNSEEN: frozenset[Reason] = frozenset({"decoding_failed", "damaged_part", "more_tracks", "size_changes"})
"""A part was not looked at: what was found counts, and to have found nothing says little."""
DOUBTFUL: frozenset[Reason] = frozenset({"few_colours"})
"""What was looked at shows too little, and some of it looks like what a forgery leaves."""


def weigh_caveats(
    verdict: InputVerdict, reasons: tuple[Reason, ...], caveats: Sequence[Reason]
) -> tuple[InputVerdict, tuple[Reason, ...]]:
    """Returns an input's verdict and reasons, the caveats among them.

    Args:
        verdict: Of what was seen.
        reasons: For it.
        caveats: See ``VideoReader``.
    """
    unsettled = UNSEEN | DOUBTFUL if verdict == "real" else DOUBTFUL if verdict == "fake" else frozenset()
    if unsettled.intersection(caveats):
        verdict = "inconclusive"
    return verdict, (*reasons, *(caveat for caveat in caveats if caveat not in reasons))
