"""The three zones that a score can lie in, and their colours: the same on page, video and terminal."""

from __future__ import annotations

from dataclasses import dataclass

from tinydf_runtime.results import InputReport
from tinydf_runtime.types import Label

COLOURS: dict[Label, str] = {"real": "#1f78c8", "inconclusive": "#c08a00", "fake": "#d9480f"}
"""Blue, amber and vermilion, as sRGB: told apart with every common kind of colour blindness, on light and on dark."""


@dataclass(frozen=True, slots=True)
class Zones:
    """Where a score counts as what.

    Attributes:
        threshold: Probability below which a person is real.
        fake_threshold: Probability from which the worst of so many people is called fake.
    """

    threshold: float
    fake_threshold: float

    @classmethod
    def of(cls, item: InputReport, threshold: float) -> Zones:
        """Returns the zones of an input that was judged at a threshold."""
        return cls(threshold, max(threshold, item.fake_threshold or threshold))

    def side(self, probability: float) -> Label:
        """Returns the zone of a score."""
        if probability < self.threshold:
            return "real"
        return "fake" if probability >= self.fake_threshold else "inconclusive"
