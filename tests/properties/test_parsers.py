"""Whatever bytes come: our own parsers give a value that keeps its promises, or one of our errors in one line."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scanner import letters, wire
from scanner.core.errors import (
    ClaimRefusedError,
    ClaimUnavailableError,
    ModelMismatchError,
    ScannerError,
    SettingsError,
)
from scanner.core.types import ClipSpec, Mode
from scanner.headers import LARGEST_NUMBER
from scanner.inference.card import models_root, read_card
from scanner.media.protocol import Fields, ProtocolError
from scanner.media.sighted import clip_from, observation_from
from scanner.media.store import ObjectStore
from scanner.media.web import Web
from scanner.ports import Delivery, Record
from scanner.settings import load

ROOMY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
SHA256 = hashlib.sha256(b"x").hexdigest()
GOOD = {
    "ce_type": b"scanner.segment.v1",
    "content-sha256": SHA256.encode(),
    "stream-id": b"cam",
    "sequence": b"7",
    "start-ms": b"1000",
    "end-of-stream": b"false",
    "captured-at-ms": b"5",
}
NAMES = st.sampled_from([*GOOD, "claim-uri", "claim-size", "content-type", "aigc-label", "c2pa", "traceparent", "else"])
VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"-1", b"1e9", b"0" * 5000, b"0" * 30 + b"9" * 30, b"9" * 5000, b"\xff", b"true", b"1_0",
                     "٣".encode(), b"cam", b"\0", b"x" * 600, b"file:///a", SHA256.upper().encode()]),
)  # fmt: skip


@example([("sequence", b"0" * 5000)], set(), b"x", b"cam")
@example([("sequence", b"0" * 20 + b"9" * 30)], set(), b"x", b"cam")
@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=4),
    st.sets(st.sampled_from([*GOOD]), max_size=2),
    st.sampled_from([b"x", b"", None, b"y"]),
    st.sampled_from([b"cam", b"", b"other"]),
)
def test_headers_of_segments(
    changed: list[tuple[str, bytes]], left_out: set[str], payload: bytes | None, key: bytes
) -> None:
    good = {name: value for name, value in GOOD.items() if name not in left_out | {name for name, _ in changed}}
    record = Record("t", key, payload, (*good.items(), *changed))
    try:
        segment = wire.segment_of(Delivery(record, 0, 0, 0))
    except ScannerError as error:
        assert_one_line(error)
    else:
        assert segment.stream_id.encode() == key
        assert 0 <= segment.sequence <= LARGEST_NUMBER
        assert 0 <= segment.start_ms <= LARGEST_NUMBER
        assert segment.payload or segment.claim or segment.end_of_stream


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
READERS = (wire.verdict_of, wire.alert_of, wire.state_of, wire.review_of, letters.rejected_of)


@given(st.sampled_from(READERS), st.one_of(st.binary(), JSON.map(lambda value: json.dumps(value).encode())))
def test_answers_that_are_none(reader: Any, value: bytes) -> None:
    with pytest.raises(ScannerError) as refusal:
        reader(Record("t", b"k", value))
    assert_one_line(refusal.value)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("value", [b"[" * 200_000, b'{"a":' * 100_000, b"1" * 10_000, b'"\\ud800"', b"\xef\xbb\xbf{}"])
def test_answers_that_are_deep_or_long(reader: Any, value: bytes) -> None:
    with pytest.raises(ScannerError):
        reader(Record("t", b"k", value))


DEAD = ("__streams.errors.topic", "__streams.errors.partition", "__streams.errors.offset", "scanner-stage",
        "__streams.errors.exception", "scanner-attempt", "scanner-disposition", "scanner-value-omitted")  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(DEAD), VALUES), max_size=12))
def test_headers_of_dead_letters(headers: list[tuple[str, bytes]]) -> None:
    try:
        told = letters.rejected_of(Record("t", b"k", None, tuple(headers)))
    except ScannerError as error:
        assert_one_line(error)
    else:
        assert told.source.offset <= LARGEST_NUMBER


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    root = tmp_path_factory.mktemp("outer") / "root"
    root.mkdir()
    (root.parent / "secret").write_bytes(b"x")
    (root / "link").symlink_to(root.parent / "secret")
    return ObjectStore(file_roots=[root], s3_buckets=["clips"], s3_endpoint="http://127.0.0.1:1")


PIECES = st.sampled_from(
    ["file://", "s3://", "https://", "http://", "/", "..", "%2e%2e", "%00", "\0", "\\", "clips", "root", "secret",
     "link", "@", ":", "[", "]", "::1", "?", "#", " ", "\r\n", "%", "localhost", "流", "\ud800", "//", "etc/passwd"]
)  # fmt: skip


@ROOMY
@given(st.lists(PIECES | st.text(max_size=3), max_size=9).map("".join))
def test_claims(store: ObjectStore, uri: str) -> None:
    """Nothing lies below the one root but a link that leads out of it, so every claim is refused."""
    (root,) = store._file_roots
    for address in (uri, f"{root.as_uri()}/{uri}"):
        if address.startswith("s3://clips"):
            continue  # would ask the store, which is away
        with pytest.raises(ClaimRefusedError):
            store.get(address, 1, SHA256)


@given(st.lists(PIECES | st.text(max_size=3), max_size=9).map("".join))
def test_claims_of_the_web(rest: str) -> None:
    with pytest.raises((ClaimRefusedError, ClaimUnavailableError)):
        Web(["host.invalid"]).get(f"https://{rest}", 1)


@pytest.fixture(scope="module")
def card() -> str:
    return next(models_root().glob("*/card.toml")).read_text("utf-8")


@ROOMY
@given(st.data())
def test_model_cards(card: str, tmp_path: Path, data: st.DataObject) -> None:
    """Any card with a piece of it exchanged: refused, since the model's file is not there, or is another one."""
    text = card.encode()
    at = data.draw(st.integers(0, len(text)))
    size = data.draw(st.integers(0, 40))
    put = data.draw(
        st.binary(max_size=20) | st.sampled_from([b"[" * 5000, b"1" * 5000, b"nan", b"\xff", b"'''", b"\0"])
    )
    (tmp_path / "card.toml").write_bytes(text[:at] + put + text[at + size :])
    with pytest.raises(ModelMismatchError) as refusal:
        read_card(tmp_path)
    assert "\n\n" not in str(refusal.value)


