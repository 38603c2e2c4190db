"""Untrusted JSON -> values of the types, ranges and sizes that were asked for; anything else is a StrictError."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

MOST_DEPTH = 32
"""Nesting depth at most; our own files have six levels."""
MOST_DIGITS = 40
"""Digits of a number at most: parsing time grows with the square of its length."""
MOST_NAME = 200
"""Letters of a name or version."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class StrictError(ValueError):
    """The text does not have the expected form; the message says where and why, in one short line."""


def parse(text: str, at_most: int) -> Any:
    """Returns a JSON text as Python's values.

    Args:
        text: JSON as RFC 8259 has it: no NaN, no Infinity, no key twice.
        at_most: Letters that it may have.

    Raises:
        StrictError: It is no such JSON, too long or deeper than Python reads.
    """
    if len(text) > at_most:
        raise StrictError(f"{len(text):,} letters, expected at most {at_most:,}")
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
    except StrictError:
        raise
    except RecursionError as error:
        raise StrictError("no JSON of ours: too deep") from error
    except ValueError as error:
        raise StrictError(f"no JSON: {error}") from error


def finite(value: object, low: float, high: float) -> float:
    """Returns a number in a range, both ends included; true and false are none.

    Raises:
        StrictError: It is anything else.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise StrictError(f"{brief(value)}, expected a number")
    if not low <= value <= high:
        raise StrictError(f"{brief(value)}, expected {low:g} to {high:g}")
    return float(value)


def whole(value: object, low: int, high: int) -> int:
    """Returns a whole number in a range, both ends included.

    Raises:
        StrictError: It is anything else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise StrictError(f"{brief(value)}, expected a whole number from {low} to {high}")
    return value


def flag(value: object) -> bool:
    """Returns true or false.

    Raises:
        StrictError: It is anything else.
    """
    if not isinstance(value, bool):
        raise StrictError(f"{brief(value)}, expected true or false")
    return value


def text(value: object, at_most: int = MOST_NAME) -> str:
    """Returns a text without control characters, surrogates, line ends and what turns its direction.

    Raises:
        StrictError: It is anything else.
    """
    if not isinstance(value, str) or len(value) > at_most:
        raise StrictError(f"{brief(value)}, expected a text of at most {at_most} letters")
    if not value.isprintable():
        raise StrictError(f"{brief(value)}, expected a text without control codes")
    return value


def sha256(value: object, empty: bool = False) -> str:
    """Returns a hash as 64 hexadecimal digits, or nothing where that is allowed.

    Raises:
        StrictError: It is anything else.
    """
    if isinstance(value, str) and (_SHA256.fullmatch(value) or (empty and not value)):
        return value
    raise StrictError(f"{brief(value)}, expected a SHA-256 as 64 hexadecimal digits")


def one_of(value: object, allowed: Iterable[str]) -> str:
    """Returns a text that is among the allowed ones.

    Raises:
        StrictError: It is anything else.
    """
    allowed = tuple(allowed)
    if not isinstance(value, str) or value not in allowed:
        raise StrictError(f"{brief(value)}, expected one of {', '.join(allowed)}")
    return value


def rows(value: object, at_most: int) -> list[Any]:
    """Returns a list that is not too long.

    Raises:
        StrictError: It is anything else.
    """
    if not isinstance(value, list) or len(value) > at_most:
        raise StrictError(f"{brief(value)}, expected a list of at most {at_most:,}")
    return value


def pair(value: object) -> tuple[Any, Any]:
    """Returns a list of two.

    Raises:
        StrictError: It is anything else.
    """
    if not isinstance(value, list) or len(value) != 2:
        raise StrictError(f"{brief(value)}, expected a pair")
    return value[0], value[1]


def mapping(value: object, at_most: int) -> dict[str, Any]:
    """Returns an object that is not too large.

    Raises:
        StrictError: It is anything else.
    """
    if not isinstance(value, dict) or len(value) > at_most:
        raise StrictError(f"{brief(value)}, expected an object of at most {at_most:,} entries")
    return value


def brief(value: object) -> str:
    """Returns a value as a short piece of an error message."""
    if isinstance(value, dict | list | tuple):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value):,}"
    shown = ascii(value[:40] if isinstance(value, str) else value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


class Fields:
    """A JSON object whose entries are taken one by one; entries left at the end are refused as unknown."""

    def __init__(self, value: object, what: str = "") -> None:
        """Takes an object.

        Args:
            value: As ``parse`` returns it.
            what: Its name, for error messages.

        Raises:
            StrictError: It is no object.
        """
        if not isinstance(value, dict):
            raise StrictError(f"{what or 'metadata'}: {brief(value)}, expected an object")
        self._left: dict[str, Any] = dict(value)
        self._what = f"{what}." if what else ""

    def take(self, name: str, check: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Returns what ``check(entry, ...)`` makes of an entry.

        Raises:
            StrictError: The entry is missing, or refused.
        """
        if name not in self._left:
            raise StrictError(f"{self._what}{name}: missing")
        return self._checked(name, check, *arguments, **named)

    def maybe(self, name: str, default: Any, check: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Returns the same, or a default where the entry is missing.

        Raises:
            StrictError: The entry is refused.
        """
        return self._checked(name, check, *arguments, **named) if name in self._left else default

    def end(self) -> None:
        """Accepts an object of which nothing is left.

        Raises:
            StrictError: Something is.
        """
        if self._left:
            raise StrictError(f"{self._what}{brief(next(iter(self._left)))}: unknown")

    def _checked(self, name: str, check: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return check(self._left.pop(name), *arguments, **named)
        except StrictError as error:
            raise StrictError(f"{self._what}{name}: {error}") from error


def optional(value: object, check: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Returns None for null, else what ``check`` makes of it."""
    return None if value is None else check(value, *arguments, **named)


def each(value: Mapping[str, object], check: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Returns an object with ``check`` applied to each entry; the keys are names.

    Raises:
        StrictError: A key or an entry is refused.
    """
    found = {}
    for name, entry in value.items():
        try:
            found[text(name)] = check(entry, *arguments)
        except StrictError as error:
            raise StrictError(f"{brief(name)}: {error}") from error
    return found


def plain(value: object, at_most: int = 100_000) -> Any:
    """Returns any JSON whose texts and numbers are in bounds: figures that are kept, and never computed with.

    Raises:
        StrictError: It has more than ``at_most`` values, or lists and objects deeper than ``MOST_DEPTH``.
    """
    waiting, seen = [(value, 0)], 0
    while waiting:
        one, depth = waiting.pop()
        seen += 1
        if seen > at_most or depth > MOST_DEPTH:
            raise StrictError(f"more than {at_most:,} values, or deeper than {MOST_DEPTH}")
        if isinstance(one, dict):
            waiting += [(text(key), depth) for key in one]
            waiting += [(entry, depth + 1) for entry in one.values()]
        elif isinstance(one, list):
            waiting += [(entry, depth + 1) for entry in one]
        elif isinstance(one, str):
            text(one, 10_000)
        elif one is not None and not isinstance(one, bool):
            finite(one, -1e300, 1e300)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise StrictError("no JSON of ours: a key twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise StrictError(f"no JSON of ours: a number of {len(digits):,} digits")
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > MOST_DIGITS:
        raise StrictError(f"no JSON of ours: a number of {len(digits):,} digits")
    return float(digits)


def _constant(name: str) -> NoReturn:
    raise StrictError(f"no JSON: {name} is no number")
