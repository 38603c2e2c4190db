"""Report of an input -> a line and a table for people at a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tinydf_runtime.render.draw import Zones
from tinydf_runtime.render.words import clock, printable, rarity_words, reason_words
from tinydf_runtime.results import InputReport, TrackReport

STYLES = {"real": "cyan", "fake": "bold red", "inconclusive": "yellow", "no_face": "dim", "error": "red"}
"""Verdict -> colours that are told apart with every common kind of colour blindness; the words say the same."""
BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = ".:-=+*%#"
"""For encodings without the block characters."""
SHORTEST_TIMELINE, LONGEST_TIMELINE = 12, 72
NARROW = 88
"""Below this width the table omits the number of frames."""
NARROWER = 76
"""Below this one it omits the intervals too."""
MAXIMUM_PERSONS = 20
"""Rows at most: a crowd's table would hide the verdict above it; the JSON holds everyone."""
MAXIMUM_GAPS = 5
"""Gaps shown at most."""
INDENT = GAP = 2


def show_input(item: InputReport, threshold: float, console: Console) -> None:
    """Prints verdict, reasons, and what was found about each person."""
    headline, why = _headline(item), _why(item)
    if console.is_terminal:
        _print(headline, console, indent=0)
        if why:
            _print(Text(why), console)
    else:
        # Programs that search the output find a file and its verdict with its reasons in one line.
        _print(headline + Text(f"  ({why})" if why else ""), console, indent=0)
    zones = Zones.of(item, threshold)
    judged = [track for track in item.tracks if track.fake_probability is not None]
    judged.sort(key=_severity, reverse=True)
    if item.fake_probability is not None and not (item.kind == "image" and item.verdict == "real"):
        _print(Text(_meaning(item, zones, len(judged)), style="dim"), console)
    if item.kind == "image" and len(judged) > 1:
        _print(_faces(judged[:MAXIMUM_PERSONS]), console)
    if item.kind != "image" and judged:
        console.print(Padding(_persons(judged[:MAXIMUM_PERSONS], item, zones, console), (0, 0, 0, INDENT)))
    if len(judged) > MAXIMUM_PERSONS:
        _print(Text(f"and {len(judged) - MAXIMUM_PERSONS} more", style="dim"), console)
    for segment in item.segments if item.kind != "image" else ():
        words = f"person {segment.track} looks forged from {clock(segment.start_s)} to {clock(segment.end_s)}"
        _print(Text(f"{words} ({segment.fake_probability:.1%})", style="red"), console)
    for gap in item.gaps[:MAXIMUM_GAPS]:
        words = f"no picture from {clock(gap.start_s)} to {clock(gap.end_s)}: the stream {gap.reason}"
        _print(Text(words, style="yellow"), console)
    if len(item.gaps) > MAXIMUM_GAPS:
        _print(Text(f"no picture {len(item.gaps) - MAXIMUM_GAPS} times more", style="yellow"), console)
    passed_over = Counter(track.reasons for track in item.tracks if track.fake_probability is None)
    # If nobody was judged, the reasons above say why.
    for reasons, count in passed_over.items() if judged else ():
        who = "1 more face was" if count == 1 else f"{count} more faces were"
        _print(Text(f"{who} not judged: {reason_words(reasons)}", style="dim"), console)
    if item.kind != "image" and console.is_terminal:
        console.print()


def show_counts(items: Sequence[InputReport], console: Console) -> None:
    """Prints how many of several inputs got which verdict."""
    counts = Counter(item.verdict for item in items)
    line = Text(f"{len(items)} inputs: ")
    parts = [Text(f"{count} {_words(verdict)}", style=STYLES[verdict]) for verdict, count in counts.most_common()]
    console.print(line + Text(", ").join(parts), soft_wrap=True)


def timeline(track: TrackReport, duration_s: float, zones: Zones, width: int, plain: bool = False) -> Text:
    """Returns a track's scores over time: height is the fake probability, colour the zone that it lies in.

    Args:
        track: The person.
        duration_s: Time at the right end.
        zones: The zones of the scores.
        width: Columns that it takes.
        plain: Use ASCII alone.
    """
    bars = PLAIN_BARS if plain else BARS
    cells: list[list[float]] = [[] for _ in range(width)]
    for score in track.scores:
        place = int(score.time_s / max(duration_s, 1e-9) * width)
        cells[min(max(place, 0), width - 1)].append(score.fake_probability)
    text = Text()
    for i, cell in enumerate(cells):
        # With fewer frames than columns a frame fills the columns up to the next one.
        cell = cell or (cells[i - 1] if i and len(track.scores) < width else [])
        mean = sum(cell) / len(cell) if cell else 0.0
        style = STYLES[zones.side(mean)].removeprefix("bold ")
        text.append(bars[min(int(mean * len(bars)), len(bars) - 1)] if cell else " ", style=style)
    return text