@ROOMY
@given(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from([b"scan = 1", b"[scan]\ncells = []", b"[[kafka]]\na=1", b"a=" + b"[" * 5000,
                         b"x=" + b"1" * 9999,
                         b"[claims]\nfile_roots = '\\u0000'", b"[cell]\nmax_pixels = nan", b"[scan]\nmodel = 1"]),
    )
)  # fmt: skip
def test_settings_files(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "scanner.toml").write_bytes(text)
    with suppress(SettingsError):
        load(tmp_path / "scanner.toml")


MESSAGES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["tracklets", "duration_ms", "width", "height", "codec", "tally", "reasons", "opening",
                         "closing", "index", "start_ms", "end_ms", "first_box", "box", "frames", "after_cut", "quality",
                         "tracklet", "repeats", "face_px", "frames_total", "frames_decoded"]),
        inner, max_size=9,
    ),
    max_leaves=25,
)  # fmt: skip


@given(MESSAGES)
def test_words_of_a_cell(message: Any) -> None:
    """What a cell that was taken over may say of an observation or a clip."""
    for read in (
        lambda: observation_from(Fields(message), Mode.FULL, ()),
        lambda: clip_from(Fields(message), ClipSpec(), None),
    ):
        try:
            read()
        except ProtocolError as error:
            assert_one_line(error)


def assert_one_line(error: ScannerError) -> None:
    text = str(error)
    assert 5 < len(text) < 600
    assert "\n" not in text
