"""The text of a GB 45438-2025 implicit label: read liberally, reported strictly. Pure.

{"Label":"1","ContentProducer":"…","ProduceID":"…","ReservedCode1":"…",
 "ContentPropagator":"…","PropagateID":"…","ReservedCode2":"…"}     bare, as in TC260-PG-20257A for video
{"AIGC": {…}}                                                       wrapped, as in Annex E of the standard
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scanner.provenance.findings import Code, Finding, shown

FIELDS = (
    "Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2",
)  # fmt: skip
MANDATORY = FIELDS[:3]
LABEL_BYTES = 16 * 1024  # a label is some hundred bytes; segments carry no longer one in their headers either
MOST_FINDINGS = 32  # of one label; a hostile one can hold thousands of fields

# Names that are met where the standard's belong, in lower case.
_ALIASES = {
    "serviceprovider": "ContentProducer",
    "producer": "ContentProducer",
    "reservecode1": "ReservedCode1",
    "propagator": "ContentPropagator",
    "propatorid": "PropagateID",
    "propagatorid": "PropagateID",
    "reservecode2": "ReservedCode2",
} | {name.lower(): name for name in FIELDS}

_PREFIX = re.compile(r'"?AIGC"?\s*[:=]?\s*\{', re.IGNORECASE)  # AIGC{…} and "AIGC": {…}, without braces around it
_FORBIDDEN = re.compile(r"[^\x21\x23-\x5B\x5D-\x7E]")
_CODE = re.compile(r"001(?P<kind>.)(?P<holder>.{18})(?P<number>.{5})", re.DOTALL)
_HOLDER_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: no I, O, S, V, Z
_HOLDER_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))


class Form(StrEnum):
    """How the seven fields were wrapped."""

    BARE = "bare"
    WRAPPED = "wrapped"


@dataclass(frozen=True, slots=True)
class ProducerCode:
    """The 27 characters that a registered provider writes for its name: 001, kind, holder, number."""

    kind: str
    """one character; 1 says that the holder is given by its unified social credit code"""
    holder: str
    """18 characters"""
    number: str
    """5 digits, the holder's own"""


@dataclass(frozen=True, slots=True)
class Label45438:
    """One copy of the label: its fields as found ("" where absent) and every departure from the standard."""

    label: str = ""
    content_producer: str = ""
    produce_id: str = ""
    reserved_code1: str = ""
    content_propagator: str = ""
    propagate_id: str = ""
    reserved_code2: str = ""
    others: tuple[tuple[str, str], ...] = ()
    """fields that the standard does not know"""
    form: Form | None = None
    """None when nothing could be read"""
    text: str = ""
    """as found, at most 16 Ki characters"""
    findings: tuple[Finding, ...] = ()

    @property
    def readable(self) -> bool:
        return self.form is not None

    @property
    def valid(self) -> bool:
        """Whether the standard is met in full."""
        return self.readable and not self.findings

    @property
    def kind(self) -> str:
        """What it says of the content: "1" is, "2" may be, "3" is suspected to be generated; "" when unreadable.

        A label that names a producer but no kind, or spells "1" as "AIGC", says that the content is generated; any
        other unknown kind is evidence, not a statement, and reads as "2".
        """
        if not self.readable:
            return ""
        label = self.label.strip()
        if label in {"1", "2", "3"}:
            return label
        return "1" if label.upper() == "AIGC" or (not label and self.content_producer) else "2"

    @property
    def producer_code(self) -> ProducerCode | None:
        """The producer's code, where it is one; many write a plain name, which the standard allows."""
        return _producer_code(self.content_producer)

    def fields(self) -> dict[str, str]:
        """The seven fields under the standard's names, in its order."""
        values = (
            self.label,
            self.content_producer,
            self.produce_id,
            self.reserved_code1,
            self.content_propagator,
            self.propagate_id,
            self.reserved_code2,
        )
        return dict(zip(FIELDS, values, strict=True))


