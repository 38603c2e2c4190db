"""The import graph -> docs/architecture-light.svg and docs/architecture-dark.svg.

Run: python scripts/draw_architecture.py

Packages, rooms and who imports whom are read from the source. What the graph cannot know is the order in which data
pass: ``FLOWS`` tells it, and every step of it must be a room, and neighbours must meet in the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

import click

from import_graph import FOLDERS, ROOT, ImportGraph, read_graph
from tinydf_runtime.io.files import write_atomically

OUT = ROOT / "docs"
THEMES = {
    "light": {"page": "#ffffff", "panel": "#f3f6f6", "line": "#b8c4c4", "chip": "#ffffff", "text": "#17252a"}
    | {"soft": "#5a6b6f", "data": "#00796b", "import": "#9a6a00"},
    "dark": {"page": "#12191b", "panel": "#1a2427", "line": "#3d4e52", "chip": "#243135", "text": "#e8efef"}
    | {"soft": "#9fb0b3", "data": "#4fc3b1", "import": "#e0b252"},
}
FLOWS = {
    "tinydf": (("data", "forge pairs"), ("train", "learn"), ("checkpoint", "keep weights")),
    "tinydf_export": (
        ("graph", "trace, fold"),
        ("quantise", "to 8 bit"),
        ("targets", "write the file"),
        ("parity", "compare"),
    ),
    "tinydf_calibration": (("sampler", "choose crops"), ("ranges", "measure"), ("table", "keep ranges")),
    "tinydf_runtime": (
        ("io", "decode"),
        ("faces", "detect, track, crop"),
        ("engines", "score"),
        ("verdict", "judge"),
        ("render", "report, draw"),
    ),
}
"""Package -> its rooms in the order in which data pass them, and what each does."""
ENDS = {"tinydf": ("photos", ""), "tinydf_runtime": ("video", "report")}
"""Package -> what comes in from outside, and what goes out."""
HANDED_OVER = {
    ("tinydf.checkpoint", "tinydf_export.graph"): ("checkpoint", (540, 86)),
    ("tinydf_calibration.table", "tinydf_export.quantise"): ("calibration table", (957, 203)),
    ("tinydf_export.parity", "tinydf_runtime.engines"): ("model file: .onnx .xml .mlpackage .plan", (960, 388)),
}
"""What passes from package to package, and where its name stands, px."""
PURPOSE = {
    "tinydf": "training: photos to checkpoint",
    "tinydf_export": "checkpoint to model file",
    "tinydf_calibration": "crops to INT8 ranges",
    "tinydf_runtime": "video to verdict, without PyTorch",
}
PANELS = {
    "tinydf": (20, 20, 480),
    "tinydf_export": (580, 20, 600),
    "tinydf_calibration": (580, 220, 600),
    "tinydf_runtime": (20, 420, 1160),
}
"""Package -> left, top and width of its panel, px."""
WIDTH, HEIGHT, PANEL_HEIGHT, CHIP_WIDTH, END_WIDTH, CHIP_HEIGHT = 1200, 590, 150, 104, 56, 46
IMPORT_LINES = {
    ("tinydf_export", "tinydf"): "M580 140 H507",
    ("tinydf_export", "tinydf_calibration"): "M650 170 V213",
    ("tinydf_calibration", "tinydf_runtime"): "M650 370 V413",
    ("tinydf", "tinydf_runtime"): "M140 170 V413",
    ("tinydf_export", "tinydf_runtime"): "M580 160 H540 V200 H460 V413",
}
"""Packages -> the line that says that one imports the other."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A box with a name and what it does; ``room`` is empty for what comes from outside and goes there."""

    room: str
    name: str
    does: str
    left: float
    top: float
    width: int

    def svg(self) -> str:
        """Returns it as SVG."""
        x, y = self.left + self.width / 2, self.top + CHIP_HEIGHT / 2
        if not self.room:
            return f'<g class="end"><text class="soft" x="{x:g}" y="{y + 5:g}">{self.name}</text></g>'
        box = f'x="{self.left:g}" y="{self.top:g}" width="{self.width}" height="{CHIP_HEIGHT}"'
        return (
            f'<g class="room" id="{self.room}"><rect class="chip" {box} rx="8"/>'
            f'<text class="name" x="{x:g}" y="{y - 3:g}">{self.name}</text>'
            f'<text class="soft" x="{x:g}" y="{y + 14:g}">{escape(self.does)}</text></g>'
        )


def chips_of(package: str, graph: ImportGraph) -> list[Chip]:
    """Returns a package's steps from left to right, with what comes in and goes out.

    Raises:
        click.ClickException: A step is no room, or neighbours do not meet in the graph.
    """
    rooms = [f"{package}.{name}" for name, _ in FLOWS[package]]
    for room in rooms:
        if room not in graph.folders | graph.files:
            raise click.ClickException(f"FLOWS names {room}, which is not in the source. Name its new place.")
    for one, other in pairwise(rooms):
        if not graph.meet(one, other):
            raise click.ClickException(f"FLOWS lets data pass from {one} to {other}, and no room uses both.")
    start, end = ENDS.get(package, ("", ""))
    steps = [("", start, "")] * bool(start)
    steps += [(room, name, does) for room, (name, does) in zip(rooms, FLOWS[package], strict=True)]
    steps += [("", end, "")] * bool(end)
    left, top, width = PANELS[package]
    widths = [CHIP_WIDTH if room else END_WIDTH for room, _, _ in steps]
    gap = (width - 32 - sum(widths)) / max(1, len(steps) - 1)
    lefts = [left + 16 + sum(widths[:place]) + place * gap for place in range(len(steps))]
    return [Chip(*step, at, top + 52, wide) for step, at, wide in zip(steps, lefts, widths, strict=True)]


