"""How high a model scores real people -> how rare a score is among them, and from where so few of them lie above.

Measured once for each network by ``scripts/measure_real_people.py`` and carried in its ``ModelSpec``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinydf_runtime.types import Rarity

RANK_STEP = 1.1
"""Of the ranks that are kept, each is this much above the one before: the highest all, the many low ones in steps."""
CONFIDENCE_Z = 1.96
"""Standard errors on either side of a share: 19 in 20 such intervals hold it."""
TAIL_SHARE = 0.1
"""The highest tenth shows how fast people become rare."""
LEAST_TAIL = 1.0
"""Logits over which the share of people falls by a factor e beyond the highest of all, at least. One person far above
the others is rare enough to be missing among those measured: with less, more crowds of made clips were called fake than
is allowed (``tests/runtime/verdict/test_made_clips.py``)."""


@dataclass(frozen=True, slots=True)
class RealScores:
    """Scores of real people, one each, by the rule that verdicts are given by.

    Attributes:
        people: How many were measured.
        ranks: Place from the top, rising from 1 to ``people``, and the logit at that place; some places are left out.
    """

    people: int
    ranks: tuple[tuple[int, float], ...]

    @classmethod
    def of_logits(cls, logits: Sequence[float]) -> RealScores:
        """Returns the table of people's logits, in any order, at least one."""
        ordered = sorted(logits, reverse=True)
        places, place = [], 1
        while place < len(ordered):
            places.append(place)
            place = max(place + 1, round(place * RANK_STEP))
        return cls(len(ordered), tuple((p, round(ordered[p - 1], 4)) for p in (*places, len(ordered))))

    def rescaled(self, factor: float) -> RealScores:
        """Returns the table with all logits multiplied, as another temperature would give them."""
        return RealScores(self.people, tuple((place, round(logit * factor, 4)) for place, logit in self.ranks))

    def rarity(self, logit: float) -> Rarity:
        """Returns the share of real people who score as high, with its 95 % interval (Wilson, 1927)."""
        share = self._reached_by(logit) / self.people
        z = CONFIDENCE_Z**2 / self.people
        middle, reach = share + z / 2, math.sqrt(z * (share * (1 - share) + z / 4))
        low, high = (middle - reach) / (1 + z), (middle + reach) / (1 + z)
        # Where nobody or everybody scores as high the ends are 0 and 1 but for rounding.
        low, high = (0.0 if share == 0 else low), (1.0 if share == 1 else high)
        return Rarity(round(share, 6), round(low, 6), round(high, 6), self.people)

    def logit_reached_by(self, share: float) -> float:
        """Returns the logit that another real person reaches with a probability of at most ``share``, above 0.

        The k-th highest of n people is reached by one more with a probability of k / (n + 1), whatever their scores are
        distributed like (Vovk et al., 2005). Beyond the highest of all it is taken to fall off as in the upper tenth.
        """
        places, logits = (np.array(column, np.float64) for column in zip(*self.ranks, strict=True))
        place = share * (self.people + 1)
        if place >= 1:
            # Of a place that is left out, the next higher one is known.
            kept = int(np.searchsorted(places, math.floor(place), side="right")) - 1
            return float(logits[kept])
        edge = max(1.0, TAIL_SHARE * self.people)
        upper = np.interp(np.arange(1, math.floor(edge) + 1), places, logits)
        tail = max(LEAST_TAIL, float(upper.mean() - np.interp(edge, places, logits)))
        return float(logits[0]) + tail * math.log(1 / place)

    def _reached_by(self, logit: float) -> int:
        """Returns how many people score a logit or more; between places that are known, the most that it can be."""
        below = [place for place, known in self.ranks if known < logit]
        return below[0] - 1 if below else self.people
