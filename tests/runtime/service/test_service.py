"""Logs, figures and drift of runs that go on day after day, and verdicts that can be had again."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.cli.run import main
from tinydf_runtime.errors import OutputError, UnavailableError, UsageError
from tinydf_runtime.render.report import SCHEMA_FILE
from tinydf_runtime.results import InputReport
from tinydf_runtime.service.drift import WATCHED, DriftWatch
from tinydf_runtime.service.event_log import EventLog
from tinydf_runtime.service.metrics import LOOPBACK, Metrics
from tinydf_runtime.types import FaceQuality


@pytest.fixture
def clip(write_video: Callable[..., Path], draw_squares: Callable[..., Any]) -> Path:
    return write_video([draw_squares((60, 60, 160, 160))] * 25)


@pytest.fixture
def run(tiny_classifier: Path, tiny_detector: Path) -> Callable[..., Result]:
    def invoke(*arguments: object) -> Result:
        networks = ["--engine", str(tiny_classifier), "--detector", str(tiny_detector), "--quiet"]
        return CliRunner().invoke(main, [*map(str, arguments), *networks])

    return invoke


@pytest.fixture
def report(clip: Path, tiny_classifier: Path, tiny_detector: Path) -> InputReport:
    return Analyzer(tiny_classifier, detector=tiny_detector, threads=1, sandbox=False).analyze_input(clip)


def test_the_same_input_gives_the_same_bytes(clip: Path, run: Callable[..., Result], tmp_path: Path) -> None:
    written = []
    for name, ways in (("a", []), ("b", []), ("c", ["--no-sandbox"]), ("d", ["--max-seconds", "900"])):
        files = tmp_path / f"{name}.json", tmp_path / f"{name}.csv"
        result = run(clip, "--no-timing", "--json", files[0], "--csv", files[1], *ways)
        assert result.exit_code == 0, result.output
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1] == written[2] == written[3]
    values = json.loads(written[0][0])
    assert values["inputs"][0]["timing"] is None and values["inputs"][0]["verdict"] == "real"
    jsonschema.validate(values, json.loads(SCHEMA_FILE.read_text()))


def test_a_log_has_a_line_an_event_and_is_added_to(clip: Path, run: Callable[..., Result], tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert run(clip, tmp_path / "none.mp4", "--log-json", log).exit_code == 5
    assert run(clip, "--log-json", log).exit_code == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "input", "input", "end", "start", "input", "end"]
    assert (lines[1]["verdict"], lines[1]["level"], len(lines[1]["sha256"])) == ("real", "info", 64)
    assert (lines[2]["verdict"], lines[2]["level"], lines[2]["fake_probability"]) == ("error", "error", None)
    assert (lines[3]["inputs"], lines[3]["errors"]) == (2, 1)
    assert all(line["schema"] == "tinydf.log/1" and line["time"].endswith("Z") for line in lines)


def test_a_log_takes_warnings_and_hides_passwords(report: InputReport, tmp_path: Path) -> None:
    import logging

    with EventLog(tmp_path / "log") as log:
        logging.getLogger("tinydf_runtime.somewhere").warning("no %s", "cuda")
        log.note(replace(report, path="rtsp://me:secret@camera/live"))
    text = (tmp_path / "log").read_text()
    assert "secret" not in text and '"no cuda"' in text
    with pytest.raises(OutputError, match="could not be opened"):
        EventLog(tmp_path / "none" / "log")
    with EventLog(Path("/dev/full")) as log, pytest.raises(OutputError, match="No space left"):
        log.write("start")


def test_no_file_of_the_service_goes_onto_an_input(clip: Path, run: Callable[..., Result]) -> None:
    before = clip.read_bytes()
    for option in ("--log-json", "--metrics", "--drift"):
        result = run(clip, option, clip)
        assert result.exit_code == 2 and "is an input too" in result.stderr
    assert clip.read_bytes() == before


def test_figures_are_written_for_prometheus(clip: Path, run: Callable[..., Result], tmp_path: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    out = tmp_path / "tinydf.prom"
    assert run(clip, tmp_path / "none.mp4", "--metrics", out).exit_code == 5
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in parser.text_string_to_metric_families(out.read_text())
        for sample in family.samples
    }
    assert samples["tinydf_inputs_total", "ok", "real", "video"] == 1
    assert samples["tinydf_inputs_total", "error", "unreadable", "video"] == 1
    assert samples[("tinydf_frames_decoded_total",)] == 25
    assert samples["tinydf_input_seconds_count", "total"] == 2


def test_figures_are_served_on_loopback_alone(report: InputReport) -> None:
    pytest.importorskip("prometheus_client")
    import socket

    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    metrics = Metrics()
    close = metrics.serve(port)
    try:
        metrics.note(report)
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=10) as answer:
            assert b'tinydf_inputs_total{kind="video"' in answer.read()
        # Another address of this machine, though a loopback one.
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.2:{port}/metrics", timeout=10)
        with pytest.raises(UnavailableError, match="cannot be opened"):
            Metrics().serve(port)
    finally:
        close()


def people(report: InputReport, scores: Sequence[float], quality: FaceQuality) -> InputReport:
    """An input in which so many people were judged."""
    (track,) = report.tracks
    faces = [replace(face, quality=quality) for face in track.scores]
    return replace(report, tracks=tuple(replace(track, fake_probability=score, scores=faces) for score in scores))


def test_drift_is_seen_where_it_is_and_not_where_it_is_not(report: InputReport, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    usual, sharp, dull = rng.beta(2, 5, 900), FaceQuality(sharpness=0.85), FaceQuality(sharpness=0.15)
    watch = DriftWatch(tmp_path / "drift.json")
    watch.note(people(report, list(usual[:550]), sharp))
    assert watch.indices() == {}, "50 people are too few to compare"
    watch.note(people(report, list(usual[550:750]), sharp))
    assert set(watch.indices()) == set(WATCHED) and watch.shifted() == {}
    watch.save()
    resumed = DriftWatch(tmp_path / "drift.json")
    assert resumed.indices() == watch.indices()
    resumed.note(people(report, list(rng.beta(5, 2, 400)), dull))
    assert set(resumed.shifted()) == {"fake_probability", "sharpness"}


def test_a_drift_record_that_is_damaged_is_refused(tmp_path: Path, run: Callable[..., Result], clip: Path) -> None:
    path = tmp_path / "drift.json"
    for content in ("{}", "[]", "no", '{"schema": "tinydf.drift/1", "watched": 3}', "[" * 100_000):
        path.write_text(content)
        with pytest.raises(UsageError, match="holds no drift record"):
            DriftWatch(path)
    (endless := tmp_path / "endless.json").symlink_to("/dev/zero")
    for damaged in (path, endless):
        result = run(clip, "--drift", damaged)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1


def test_drift_is_told_at_the_end_of_a_run(
    report: InputReport, clip: Path, run: Callable[..., Result], tmp_path: Path
) -> None:
    watch = DriftWatch(tmp_path / "drift.json")
    watch.note(people(report, [0.95] * 500, FaceQuality()))
    watch.note(people(report, [0.05] * 150, FaceQuality()))
    watch.save()
    result = run(clip, "--drift", tmp_path / "drift.json", "--log-json", tmp_path / "log")
    assert (
        result.exit_code == 0 and "what is judged has changed" in result.stderr and "fake_probability" in result.stderr
    )
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert events == ["start", "input", "drift", "end"]
