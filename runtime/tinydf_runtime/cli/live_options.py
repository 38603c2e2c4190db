"""What the options of tinydf-run ask for while a stream plays."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveWishes:
    """What is asked for while a stream plays.

    Attributes:
        json_lines: Print a line of JSON a moment.
        window: Show a window.
        max_latency_s: Results for older frames are thrown away, None for however late they come.
        give_up_s: How long a stream that broke off is tried again.
    """

    json_lines: bool
    window: bool
    max_latency_s: float | None
    give_up_s: float
