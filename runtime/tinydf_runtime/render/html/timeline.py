"""Scores of a track -> its timeline as inline SVG, a few kilobytes however long the video.

The drawing is stretched to the page's width; words stand beside it as HTML, so that they stay legible on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.render.draw import Zones
from tinydf_runtime.render.words import clock
from tinydf_runtime.results import InputReport, TrackReport

WIDTH, HEIGHT = 1000, 100
"""Units of the drawing; y = HEIGHT * (1 - probability), so that up is more forged."""
MOST_POINTS = 240
"""Points of the curve, and dots, at most: more would overlap."""
SHORTEST_BIN_S = 0.8
"""Averaging window of the curve, so that a blink is no change."""
LONGEST_STEP_S = 2.0
"""The line breaks over longer absences of the person."""
MOST_TICKS = 8
TICK_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times in seconds and probabilities, both N, in order of time."""


def timeline_of(track: TrackReport, item: InputReport, zones: Zones, name: str) -> str:
    """Returns a track's scores over the time of its input, as HTML.

    Args:
        track: The person.
        item: What the person was seen in; gives the length, the segments and the gaps.
        zones: The zones of the scores.
        name: Prefix of the ids in the drawing, unique in the page.
    """
    end_s = length_s(item)
    x = WIDTH / end_s
    time_s = np.array([score.time_s for score in track.scores])
    probability = np.array([score.fake_probability for score in track.scores])
    curve = _bin(time_s, probability, max(SHORTEST_BIN_S, end_s / MOST_POINTS))
    step_s = max(LONGEST_STEP_S, 2.5 * end_s / MOST_POINTS)
    parts = [
        _gradient(name, zones),
        _between(zones),
        *(_band(gap.start_s * x, gap.end_s * x, "gap", HEIGHT) for gap in item.gaps),
        *(_band(s.start_s * x, s.end_s * x, "forged", HEIGHT) for s in item.segments if s.track == track.id),
        *(_band(s.start_s * x, s.end_s * x, "forged-bar", 5, -9) for s in item.segments if s.track == track.id),
        f'<path class="rule" d="M0,{HEIGHT * (1 - zones.fake_threshold):.1f}H{WIDTH}"/>',
        _dots((time_s, probability), x, end_s, name),
        *(_line(run, x, name) for run in _runs(curve, step_s)),
    ]
    label = _label(track, item, zones)
    ticks = "".join(f'<li style="left:{t * x / WIDTH:.2%}">{clock(t)}</li>' for t in _ticks(end_s))
    return (
        f'<div class="plot"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
        f'<span class="rule-label" style="bottom:{zones.fake_threshold:.2%}">'
        f"threshold {zones.fake_threshold:.0%}</span></div>"
        f'<ol class="ticks" aria-hidden="true">{ticks}</ol>'
    )


def length_s(item: InputReport) -> float:
    """Returns the time at the right end of an input's timelines, above 0."""
    return max([item.duration_s or 0.0, *(t.last_s for t in item.tracks), *(g.end_s for g in item.gaps), 0.1])


def _bin(time_s: NDArray[np.float64], probability: NDArray[np.float64], width_s: float) -> Curve:
    """Returns mean time and mean probability of the scores in each bin that has some."""
    place = (time_s / width_s).astype(np.int64)
    bins, inverse = np.unique(place, return_inverse=True)
    count = np.bincount(inverse, minlength=len(bins))
    return (
        np.bincount(inverse, time_s, minlength=len(bins)) / count,
        np.bincount(inverse, probability, minlength=len(bins)) / count,
    )


def _runs(curve: Curve, step_s: float) -> list[Curve]:
    """Returns the parts of a curve between which the person was not seen."""
    ends = np.flatnonzero(np.diff(curve[0]) > step_s) + 1
    return list(zip(np.split(curve[0], ends), np.split(curve[1], ends), strict=True))


def _line(run: Curve, x: float, name: str) -> str:
    """Draws one run as a line; a single point as a mark."""
    points = [f"{t * x:.1f},{HEIGHT * (1 - p):.1f}" for t, p in zip(*run, strict=True)]
    body = "L".join(points) if len(points) > 1 else f"{points[0]}h.01"
    return f'<path class="line" stroke="url(#{name}-ink)" d="M{body}"/>'


def _dots(scores: Curve, x: float, end_s: float, name: str) -> str:
    """Draws the scores themselves; of a long video the lowest and the highest in each of ``MOST_POINTS`` spans."""
    time_s, probability = scores
    if len(time_s) > 2 * MOST_POINTS:
        place = np.minimum((time_s / end_s * MOST_POINTS).astype(np.int64), MOST_POINTS - 1)
        order = np.lexsort((probability, place))
        first = np.flatnonzero(np.diff(place[order], prepend=-1))
        last = np.append(first[1:], len(order)) - 1
        kept = np.unique(order[np.concatenate([first, last])])
        time_s, probability = time_s[kept], probability[kept]
    body = "".join(f"M{t * x:.1f},{HEIGHT * (1 - p):.1f}h.01" for t, p in zip(time_s, probability, strict=True))
    return f'<path class="dots" stroke="url(#{name}-ink)" d="{body}"/>'


def _gradient(name: str, zones: Zones) -> str:
    """Returns a gradient that changes colour at the thresholds."""
    fake, real = f"{1 - zones.fake_threshold:.4f}", f"{1 - zones.threshold:.4f}"
    return (
        f'<defs><linearGradient id="{name}-ink" gradientUnits="userSpaceOnUse" x1="0" y1="0" x2="0" y2="{HEIGHT}">'
        f'<stop offset="{fake}" class="stop-fake"/><stop offset="{fake}" class="stop-doubt"/>'
        f'<stop offset="{real}" class="stop-doubt"/><stop offset="{real}" class="stop-real"/></linearGradient></defs>'
    )


def _between(zones: Zones) -> str:
    """Draws the heights at which a score counts neither as real nor as fake."""
    top, bottom = HEIGHT * (1 - zones.fake_threshold), HEIGHT * (1 - zones.threshold)
    return f'<rect class="between" x="0" y="{top:.1f}" width="{WIDTH}" height="{bottom - top:.1f}"/>'


def _band(left: float, right: float, kind: str, height: int, top: int = 0) -> str:
    """Draws a time span; a very short one stays visible."""
    return f'<rect class="{kind}" x="{left:.1f}" y="{top}" width="{max(2.0, right - left):.1f}" height="{height}"/>'


def _ticks(end_s: float) -> Sequence[float]:
    """Returns round times along the axis, few enough to be read."""
    step = next((s for s in TICK_STEPS_S if end_s / s <= MOST_TICKS), end_s / MOST_TICKS)
    return [float(t) for t in np.arange(0, end_s * 0.97, step)]


def _label(track: TrackReport, item: InputReport, zones: Zones) -> str:
    """Returns a description of the drawing for screen readers."""
    values = [score.fake_probability for score in track.scores]
    above = sum(value >= zones.fake_threshold for value in values) / len(values)
    forged = [f"from {clock(s.start_s)} to {clock(s.end_s)}" for s in item.segments if s.track == track.id]
    return (
        f"Fake probability of person {track.id} over time: between {min(values):.0%} and {max(values):.0%}, "
        f"{above:.0%} of the frames at or above the threshold of {zones.fake_threshold:.0%}"
        + (f"; looks forged {', '.join(forged)}." if forged else "; no forged segment.")
    )
