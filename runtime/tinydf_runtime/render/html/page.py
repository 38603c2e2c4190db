"""Report -> one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from pathlib import Path
from string import Template

from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.render.draw import COLOURS, Zones
from tinydf_runtime.render.html.input import facts_of, frame_of, more_facts_of, name_of, to_facts
from tinydf_runtime.render.html.model_card import FIGURES, LIMITS, REAL_DEEPFAKES, card_sections, tested_words, to_html
from tinydf_runtime.render.html.person import interval_words, people_of, pill, rarity_of
from tinydf_runtime.render.words import EVIDENCE_NOTE, VERDICT_WORDS, clock, reason_words, summary_of
from tinydf_runtime.results import DetectorInfo, InputReport, ModelInfo, Report

TEMPLATES = Path(__file__).parent / "page_templates"
ICONS = {
    "fake": '<path d="M12 3.2 22 20.5H2Z"/><path d="M12 9.5v5.2M12 17.6v.01"/>',
    "real": '<circle cx="12" cy="12" r="9.4"/><path d="m7.6 12.4 3 3 5.8-6.2"/>',
    "inconclusive": (
        '<circle cx="12" cy="12" r="9.4"/><path d="M9.2 9.4a2.9 2.9 0 1 1 4.4 2.5c-1 .6-1.6 1.1-1.6 2.2M12 17.2v.01"/>'
    ),
    "no_face": '<circle cx="12" cy="12" r="9.4"/><path d="M7.5 12h9"/>',
    "error": '<rect x="3" y="3" width="18" height="18" rx="4"/><path d="m8.5 8.5 7 7m0-7-7 7"/>',
}
"""Verdict -> its sign, each of another shape, so that colour is not needed to tell them apart."""
MOST_SECTIONS = 100
"""Inputs that get a section, at most; the table on top lists all."""


def write_html(report: Report, path: Path, command: str | None = None, sandbox: bool = True) -> None:
    """Writes a report as one self-contained HTML page, whole or not at all.

    Args:
        report: What was found.
        path: File to write.
        command: What makes the same report again; left out of the page without one.
        sandbox: Verify Content Credentials in a child process, see ``Analyzer``.

    Raises:
        OutputError: The file cannot be written.
    """
    page = render_page(report, command, datetime.now(timezone.utc), sandbox)
    # File names need not be valid Unicode, but a page must be.
    write_atomically(path, page.encode("utf-8", "replace"))


def _input(item: InputReport, model: ModelInfo, number: int, sandbox: bool) -> str:
    """Returns the section of one input.

    Args:
        item: What was found in it; its file is opened again for its size and its Content Credentials.
        model: The classifier.
        number: Place of the input in the page, from 1.
        sandbox: See ``write_html``.
    """
    words, anchor = VERDICT_WORDS[item.verdict], f"input-{number}"
    zones = Zones.of(item, model.threshold)
    reasons = [escape(reason_words((reason,))) for reason in item.reasons if reason != "unreadable"]
    if item.message is not None:
        reasons.append(escape(item.message))
    return _fill(
        "input.html",
        anchor=anchor,
        verdict=item.verdict,
        icon=_icon(item.verdict),
        name=escape(name_of(item)),
        title=words.title,
        summary=summary_of(item),
        meter=_meter(item, zones),
        frame=frame_of(item),
        tested=f'<p class="tested">{escape(tested_words(model))}</p>' if item.fake_probability is not None else "",
        reasons=f'<ul class="reasons">{"".join(f"<li>{reason}</li>" for reason in reasons)}</ul>' if reasons else "",
        means=words.means,
        means_not=words.means_not,
        people=people_of(item, zones, anchor),
        facts=to_facts(facts_of(item)),
        more_facts=to_facts(more_facts_of(item, sandbox)),
    )


def render_page(report: Report, command: str | None, created: datetime, sandbox: bool = True) -> str:
    """Returns the whole page.

    Args:
        report: What was found.
        command: What makes the same report again.
        created: Time to date the page with, with its time zone.
        sandbox: See ``write_html``.
    """
    shown = _worst(report)
    utc = created.astimezone(timezone.utc)
    names = ", ".join(name_of(item) for item in report.inputs[:3]) + ("…" if len(report.inputs) > 3 else "")
    return _fill(
        "page.html",
        title=escape(f"Face forgery report: {names}"),
        version=escape(report.tool.version),
        style=_marks() + (TEMPLATES / "page.css").read_text(encoding="utf-8"),
        created_iso=utc.isoformat(timespec="seconds"),
        created=f"{utc:%Y-%m-%d %H:%M} UTC",
        overview=_overview(report, shown) if len(report.inputs) > 1 else "",
        sections="\n".join(_input(report.inputs[number - 1], report.model, number, sandbox) for number in shown),
        model=to_facts(_model_facts(report.model)),
        detector=to_facts([("name", report.detector.name), *_hash_facts(report.detector)]),
        command=_command(command),
        card=_card(report.model),
        note=EVIDENCE_NOTE,
    )


def _fill(template: str, **values: str) -> str:
    """Fills a template with HTML."""
    return Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(values)


def _marks() -> str:
    """Returns the colours of the zones as CSS."""
    return ":root {" + "".join(f" --mark-{side}: {colour};" for side, colour in COLOURS.items()) + " }\n"


def _icon(verdict: str) -> str:
    """Returns a verdict's sign; the words beside it say the same, so it is hidden from screen readers."""
    return (
        '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true">{ICONS[verdict]}</svg>'
    )


