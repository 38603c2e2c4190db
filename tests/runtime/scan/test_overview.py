"""The overview page: bounded, harmless whatever files are called, and sorted and filtered in the browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tinydf_runtime.scan import overview
from tinydf_runtime.scan.database import open_database, transaction
from tinydf_runtime.scan.ledger import Ledger
from tinydf_runtime.scan.overview import write_overview

WHEN = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
NAMES = [
    "/a/</script><script>alert(1)</script>.png",
    "/a/\" onmouseover='x'.png",
    "/a/$title ${rows}.png",
    "/a/b\nc.png",
]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """A page of files with hostile names and of more judged files than the table takes."""
    with closing(open_database(tmp_path / "results.sqlite")) as database:
        with transaction(database):
            for number in range(overview.MOST_JUDGED + 100):
                name = NAMES[number] if number < len(NAMES) else f"/a/{number:05d}.png"
                probability = 1 - number / 10_000
                database.execute(
                    "INSERT INTO contents (id, sha256, state, exit_code, verdict, fake_probability, reasons) "
                    "VALUES (?, ?, 'done', 0, ?, ?, 'near_threshold')",
                    (number + 1, f"{number:064x}", "fake" if probability > 0.9 else "inconclusive", probability),
                )
                database.execute(
                    "INSERT INTO files (path, version, state, content) VALUES (?, '1', 'hashed', ?)", (name, number + 1)
                )
        ledger = Ledger(database)
        ledger.recount()
        write_overview(database, ledger.counts, tmp_path / "overview.html", WHEN)
    yield (tmp_path / "overview.html").read_text(encoding="utf-8")


def test_the_table_is_bounded_and_says_what_it_leaves_out(page: str) -> None:
    assert page.count("<tr data-verdict=") == overview.MOST_JUDGED
    assert "100 files with lower scores are not in this table" in page
    shown = [float(value) for value in re.findall(r'<td class="n " data-value="([\d.]+)">', page)]
    assert shown == sorted(shown, reverse=True) and len(shown) == overview.MOST_JUDGED


def test_the_histogram_counts_every_content(page: str) -> None:
    bars = re.findall(r"<title>(\d+) (\w+), ", page)
    assert sum(int(count) for count, _ in bars) == overview.MOST_JUDGED + 100
    assert {verdict for _, verdict in bars} == {"fake", "inconclusive"}


def test_names_are_shown_and_never_obeyed(page: str) -> None:
    assert page.count("<script>") == page.count("</script>") == 1
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page and "onmouseover='" not in page
    assert "/a/$title ${rows}.png" in page and "/a/b\\x0ac.png" in page


def test_the_browser_runs_the_script_and_nothing_else(page: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser is installed")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"file://{tmp_path}/overview.html"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f'id="shown">{overview.MOST_JUDGED} shown<' in done.stdout and '<fieldset class="filters">' in done.stdout
