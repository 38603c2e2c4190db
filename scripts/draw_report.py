"""The example video -> docs/report.png, the top of its report page.

Run: python scripts/draw_report.py. Chromium (Debian's package ``chromium``) draws the page without a window.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import click

from tinydf_runtime import Analyzer, write_html

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "examples" / "clip.mp4"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LIMIT_S = 120


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "docs" / "report.png", help="Picture.")
@click.option("--width", default=1000, show_default=True, help="Pixels.")
@click.option("--height", default=1385, show_default=True, help="Pixels, from the top of the page.")
def main(out: Path, width: int, height: int) -> None:
    """Draws the picture."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise click.ClickException(f"none of {', '.join(BROWSERS)} is installed.")
    out = out.resolve()
    os.chdir(CLIP.parent)  # so that the page names the file alone
    with tempfile.TemporaryDirectory() as folder, Analyzer() as analyzer:
        page = Path(folder) / "report.html"
        write_html(analyzer.analyze(CLIP.name), page)
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={folder}/browser", f"--window-size={width},{height}", f"--screenshot={out}"]
        done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode != 0 or not out.is_file():
        raise click.ClickException(f"{browser} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    click.echo(out)


if __name__ == "__main__":
    main()
