"""A line of JSON a moment, as its schema says."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from tinydf_runtime.render.report import FRAME_RESULT_SCHEMA_FILE, frame_result_line
from tinydf_runtime.results import FrameResult, ScoredFace, Verdict
from tinydf_runtime.types import Face, Frame

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
