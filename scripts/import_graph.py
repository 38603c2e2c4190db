"""The source tree -> its packages, their rooms, and who imports whom.

A room is a folder of a package, or a file beside those folders: ``tinydf_runtime.io``, ``tinydf.train``. Imports for
type checkers alone count as well: a name in a signature is knowledge of a room.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "tinydf": ROOT / "tinydf",
    "tinydf_export": ROOT / "export" / "tinydf_export",
    "tinydf_calibration": ROOT / "calibration" / "tinydf_calibration",
    "tinydf_runtime": ROOT / "runtime" / "tinydf_runtime",
}
"""Package -> its folder."""


@dataclass(frozen=True, slots=True)
class ImportGraph:
    """Who imports whom.

    Attributes:
        folders: Dotted names of the rooms that are folders, such as ``tinydf_runtime.io``.
        files: Dotted names of the files beside them.
        imports: Room and the other room that it imports, also of another package.
    """

    folders: frozenset[str]
    files: frozenset[str]
    imports: frozenset[tuple[str, str]]

    def between_packages(self) -> set[tuple[str, str]]:
        """Returns each package and the other package that it imports."""
        pairs = {(one.split(".")[0], other.split(".")[0]) for one, other in self.imports}
        return {(one, other) for one, other in pairs if one != other}

    def meet(self, one: str, other: str) -> bool:
        """Tells whether data can pass: one room imports the other, or some room imports both."""
        users = [{room for room, used in self.imports if used == wanted} for wanted in (one, other)]
        return one in users[1] or other in users[0] or bool(users[0] & users[1])


def read_graph(folders: dict[str, Path] = FOLDERS) -> ImportGraph:
    """Reads every file of the packages; none is imported.

    Args:
        folders: Package -> its folder.
    """
    rooms = {
        f"{package}.{path.stem}": path.is_dir()
        for package, folder in folders.items()
        for path in folder.iterdir()
        if (path / "__init__.py").is_file() or (path.suffix == ".py" and path.stem != "__init__")
    }
    found = set()
    for package, folder in folders.items():
        for path in folder.rglob("*.py"):
            here = f"{package}.{Path(path.relative_to(folder).parts[0]).stem}"
            for module in _imported(path.read_text(encoding="utf-8")):
                there = ".".join(module.split(".")[:2])
                if there in rooms and there != here:
                    found.add((here, there))
    return ImportGraph(
        frozenset(room for room, is_folder in rooms.items() if is_folder),
        frozenset(room for room, is_folder in rooms.items() if not is_folder),
        frozenset(found),
    )


def _imported(source: str) -> Iterator[str]:
    """Yields the dotted names that a file imports anywhere, ``from a import b`` as ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
