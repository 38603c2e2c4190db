"""One hostile input: how it is made, what it is given to, and which exit codes are promised for it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["media", "models", "plans", "tables"]
Probe = Literal["media", "classifier", "detector", "verify", "plan", "checkpoint", "detector_checkpoint", "table"]
"""What the file is given to; see ``probes.py``."""

READ_OR_NOT = (0, 5)
"""A damaged input: either enough of it is left, or the report says what is wrong."""
REFUSED = (6,)
"""A model file that must not be computed with."""
UNREADABLE = (5,)


@dataclass(frozen=True, slots=True)
class Case:
    """A file, or a file with those that lie beside it.

    Attributes:
        name: File name, unique within its kind; may lead through folders.
        group: What is tried with it. A share of a corpus takes from every group.
        make: Gives the content. Called for chosen cases only: some take a while.
        probe: See ``Probe``.
        codes: Exit codes that are promised.
        beside: Further files, by name within the folder of the first.
        opened: What the command is given where it is not the file itself but a folder around it.
        link: Where a link leads that stands in the file's place; empty for a file.
    """

    name: str
    group: str
    make: Callable[[], bytes]
    probe: Probe = "media"
    codes: tuple[int, ...] = READ_OR_NOT
    beside: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    opened: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A case on disk.

    Attributes:
        path: Its file, or folder.
        group: See ``Case``.
        probe: See ``Case``.
        codes: See ``Case``.
    """

    path: Path
    group: str
    probe: Probe
    codes: tuple[int, ...]


def rng_of(seed: int, name: str) -> random.Random:
    """Returns the source of chance for one case: the same whichever others are made."""
    return random.Random(f"{seed}:{name}")


def choose(cases: Iterable[Case], count: int | None, seed: int) -> list[Case]:
    """Returns so many of the cases, or all: from the groups in turn, within a group as the seed shuffles them."""
    groups: dict[str, list[Case]] = {}
    names = set()
    for case in cases:
        assert case.name not in names, f"{case.name}: made twice"
        names.add(case.name)
        groups.setdefault(case.group, []).append(case)
    for group in groups.values():
        group.sort(key=lambda case: hashlib.sha256(f"{seed}:{case.name}".encode()).digest())
    ranked = sorted(((rank, case) for group in groups.values() for rank, case in enumerate(group)), key=lambda p: p[0])
    return [case for _, case in ranked[:count]]


def write_corpus(cases: Sequence[Case], folder: Path) -> None:
    """Writes cases into a folder, and ``cases.json`` beside them."""
    facts = []
    for case in cases:
        path = folder / case.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if case.link:
            path.symlink_to(case.link)
        else:
            path.write_bytes(case.make())
        for name, make in case.beside.items():
            (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
            (path.parent / name).write_bytes(make())
        facts.append({"path": case.opened or case.name, "group": case.group, "probe": case.probe, "codes": case.codes})
    (folder / "cases.json").write_text(json.dumps(facts, indent=1) + "\n")


def read_corpus(folder: Path) -> list[Written]:
    """Returns the cases that ``write_corpus`` wrote."""
    facts = json.loads((folder / "cases.json").read_text())
    return [Written(folder / one["path"], one["group"], one["probe"], tuple(one["codes"])) for one in facts]
