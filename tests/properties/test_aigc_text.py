"""Whatever the text of a label: it is read without an exception, and called valid only when every rule is kept."""

from __future__ import annotations

import json
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from scanner.provenance import Label45438, decide, label_text, parse_label
from scanner.provenance.aigc import FIELDS, LABEL_BYTES, MOST_FINDINGS

allowed = st.text(st.sampled_from([chr(c) for c in range(0x21, 0x7F) if c not in (0x22, 0x5C)]), max_size=12)
something = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*FIELDS, "AIGC", "label", "ServiceProvider", "ServiceUser", "x"])
objects = st.dictionaries(names, something | allowed | st.sampled_from(["1", "2", "3"]), max_size=9)


def check(label: Label45438) -> None:
    assert label.readable or label.findings
    assert len(label.text) <= LABEL_BYTES
    assert len(label.findings) <= MOST_FINDINGS
    assert all(type(value) is str for value in label.fields().values())
    assert (label.kind in {"1", "2", "3"}) == label.readable
    decide([label])
    if label.valid:
        given = json.loads(label.text)
        given = given.get("AIGC", given)
        assert set(given) <= set(FIELDS)
        assert given["Label"] in {"1", "2", "3"}
        assert given["ContentProducer"]
        assert given["ProduceID"]
        assert all(re.fullmatch(r"[\x21\x23-\x5B\x5D-\x7E]*", value) for value in given.values())


@given(value=st.text(max_size=200) | st.binary(max_size=200))
@example(value="")
@example(value="null")
@example(value="{" * 9000)
@example(value="[" * 16_000)
@example(value='{"Label":' * 1500)
@example(value='{"Label":' + "9" * 10_000 + "}")
@example(value='{"Label":"\\ud800"}')
@example(value='"' + '\\"' * 4000)
def test_any_text_is_read(value: str | bytes) -> None:
    check(parse_label(value))


@settings(max_examples=100)
@given(value=objects, wrapped=st.booleans(), before=st.sampled_from(["", "AIGC", " ", "\ufeff"]))
def test_any_object_is_read(value: dict[str, object], wrapped: bool, before: str) -> None:
    check(parse_label(before + json.dumps({"AIGC": value} if wrapped else value)))


@given(values=st.tuples(*[allowed] * 6), kind=st.sampled_from("123"), wrapped=st.booleans())
def test_what_keeps_the_rules_is_read_back_whole(values: tuple[str, ...], kind: str, wrapped: bool) -> None:
    fields = dict(zip(FIELDS, (kind, *values), strict=True))
    text = label_text(fields)
    label = parse_label(f'{{"AIGC":{text}}}' if wrapped else text)
    assert label.fields() == fields
    codes = {finding.code.value for finding in label.findings} - {"producer_code"}
    assert codes == (set() if values[0] and values[1] else {"missing_field"})