def parse_label(value: str | bytes) -> Label45438:
    """One copy of the label. Never raises: what is wrong is in its findings."""
    notes = _Notes()
    text = _text_of(value, notes)
    found = _object_of(text, notes)
    if found is None:
        return Label45438(text=text[:LABEL_BYTES], findings=notes.all)
    form, pairs = found
    fields, others = _fields_of(pairs, notes)
    _check(fields, notes)
    return Label45438(
        label=fields.get("Label", ""),
        content_producer=fields.get("ContentProducer", ""),
        produce_id=fields.get("ProduceID", ""),
        reserved_code1=fields.get("ReservedCode1", ""),
        content_propagator=fields.get("ContentPropagator", ""),
        propagate_id=fields.get("PropagateID", ""),
        reserved_code2=fields.get("ReservedCode2", ""),
        others=tuple(others),
        form=form,
        text=text,
        findings=notes.all,
    )


def forbidden_in(value: str) -> str:
    """The first character that the standard does not allow in a value; "" when there is none."""
    met = _FORBIDDEN.search(value)
    return met.group() if met else ""


class _Notes:
    """Findings as they come, each once, of a bounded number."""

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}

    def add(self, code: Code, says: str) -> None:
        if len(self._found) < MOST_FINDINGS:
            self._found[Finding(code, says)] = None

    @property
    def all(self) -> tuple[Finding, ...]:
        return tuple(self._found)


