"""A name that somebody else chose -> text that a terminal or a table only shows, and never obeys."""

from __future__ import annotations

import unicodedata

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula (OWASP, CSV injection)."""


def printable(text: str) -> str:
    """Returns a text in which what moves a cursor, changes colours or turns the order round is written as its code."""
    return "".join(_written_out(letter) if _acts(letter) else letter for letter in text)


def as_cell(text: str) -> str:
    """Returns a text as a cell of a table, with an apostrophe before what would be a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _acts(letter: str) -> bool:
    """Returns whether a letter is a control, a separator of lines, half a letter or one that turns the order round."""
    kind = unicodedata.category(letter)
    # Emoji are joined by a format letter that does no harm.
    return kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and unicodedata.bidirectional(letter) not in ("BN", "L"))


def _written_out(letter: str) -> str:
    number = ord(letter)
    if 0xDC80 <= number <= 0xDCFF:
        # A byte of a name that is not UTF-8, as Python carries it.
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
