"""The text of the implicit label: what the standard allows, what is met in the wild, what each departure is called."""

from __future__ import annotations

import json

import pytest

from scanner.provenance import Code, Form, ProducerCode, parse_label
from scanner.provenance.aigc import FIELDS, LABEL_BYTES, MOST_FINDINGS

FULL = {
    "Label": "1", "ContentProducer": "kling", "ProduceID": "p-1", "ReservedCode1": "r1",
    "ContentPropagator": "weibo", "PropagateID": "w-7", "ReservedCode2": "r2",
}  # fmt: skip
CODE = "001" + "1" + "9144030071526726XG" + "00017"


def text(fields=FULL, **changes) -> str:
    return json.dumps(fields | changes)


def codes(label) -> list[Code]:
    return [finding.code for finding in label.findings]


@pytest.mark.parametrize(("value", "form"), [(text(), Form.BARE), (f'{{"AIGC": {text()}}}', Form.WRAPPED)])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_both_forms_are_read_in_full(value, form, kind) -> None:
    label = parse_label(kind(value))
    assert label.fields() == FULL
    assert label.form is form
    assert label.findings == ()
    assert label.valid
    assert label.text == value


def test_the_fields_come_in_the_standards_order() -> None:
    label = parse_label(json.dumps(dict(reversed(FULL.items()))))
    assert tuple(label.fields()) == FIELDS == tuple(FULL)
    assert label.valid


@pytest.mark.parametrize("kind", ["1", "2", "3"])
def test_three_kinds_are_known(kind) -> None:
    label = parse_label(text(Label=kind))
    assert label.valid
    assert label.kind == kind


def test_the_three_mandatory_fields_suffice() -> None:
    assert parse_label(json.dumps({name: FULL[name] for name in FIELDS[:3]})).valid


@pytest.mark.parametrize("name", FIELDS[:3])
@pytest.mark.parametrize("gone", [True, False])
def test_a_mandatory_field_that_is_missing_or_empty_is_reported(name, gone) -> None:
    label = parse_label(
        json.dumps({key: value for key, value in FULL.items() if key != name}) if gone else text(**{name: ""})
    )
    assert codes(label) == [Code.MISSING_FIELD]
    assert name in label.findings[0].says
    assert not label.valid


@pytest.mark.parametrize("code_point", [*range(0x30), 0x5C, 0x7F, 0x80, 0x4E2D, 0x1F600])
def test_characters_outside_the_three_ranges_are_reported(code_point) -> None:
    allowed = code_point == 0x21 or 0x23 <= code_point <= 0x5B or 0x5D <= code_point <= 0x7E
    label = parse_label(text(ReservedCode1=f"a{chr(code_point)}b"))
    assert codes(label) == ([] if allowed else [Code.FORBIDDEN_CHARACTER])
    assert label.reserved_code1 == f"a{chr(code_point)}b", "reported, and read all the same"


