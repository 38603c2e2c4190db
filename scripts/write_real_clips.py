"""docs/real_clips.json -> what the classifier's card and the README say about real deepfakes.

Run: python scripts/write_real_clips.py, after ``tinydf-evaluate MODEL --data SET --real-clips docs/real_clips.json`` or
with another checkpoint shipped. A checkpoint that is not in the file gets the sentence that nobody measured it.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from tinydf.checkpoint import DEFAULT_PATH
from tinydf.evaluation.real_clips import describe, read_real_clips
from tinydf_runtime.io.files import sha256_of, write_atomically
from tinydf_runtime.models.embedded import DEFAULT_MODEL
from tinydf_runtime.render.html.model_card import REAL_DEEPFAKES

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "real_clips.json"
README = ROOT / "README.md"
CARD = DEFAULT_MODEL.with_suffix(".md")
BEGIN, END = "<!-- real deepfakes, by scripts/write_real_clips.py -->", "<!-- end -->"


def card_section(checkpoint_sha256: str) -> str:
    """Returns the body of the card's section for a checkpoint."""
    return describe(read_real_clips(FIGURES).get(checkpoint_sha256))


def replaced(text: str, begin: str, end: str, body: str, name: str) -> str:
    """Returns a text with what stands between two marks replaced."""
    pattern = re.compile(f"({re.escape(begin)}\n).*?(\n{re.escape(end)})", re.DOTALL)
    found = pattern.sub(lambda match: f"{match[1]}\n{body}{match[2]}", text, count=1)
    if not pattern.search(text):
        raise click.ClickException(f"{name}: {begin!r} and {end!r} are not there.")
    return found


@click.command()
def main() -> None:
    """Writes both."""
    body = card_section(sha256_of(DEFAULT_PATH))
    card = replaced(CARD.read_text(encoding="utf-8"), f"## {REAL_DEEPFAKES}", "## Figures", body, CARD.name)
    readme = replaced(README.read_text(encoding="utf-8"), BEGIN, END, body, README.name)
    write_atomically(CARD, card.encode())
    write_atomically(README, readme.encode())
    click.echo(body)


if __name__ == "__main__":
    main()