# From bytes to an object.


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its repeated keys."""


class _Literal(str):
    """A number as it was written: `1` is read as "1", and is known not to be a string."""

    __slots__ = ()


def _text_of(value: str | bytes, notes: _Notes) -> str:
    if len(value) > LABEL_BYTES:
        notes.add(Code.TOO_LONG, f"the label is longer than {LABEL_BYTES} bytes")
        value = value[:LABEL_BYTES]
    if isinstance(value, str):
        return value
    value = value.rstrip(b"\0")
    try:
        return value.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        notes.add(Code.NOT_TEXT, f"byte {error.start} of the label is not UTF-8")
        return value.decode("utf-8", "replace")


def _object_of(text: str, notes: _Notes) -> tuple[Form, _Pairs] | None:
    value = _json_of(text.strip(), notes)
    if isinstance(value, str) and not isinstance(value, _Literal):  # JSON inside a JSON string
        notes.add(Code.QUOTED, "the label is a JSON string that holds the object, not the object")
        value = _json_of(value.strip(), notes)
    if value is None:
        return None
    if not isinstance(value, _Pairs):
        notes.add(Code.NOT_A_LABEL, "the label is not a JSON object")
        return None
    wraps = [(name, inner) for name, inner in value if name.strip().upper() == "AIGC"]
    form = Form.WRAPPED if wraps else Form.BARE
    if wraps:
        for name, _ in value:
            if name.strip().upper() != "AIGC":
                notes.add(Code.UNKNOWN_FIELD, f"{shown(name)} stands beside AIGC")
        _check_wraps(wraps, notes)
        value = _unquoted(wraps[0][1], notes)
    if not isinstance(value, _Pairs):
        notes.add(Code.NOT_A_LABEL, "AIGC does not hold a JSON object")
        return None
    if not any(_standard(name) for name, _ in value):
        notes.add(Code.NOT_A_LABEL, "the object has none of the label's fields")
        return None
    return form, value


def _check_wraps(wraps: list[tuple[str, Any]], notes: _Notes) -> None:
    if len(wraps) > 1:
        notes.add(Code.DUPLICATE_KEY, f"AIGC is there {len(wraps)} times; the first counts")
    if wraps[0][0] != "AIGC":
        notes.add(Code.FOREIGN_NAME, f"{shown(wraps[0][0])} stands for AIGC")


def _unquoted(value: Any, notes: _Notes) -> Any:
    if isinstance(value, str) and not isinstance(value, _Literal):
        notes.add(Code.QUOTED, "AIGC holds a JSON string that holds the object, not the object")
        return _json_of(value.strip(), notes)
    return value


def _json_of(text: str, notes: _Notes) -> Any:
    """None for what is not JSON."""
    start = text.find("{")
    if start > 0 and (_PREFIX.match(text) or not text.startswith('"')):
        notes.add(Code.TEXT_AROUND, f"{shown(text[:start])} stands before the object")
        text = text[start:]
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        notes.add(Code.NOT_JSON, "the label is empty" if not text else "the label is not JSON")
        return None
    if text[end:].strip():
        notes.add(Code.TEXT_AROUND, f"{shown(text[end:].strip())} stands after the object")
    if value is None:
        notes.add(Code.NOT_A_LABEL, "the label is null")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal, strict=False
)


# From an object to fields.


def _standard(name: str) -> str | None:
    return _ALIASES.get(name.strip().lower())


def _fields_of(pairs: _Pairs, notes: _Notes) -> tuple[dict[str, str], list[tuple[str, str]]]:
    fields: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    exact = {name for name, _ in pairs if name in FIELDS}
    for name, value in pairs:
        standard = name if name in exact else _standard(name)
        if standard is None or (standard != name and standard in exact):
            notes.add(Code.UNKNOWN_FIELD, f"the standard knows no field {shown(name)}")
            others.append((name, _string(value)))
            continue
        if standard != name:
            notes.add(Code.FOREIGN_NAME, f"{shown(name)} stands for {standard}")
        if standard in fields:
            notes.add(Code.DUPLICATE_KEY, f"{standard} is there more than once; the first counts")
            continue
        if not isinstance(value, str) or isinstance(value, _Literal):
            notes.add(Code.NOT_A_STRING, f"{standard} is not a JSON string")
        fields[standard] = _string(value)
    return fields, others


def _string(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    return {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else ""


def _check(fields: dict[str, str], notes: _Notes) -> None:
    for name in MANDATORY:
        if not fields.get(name):
            notes.add(Code.MISSING_FIELD, f"{name} is {'empty' if name in fields else 'missing'}")
    label = fields.get("Label", "")
    if label and label not in {"1", "2", "3"}:
        notes.add(Code.UNKNOWN_LABEL, f'Label is {shown(label)}; the standard knows "1", "2" and "3"')
    for name, value in fields.items():
        character = forbidden_in(value)
        if character:
            notes.add(Code.FORBIDDEN_CHARACTER, f"{name} holds U+{ord(character):04X}, which no value may hold")
    for says in _faults_of_code(fields.get("ContentProducer", "")):
        notes.add(Code.PRODUCER_CODE, says)


def _producer_code(text: str) -> ProducerCode | None:
    parts = _CODE.fullmatch(text)
    return ProducerCode(parts["kind"], parts["holder"], parts["number"]) if parts else None


def _faults_of_code(producer: str) -> Iterator[str]:
    """Of something that has the shape of a producer's code; a plain name has no faults."""
    code = _producer_code(producer)
    if code is None:
        return
    if not re.fullmatch("[0-9]{5}", code.number):
        yield "ContentProducer looks like a provider's code, but its last five characters are not digits"
    if code.kind == "1" and not _is_credit_code(code.holder):
        yield "ContentProducer looks like a provider's code, but holds no unified social credit code (GB 32100)"


def _is_credit_code(text: str) -> bool:
    """Whether 18 characters are a unified social credit code: its letters, and its check letter."""
    if len(text) != 18 or any(letter not in _HOLDER_LETTERS for letter in text):
        return False
    places = [_HOLDER_LETTERS.index(letter) for letter in text]
    total = sum(place * weight for place, weight in zip(places, _HOLDER_WEIGHTS, strict=False))
    return places[-1] == -total % 31
