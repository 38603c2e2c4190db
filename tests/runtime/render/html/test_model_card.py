"""The shipped card -> what stands beside a verdict."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.models.shipped import DEFAULT_MODEL
from tinydf_runtime.render.html.model_card import FIGURES, LIMITS, card_sections, to_html
from tinydf_runtime.results import ModelInfo

CHECKPOINT = open_engine(DEFAULT_MODEL).spec.checkpoint_sha256
SHIPPED = ModelInfo("tinydf", None, "int8", "onnxruntime", "cpu", 0.5, 1.0, checkpoint_sha256=CHECKPOINT)


def test_the_shipped_model_has_limits_and_figures() -> None:
    sections = card_sections(SHIPPED)
    assert {"", LIMITS, FIGURES} <= set(sections)
    assert "<li>" in to_html(sections[LIMITS]) and "<table>" in to_html(sections[FIGURES])


@pytest.mark.parametrize("sha256", [None, "", "0" * 64])
def test_another_model_has_none(sha256: str | None) -> None:
    assert card_sections(replace(SHIPPED, sha256=sha256, checkpoint_sha256=sha256)) == {}


def test_every_section_of_the_card_becomes_html_without_markdown_left() -> None:
    for text in card_sections(SHIPPED).values():
        plain = re.sub(r"<code>.*?</code>", "", to_html(text))
        assert "**" not in plain and "](" not in plain and "`" not in plain and "\n- " not in plain


def test_markdown_is_escaped_and_kept_in_its_blocks() -> None:
    words = "A **strong** <b> word,\nand `x < y` [here](../a.md)."
    assert to_html(f"{words}\n\n- one\n  more\n- two\n\n| a | b |\n| --- | --- |\n| c | 1 |") == (
        "<p>A <strong>strong</strong> &lt;b&gt; word, and <code>x &lt; y</code> here.</p>"
        "<ul><li>one more</li><li>two</li></ul>"
        '<table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>'
        '<tbody><tr><th scope="row">c</th><td>1</td></tr></tbody></table>'
    )
