"""Report of an input -> a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinydf_runtime.report import reason_words
from tinydf_runtime.types import InputReport, TrackReport

STYLES = {"real": "green", "fake": "bold red", "inconclusive": "yellow", "no_face": "dim", "error": "red"}
BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = ".:-=+*%#"
"""For terminals and files that cannot hold the blocks."""
TIMELINE_WIDTH = 24
MAXIMUM_PERSONS = 20
"""A crowd's table would hide the verdict above it; the JSON holds everyone."""


def show_input(item: InputReport, threshold: float, console: Console) -> None:
    """Prints verdict, reasons and a table of the persons."""
    # A long path or reason stays on one line, so that the output can be searched.
    console.print(_headline(item), soft_wrap=True)
    judged = [track for track in item.tracks if track.fake_probability is not None]
    if judged:
        console.print(_persons(judged, item, threshold, plain=console.options.ascii_only))
    if len(judged) > MAXIMUM_PERSONS:
        console.print(Text(f"  and {len(judged) - MAXIMUM_PERSONS} more", style="dim"))
    passed_over = Counter(track.reasons for track in item.tracks if track.fake_probability is None)
    for reasons, count in passed_over.items():
        console.print(Text(f"  not judged: {count}, because {reason_words(reasons)}", style="dim"), soft_wrap=True)
    for segment in item.segments:
        words = f"  person {segment.track} looks forged from {segment.start_s:.1f} s to {segment.end_s:.1f} s"
        console.print(Text(f"{words} ({segment.fake_probability:.0%})", style="red"), soft_wrap=True)


def timeline(track: TrackReport, duration_s: float, threshold: float, plain: bool = False) -> Text:
    """Returns a track's scores over time: height is the fake probability, colour the side of the threshold.

    Args:
        track: The person.
        duration_s: Time at the right end.
        threshold: Probability from which a score is red.
        plain: Use ASCII alone.
    """
    bars = PLAIN_BARS if plain else BARS
    cells: list[list[float]] = [[] for _ in range(TIMELINE_WIDTH)]
    for score in track.scores:
        place = int(score.time_s / max(duration_s, 1e-9) * TIMELINE_WIDTH)
        cells[min(max(place, 0), TIMELINE_WIDTH - 1)].append(score.fake_probability)
    text = Text()
    for cell in cells:
        if not cell:
            text.append(" ")
            continue
        mean = sum(cell) / len(cell)
        text.append(bars[min(int(mean * len(bars)), len(bars) - 1)], style="red" if mean >= threshold else "green")
    return text


def _headline(item: InputReport) -> Text:
    """Returns path, verdict, probability and reasons."""
    line = Text(item.path, style="bold")
    line.append("  ")
    line.append(item.verdict.replace("_", " ").upper(), style=STYLES[item.verdict])
    if item.fake_probability is not None:
        line.append(f"  {item.fake_probability:.1%} fake", style="default not bold")
    words = reason_words(item.reasons)
    if item.status == "timeout":
        words = "; ".join(filter(None, [words, "the time ran out before its end"]))
    if item.status == "truncated" and "interrupted" not in item.reasons:
        words = "; ".join(filter(None, [words, f"cut off: {_read_share(item)}"]))
    if words:
        line.append(f"  ({words})", style="default not bold")
    return line


def _read_share(item: InputReport) -> str:
    """Returns how much of a damaged video could be read."""
    expected = f" of {item.frames_expected}" if item.frames_expected else ""
    return f"{item.frames_decoded}{expected} frames could be read"


def _persons(tracks: Sequence[TrackReport], item: InputReport, threshold: float, plain: bool) -> Table:
    """Returns one row a track."""
    moving = item.kind != "image"
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("person", justify="right", no_wrap=True)
    if moving:
        table.add_column("seen", no_wrap=True)
    table.add_column("faces", justify="right", no_wrap=True)
    table.add_column("fake", justify="right", no_wrap=True)
    table.add_column("verdict", min_width=len("inconclusive"))
    if moving:
        table.add_column("fake over time", no_wrap=True, min_width=TIMELINE_WIDTH)
    duration_s = max([item.duration_s or 0.0, *(track.last_s for track in item.tracks)])
    for track in tracks[:MAXIMUM_PERSONS]:
        share = "-" if track.fake_probability is None else f"{track.fake_probability:.1%}"
        verdict = Text(track.verdict, style=STYLES[track.verdict])
        row: list[str | Text] = [str(track.id)]
        if moving:
            row.append(f"{track.first_s:.1f}-{track.last_s:.1f} s")
        row += [str(track.faces_used), share, verdict]
        if moving:
            row.append(timeline(track, duration_s, threshold, plain))
        table.add_row(*row)
    return table
