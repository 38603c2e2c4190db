"""This installation -> the packages that TinyDF uses, their licences, and the libraries bundled in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

LICENCES_SCHEMA = "tinydf.licences/1"
NOT_STATED = "not stated"
_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_LIBRARY = re.compile(r"(lib[a-z0-9_+]+)[^/]*\.(?:so|dylib|dll)", re.IGNORECASE)
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package.

    Attributes:
        name: As its makers write it.
        version: Installed one.
        licence: SPDX expression where it gives one, else its own words.
        needs: Names, in lower case, of the packages that it asks for and that are installed.
        libraries: Shared libraries inside it, which have licences of their own: see the files in its folder.
    """

    name: str
    version: str
    licence: str
    needs: tuple[str, ...]
    libraries: tuple[str, ...]


def used_packages(extras: frozenset[str] | None = None) -> list[Package]:
    """Returns TinyDF and what it needs, directly or not, as far as that is installed; by name, TinyDF first.

    Args:
        extras: Those of TinyDF that count, None for all.
    """
    found: dict[str, Package] = {}
    waiting: list[tuple[str, frozenset[str] | None]] = [("tinydf", extras)]
    asked: set[tuple[str, frozenset[str] | None]] = set()
    while waiting:
        name, wanted = asking = waiting.pop()
        if asking in asked:
            continue
        asked.add(asking)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        needs = [(key, more) for key, more in _needs(distribution, wanted) if _is_installed(key)]
        waiting += needs
        known = found[name].needs if name in found else ()
        names = tuple(sorted({*known, *(key for key, _ in needs)} - {name}))
        about = distribution.metadata
        found[name] = Package(about["Name"], distribution.version, _licence(about), names, _libraries(distribution))
    return sorted(found.values(), key=lambda package: (package.name != "tinydf", package.name.lower()))


def _needs(distribution: metadata.Distribution, wanted: frozenset[str] | None) -> Iterator[tuple[str, frozenset[str]]]:
    """Yields name and extras of what a package asks for; with None, for all of its own extras."""
    for line in distribution.requires or ():
        requirement, _, marker = line.partition(";")
        extra = _EXTRA.search(marker)
        matched = _REQUIREMENT.match(requirement.strip())
        if matched and (extra is None or wanted is None or extra[1] in wanted):
            more = frozenset(one.strip() for one in (matched[2] or "").split(",") if one.strip())
            yield _key(matched[1]), more


def _key(name: str) -> str:
    """Returns a name as all spell it alike (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _licence(about: metadata.PackageMetadata) -> str:
    """Returns what a package says of its licence, the most exact first."""
    expression, words = (
        str(about[field] or "") if field in about else "" for field in ("License-Expression", "License")
    )
    if expression:
        return expression
    if words and "\n" not in words and len(words) <= _LONGEST:
        return words
    classes = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if line.startswith("License ::")
    ]
    return " or ".join(classes) or NOT_STATED


def _libraries(distribution: metadata.Distribution) -> tuple[str, ...]:
    """Returns the names of shared libraries of others that a wheel holds, in the folders that repair tools make."""
    files = (str(file) for file in distribution.files or ())
    inside = [file for file in files if ".libs/" in file or ".dylibs/" in file]
    return tuple(sorted({found[1] for file in inside if (found := _LIBRARY.search(file.rpartition("/")[2]))}))
