"""What scores are held against: a threshold, a bar above it from which fake is said, and what counts as a face."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinydf_runtime.verdict.evidence import to_logit, to_probability
from tinydf_runtime.verdict.real_people import RealScores

CERTAIN_SCORE = 0.85
"""Half of a track's detections must be this sure, unless the detector's file names another score. The classifier's
score is meaningless on false detections. ``scripts/choose_certain_score.py`` measures where faces and patterns part."""
MINIMUM_FACES = 5
"""The fewest looks at a person in a video, a second of them at the default rate: two of three may be one blink."""
BAND = 0.2
"""Logits on either side of the threshold (about .05 of probability at .5) in which a verdict would be a coin toss."""
ALLOWED_FALSE_ALARMS = 0.03
"""Share of inputs with real people only that may be called fake."""
USUAL_FALSE_ALARMS = 0.1
"""Share of real people who reach a model's own threshold, where the model does not carry what was measured."""
USUAL_TAIL = 0.75
"""Logits above it over which that share falls by a factor e, likewise."""


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How scores become verdicts. Below the threshold a person is real; fake is said from a bar on, well above it.

    Attributes:
        threshold: Probability above 0 and below 1.
        own_threshold: The model's own, by which ``real_people`` and the usual margin are measured; None: the same.
        real_people: What the model says of real people; None where nobody measured.
        certain_score: Median detection score from which a track counts as a person.
        minimum_faces: Looks that a person must have had; 1 for a single picture.
    """

    threshold: float
    own_threshold: float | None = None
    real_people: RealScores | None = None
    certain_score: float = CERTAIN_SCORE
    minimum_faces: int = MINIMUM_FACES

    def margin(self, people: int) -> float:
        """Returns the logits by which the worst of so many people must pass the threshold to be called fake.

        The worst of thirty real people scores higher than any one of them is expected to. Each may give a false alarm
        so rarely that all together do in ``ALLOWED_FALSE_ALARMS`` of the inputs (Sidak's correction). A threshold that
        is stricter than the model's own needs the less above it.
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
