"""What is wrong with a label or with the file it was looked for in: a code for programs, a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Each is a departure from GB 45438-2025 or a reason why something could not be looked at."""

    # Of a label's text.
    TOO_LONG = "too_long"
    NOT_TEXT = "not_text"
    NOT_JSON = "not_json"
    NOT_A_LABEL = "not_a_label"
    TEXT_AROUND = "text_around"
    QUOTED = "quoted"
    # Of its fields.
    DUPLICATE_KEY = "duplicate_key"
    UNKNOWN_FIELD = "unknown_field"
    FOREIGN_NAME = "foreign_name"
    MISSING_FIELD = "missing_field"
    NOT_A_STRING = "not_a_string"
    UNKNOWN_LABEL = "unknown_label"
    FORBIDDEN_CHARACTER = "forbidden_character"
    PRODUCER_CODE = "producer_code"
    # Of the place where it lay.
    FOREIGN_KEY = "foreign_key"
    FOREIGN_PLACE = "foreign_place"
    # Of the file.
    SEVERAL_COPIES = "several_copies"
    COPIES_DISAGREE = "copies_disagree"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    TOO_MUCH = "too_much"
    NO_PLACE = "no_place"
    UNKNOWN_CONTAINER = "unknown_container"


@dataclass(frozen=True, slots=True)
class Finding:
    code: Code
    says: str


def shown(text: str, most: int = 40) -> str:
    """Text of a stranger inside a sentence of ours: quoted, ASCII, short."""
    return ascii(text) if len(text) <= most else f"{text[:most]!a}…"
