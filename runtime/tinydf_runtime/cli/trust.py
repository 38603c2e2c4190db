"""tinydf-trust: marks TensorRT plans, which are programs, and signers' keys as trusted on this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from tinydf_runtime import __version__
from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.errors import ExitCode, ModelFileError, UsageError
from tinydf_runtime.io.files import exists
from tinydf_runtime.models.plan import read_facts
from tinydf_runtime.render.words import printable
from tinydf_runtime.trust import record
from tinydf_runtime.trust.reading import facts_path, read_model_file
from tinydf_runtime.trust.signatures import check_key, signature_path, signer_of

NAME = "tinydf-trust"
FEWEST_DIGITS = 8
_PEM = b"-----BEGIN PUBLIC KEY-----"


@click.command(
    NAME,
    cls=OneLineCommand,
    epilog="Example: tinydf-trust model.plan",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--host-code", is_flag=True, help="Also allow code that a plan carries for the processor.")
@click.option("--list", "wants_list", is_flag=True, help="Print the trust record.")
@click.option("--remove", multiple=True, metavar="SHA256", help="Remove a hash; 8 or more leading digits suffice.")
@click.option("--quiet", is_flag=True, help="Print only errors.")
@click.version_option(__version__, prog_name=NAME)
def main(
    files: tuple[Path, ...], yes: bool, host_code: bool, wants_list: bool, remove: tuple[str, ...], quiet: bool
) -> int:
    """Shows what each FILE is and asks whether it may run as a program on this machine.

    FILE is a TensorRT plan, or a public key (PEM) whose owner's signed plans may run. What is built on this machine is
    trusted already.

    Exit status: 0 done, 2 wrong usage, 4 library missing, 6 damaged or not confirmed, 7 the record cannot be written.
    """
    if not (files or wants_list or remove):
        raise UsageError("FILE: none given. Name a plan or a public key, or use --list.")
    for start in remove:
        _remove(start, quiet)
    confirmed = [_trust(path, yes, host_code, quiet) for path in files]
    if wants_list:
        for entry in record.entries():
            click.echo(_line(entry))
    return ExitCode.DONE if all(confirmed) else ExitCode.UNTRUSTED


def _trust(path: Path, yes: bool, host_code: bool, quiet: bool) -> bool:
    """Shows a file, asks, and records it; returns whether it was recorded."""
    content = read_model_file(path)
    is_key = _PEM in content[:4096]
    if not is_key and path.suffix.lower() != ".plan":
        raise UsageError(
            f"{path}: is no TensorRT plan and no public key. Other models are data and need no trust to be loaded."
        )
    told = _about_key(content, path) if is_key else _about_plan(content, path, host_code)
    if not quiet or not yes:
        # Line by line: a name within may not add one.
        click.echo("\n".join(map(printable, told)))
    question = "May plans that are signed with this key run as programs?" if is_key else "May it run as a program?"
    if not yes and not click.confirm(f"{question} Only where you know who made it", err=True):
        click.echo(f"{NAME}: {printable(path.name)}: not confirmed, nothing was recorded.", err=True)
        return False
    if is_key:
        entry = record.trust_key(content.decode("ascii"), path.name)
    else:
        entry = record.trust_engine(content, path.name, "confirmed", host_code=host_code)
    if not quiet:
        click.echo(f"trusted: {_line(entry)}")
    return True


def _about_plan(content: bytes, path: Path, host_code: bool) -> list[str]:
    """Returns what is known about a plan, in lines.

    Raises:
        ModelFileError: The facts beside it are damaged, or are about another plan.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    lines = [f"{path}: TensorRT plan, {len(content):,} bytes", f"  SHA-256      {sha256}"]
    if exists(facts_path(path)):
        facts = read_facts(path)
        if facts.plan_sha256 != sha256:
            raise ModelFileError(
                f"{path.name}: is not the plan that {facts_path(path).name} describes. Copy both again."
            )
        lines += [
            f"  says it is   {facts.spec.name}, {facts.spec.precision}",
            f"  built by     TensorRT {facts.tensorrt} on {facts.device}",
            f"  built from   ONNX file of SHA-256 {facts.onnx_sha256}",
        ]
        carries = "yes, by its own word" if facts.version_compatible else "no, by its own word"
        lines.append(f"  host code    {carries}; {'will be' if host_code else 'is not'} allowed")
    else:
        lines.append(f"  nothing beside it says what it is ({facts_path(path).name} is missing)")
    signed = "none" if not exists(signature_path(path)) else "by no key that is trusted here"
    signer = signer_of(content, path, record.entries())
    lines.append(f"  signature    {signed if signer is None else f'by {signer.name}'}")
    return lines


def _about_key(content: bytes, path: Path) -> list[str]:
    """Returns what is known about a key, in lines.

    Raises:
        ModelFileError: It is none.
    """
    try:
        pem = content.decode("ascii")
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path.name}: is no public key in PEM form, which is ASCII.") from error
    if len(pem) > record.MOST_KEY:
        raise ModelFileError(
            f"{path.name}: {len(pem):,} letters, expected a public key of at most {record.MOST_KEY:,}."
        )
    check_key(pem, path.name)
    return [f"{path}: public key", f"  SHA-256      {hashlib.sha256(content).hexdigest()}"]


def _remove(start: str, quiet: bool) -> None:
    """Takes one entry out of the record.

    Raises:
        UsageError: No entry, or more than one, starts with these digits.
    """
    found = record.matching(start.lower()) if len(start) >= FEWEST_DIGITS and start.isalnum() else []
    if len(found) != 1:
        raise UsageError(
            f"--remove: {start} names {len(found)} entries, expected the first {FEWEST_DIGITS} or more digits of one. "
            "See --list."
        )
    record.remove(found[0])
    if not quiet:
        click.echo(f"removed: {found[0]}")


def _line(entry: record.Trusted) -> str:
    """Returns an entry as a line."""
    code = ", host code allowed" if entry.host_code else ""
    return printable(f"{entry.sha256}  {entry.kind}  {entry.name}  {entry.how} by {entry.by or '?'} {entry.when}{code}")