def panel(package: str, graph: ImportGraph) -> Iterator[str]:
    """Yields a package: its title, its steps, and the rooms that are no step."""
    left, top, width = PANELS[package]
    folder = FOLDERS[package].relative_to(ROOT).as_posix()
    box = f'x="{left}" y="{top}" width="{width}" height="{PANEL_HEIGHT}"'
    yield f'<g class="package" id="{package}"><rect class="panel" {box} rx="12"/>'
    yield f'<text class="title" x="{left + 16}" y="{top + 28}">{folder}/</text>'
    yield f'<text class="purpose" x="{left + 30 + 8.3 * len(folder):g}" y="{top + 28}">{PURPOSE[package]}</text>'
    chips = chips_of(package, graph)
    for one, other in pairwise(chips):
        line = f"M{one.left + one.width + 2:g} {one.top + CHIP_HEIGHT / 2:g} H{other.left - 7:g}"
        yield _line("data", one.room or one.name, other.room or other.name, line)
    yield from (chip.svg() for chip in chips)
    steps = {chip.room for chip in chips}
    others = sorted(room for room in graph.folders if room.split(".")[0] == package and room not in steps)
    if others:
        names = "  ".join(f'<tspan class="room" id="{room}">{room.split(".")[1]}/</tspan>' for room in others)
        yield f'<text class="others" x="{left + 16}" y="{top + 130}" xml:space="preserve">and  {names}</text>'
    yield "</g>"


def handed_over(graph: ImportGraph) -> Iterator[str]:
    """Yields what passes from package to package."""
    place = {chip.room: chip for package in PANELS for chip in chips_of(package, graph)}
    for (one, other), (word, (x, y)) in HANDED_OVER.items():
        start, end = place[one], place[other]
        right, middle = start.left + CHIP_WIDTH, start.top + CHIP_HEIGHT / 2
        centre = end.left + CHIP_WIDTH / 2
        if start.top == end.top:
            line = f"M{right + 2:g} {middle:g} H{end.left - 7:g}"
        elif start.top > end.top:
            out, into = start.top - 2, end.top + CHIP_HEIGHT + 7
            line = f"M{right - CHIP_WIDTH / 2:g} {out:g} V{out - 60:g} H{centre:g} V{into:g}"
        else:
            line = f"M{right + 2:g} {middle:g} H1192 V395 H{centre:g} V{end.top - 7:g}"
        yield _line("data", one, other, line)
        yield f'<text class="soft" x="{x}" y="{y}">{word}</text>'


def _line(kind: str, one: str, other: str, path: str) -> str:
    """Returns an arrow; ``kind`` is data or import."""
    return f'<path class="{kind}" data-from="{one}" data-to="{other}" d="{path}" marker-end="url(#{kind})"/>'


def draw(graph: ImportGraph, theme: str) -> str:
    """Returns the picture as SVG.

    Args:
        graph: What was read from the source.
        theme: "light" or "dark".

    Raises:
        click.ClickException: The tables above do not fit the graph any more.
    """
    between = graph.between_packages()
    if between != IMPORT_LINES.keys():
        raise click.ClickException(f"IMPORT_LINES draws {sorted(IMPORT_LINES)}, and the source has {sorted(between)}.")
    c = THEMES[theme]
    style = (
        f"text{{font:13px 'Segoe UI',Helvetica,Arial,sans-serif;fill:{c['text']};text-anchor:middle}}"
        f".title{{font-weight:700;font-size:15px;text-anchor:start}}.purpose{{text-anchor:start;fill:{c['soft']}}}"
        f".name{{font-weight:600}}.soft{{font-size:11px;fill:{c['soft']}}}.end .soft{{font-size:14px}}"
        f".others{{text-anchor:start;fill:{c['soft']};font-size:12px}}"
        f".panel{{fill:{c['panel']};stroke:{c['line']}}}.chip{{fill:{c['chip']};stroke:{c['line']}}}"
        f"path.data{{stroke:{c['data']};stroke-width:2;fill:none}}"
        f"path.import{{stroke:{c['import']};stroke-width:1.5;stroke-dasharray:5 4;fill:none}}"
    )
    heads = "".join(
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="3" refY="4" markerWidth="7" markerHeight="7" orient="auto" '
        f'markerUnits="userSpaceOnUse"><path d="M0 0L8 4L0 8z" fill="{c[kind]}"/></marker>'
        for kind in ("data", "import")
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="TinyDF: packages, their rooms, and how data pass">',
        f"<style>{style}</style><defs>{heads}</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{c["page"]}"/>',
        *(line for package in PANELS for line in panel(package, graph)),
        *(_line("import", one, other, path) for (one, other), path in IMPORT_LINES.items()),
        *handed_over(graph),
        *legend(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def legend() -> Iterator[str]:
    """Yields what the two kinds of line mean."""
    for kind, word, y in (("data", "data pass", 280), ("import", "imports", 306)):
        yield f'<path class="{kind}" d="M270 {y} H310" marker-end="url(#{kind})"/>'
        yield f'<text class="others" x="324" y="{y + 4}">{word}</text>'


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=OUT, help="Folder. Default: docs.")
def main(out: Path) -> None:
    """Draws the architecture, light and dark."""
    graph = read_graph()
    for theme in THEMES:
        path = out / f"architecture-{theme}.svg"
        write_atomically(path, draw(graph, theme).encode())
        click.echo(path)


if __name__ == "__main__":
    main()
