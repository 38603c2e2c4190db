import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tinydf.evaluation.evaluate import evaluate
from tinydf.evaluation.faces import open_faces
from tinydf.evaluation.page import render_page
from tinydf.evaluation.perturbations import LADDER
from tinydf.evaluation.result import Evaluation, Settings
from tinydf.evaluation.scores import Failure
from tinydf.evaluation.scoring import Scorer

SETTINGS = Settings(seed=0, limit=None)
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Outline(HTMLParser):
    """Checks that every element is closed, and collects ids and what is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self._note(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.loaded.append(f"{tag} {value}")


def outline(page: str) -> Outline:
    parsed = Outline()
    parsed.feed(page)
    assert parsed.open == []
    return parsed


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    return render_page([evaluation], SETTINGS)


def test_page_is_whole_and_needs_nothing_else(page: str) -> None:
    found = outline(page)
    assert found.loaded == []
    assert len(found.ids) == len(set(found.ids))
    assert "<script" not in page and "@import" not in page and "url(http" not in page


def test_page_follows_light_dark_phone_and_print(page: str) -> None:
    assert 'name="viewport"' in page
    assert all(rule in page for rule in ("prefers-color-scheme: dark", "@media print", "max-width: 34rem"))
    # No drawing keeps a colour of its own, or it would vanish on one of the two papers.
    drawn = "".join(re.findall(r'<svg role="img".*?</svg>', page, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) == set()
    assert "var(--accent)" in drawn


def test_page_shows_plots_figures_and_hashes(page: str, evaluation: Evaluation) -> None:
    for label in ("ROC curves", "Histograms", "Reliability"):
        assert f'aria-label="{label}' in page
    auc = evaluation.whole.videos["auc"]
    assert auc is not None and f"{auc.value:.3f}" in page
    assert evaluation.model.sha256 in page and evaluation.data.table_sha256 in page


def test_same_figures_give_the_same_page(page: str, evaluation: Evaluation) -> None:
    assert render_page([evaluation], SETTINGS) == page


def test_synthetic_forgeries_are_called_that(drawn_folder: Path, scorer: Scorer) -> None:
    made = evaluate(scorer, open_faces(drawn_folder, "train", scorer.spec.crop, limit=1))
    page = render_page([made], SETTINGS)
    outline(page)
    assert "No forgery in this set" in page
    assert page.count("synthetic: decoder") >= 1


def test_two_sets_make_a_matrix_and_keep_their_ids_apart(evaluation: Evaluation) -> None:
    other = replace(evaluation, data=replace(evaluation.data, path="elsewhere"))
    page = render_page([evaluation, other], SETTINGS)
    found = outline(page)
    assert "All models on all sets" in page
    assert len(found.ids) == len(set(found.ids))


def test_ladder_is_drawn_and_tabled(two_methods: Path, scorer: Scorer) -> None:
    dark = tuple(rung for rung in LADDER if rung.kind == "contrast")
    page = render_page([evaluate(scorer, open_faces(two_methods, "test", scorer.spec.crop), dark)], SETTINGS)
    outline(page)
    assert 'aria-label="AUC under contrast"' in page
    assert "DeeperForensics-1.0" in page


def test_names_from_outside_are_escaped(evaluation: Evaluation) -> None:
    page = render_page([replace(evaluation, failures=(Failure("<b>x</b>.png: is missing."),))], SETTINGS)
    outline(page)
    assert "&lt;b&gt;x&lt;/b&gt;.png: is missing." in page
