"""The shipped model card -> the parts of it that belong beside a verdict, as HTML.

Figures and limits come from the card that was written when they were measured; none is repeated in code.
"""

from __future__ import annotations

import re
from html import escape

from tinydf_runtime.models.shipped import DEFAULT_MODEL
from tinydf_runtime.results import ModelInfo

CARD = DEFAULT_MODEL.with_suffix(".md")
LIMITS = "What it does not do"
FIGURES = "Figures"
REAL_DEEPFAKES = "Real deepfakes"
NO_CARD = "On what this network was tested is not known here: it has no model card."


def card_sections(model: ModelInfo) -> dict[str, str]:
    """Returns title -> Markdown of the shipped card's sections, "" for what stands before the first title.

    Empty for a model that the card is not about: neither its file nor its checkpoint is named there.
    """
    text = CARD.read_text(encoding="utf-8")
    if not any(sha256 and sha256 in text for sha256 in (model.sha256, model.checkpoint_sha256)):
        return {}
    start, *parts = re.split(r"^## +", text, flags=re.MULTILINE)
    titled = (part.partition("\n") for part in parts)
    return {"": start.partition("\n")[2]} | {title.strip(): body for title, _, body in titled}


def tested_words(model: ModelInfo) -> str:
    """Returns what a model was tested on and what not, in a sentence or two, from the start of its card's section."""
    text = card_sections(model).get(REAL_DEEPFAKES, "").strip()
    return " ".join(text.split("\n\n")[0].replace("**", "").split()) or NO_CARD


def to_html(markdown: str) -> str:
    """Returns paragraphs, lists and tables of Markdown as HTML; links become their words, all else is escaped."""
    blocks = [block.splitlines() for block in re.split(r"\n\s*\n", markdown.strip()) if block.strip()]
    return "".join(_block(lines) for lines in blocks)


def _block(lines: list[str]) -> str:
    """Returns one block of Markdown as HTML."""
    if lines[0].startswith("|"):
        return _table(lines)
    if lines[0].startswith("- "):
        items = re.split(r"^- +", "\n".join(lines), flags=re.MULTILINE)[1:]
        return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>"
    return f"<p>{_inline(' '.join(lines))}</p>"


def _table(lines: list[str]) -> str:
    """Returns a Markdown table with its first row and first column as headers."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    head = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in rows[0])
    body = "".join(
        f'<tr><th scope="row">{_inline(row[0])}</th>{"".join(f"<td>{_inline(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows[2:]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _inline(text: str) -> str:
    """Returns a run of Markdown text as HTML."""
    text = escape(" ".join(text.split()))
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