def _meter(item: InputReport, zones: Zones) -> str:
    """Returns the probability as a number, how rare it is, and as a bar with the threshold that counts."""
    if item.fake_probability is None:
        return ""
    probability = item.fake_probability
    real, fake = zones.threshold, zones.fake_threshold
    return (
        f'<div class="meter"><p class="number"><b>{probability:.1%}</b> fake probability, '
        f'of the most suspicious person{interval_words(item.interval)}</p><p class="rarity">{rarity_of(item)}</p>'
        f'<div class="rail" aria-hidden="true">{_zone("real", 0, real)}{_zone("inconclusive", real, fake)}'
        f'{_zone("fake", fake, 1)}<span class="fill" style="width:{max(probability, 0.015):.2%}"></span>'
        f'{_range(item.interval)}<span class="mark" style="left:{fake:.2%}"></span></div>'
        f'<div class="rail-words"><span class="wide">0%</span><span class="at" style="{_beside(fake)}">'
        f'threshold {fake:.1%}</span><span class="wide">100%</span></div></div>'
    )


def _beside(threshold: float) -> str:
    """Returns where the words of the mark end or begin, as CSS: towards the middle, off the words at the bar's ends."""
    return f"right:{1 - min(threshold, 0.86):.2%}" if threshold > 0.5 else f"left:{max(threshold, 0.14):.2%}"


def _zone(side: str, low: float, high: float) -> str:
    """Returns one zone of the bar."""
    return f'<span class="zone {side}" style="left:{low:.2%};width:{high - low:.2%}"></span>'


def _range(interval: tuple[float, float] | None) -> str:
    """Returns the interval of a probability as a mark on the bar."""
    if interval is None:
        return ""
    low, high = interval
    return f'<span class="range" style="left:{low:.2%};width:{max(high - low, 0.004):.2%}"></span>'


def _worst(report: Report) -> list[int]:
    """Returns the numbers, from 1, of the inputs that get a section: all, or of very many the most suspicious."""
    order = ("real", "no_face", "error", "inconclusive", "fake")
    rank = {n: (order.index(item.verdict), item.fake_probability or 0.0) for n, item in enumerate(report.inputs, 1)}
    return sorted(sorted(rank, key=lambda number: rank[number], reverse=True)[:MOST_SECTIONS])


def _overview(report: Report, shown: list[int]) -> str:
    """Returns one row an input, for a page of several."""
    rows = []
    for number, item in enumerate(report.inputs, 1):
        share = "none" if item.fake_probability is None else f"{item.fake_probability:.1%}"
        people = sum(track.fake_probability is not None for track in item.tracks)
        length = clock(item.duration_s) if item.duration_s else ""
        name = escape(name_of(item))
        if number in shown:
            name = f'<a href="#input-{number}">{name}</a>'
        rows.append(
            f'<tr><th scope="row">{name}</th>'
            f'<td class="n wide">{length}</td><td class="n wide">{people}</td>'
            f'<td class="n">{share}</td><td>{pill(item.verdict)}</td></tr>'
        )
    left_out = len(report.inputs) - len(shown)
    note = f'<p class="note">The {len(shown)} most suspicious follow; {left_out} do not.</p>' if left_out else ""
    return (
        f'<section aria-labelledby="overview"><h2 id="overview">{len(report.inputs)} inputs</h2><table><thead><tr>'
        '<th scope="col">Input</th><th scope="col" class="n wide">Length</th><th scope="col" class="n wide">People</th>'
        '<th scope="col" class="n">Fake<span class="wide"> probability</span></th><th scope="col">Verdict</th></tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table>{note}</section>"
    )


def _model_facts(model: ModelInfo) -> list[tuple[str, str]]:
    """Returns what the page says about the classifier."""
    chosen = f", chosen so that at most {model.fpr:.1%} of real faces reach it" if model.fpr is not None else ""
    return [
        ("name", model.name),
        *_hash_facts(model),
        *([("from checkpoint", model.checkpoint_sha256)] if model.checkpoint_sha256 else []),
        ("precision", model.precision),
        ("engine", f"{model.engine} on {model.device}"),
        ("threshold", f"real below {model.threshold:g}{chosen}; fake well above it, where each input says"),
        ("temperature", f"{model.temperature:g}"),
    ]


def _hash_facts(network: ModelInfo | DetectorInfo) -> list[tuple[str, str]]:
    """Returns a network's hash, and whether it comes with TinyDF."""
    origin = (
        "comes with TinyDF"
        if network.known
        else "does not come with TinyDF: only its maker knows what it was tested on"
    )
    return [("SHA-256", network.sha256 or "not a file"), ("origin", origin)]


def _command(command: str | None) -> str:
    """Returns the command that makes the report again."""
    if command is None:
        return ""
    return f'<h3>The command that makes this report again</h3><pre class="command"><code>{escape(command)}</code></pre>'


def _card(model: ModelInfo) -> str:
    """Returns use, limits and figures from the model's card."""
    sections = card_sections(model)
    if not sections:
        return (
            f"<p>No card is at hand for this classifier ({escape(model.name)}): it was not made from the shipped "
            "checkpoint. Ask who trained it on what it was measured; the shipped model's figures are not its own.</p>"
        )
    return (
        f"<h3>{LIMITS}</h3>{to_html(sections.get(LIMITS, ''))}"
        f"<h3>{REAL_DEEPFAKES}</h3>{to_html(sections.get(REAL_DEEPFAKES, ''))}"
        f"<h3>In short</h3>{to_html(sections[''])}"
        f"<h3>{FIGURES}</h3>{to_html(sections.get(FIGURES, ''))}"
        '<p class="note">From the model card that comes with TinyDF; it also names the training data and its terms.</p>'
    )
