"""Text from outside, made safe to look at."""

from __future__ import annotations

import unicodedata

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def visible(text: str) -> str:
    """Control, direction and undecodable characters show as their codes, so that none moves a cursor or turns a line.

    >>> visible("a\\x1b[2Jb")
    'a\\\\u{1b}[2Jb'
    """
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN:
        return character
    return f"\\u{{{ord(character):x}}}"
