"""What a newcomer meets first: figures, links, the picture of the architecture, the manual's site, forms and checks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "runtime").rglob("models/*.md")])
Element = tuple[str, dict[str, str], str]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """The script that a test names as its parameter."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return import_module(request.param)


# Figures


@pytest.mark.parametrize("script", ["write_figures"], indirect=True)
def test_figures_are_those_that_were_measured_last(script: ModuleType) -> None:
    for page, text in script.pages().items():
        assert page.read_text(encoding="utf-8") == text, f"{page}: run python scripts/write_figures.py"


@pytest.mark.parametrize("script", ["write_figures"], indirect=True)
def test_a_figure_that_was_not_measured_is_not_made_up(script: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("| clip | s |\n| --- | --- |\n| small | 1.5 |\n\nwords\n\n| a |\n| --- |\n| 2 |\n")
    assert script.tables(page) == [[{"clip": "small", "s": "1.5"}], [{"a": "2"}]]
    assert script.row_of(page, "sm")["s"] == "1.5"
    with pytest.raises(click.ClickException, match="large"):
        script.row_of(page, "large")


def test_the_readme_is_a_front_door_and_no_manual() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 750


# Links


def anchors(page: Path) -> set[str]:
    """The anchors that headings of a Markdown file get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    links = re.findall(r"\]\(([^()\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)
    for link in filter(lambda link: "://" not in link, map("".join, links)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), link


# Where to change what


def test_contributing_names_places_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## Common changes")[2].partition("\n## ")[0]
    paths = re.findall(r"`([\w.]+/[\w./]+)`", table)
    assert len(paths) >= 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
    places = re.findall(r"`(\w+)(?:\.(\w+))?` in `([^`]+)`", table)
    assert len(places) >= 5
    for name, method, path in places:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(class )?{name}\b", source, re.M), (name, path)
        assert not method or f"def {method}(" in source, (method, path)


# The picture of the architecture


def elements(svg: str) -> list[Element]:
    """What a picture says: its marked elements and words, without places, colours and line ends."""
    kept = ("class", "id", "data-from", "data-to")
    found = []
    for element in ElementTree.fromstring(svg).iter():
        facts = {name: value for name, value in element.attrib.items() if name in kept}
        tag = element.tag.rpartition("}")[2]
        if tag != "style":
            found.append((tag, facts, " ".join((element.text or "").split())))
    return sorted(found, key=str)


@pytest.mark.parametrize("script", ["draw_architecture"], indirect=True)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_shows_the_source_as_it_is(script: ModuleType, theme: str) -> None:
    drawn = (ROOT / "docs" / f"architecture-{theme}.svg").read_text(encoding="utf-8")
    now = script.draw(script.read_graph(), theme)
    assert elements(drawn) == elements(now), "run python scripts/draw_architecture.py"


@pytest.mark.parametrize("script", ["draw_architecture"], indirect=True)
def test_the_picture_follows_the_source(script: ModuleType) -> None:
    graph = script.read_graph()
    grown = replace(graph, folders=graph.folders | {"tinydf_runtime.attic"})
    assert elements(script.draw(grown, "light")) != elements(script.draw(graph, "light"))
    one, other = min(graph.between_packages())
    bent = replace(graph, imports=graph.imports | {(f"{other}.x", f"{one}.y")})
    with pytest.raises(click.ClickException, match=other):
        script.draw(bent, "light")
    step = f"tinydf_runtime.{script.FLOWS['tinydf_runtime'][0][0]}"
    with pytest.raises(click.ClickException, match=step):
        script.draw(replace(graph, folders=graph.folders - {step}), "light")


# The manual as a site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def test_the_site_has_every_page_and_the_reference(site: Path) -> None:
    written = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert written <= {path.stem for path in site.glob("*.html")}
    assert "analyze_frames" in (site / "api.html").read_text(encoding="utf-8")
    assert "Glossary" in (site / "contributing.html").read_text(encoding="utf-8")


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r"<(?:script|img|source|iframe)\b[^>]*\bsrc\w*=\"?https?:|<link\b[^>]*\bhref=\"?https?:[^>]*>")
    for page in [*site.rglob("*.html")]:
        assert not loaded.findall(page.read_text(encoding="utf-8")), page.name
    for style in site.rglob("*.css"):
        assert not re.findall(r"url\([\"']?https?:|@import", style.read_text(encoding="utf-8")), style.name


# Forms, citation, hosted checks


def read_yaml(path: str) -> dict[str, Any]:
    found = pytest.importorskip("yaml", reason="PyYAML is not installed").safe_load((ROOT / path).read_text("utf-8"))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("form", ["bug", "wrong_verdict"])
def test_issue_forms_are_valid_and_ask_for_what_helps(form: str) -> None:
    found = read_yaml(f".github/ISSUE_TEMPLATE/{form}.yml")
    assert found.keys() >= {"name", "description", "body"}
    fields = [field for field in found["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) >= 3
    assert all(field["attributes"]["label"] for field in fields)
    assert all(field["attributes"]["options"] for field in fields if field["type"] == "dropdown")


def test_hosted_checks_run_the_same_script_on_two_pythons() -> None:
    workflow = read_yaml(".github/workflows/checks.yml")
    (job,) = workflow["jobs"].values()
    assert len(set(job["strategy"]["matrix"]["python"])) >= 2
    commands = [step for step in job["steps"] if ".ci/run" in step.get("run", "")]
    assert len(commands) == 1
    assert commands[0]["env"]["PYTHON"] == "python${{ matrix.python }}"
    assert "${PYTHON:-" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_citation_names_this_version() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.M)
    assert version is not None
    assert read_yaml("CITATION.cff")["version"] == version[1]
    assert re.search(rf"^## (Unreleased|\[?{re.escape(version[1])})", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)


def test_hooks_before_a_commit_are_the_checks_of_style() -> None:
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    entries = [hook["entry"] for hook in repository["hooks"]]
    checks = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace('"', "")
    assert [entry for entry in entries if f"bin/{entry}" not in checks] == []
