"""Model card, measured pages and docs/real_clips.json -> the figures of README and docs/limits.md.

Run: python scripts/write_figures.py, after any of them was measured again. ``write_real_clips.py`` writes the card's
own section on real deepfakes.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from tinydf.checkpoint import DEFAULT_PATH
from tinydf.evaluation.real_clips import describe, read_real_clips
from tinydf_runtime.io.files import sha256_of, write_atomically
from write_real_clips import CARD, FIGURES, replaced

ROOT = Path(__file__).resolve().parents[1]
README, LIMITS = ROOT / "README.md", ROOT / "docs" / "limits.md"
VERDICTS, EXPORTS, SPEED = (ROOT / "docs" / f"{name}.md" for name in ("verdicts", "exports", "speed"))
FIGURES_BEGIN = "<!-- figures, by scripts/write_figures.py -->"
REAL_BEGIN = "<!-- real deepfakes, by scripts/write_figures.py -->"
END = "<!-- end -->"
SHOWN_CLIP = "1280 x 720, 30 s"
Row = dict[str, str]


def tables(page: Path) -> list[list[Row]]:
    """Returns the tables of a Markdown file, each as rows of column name -> cell."""
    found: list[list[Row]] = []
    header: list[str] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            header = []
        elif not header:
            header = cells
            found.append([])
        elif not set("".join(cells)) <= set("-: "):
            found[-1].append(dict(zip(header, cells, strict=True)))
    return found


def row_of(page: Path, pattern: str) -> Row:
    """Returns the first row whose first cell matches a pattern.

    Raises:
        click.ClickException: There is none.
    """
    for table in tables(page):
        for row in table:
            if re.match(pattern, next(iter(row.values()))):
                return row
    raise click.ClickException(f"{page}: found no row that starts with {pattern}. Measure it again, or name its row.")


def words_of(page: Path, pattern: str) -> str:
    """Returns what the group of a pattern matches in a page.

    Raises:
        click.ClickException: The page has no such words.
    """
    found = re.search(pattern, page.read_text(encoding="utf-8"))
    if found is None:
        raise click.ClickException(f"{page}: found nothing like {pattern}. Measure it again, or name its words.")
    return " ".join(found[1].split())


def figures() -> list[tuple[str, str, str]]:
    """Returns what was measured, its figure, and on what."""
    aucs = next(table for table in tables(CARD) if "AUC" in table[0])
    ordered = sorted(aucs, key=lambda row: float(row["AUC"]))
    low, high = (f"{row['AUC']} ({next(iter(row.values()))})" for row in (ordered[0], ordered[-1]))
    real, fake = (row_of(VERDICTS, f"\\d+ {kind} clips") for kind in ("real", "(?:forged|fake)"))
    counts = [re.findall(r"\d+", next(iter(row.values())))[0] for row in (real, fake)]
    embedded = next(row for table in tables(EXPORTS) for row in table if list(row.values())[:2] == ["onnx", "INT8"])
    clip = row_of(SPEED, re.escape(SHOWN_CLIP))
    card, verdicts, exports, speed = (
        f"[{word}]({page.relative_to(ROOT).as_posix()})"
        for word, page in (("card", CARD), ("verdicts", VERDICTS), ("exports", EXPORTS), ("speed", SPEED))
    )
    parameters = int(words_of(CARD, r"([\d,]+) parameters").replace(",", ""))
    processor = words_of(EXPORTS, r"in turns, on\s+(.+?), ONNX Runtime").replace("(R)", "")
    cores = words_of(SPEED, r"(\d+ cores)")
    return [
        (f"AUC of single crops, by forgery type ({len(aucs)})", f"{low} to {high}", f"test people, {card}"),
        ("AUC of clips", words_of(VERDICTS, r"AUC over these clips: (\S+ \[[^]]*\])"), f"test people, {verdicts}"),
        ("real clips called fake", real["called fake"], f"{counts[0]} clips, {verdicts}"),
        ("real clips called real", real["called real"], "the others are inconclusive"),
        ("forged clips called fake", fake["called fake"], f"{counts[1]} clips, {verdicts}"),
        ("forged clips called real", fake["called real"], "the others are inconclusive"),
        ("size", f"{parameters / 1e6:.1f} M parameters, {embedded['MB']} MB", f"embedded INT8 file, {exports}"),
        ("one face", f"{embedded['ms'].split()[0]} ms", f"one thread, {processor}"),
        (f"a clip of {SHOWN_CLIP}", f"{clip['tinydf-run, s']} s, {clip['peak, MB']} MB", f"{cores}, {speed}"),
    ]


def figure_table() -> str:
    """Returns the README's table, and what was said of real deepfakes."""
    head = "| | figure | measured on |\n| --- | --- | --- |"
    rows = "\n".join(f"| {' | '.join(row)} |" for row in figures())
    return f"{head}\n{rows}\n\n{real_deepfakes().split(chr(10))[0]}\n"


def real_deepfakes() -> str:
    """Returns what is known of the shipped checkpoint on real deepfakes, as Markdown."""
    return describe(read_real_clips(FIGURES).get(sha256_of(DEFAULT_PATH)))


def pages() -> dict[Path, str]:
    """Returns the files that show figures, with the figures of now."""
    readme, limits = (page.read_text(encoding="utf-8") for page in (README, LIMITS))
    return {
        README: replaced(readme, FIGURES_BEGIN, END, figure_table(), README.name),
        LIMITS: replaced(limits, REAL_BEGIN, END, real_deepfakes(), LIMITS.name),
    }


@click.command()
def main() -> None:
    """Writes them."""
    for page, text in pages().items():
        write_atomically(page, text.encode())
        click.echo(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
