"""docs/real_clips.json -> what the classifier's card says about real deepfakes.

Run: python scripts/write_real_clips.py, after ``tinydf-evaluate MODEL --data SET --real-clips docs/real_clips.json`` or
with another checkpoint shipped. A checkpoint that is not in the file gets the sentence that nobody measured it. Then
``write_figures.py`` brings README and docs up to date.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from tinydf.checkpoint import DEFAULT_PATH
from tinydf.evaluation.real_clips import describe, read_real_clips
from tinydf_runtime.io.files import sha256_of, write_atomically
from tinydf_runtime.models.shipped import DEFAULT_MODEL
from tinydf_runtime.render.html.model_card import REAL_DEEPFAKES

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "real_clips.json"
CARD = DEFAULT_MODEL.with_suffix(".md")


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
    """Writes the card's section."""
    body = card_section(sha256_of(DEFAULT_PATH))
    card = replaced(CARD.read_text(encoding="utf-8"), f"## {REAL_DEEPFAKES}", "## Figures", body, CARD.name)
    write_atomically(CARD, card.encode())
    click.echo(body)


if __name__ == "__main__":
    main()
