"""tinydf-scan as people run it: exit codes, the files it writes, and what it says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tinydf_runtime.cli.scan import main

ROOT = Path(__file__).resolve().parents[3]
Command = Callable[..., "subprocess.Popen[str]"]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    with process:
        out, errors = process.communicate()
    return process.returncode, out, errors


class Rows(HTMLParser):
    """Collects a page's links, verdicts of rows, tags, and addresses that it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.verdicts: list[str] = []
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "srcset", "data", "action") and value]
        if tag == "a" and not (found["href"] or "").startswith("#"):
            self.links.append(unquote(found["href"] or ""))
        if tag == "tr" and "data-verdict" in found:
            self.verdicts.append(found["data-verdict"] or "")


def test_one_scan_writes_ledger_overview_table_and_pages(
    draw_archive: Callable[..., Path], run_command: Command, rows_of: Callable[..., Any], tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    archive = draw_archive(3)
    shutil.copy(archive / "picture000.png", archive / "<img src=x onerror=alert(1)>.png")
    (archive / "damaged.mp4").write_bytes(b"nothing of a video")
    ledger, html, table = tmp_path / "results.sqlite", tmp_path / "overview.html", tmp_path / "table.parquet"
    outputs = ("--out", ledger, "--html", html, "--parquet", table, "--pages", tmp_path / "pages", "--json", "-")
    code, out, errors = ended(run_command(archive, *outputs, "--workers", "1"))
    assert (code, errors) == (5, "")
    summary = json.loads(out)
    assert (summary["files"], summary["contents"], summary["duplicates"]) == (5, 4, 1)
    assert (summary["files_to_do"], summary["files_not_or_partly_read"]) == (0, 1)

    page = html.read_text(encoding="utf-8")
    shown = Rows(page)
    assert sorted(shown.verdicts) == sorted(row["verdict"] for row in rows_of(ledger))
    assert "img" not in shown.tags and shown.loaded == [] and "&lt;img src=x" in page
    assert len(shown.links) == 4 and all((tmp_path / link).is_file() for link in shown.links)
    assert not re.search(r"https?://", page)
    script = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page and "default-src 'none'" in page

    rows = parquet.read_table(table).to_pylist()
    assert sorted(row["path"] for row in rows) == [row["path"] for row in rows_of(ledger)]
    assert {row["sha256"] for row in rows} == {row["sha256"] for row in rows_of(ledger)}
    assert parquet.read_schema(table).metadata[b"tinydf.model_sha256"].decode() == summary["facts"]["model_sha256"]

    # Nothing is left to do: without a folder, from the ledger alone.
    before = rows_of(ledger)
    code, out, _ = ended(run_command("--out", ledger))
    assert code == 5 and "5 files" in out and rows_of(ledger) == before


def test_clips_are_done_once_through_kills_at_random_moments(tiny_classifier: Path, tiny_detector: Path) -> None:
    words = ["--clips", "12", "--kills", "2", "--model", str(tiny_classifier), "--detector", str(tiny_detector)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "kill_scan.py"), *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "12 clips, each done exactly once" in done.stdout


def test_an_interruption_keeps_what_was_done(
    draw_archive: Callable[..., Path], run_command: Command, rows_of: Callable[..., Any], tmp_path: Path
) -> None:
    archive, ledger = draw_archive(80), tmp_path / "results.sqlite"
    query = "SELECT * FROM contents WHERE state = 'done'"
    with run_command(archive, "--out", ledger, "--workers", "1", "--no-sandbox", "--quiet") as scan:
        done: list[Any] = []
        while scan.poll() is None and not done:
            time.sleep(0.02)
            if ledger.exists():
                with suppress(sqlite3.OperationalError):
                    done = rows_of(ledger, query)
        scan.send_signal(signal.SIGINT)
        _, errors = scan.communicate()
    assert (scan.returncode, errors.count("\n")) == (130, 1) and "Run the same command again" in errors
    kept = rows_of(ledger, query)
    assert 0 < len(kept) < 80
    assert ended(run_command("--out", ledger, "--workers", "1", "--quiet", "--no-sandbox"))[0] == 0
    after = {row["sha256"]: row for row in rows_of(ledger, query)}
    assert len(after) == 80 and all(after[row["sha256"]] == row for row in kept)


def test_a_ledger_into_which_somebody_wrote_is_one_line(
    draw_archive: Callable[..., Path], run_command: Command, tmp_path: Path
) -> None:
    archive, ledger = draw_archive(2), tmp_path / "results.sqlite"
    assert ended(run_command(archive, "--out", ledger, "--workers", "1", "--no-sandbox", "--quiet"))[0] == 0
    for change in (
        "verdict = 'certain'",
        "fake_probability = 0.5, reasons = 5, verdict = 'real', width = 'wide'",
        "verdict = 'real', reasons = '', width = 9, state = 'lost'",
    ):
        with closing(sqlite3.connect(ledger)) as database, database:
            database.execute("PRAGMA ignore_check_constraints = 1")
            database.execute(f"UPDATE contents SET {change}")
        page = tmp_path / "overview.html"
        code, _, errors = ended(run_command("--out", ledger, "--html", page, "--workers", "1", "--quiet"))
        assert code == 7 and errors.count("\n") == 1 and "holds what no scan writes" in errors and not page.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("empty", "--out", "r.sqlite"), 2, "holds no video or picture"),
        (("missing", "--out", "r.sqlite"), 5, "No such file"),
        (("--out", "r.sqlite"), 2, "no FOLDER is named"),
        (("empty", "--out", "clip.mp4"), 2, "ending of a video"),
        (("one.png", "--out", "text.sqlite"), 2, "no ledger of tinydf-scan"),
        (("one.png", "--out", "other.sqlite"), 2, "no ledger of tinydf-scan"),
        (("one.png", "--out", "nowhere/r.sqlite"), 7, "cannot be written to"),
        (("one.png", "--out", "r.sqlite", "--html", "r.sqlite"), 2, "named for two outputs"),
        (("one.png", "--out", "r.sqlite", "--fpr", "0.1", "--threshold", "0.5"), 2, "--fpr"),
        (("one.png", "--out", "r.sqlite", "--workers", "1", "--scheduler", "tcp://x:1"), 2, "--workers"),
        (("one.png", "--out", "r.sqlite", "--workers", "1", "--model", "broken.onnx"), 6, "broken.onnx"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_its_code(
    arguments: tuple[str, ...],
    code: int,
    words: str,
    tmp_path: Path,
    draw_archive: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copy(draw_archive(1) / "picture000.png", tmp_path / "one.png")
    (tmp_path / "text.sqlite").write_text("This is no database, and longer than a header of one would be." * 40)
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE mine (number)")
    other.close()
    kept = (tmp_path / "other.sqlite").read_bytes()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main.main([*arguments])
    errors = capsys.readouterr().err
    assert (ended.value.code, errors.count("\n")) == (code, 1), errors
    assert words in errors
    assert (tmp_path / "other.sqlite").read_bytes() == kept


@pytest.mark.parametrize(
    ("library", "arguments", "extra"),
    [
        ("pyarrow", ("--parquet", "table.parquet"), "scan"),
        ("fsspec", ("s3://bucket/folder",), "scan"),
        ("distributed", ("--scheduler", "tcp://127.0.0.1:1"), "cluster"),
    ],
)
def test_without_an_optional_library_one_line_tells_what_to_install(
    library: str,
    arguments: tuple[str, ...],
    extra: str,
    tmp_path: Path,
    draw_archive: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    draw_archive(1)
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main.main(["archive", "--out", "r.sqlite", *arguments])
    errors = capsys.readouterr().err
    assert (ended.value.code, errors.count("\n")) == (4, 1)
    assert library in errors and f".[{extra}]" in errors
