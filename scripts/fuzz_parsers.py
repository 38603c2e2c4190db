"""Searches for bytes that a parser of our own stumbles over, led by which lines they reach (atheris, libFuzzer).

Run: python scripts/fuzz_parsers.py [PARSER ...] --runs N. Parsers are those of ``fuzzing/parsers.py``; each starts from
its own little files. Exit status 1 where one raised, hung or took too much memory; the bytes are then kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click


@click.command()
@click.argument("names", nargs=-1)
@click.option("--runs", default=20_000, show_default=True, type=click.IntRange(1), help="Inputs tried for each parser.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(1), help="Of the search.")
@click.option("--keep", type=click.Path(path_type=Path), default=Path(), help="Folder for what a parser stumbled over.")
def main(names: tuple[str, ...], runs: int, seed: int, keep: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["tinydf_runtime"]):
        from fuzzing.parsers import PARSERS
    failed = []
    for name in names or PARSERS:
        if name not in PARSERS:
            raise click.UsageError(f"{name}: expected one of {', '.join(PARSERS)}.")
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            # The search never returns: it ends its process.
            pid = os.fork()
            if not pid:
                os.dup2(log.fileno(), 2)
                search(name, runs, seed, keep)
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            log.seek(0)
            click.echo(f"{name}: {f'failed, exit {code}' if code else f'nothing found in {runs} inputs'}")
            if code:
                click.echo(log.read(), err=True)
                failed.append(name)
    sys.exit(int(bool(failed)))


def search(name: str, runs: int, seed: int, keep: Path) -> None:
    """Searches, and ends the process."""
    import atheris

    from fuzzing.parsers import PARSERS

    parse, seeds = PARSERS[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(seeds()):
            Path(folder, str(number)).write_bytes(content)
        limits = [f"-runs={runs}", f"-seed={seed}", "-max_len=4096", "-timeout=60", "-rss_limit_mb=2048"]
        quiet = ["-verbosity=0", "-print_final_stats=0", f"-artifact_prefix={keep}/"]
        atheris.Setup([sys.argv[0], *limits, *quiet, folder], parse)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
