"""Labels in an XMP packet: the property TC260:AIGC, as an element or as an attribute of rdf:Description."""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers import expat

from scanner.provenance.aigc import LABEL_BYTES
from scanner.provenance.findings import Code, Finding, shown
from scanner.provenance.source import MOST_COPIES, Copies, Copy, Source

NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
XMP_BYTES = 1024 * 1024
_BEGINNINGS = (b"<x:xmpmeta", b"<rdf:RDF")
_ENDS = {b"<x:xmpmeta": b"</x:xmpmeta>", b"<rdf:RDF": b"</rdf:RDF>"}
_DEPTH = 64


def copies_in_xmp(source: Source, data: bytes, path: str) -> Copies:
    """Labels of the first packet in some bytes. It begins with its root: no document type brings entities."""
    if len(data) > XMP_BYTES:
        source.note(Code.TOO_MUCH, f"the XMP in {path} is longer than {XMP_BYTES} bytes; its tail is not read")
        data = data[:XMP_BYTES]
    packet = packet_in(data)
    if not packet:
        return
    reader = _Packet(path)
    try:
        reader.read(packet)
    except (expat.ExpatError, ValueError, _RefusedError) as error:
        source.note(Code.MALFORMED, f"the XMP in {path} is not well-formed: {error}")
    yield from reader.copies()


def packet_in(data: bytes) -> bytes:
    """The first packet among other bytes, to its end or to theirs; empty when there is none."""
    begun = [(at, mark) for mark in _BEGINNINGS if (at := data.find(mark)) >= 0]
    if not begun:
        return b""
    at, mark = min(begun)
    end = data.find(_ENDS[mark], at)
    return data[at : end + len(_ENDS[mark])] if end >= 0 else data[at:]


class _RefusedError(Exception):
    pass


class _Packet:
    """Walks a packet once. Prefixes are resolved here: packets that forgot to declare theirs are read, and noted."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._namespaces: dict[str, str] = {}
        self._found: list[tuple[str, str, str, str]] = []
        """prefix, form, text, and the name as written"""
        self._depth = 0
        self._inside = 0
        self._name = ""
        self._text: list[str] = []
        self._length = 0

    def read(self, packet: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(packet, True)

    def copies(self) -> Iterator[Copy]:
        for prefix, form, text, name in self._found:
            known = self._namespaces.get(prefix)
            if prefix.upper() != "TC260" and known != NAMESPACE:
                continue
            about = []
            if known != NAMESPACE:
                says = f"the namespace of {shown(name)} is {shown(known or '', 80)}, not {NAMESPACE}"
                about.append(Finding(Code.FOREIGN_KEY, says))
            value = text[: LABEL_BYTES + 1].encode("utf-8", "replace")
            yield Copy(f"{self._path} TC260:AIGC ({form})", value, tuple(about))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEPTH:
            raise _RefusedError(f"more than {_DEPTH} elements inside each other")
        for key, value in attributes.items():
            if key.startswith("xmlns:") and len(self._namespaces) < MOST_COPIES:
                self._namespaces.setdefault(key.removeprefix("xmlns:"), value)
            self._meet(key, "attribute", value)
        if not self._inside and name.rpartition(":")[2] == "AIGC":
            self._inside, self._name, self._text, self._length = self._depth, name, [], 0

    def _end(self, _: str) -> None:
        if self._inside == self._depth:
            self._inside = 0
            self._meet(self._name, "element", "".join(self._text))
        self._depth -= 1

    def _characters(self, text: str) -> None:
        if self._inside and self._length <= LABEL_BYTES:
            self._text.append(text)
            self._length += len(text)

    def _meet(self, name: str, form: str, text: str) -> None:
        prefix, _, local = name.rpartition(":")
        if local == "AIGC" and len(self._found) < MOST_COPIES:
            self._found.append((prefix, form, text, name))
