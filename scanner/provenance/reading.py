"""A file to the labels in it: which container it is, where each copy lay, what is wrong.

bytes ──▶ container ──▶ copies (place, text) ──▶ labels (fields, findings) ──▶ Reading
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import BinaryIO

from scanner.provenance import avi, flv, matroska, mp4
from scanner.provenance.aigc import Label45438, parse_label
from scanner.provenance.findings import Code, Finding
from scanner.provenance.source import MOST_COPIES, Copies, ExhaustedError, Source
from scanner.provenance.xmp import XMP_BYTES, copies_in_xmp, packet_in

_PACKET_BYTES = 188  # of MPEG-TS


class Container(StrEnum):
    MP4 = "mp4"  # and MOV
    MATROSKA = "matroska"  # and WebM
    FLV = "flv"
    AVI = "avi"
    XMP = "xmp"  # a sidecar, or any other file with a packet in its first megabyte
    MPEG_TS = "mpeg_ts"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Placed:
    """One copy of the label and where it lay."""

    place: str
    label: Label45438
    """its findings tell of its place, too"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file declares of itself."""

    container: Container
    placed: tuple[Placed, ...] = ()
    findings: tuple[Finding, ...] = ()
    """about the file; those about a copy are the copy's"""

    @property
    def labels(self) -> tuple[Label45438, ...]:
        return tuple(placed.label for placed in self.placed)

    @property
    def valid(self) -> bool:
        """Whether there is one label, it meets the standard, and nothing hides another."""
        return len(self.placed) == 1 and self.labels[0].valid and not self.findings


_READERS: Mapping[Container, Callable[[Source], Copies]] = {
    Container.MP4: mp4.copies,
    Container.MATROSKA: matroska.copies,
    Container.FLV: flv.copies,
    Container.AVI: avi.copies,
    Container.XMP: lambda source: copies_in_xmp(source, source.read(0, XMP_BYTES), "file"),
}


def read_label(file: BinaryIO | bytes) -> Reading:
    """The labels of a seekable file, read in small pieces within a budget.

    Raises:
        OSError: when the file itself cannot be read; content is never an error.
    """
    source = Source(file)
    container = _container(source)
    placed: list[Placed] = []
    try:
        for copy in islice(_READERS[container](source) if container in _READERS else (), MOST_COPIES):
            label = parse_label(copy.value)
            placed.append(Placed(copy.place, replace(label, findings=copy.findings + label.findings)))
    except ExhaustedError as error:
        source.note(Code.TOO_MUCH, f"not everything was looked at: {error}")
    if len(placed) > 1:
        _compare(placed, source)
    return Reading(container, tuple(placed), source.findings)


def container_of(file: BinaryIO | bytes) -> Container:
    """By its first bytes. Raises OSError."""
    return _container(Source(file))


def _compare(placed: list[Placed], source: Source) -> None:
    places = ", ".join(dict.fromkeys(one.place for one in placed))
    source.note(Code.SEVERAL_COPIES, f"{len(placed)} copies of the label, of which there may be one: {places}")
    if len({tuple(one.label.fields().values()) for one in placed}) > 1:
        source.note(Code.COPIES_DISAGREE, "the copies of the label do not say the same")


_FIRST_BOXES = {
    b"ftyp",
    b"styp",
    b"moov",
    b"moof",
    b"mdat",
    b"free",
    b"skip",
    b"wide",
    b"pnot",
    b"sidx",
    b"uuid",
    b"meta",
}


def _container(source: Source) -> Container:
    head = source.read(0, 16)
    if head[4:8] in _FIRST_BOXES:
        return Container.MP4
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return Container.MATROSKA
    if head.startswith(b"FLV"):
        return Container.FLV
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return Container.AVI
    if head[:1] == b"G" and source.read(_PACKET_BYTES, 1) in {b"G", b""} and source.size >= _PACKET_BYTES:
        source.note(Code.NO_PLACE, "MPEG-TS has no place for a label: look at the file it was made from")
        return Container.MPEG_TS
    if packet_in(source.read(0, XMP_BYTES)):
        return Container.XMP
    source.note(Code.UNKNOWN_CONTAINER, "neither a container that has a place for a label nor a file with XMP")
    return Container.UNKNOWN