def _print(text: Text, console: Console, indent: int = INDENT) -> None:
    """Prints a line: broken between words at a terminal's edge, in one piece where programs read it."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(Text(" " * indent) + text, soft_wrap=True)


def _headline(item: InputReport) -> Text:
    """Returns verdict, probability and path; the verdicts of a folder stand below one another."""
    share = "" if item.fake_probability is None else f"{item.fake_probability:.1%}"
    line = Text().append(f"{_words(item.verdict).upper():<12}", style=STYLES[item.verdict])
    return line.append(f"  {share:>6}  ").append(printable(item.path), style="bold")


def _meaning(item: InputReport, zones: Zones, people: int) -> str:
    """Returns the thresholds, and how rare the score is among real people."""
    among = "" if people == 1 else f" of {people} people"
    words = f"threshold{among}: fake from {zones.fake_threshold:.1%}, real below {zones.threshold:.1%}"
    return words if item.rarity is None else f"{rarity_words(item.rarity)}; {words}"


def _why(item: InputReport) -> str:
    """Returns the reasons for a verdict, and what was not seen."""
    # "No face" says already why there is no verdict.
    words = [reason_words(item.reasons)] if item.reasons and item.verdict != "no_face" else []
    if item.verdict == "no_face" and item.smallest_face_px is not None:
        words.append(f"faces were looked for from {item.smallest_face_px} px on")
    if item.verdict == "no_face" and (others := tuple(one for one in item.reasons if one != "no_face_found")):
        words.append(reason_words(others))
    if item.status == "timeout":
        words.append("the time ran out before its end")
    if item.status == "truncated" and "interrupted" not in item.reasons:
        words.append("it broke off and did not come back" if item.gaps else f"cut off: {_read_share(item)}")
    return "; ".join(words)


def _read_share(item: InputReport) -> str:
    """Returns how much of a damaged video could be read."""
    expected = f" of {item.frames_expected}" if item.frames_expected else ""
    frames = "frame" if item.frames_decoded == 1 and not expected else "frames"
    return f"{item.frames_decoded}{expected} {frames} could be read"


def _words(verdict: str) -> str:
    """Returns a verdict's code as words."""
    return verdict.replace("_", " ")


def _severity(track: TrackReport) -> tuple[int, float]:
    """Returns what people are ordered by, the worst last."""
    return ("real", "inconclusive", "fake").index(track.verdict), track.fake_probability or 0.0


def _faces(tracks: Sequence[TrackReport]) -> Text:
    """Returns the faces of a picture in one line."""
    parts = [Text(f"face {track.id}: {track.fake_probability:.1%}", style=STYLES[track.verdict]) for track in tracks]
    return Text(", ").join(parts)


def _persons(tracks: Sequence[TrackReport], item: InputReport, zones: Zones, console: Console) -> Table:
    """Returns one row a person, as wide as the terminal lets it."""
    duration_s = max([item.duration_s or 0.0, *(track.last_s for track in item.tracks)])
    rows = [("person", "seen", "frames", "fake", "interval", "verdict"), *(_cells(track) for track in tracks)]
    known = any(track.interval is not None for track in tracks)
    hidden = {"frames"} if console.width < NARROW else set()
    hidden |= {"interval"} if console.width < NARROWER or not known else set()
    shown = [place for place, name in enumerate(rows[0]) if name not in hidden]
    widths = [max(len(row[place]) for row in rows) for place in shown]
    left = console.width - INDENT - sum(widths) - GAP * len(widths)
    columns = min(max(left, SHORTEST_TIMELINE), LONGEST_TIMELINE)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for place, width in zip(shown, widths, strict=True):
        numeric = rows[0][place] in ("person", "frames", "fake", "interval")
        table.add_column(rows[0][place], justify="right" if numeric else "left", no_wrap=True, min_width=width)
    table.add_column(f"over {clock(duration_s)}", no_wrap=True, min_width=columns)
    for track, row in zip(tracks, rows[1:], strict=True):
        style = STYLES[track.verdict]
        cells = [Text(row[place], style=style if rows[0][place] == "verdict" else "") for place in shown]
        table.add_row(*cells, timeline(track, duration_s, zones, columns, console.options.ascii_only))
    return table


def _cells(track: TrackReport) -> tuple[str, ...]:
    """Returns what the table says of a person beside the timeline."""
    seen = f"{clock(track.first_s)}-{clock(track.last_s)}"
    spread = "" if track.interval is None else f"{track.interval[0]:.1%}-{track.interval[1]:.1%}"
    return str(track.id), seen, str(track.faces_used), f"{track.fake_probability:.1%}", spread, track.verdict
