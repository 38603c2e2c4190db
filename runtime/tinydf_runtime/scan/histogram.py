"""The ledger's probabilities -> a histogram as SVG, in the colours of the verdicts."""

from __future__ import annotations

import sqlite3

_BINS = 20
_WIDTH, _HEIGHT, _FOOT, _HEAD = 640, 160, 18, 14


def draw_histogram(database: sqlite3.Connection) -> str:
    """Returns a bar a twentieth, with its count above it; a sentence where nothing was judged."""
    counts = [dict.fromkeys(("real", "inconclusive", "fake"), 0) for _ in range(_BINS)]
    for start, verdict, contents in database.execute("SELECT * FROM histogram"):
        counts[round(start * _BINS)][verdict] += contents
    most = max(sum(one.values()) for one in counts)
    if not most:
        return '<p class="note">Nothing was judged yet.</p>'
    width, room = _WIDTH / _BINS, _HEIGHT - _FOOT - _HEAD
    parts = []
    for place, one in enumerate(counts):
        left, bottom = place * width + 1, float(_HEIGHT - _FOOT)
        for verdict, count in one.items():
            height = room * count / most
            bottom -= height
            if count:
                words = f"{count} {verdict}, {place / _BINS:.0%} to {(place + 1) / _BINS:.0%}"
                parts.append(
                    f'<rect class="{verdict}" x="{left:.1f}" y="{bottom:.1f}" width="{width - 2:.1f}" '
                    f'height="{height:.1f}"><title>{words}</title></rect>'
                )
        if total := sum(one.values()):
            parts.append(
                f'<text x="{left + width / 2 - 1:.1f}" y="{bottom - 3:.1f}" text-anchor="middle">{total}</text>'
            )
    for share, anchor in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end")):
        parts.append(f'<text x="{share * _WIDTH:.0f}" y="{_HEIGHT - 4}" text-anchor="{anchor}">{share:.0%}</text>')
    line = f'<line x1="0" y1="{_HEIGHT - _FOOT}" x2="{_WIDTH}" y2="{_HEIGHT - _FOOT}"/>'
    return (
        f'<svg class="histogram" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Number of contents by fake probability">{line}{"".join(parts)}</svg>'
    )
