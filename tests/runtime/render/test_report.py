"""Report -> JSON and CSV; a live frame's result -> a line of JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import jsonschema
import numpy as np
import pytest

from tinydf_runtime.errors import OutputError
from tinydf_runtime.render.report import (
    CSV_COLUMNS,
    FRAME_RESULT_SCHEMA_FILE,
    SCHEMA_FILE,
    frame_result_line,
    report_csv,
    report_json,
    write_csv,
    write_json,
)
from tinydf_runtime.render.words import REASON_WORDS
from tinydf_runtime.results import (
    DetectorInfo,
    FrameResult,
    InputReport,
    ModelInfo,
    Report,
    ScoredFace,
    Segment,
    Timing,
    ToolInfo,
    TrackReport,
    Verdict,
)
from tinydf_runtime.types import Face, FaceScore, Frame, Reason

SCORES = tuple(
    FaceScore(i / 5, i * 5, (1.5, 2.0, 81.5, 92.0), 0.9, 0.8, np.zeros((14, 14), np.uint8)) for i in range(4)
)
GOOD = InputReport(
    path="clip, with comma.mp4",
    sha256="a" * 64,
    kind="video",
    status="ok",
    width=640,
    height=360,
    fps=25.0,
    duration_s=0.8,
    rotation_deg=0,
    frames_decoded=20,
    frames_expected=20,
    frames_scored=4,
    verdict="fake",
    fake_probability=0.8,
    reasons=(),
    message=None,
    tracks=(TrackReport(1, 0.0, 0.6, "fake", 0.8, 4, (), SCORES),),
    segments=(Segment(1, 0.0, 0.6, 0.8),),
    timing=Timing(1.0, 0.2, 0.3, 0.5),
)
BAD = replace(
    GOOD,
    path="bad.mp4",
    sha256=None,
    status="unreadable",
    width=None,
    height=None,
    fps=None,
    duration_s=None,
    rotation_deg=None,
    frames_decoded=0,
    frames_expected=None,
    frames_scored=0,
    verdict="error",
    fake_probability=None,
    reasons=("unreadable",),
    message="bad.mp4: the file is empty. Copy it again.",
    tracks=(),
    segments=(),
)
REPORT = Report(
    ToolInfo("tinydf", "1.0"),
    ModelInfo("tinydf", "b" * 64, "fp32", "onnxruntime", "cpu", 0.5, 1.0),
    DetectorInfo("squares", None),
    (GOOD, BAD),
)


def schema() -> Any:
    return json.loads(SCHEMA_FILE.read_text())


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_a_report_follows_the_schema() -> None:
    jsonschema.validate(REPORT.to_dict(), schema())
    assert json.loads(report_json(REPORT)) == REPORT.to_dict()


def test_keys_come_in_the_order_of_the_schema() -> None:
    values, order = REPORT.to_dict(), schema()
    assert list(values) == list(order["properties"])
    assert list(values["model"]) == list(order["properties"]["model"]["properties"])
    first = values["inputs"][0]
    for name, found in (
        ("input", first),
        ("track", first["tracks"][0]),
        ("score", first["tracks"][0]["scores"][0]),
        ("segment", first["segments"][0]),
        ("timing", first["timing"]),
    ):
        assert list(found) == list(order["$defs"][name]["properties"])


@pytest.mark.parametrize(
    "wrong",
    [
        replace(BAD, fake_probability=0.5),
        replace(BAD, verdict="real", fake_probability=0.1),
        replace(GOOD, fake_probability=None),
        replace(GOOD, fake_probability=1.5),
        replace(GOOD, verdict="inconclusive", reasons=()),
        replace(GOOD, verdict="no_face"),
    ],
)
def test_the_schema_refuses_a_number_without_evidence_and_a_verdict_without_one(wrong: InputReport) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(replace(REPORT, inputs=(wrong,)).to_dict(), schema())


def test_every_reason_is_in_the_schema_and_has_words() -> None:
    reasons = set(get_args(Reason))
    assert set(schema()["$defs"]["input"]["properties"]["reasons"]["items"]["enum"]) == reasons
    assert set(REASON_WORDS) == reasons


def test_csv_has_one_row_a_scored_face_and_the_path_first() -> None:
    rows = list(csv.reader(io.StringIO(report_csv(REPORT))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == 1 + len(SCORES)
    assert {row[0] for row in rows[1:]} == {GOOD.path}
    assert rows[2][1:4] == ["1", "0.2", "5"]


def test_files_are_written_whole(tmp_path: Path) -> None:
    write_json(REPORT, tmp_path / "r.json")
    write_csv(REPORT, tmp_path / "r.csv")
    assert json.loads((tmp_path / "r.json").read_text()) == REPORT.to_dict()
    assert (tmp_path / "r.csv").read_text() == report_csv(REPORT)
    assert len(list(tmp_path.iterdir())) == 2


def test_file_names_that_are_no_unicode_are_kept(tmp_path: Path) -> None:
    report = replace(REPORT, inputs=(replace(GOOD, path="clip\udcff.mp4"),))
    write_json(report, tmp_path / "r.json")
    write_csv(report, tmp_path / "r.csv")
    assert json.loads((tmp_path / "r.json").read_text())["inputs"][0]["path"] == "clip\udcff.mp4"
    assert b"clip\xff.mp4" in (tmp_path / "r.csv").read_bytes()


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_json(REPORT, tmp_path / "none" / "r.json")


# Lines of JSON


FACE = Face((1.234567, 2.0, 30.0, 40.0), ((5.0, 6.0),) * 5, np.float64(0.9))
VERDICT = Verdict(3, "inconclusive", None, ("too_few_faces",), 2)
SCORED = ScoredFace(3, FACE, 0.25, np.zeros((14, 14), np.float32), VERDICT)
MOMENT = FrameResult(Frame(7, 1.23456, np.zeros((48, 64, 3), np.uint8)), (SCORED,), 0.0421, 5)


@pytest.mark.parametrize("moment", [MOMENT, replace(MOMENT, faces=(), latency_s=None, frames_dropped=0)])
def test_a_line_follows_the_schema(moment: FrameResult) -> None:
    line = frame_result_line(moment, "rtsp://bob:secret@host/1")
    assert line.endswith("\n") and line.count("\n") == 1
    values = json.loads(line)
    schema = json.loads(FRAME_RESULT_SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    assert set(values) == set(schema["properties"]) == set(schema["required"])
    assert values["source"] == "rtsp://***@host/1"
    assert (values["time_s"], values["frame"], values["width"], values["height"]) == (1.235, 7, 64, 48)


def test_a_line_tells_what_is_known_of_a_face() -> None:
    values = json.loads(frame_result_line(MOMENT, 0))
    (face,) = values["faces"]
    assert set(face) == set(json.loads(FRAME_RESULT_SCHEMA_FILE.read_text())["$defs"]["face"]["properties"])
    assert values["latency_ms"] == 42.1 and values["frames_dropped"] == 5
    assert (face["track"], face["track_verdict"], face["track_fake_probability"]) == (3, "inconclusive", None)
    assert face["box_xyxy"] == [1.23, 2.0, 30.0, 40.0]
    assert face["reasons"] == ["too_few_faces"]
