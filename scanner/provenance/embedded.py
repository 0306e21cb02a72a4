"""Whether a file holds a C2PA manifest, by a walk over its boxes: who has none need not be read by anything larger."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from scanner.provenance import avi, mp4
from scanner.provenance.reading import Container, container_of
from scanner.provenance.source import ExhaustedError, Source

C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # usertype of the uuid box, C2PA 2.2, A.5.1
C2PA_CHUNK = b"C2PA"  # in RIFF


def manifest_kind(file: BinaryIO | bytes) -> str | None:
    """The media type of a file with a manifest; None without one, or where C2PA knows no place for it.

    A file with more boxes than the walk's budget may have one. Raises OSError.
    """
    match container_of(file):
        case Container.MP4:
            return "video/mp4" if _met(file, mp4.holds_uuid, C2PA_BOX) else None
        case Container.AVI:
            return "video/avi" if _met(file, avi.holds_chunk, C2PA_CHUNK) else None
        case _:
            return None


def _met(file: BinaryIO | bytes, holds: Callable[[Source, bytes], bool], what: bytes) -> bool:
    try:
        return holds(Source(file), what)
    except ExhaustedError:
        return True
