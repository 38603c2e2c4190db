"""An input as a file or stream -> the facts about it that a reader needs to find and check it again, as HTML."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tinydf_runtime.io.files import check_file, state_of
from tinydf_runtime.render.html.content_credentials import read_content_credentials
from tinydf_runtime.render.words import clock
from tinydf_runtime.results import InputReport
from tinydf_runtime.types import Adjustment

STATUS_WORDS = {
    "ok": "read to its end",
    "no_face": "read to its end, no face in it",
    "truncated": "cut off: read as far as it goes",
    "timeout": "not read to its end, the time was up",
    "unreadable": "could not be read",
}
CREDENTIAL_WORDS = {
    "absent": "None",
    "unverified": "Present, not verified",
    "valid": "Present and valid",
    "invalid": "Present, but NOT valid",
}
ADJUSTMENT_WORDS: dict[Adjustment, str] = {
    "tone_mapped": "HDR brought to the range of ordinary video",
    "deinterlaced": "half-pictures joined (deinterlaced)",
    "square_pixels": "pixels that are not square made so, as players do",
    "resized_midway": "pictures of several sizes",
    "on_white": "transparent parts shown on white",
}
MOST_GAPS = 10


def name_of(item: InputReport) -> str:
    """Returns what an input is called: a file's name, or the address."""
    return item.path if item.kind == "stream" else Path(item.path).name or item.path


def facts_of(item: InputReport) -> list[tuple[str, str]]:
    """Returns what the input is."""
    facts = [
        ("as given", item.path),
        ("kind", item.kind),
        ("SHA-256", item.sha256 or "none: not a file that could be read"),
    ]
    if (size := _size_bytes(item)) is not None:
        facts.append(("size", f"{size:,} bytes"))
    if item.width and item.height:
        turned = f", turned by {item.rotation_deg}° as the file asks" if item.rotation_deg else ""
        facts.append(("picture", f"{item.width} x {item.height} px{turned}"))
    if item.adjustments:
        facts.append(("adjusted", ", ".join(ADJUSTMENT_WORDS[one] for one in item.adjustments)))
    if item.duration_s is not None:
        facts.append(("length", f"{clock(item.duration_s)} ({item.duration_s:.2f} s)"))
    if item.fps is not None:
        facts.append(("frame rate", f"{item.fps:.2f} a second"))
    return facts


def more_facts_of(item: InputReport, sandbox: bool = True) -> list[tuple[str, str]]:
    """Returns how much of the input was seen, and what it says about its origin."""
    facts = [("status", STATUS_WORDS[item.status])]
    if item.frames_decoded:
        expected = f" of {item.frames_expected:,}" if item.frames_expected else ""
        facts.append(("frames", f"{item.frames_decoded:,}{expected} read, {item.frames_scored:,} analysed"))
    if item.smallest_face_px is not None:
        facts.append(("faces looked for", f"from {item.smallest_face_px} px on"))
    if item.frames_dropped:
        facts.append(("passed over", f"{item.frames_dropped:,} frames, to keep up with the stream"))
    if item.tracks_forgotten:
        facts.append(
            ("let go of", f"{item.tracks_forgotten:,} people of the endless stream, the least suspicious first")
        )
    for gap in item.gaps[:MOST_GAPS]:
        facts.append(("no picture", f"from {clock(gap.start_s)} to {clock(gap.end_s)} (the stream {gap.reason})"))
    if len(item.gaps) > MOST_GAPS:
        facts.append(("no picture", f"{len(item.gaps) - MOST_GAPS} times more"))
    facts.append(("time taken", f"{item.timing.total_s:.1f} s"))
    return facts + _credentials(item, sandbox)


def to_facts(facts: Sequence[tuple[str, str]]) -> str:
    """Returns names and values as the inside of a dl element."""
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{_value(name, value)}</dd></div>" for name, value in facts)


def _value(name: str, value: str) -> str:
    """Returns one value as HTML."""
    kind = ' class="hash"' if len(value) == 64 and " " not in value else ""
    return f"<span{kind}>{escape(value)}</span>"


def _size_bytes(item: InputReport) -> int | None:
    """Returns the size of an input's file, None where there is none."""
    state = None if item.kind == "stream" else state_of(Path(item.path))
    return None if state is None else state[2]


def _credentials(item: InputReport, sandbox: bool) -> list[tuple[str, str]]:
    """Returns what the file's Content Credentials say."""
    if item.kind == "stream":
        return [("Content Credentials", "not looked for: a stream carries none")]
    try:
        # To open a pipe would wait for its other end.
        check_file(Path(item.path))
        found = read_content_credentials(Path(item.path), sandbox)
    except OSError:
        return [("Content Credentials", "not looked for: the file cannot be read")]
    stated = [(f"C2PA: {name}", value) for name, value in found.facts]
    return [("Content Credentials", f"{CREDENTIAL_WORDS[found.status]}. {found.note}"), *stated]


def frame_of(item: InputReport) -> str:
    """Returns the whole picture with the face that decided, or nothing where none was kept."""
    frame = item.whole_frame
    if frame is None:
        return ""
    left, top, right, bottom = frame.record.box_xyxy
    left, right = (min(max(x / frame.width, 0.0), 1.0) for x in (left, right))
    top, bottom = (min(max(y / frame.height, 0.0), 1.0) for y in (top, bottom))
    verdict = next((track.verdict for track in item.tracks if track.id == frame.track), item.verdict)
    who = f"Person {frame.track}"
    when = "" if item.kind == "image" else f" at {clock(frame.record.time_s)}, where the score is highest"
    place = f"left:{left:.2%};top:{top:.2%};width:{right - left:.2%};height:{bottom - top:.2%}"
    data = base64.b64encode(frame.jpeg).decode()
    words = f"The whole picture, with a box round the face of person {frame.track}"
    return (
        f'<figure class="whole"><div class="frame"><img src="data:image/jpeg;base64,{data}" alt="{words}">'
        f'<span class="box {verdict}" style="{place}"></span></div><figcaption>{who}{when}</figcaption></figure>'
    )
