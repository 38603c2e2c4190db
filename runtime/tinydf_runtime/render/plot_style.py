"""One style for the plots of all pages: settings for matplotlib, and its SVG made part of a page.

Nothing here loads matplotlib, which the runtime does without; calibration and training draw with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

INK, MUTED, GRID, ACCENT = "#000001", "#000002", "#000003", "#000004"
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", ACCENT: "accent"}
"""Stand-in colour -> variable of the page's style sheet, which is another one in the dark."""
STYLE: dict[str, object] = {
    "svg.fonttype": "none",
    "font.size": 9.0,
    "text.color": MUTED,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
}
"""Settings for ``matplotlib.rc_context``."""
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format"))
"""For ``savefig``: equal figures give equal text."""


def inline_svg(svg: str, name: str, label: str, variables: Mapping[str, str] = VARIABLES) -> str:
    """Returns a drawing that can stand in a page beside others.

    Args:
        svg: What ``savefig`` wrote.
        name: Unique in the page; begins every id.
        label: What the drawing shows, for screen readers.
        variables: Stand-in colour -> variable of the page.
    """
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    for colour, variable in variables.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg role="img" aria-label="{label}" \1>', svg, count=1)
