"""A sequence of pictures, in a folder or an archive -> an even choice of them."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from tinydf.data.layouts.listing import Clip
from tinydf.data.parts import write_file
from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.io.formats import IMAGE_SUFFIXES
from tinydf_runtime.io.image import read_image
from tinydf_runtime.types import Image


def read_sequence(clip: Clip, count: int, scratch: Path) -> Iterator[tuple[int, str, str, Image | None]]:
    """Yields position, name, SHA-256 and picture, None for an unreadable one, of an even choice of a sequence.

    Args:
        clip: A sequence.
        count: Pictures wanted.
        scratch: Folder for the one picture that is being read out of an archive.

    Raises:
        UnreadableInputError: The folder or archive cannot be read.
    """
    if not clip.inside:
        names = _names_in(clip.path)
        for index in _even(len(names), count):
            yield index, names[index], *_read(clip.path / names[index])
        return
    try:
        with tarfile.open(clip.path) as archive:
            members = [member for member in archive if _is_picture_in(member, clip.inside)]
            members.sort(key=lambda member: _natural(PurePosixPath(member.name).name))
            # A compressed archive is read front to back; in this order it is read once.
            chosen = sorted(((i, members[i]) for i in _even(len(members), count)), key=lambda pair: pair[1].offset)
            for index, member in chosen:
                content = archive.extractfile(member)
                # The runtime reads pictures from files; this one is gone before the next.
                picture = scratch / f".{index}{PurePosixPath(member.name).suffix}"
                write_file(picture, content.read() if content else b"")
                try:
                    yield index, member.name, *_read(picture)
                finally:
                    picture.unlink(missing_ok=True)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UnreadableInputError(f"{clip.path}: the archive cannot be read ({error}). Copy it again.") from error


def clip_size(clip: Clip) -> int:
    """Returns the bytes of a clip's file and its mask's, or the pictures in its folder; 0 where it is gone."""
    try:
        if clip.path.is_dir():
            return len(_names_in(clip.path))
        return clip.path.stat().st_size + (clip.mask.stat().st_size if clip.mask else 0)
    except OSError:
        return 0


def _is_picture_in(member: tarfile.TarInfo, folder: str) -> bool:
    path = PurePosixPath(member.name)
    return member.isfile() and str(path.parent) == folder and path.suffix.lower() in IMAGE_SUFFIXES


def _read(path: Path) -> tuple[str, Image | None]:
    try:
        return sha256_of(path), read_image(path)
    except UnreadableInputError:
        return "", None


def _names_in(folder: Path) -> list[str]:
    names = (path.name for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(names, key=_natural)


def _natural(name: str) -> tuple[list[int], str]:
    """Sorts 10.png behind 9.png."""
    return [int(digits) for digits in re.findall(r"\d+", name)], name


def _even(length: int, count: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, length - 1, min(length, count))})
