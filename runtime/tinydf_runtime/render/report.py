"""Report -> JSON and CSV files, and its codes in plain words."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.render.plain_text import as_cell
from tinydf_runtime.results import DetectorInfo, ModelInfo, Report
from tinydf_runtime.types import Rarity, Reason

SCHEMA_FILE = Path(__file__).parents[1] / "schema" / "report.schema.json"
"""JSON Schema of ``tinydf.report/1``."""

CSV_COLUMNS = (
    "path",
    "track",
    "time_s",
    "frame",
    "left_px",
    "top_px",
    "right_px",
    "bottom_px",
    "detection_score",
    "fake_probability",
    "track_verdict",
    "track_fake_probability",
    "input_verdict",
    "input_fake_probability",
    "track_interval_low",
    "track_interval_high",
    "track_rarity",
    "input_interval_low",
    "input_interval_high",
    "input_rarity",
    "input_fake_threshold",
)

REASON_WORDS: dict[Reason, str] = {
    "forged_segment": "one stretch looks forged, the rest less so",
    "too_few_faces": "the face was seen too few times to judge",
    "faces_too_small": "the faces are too small to judge",
    "uncertain_face": "it may not be a face at all",
    "side_person": "the face is too small or seen too briefly beside the others",
    "near_threshold": "the score lies between what is called real and what is called fake",
    "frames_disagree": "the frames agree too little to be sure",
    "many_people": "among so many people, one real face may score this high",
    "unstable_under_compression": "encoding the faces once more turns the verdict round",
    "no_face_found": "no face was found",
    "mostly_unseen": "less than half of it was seen, and the rest may differ",
    "interrupted": "stopped before its end",
    "unreadable": "it could not be read",
    "no_resources": "this machine had no memory, process or open file left for it, and it may be good",
    "decoding_failed": "decoding failed before its end, and the rest may differ",
    "damaged_part": "a part of it is damaged and could not be looked at",
    "file_changed": "the file changed while it was read, and what is there now was not looked at",
    "more_tracks": "it holds more pictures or video tracks than were looked at",
    "size_changes": "its pictures change size midway, and the rest was not looked at",
    "few_colours": "so few colours are left that dither and steps hide what a forgery leaves, and look like it",
    "over_exposed": "the face is too bright to show detail",
    "smoothed": "the face has no fine detail: painted, smoothed or enlarged",
    "screen_pattern": "a pattern lies over the face, as in a photo of a screen or of print",
}
"""Reason code -> words for people."""

MOST = 0.5
"""From this share of real people on, "1 in so many" says less than a percentage."""

EVIDENCE_NOTE = "A verdict is statistical evidence, not proof."


def reason_words(reasons: tuple[Reason, ...]) -> str:
    """Returns reasons as one phrase."""
    return "; ".join(REASON_WORDS[reason] for reason in reasons)


def stranger_words(network: ModelInfo | DetectorInfo) -> str:
    """Returns which network of somebody else's was used, as one phrase; nothing for one that comes with TinyDF."""
    if network.known:
        return ""
    what = "classifier" if isinstance(network, ModelInfo) else "face detector"
    return f"{what} {network.name}: none that comes with TinyDF, SHA-256 {network.sha256 or 'not a file'}"


def rarity_words(rarity: Rarity) -> str:
    """Returns how rare a score is among real people, with its interval, as one phrase."""
    if rarity.share >= MOST:
        return f"most real people score this high ({rarity.low:.0%} to {rarity.high:.0%})"
    if rarity.share == 0:
        return f"none of {rarity.people} real people scored this high (fewer than {_one_in(rarity.high)})"
    ends = f"{_one_in(rarity.high)} to {_one_in(rarity.low)}"
    return f"about {_one_in(rarity.share)} real people scores this high ({ends})"


def _one_in(share: float) -> str:
    """Returns a share as "1 in 70", to two digits."""
    count = 1 / share
    digits = max(0, math.floor(math.log10(count)) - 1)
    return f"1 in {round(count, -digits):.0f}" if count >= 10 else f"1 in {count:.1f}".removesuffix(".0")


def _certainty(interval: tuple[float, float] | None, rarity: Rarity | None) -> tuple[float | None, ...]:
    """Returns the ends of an interval and the share of real people who score as high, empty where not known."""
    return (*(interval or (None, None)), None if rarity is None else rarity.share)


def report_json(report: Report, timing: bool = True) -> str:
    """Returns a report as JSON that follows ``SCHEMA_FILE``, keys in the schema's order.

    Args:
        report: What was found.
        timing: Say how long each step took; else ``timing`` is null, and the same input gives the same bytes.
    """
    values = report.to_dict()
    for item in () if timing else values["inputs"]:
        item["timing"] = None
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def report_csv(report: Report) -> str:
    """Returns one row a scored face, under a row of ``CSV_COLUMNS``; times are in seconds.

    A path that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(CSV_COLUMNS)
    for item in report.inputs:
        of_input = (*_certainty(item.interval, item.rarity), item.fake_threshold)
        for track in item.tracks:
            of_track = _certainty(track.interval, track.rarity)
            rows.writerows(
                (
                    as_cell(item.path),
                    track.id,
                    score.time_s,
                    score.frame,
                    *score.box_xyxy,
                    score.detection_score,
                    score.fake_probability,
                    track.verdict,
                    track.fake_probability,
                    item.verdict,
                    item.fake_probability,
                    *of_track,
                    *of_input,
                )
                for score in track.scores
            )
    return text.getvalue()


def write_json(report: Report, path: Path, timing: bool = True) -> None:
    """Writes a report as JSON, whole or not at all; see ``report_json``.

    Raises:
        OutputError: The file cannot be written.
    """
    write_atomically(path, report_json(report, timing).encode())


def write_csv(report: Report, path: Path) -> None:
    """Writes a report's scored faces as CSV, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    # File names need not be valid Unicode; their bytes are kept.
    write_atomically(path, report_csv(report).encode("utf-8", "surrogateescape"))
