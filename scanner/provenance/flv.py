"""Labels in FLV: the script tag onMetaData, key AIGC, in AMF0; XMP in onXMPData.

"FLV" header ── tag ── tag ── …      18 script: string "onMetaData", then an array {…, "AIGC": "{…}", …}
"""

from __future__ import annotations

from collections.abc import Iterator

from scanner.provenance.aigc import LABEL_BYTES
from scanner.provenance.findings import Code, Finding, shown
from scanner.provenance.source import Copies, Copy, Source
from scanner.provenance.xmp import copies_in_xmp

HEAD_TAGS = 1_000  # onMetaData is the first tag of a file; a recorder may write it again after some of the media
SCRIPT_BYTES = 1024 * 1024  # an index of keyframes beside the label may be long
_SCRIPT = 18
_DEPTH = 16
_MOST_VALUES = 50_000  # of one script; the index of a day of video has fewer
_FIXED = {0: 8, 1: 1, 5: 0, 6: 0, 7: 2, 11: 10, 13: 0}  # AMF0 types and the bytes of their values


def copies(source: Source) -> Copies:
    at = int.from_bytes(source.read(5, 4), "big") + 4  # past the header and the size of no tag before
    if at < 13:
        source.note(Code.MALFORMED, f"the FLV header says that it is {at - 4} bytes long")
        return
    for _ in range(HEAD_TAGS):
        header = source.read(at, 11)
        if len(header) < 11:
            break
        source.step()
        size = int.from_bytes(header[1:4], "big")
        if at + 11 + size > source.size:
            source.note(Code.TRUNCATED, f"a tag of {size} bytes has {source.size - at - 11} in the file")
        if header[0] & 0x1F == _SCRIPT:
            if size > SCRIPT_BYTES:
                source.note(Code.TOO_MUCH, f"a script tag is longer than {SCRIPT_BYTES} bytes; its tail is not read")
            yield from _script(source, source.read(at + 11, min(size, SCRIPT_BYTES)))
        at += 11 + size + 4


def _script(source: Source, data: bytes) -> Copies:
    amf = _Amf(data)
    try:
        name = amf.name()
        for key, value in amf.properties():
            if name == "onMetaData" and key.upper() == "AIGC":
                yield Copy("script.onMetaData", (value or b"")[: LABEL_BYTES + 1], tuple(_about(key, value)))
            elif name == "onXMPData" and value is not None:
                yield from copies_in_xmp(source, value, "script.onXMPData")
    except _MalformedError as error:
        source.note(Code.MALFORMED, f"a script tag is not AMF0: {error}")


def _about(key: str, value: bytes | None) -> Iterator[Finding]:
    if key != "AIGC":
        yield Finding(Code.FOREIGN_KEY, f"its key is {shown(key)}, not 'AIGC'")
    if value is None:
        yield Finding(Code.NOT_TEXT, "its value is not a string")


class _MalformedError(Exception):
    pass


class _Amf:
    """AMF0 read from front to back; values other than strings are stepped over."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._values = 0

    def name(self) -> str:
        if self._take(1) != b"\x02":
            raise _MalformedError("no name")
        return self._text(2).decode("utf-8", "replace")

    def properties(self) -> Iterator[tuple[str, bytes | None]]:
        """Keys and values of the array or object that comes next; None for a value that is no string."""
        kind = self._take(1)[0]
        if kind not in {3, 8}:
            raise _MalformedError(f"type {kind} where an array belongs")
        if kind == 8:
            self._take(4)  # a count that many writers leave at 0
        for key in self._keys():
            yield key.decode("utf-8", "replace"), self._value(1)

    def _keys(self) -> Iterator[bytes]:
        """Keys up to the end of the object, or of the data: some writers leave the end out."""
        while self._at < len(self._data):
            key = self._text(2)
            if not key and self._data[self._at : self._at + 1] == b"\x09":
                self._at += 1
                return
            yield key

    def _value(self, depth: int) -> bytes | None:
        """Steps over a value; its bytes when it is a string."""
        self._values += 1
        if depth > _DEPTH or self._values > _MOST_VALUES:
            raise _MalformedError("too many values inside each other" if depth > _DEPTH else "too many values")
        kind = self._take(1)[0]
        if kind in _FIXED:
            self._take(_FIXED[kind])
        elif kind in {2, 12, 15}:
            return self._text(2 if kind == 2 else 4)
        elif kind in {3, 8, 16}:
            if kind == 16:
                self._text(2)
            if kind == 8:
                self._take(4)
            for _ in self._keys():
                self._value(depth + 1)
        elif kind == 10:
            for _ in range(int.from_bytes(self._take(4), "big")):
                self._value(depth + 1)
        else:
            raise _MalformedError(f"type {kind}")
        return None

    def _text(self, length_bytes: int) -> bytes:
        return self._take(int.from_bytes(self._take(length_bytes), "big"))

    def _take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) < count:
            raise _MalformedError("it ends inside a value")
        self._at += count
        return part
