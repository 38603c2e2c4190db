"""Decision rule: a threshold, the margin above it that `fake` needs, and how high real people score.

``RealScores`` is measured once per network by ``tinydf-fpr-table`` and carried in its ``ModelSpec``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinydf_runtime.faces.tracker import CERTAIN_SCORE
from tinydf_runtime.results import Rarity
from tinydf_runtime.verdict.evidence import to_logit, to_probability

RANK_STEP = 1.1
"""Ratio of neighbouring ranks in the table: all of the highest scores are kept, lower ones in growing steps."""
CONFIDENCE_Z = 1.96
"""Half-width of a share's interval in standard errors: 95 % coverage."""
TAIL_SHARE = 0.1
"""Share of the highest scores from which the slope of the tail is estimated."""
LEAST_TAIL = 1.0
"""Lower bound on the tail's scale: logits over which the share of people falls by a factor e. A person far above the
others is rare enough to be missing among those measured: with less, more crowds of synthetic clips were called fake
than is allowed (``tests/runtime/verdict/test_synthetic_clips.py``)."""


@dataclass(frozen=True, slots=True)
class RealScores:
    """Track logits of real people, one each, as the runtime computes them: an empirical distribution.

    Attributes:
        people: How many were measured.
        ranks: Place from the top, rising from 1 to ``people``, and the logit at that place; some places are left out.
    """

    people: int
    ranks: tuple[tuple[int, float], ...]

    @classmethod
    def of_logits(cls, logits: Sequence[float]) -> RealScores:
        """Returns the table of logits, one per person, in any order; at least one."""
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
        # At shares of 0 and 1 the ends are 0 and 1 but for rounding.
        low, high = (0.0 if share == 0 else low), (1.0 if share == 1 else high)
        return Rarity(round(share, 6), round(low, 6), round(high, 6), self.people)

    def logit_reached_by(self, share: float) -> float:
        """Returns the logit that another real person reaches with a probability of at most ``share``, above 0.

        The k-th highest of n people is reached by one more with a probability of k / (n + 1), whatever the distribution
        (Vovk et al., 2005). Beyond the highest of all an exponential tail is assumed, with the slope of the upper
        tenth.
        """
        places, logits = (np.array(column, np.float64) for column in zip(*self.ranks, strict=True))
        place = share * (self.people + 1)
        if place >= 1:
            # A rank that is not in the table is bounded by the next higher score that is.
            kept = int(np.searchsorted(places, math.floor(place), side="right")) - 1
            return float(logits[kept])
        edge = max(1.0, TAIL_SHARE * self.people)
        upper = np.interp(np.arange(1, math.floor(edge) + 1), places, logits)
        tail = max(LEAST_TAIL, float(upper.mean() - np.interp(edge, places, logits)))
        return float(logits[0]) + tail * math.log(1 / place)

    def _reached_by(self, logit: float) -> int:
        """Returns how many people reach a logit; between ranks in the table, the upper bound."""
        below = [place for place, known in self.ranks if known < logit]
        return below[0] - 1 if below else self.people


MINIMUM_FACES = 5
"""Frames that a person in a video needs, a second of them at the default rate: of three, two may be one blink."""
BAND = 0.2
"""Logits on either side of the threshold (about .05 of probability at .5) in which a verdict would be a coin toss."""
ALLOWED_FALSE_ALARMS = 0.03
"""Share of inputs with real people only that may be called fake."""
USUAL_FALSE_ALARMS = 0.1
"""Assumed share of real people who reach a model's own threshold, if the model carries no ``RealScores``."""
USUAL_TAIL = 0.75
"""Assumed logits above that threshold over which the share falls by a factor e."""


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How logits become verdicts: real below the threshold, fake from threshold plus margin on, else inconclusive.

    Attributes:
        threshold: Probability above 0 and below 1.
        own_threshold: The model's own, by which ``real_people`` and the usual margin are measured; None: the same.
        real_people: Measured scores of real people; None if the model carries none.
        certain_score: Median detection score from which a track counts as a person.
        minimum_faces: Frames that a person needs; 1 for a single picture.
    """

    threshold: float
    own_threshold: float | None = None
    real_people: RealScores | None = None
    certain_score: float = CERTAIN_SCORE
    minimum_faces: int = MINIMUM_FACES

    def margin(self, people: int) -> float:
        """Returns the logits above the threshold that the worst of so many people needs to be called fake.

        The more real people are judged, the higher the worst of them scores. The false alarm rate of each is chosen so
        that an input of ``people`` real people is called fake with probability ``ALLOWED_FALSE_ALARMS`` (Sidak's
        correction). A threshold stricter than the model's own needs a smaller margin.
        """
        each = 1 - (1 - ALLOWED_FALSE_ALARMS) ** (1 / max(1, people))
        own = to_logit(self.threshold if self.own_threshold is None else self.own_threshold)
        if self.real_people is None:
            usual = USUAL_TAIL * math.log(USUAL_FALSE_ALARMS / each)
        else:
            usual = self.real_people.logit_reached_by(each) - own
        return max(BAND, usual - max(0.0, to_logit(self.threshold) - own))

    def fake_threshold(self, people: int) -> float:
        """Returns the probability from which the worst of so many people is called fake."""
        return to_probability(to_logit(self.threshold) + self.margin(people))