FAULTY = {
    "nothing": ("", [Code.NOT_JSON], False),
    "null": ("null", [Code.NOT_A_LABEL], False),
    "a word": ("made by a machine", [Code.NOT_JSON], False),
    "a list": ("[]", [Code.NOT_A_LABEL], False),
    "an object without its fields": ('{"a": "b"}', [Code.NOT_A_LABEL], False),
    "a wrap around nothing": ('{"AIGC": []}', [Code.NOT_A_LABEL], False),
    "an object cut off": (text()[:-3], [Code.NOT_JSON], False),
    "nested without end": ("[" * LABEL_BYTES, [Code.NOT_JSON], False),
    "not UTF-8": (text().encode().replace(b"kling", b"kl\xffng"), [Code.NOT_TEXT, Code.FORBIDDEN_CHARACTER], True),
    "zeros at the end": (text().encode() + b"\0\0", [], True),
    "a byte order mark": (b"\xef\xbb\xbf" + text().encode(), [], True),
    "AIGC before it": ("AIGC" + text(), [Code.TEXT_AROUND], True),
    "AIGC before it, quoted": ('"AIGC": ' + text(), [Code.TEXT_AROUND], True),
    "text after it": (text() + " by kling", [Code.TEXT_AROUND], True),
    "JSON in a JSON string": (json.dumps(text()), [Code.QUOTED], True),
    "JSON in a wrapped JSON string": (json.dumps({"AIGC": text()}), [Code.QUOTED], True),
    "a wrap in lower case": (f'{{"aigc": {text()}}}', [Code.FOREIGN_NAME], True),
    "two wraps": (f'{{"AIGC": {text()}, "AIGC": {{}}}}', [Code.DUPLICATE_KEY], True),
    "something beside the wrap": (f'{{"AIGC": {text()}, "x": "y"}}', [Code.UNKNOWN_FIELD], True),
    "an unknown field": (text(Model="m"), [Code.UNKNOWN_FIELD], True),
    "a number": (text(Label=1), [Code.NOT_A_STRING], True),
    "an unknown kind": (text(Label="4"), [Code.UNKNOWN_LABEL], True),
    "a word for its kind": (text(Label="AIGC"), [Code.UNKNOWN_LABEL], True),
    "a field twice": (text()[:-1] + ', "ProduceID": "p-2"}', [Code.DUPLICATE_KEY], True),
    "a name in lower case": (text().replace("ProduceID", "produceId"), [Code.FOREIGN_NAME], True),
    "Tencent's provider": (text().replace("ContentProducer", "ServiceProvider"), [Code.FOREIGN_NAME], True),
    "a misspelt toolkit": (
        text()
        .replace("ReservedCode1", "ReserveCode1")
        .replace("ContentPropagator", "Propagator")
        .replace("PropagateID", "PropatorID"),
        [Code.FOREIGN_NAME] * 3,
        True,
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_departure_is_named_and_what_can_be_read_is(name) -> None:
    value, expected, readable = FAULTY[name]
    label = parse_label(value)
    assert codes(label) == expected
    assert label.readable is readable
    assert label.valid is (not expected)
    if readable:
        assert label.produce_id == "p-1"
        assert label.reserved_code1 == "r1"
        assert label.content_propagator == "weibo"
    else:
        assert label.kind == ""
        assert not any(label.fields().values())


def test_the_standards_own_name_wins_over_a_foreign_one() -> None:
    label = parse_label('{"ServiceProvider": "a", "ContentProducer": "b", "Label": "1", "ProduceID": "c"}')
    assert label.content_producer == "b"
    assert codes(label) == [Code.UNKNOWN_FIELD]
    assert label.others == (("ServiceProvider", "a"),)


def test_the_user_of_a_service_is_kept_but_is_no_propagator() -> None:
    label = parse_label('{"Label": "1", "ServiceProvider": "tencent", "ServiceUser": "u", "ProduceID": "c"}')
    assert (label.content_producer, label.content_propagator) == ("tencent", "")
    assert label.others == (("ServiceUser", "u"),)


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ({"Label": "AIGC"}, "1"),
        ({"Label": " 3 "}, "3"),
        ({"Label": 2}, "2"),
        ({"ContentProducer": "kling"}, "1"),
        ({"ProduceID": "p-1"}, "2"),
        ({"Label": "0", "ContentProducer": "kling"}, "2"),
        ({"Label": ["1"]}, "2"),
    ],
)
def test_a_kind_is_read_liberally(label, kind) -> None:
    assert parse_label(json.dumps(label)).kind == kind


def test_a_long_label_is_cut_and_reported() -> None:
    label = parse_label(text(ReservedCode1="r" * LABEL_BYTES))
    assert codes(label) == [Code.TOO_LONG, Code.NOT_JSON]
    assert len(label.text) == LABEL_BYTES
    assert codes(parse_label(text() + " " * LABEL_BYTES)) == [Code.TOO_LONG], "what is cut off may be nothing"


def test_the_number_of_findings_is_bounded() -> None:
    label = parse_label(text(**{f"x{number}": "y" for number in range(500)}))
    assert len(label.findings) == MOST_FINDINGS


def test_a_sentence_about_a_strangers_text_is_ascii_and_short() -> None:
    label = parse_label(text(**{"\x1b[31m" + "é" * 5000: "y"}, Label="\x1b]0;x\x07"))
    for finding in label.findings:
        assert finding.says.replace("…", "").isascii()
        assert finding.says.isprintable()
        assert len(finding.says) < 400


def test_a_providers_code_is_taken_apart() -> None:
    label = parse_label(text(ContentProducer=CODE))
    assert label.producer_code == ProducerCode("1", "9144030071526726XG", "00017")
    assert label.valid


@pytest.mark.parametrize(
    "code",
    [
        CODE.replace("26XG", "26XH"),  # the check letter
        CODE.replace("9144", "9414"),  # two digits changed places
        CODE.replace("9144", "O144"),  # a letter that no code has
        CODE[:-1] + "x",
    ],
)
def test_a_providers_code_with_a_fault_is_reported(code) -> None:
    label = parse_label(text(ContentProducer=code))
    assert codes(label) == [Code.PRODUCER_CODE]
    assert not label.valid


@pytest.mark.parametrize("holder", ["914403001922038216", "9144030071526726XG"])
def test_credit_codes_in_use_are_right(holder) -> None:
    assert parse_label(text(ContentProducer=f"0011{holder}00000")).valid


def test_a_plain_name_is_no_code() -> None:
    label = parse_label(text(ContentProducer="doubao"))
    assert label.producer_code is None
    assert label.valid
