"""IN to OUT with the label: chosen writer, copied bytes, and the label read back before OUT gets its name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scanner.provenance.article6 import label_text
from scanner.provenance.embedded import manifest_kind
from scanner.provenance.findings import Code
from scanner.provenance.reading import Container, Reading, read_label
from scanner.provenance.writing import avi, flv, matroska, mp4
from scanner.provenance.writing.splice import File, Splice, UnwritableError

_WRITERS: Mapping[Container, Callable[[File, bytes, str | None], list[Splice]]] = {
    Container.MP4: mp4.splices,
    Container.MATROSKA: matroska.splices,
    Container.FLV: flv.splices,
    Container.AVI: avi.splices,
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """What was written."""

    reading: Reading
    """of the new file"""
    bytes_changed: int
    """of the old file that gave way to others; everything else is as it was"""
    c2pa_broken: bool
    """whether a C2PA manifest is in the file, whose hash covers what was changed: sign the file anew"""


def label_copy(source: Path, target: Path, fields: Mapping[str, str]) -> Labelled:
    """Copies a file and writes the label's fields into the copy; an older copy of the label says the same from then on.

    Args:
        fields: as `propagation` gives them.

    Raises:
        UnwritableError: when the container has no place for a label, is broken, or would be harmed.
        OSError: as the files do.
    """
    with source.open("rb") as file:
        reading = read_label(file)
        if reading.container not in _WRITERS:
            raise UnwritableError(f"{source}: a label cannot be written into {reading.container.value}")
        if len(reading.placed) > 1:
            raise UnwritableError(f"{source}: holds {len(reading.placed)} labels; which one is right is for a person")
        place = reading.placed[0].place if reading.placed else None
        opened = File(file)
        try:
            splices = _WRITERS[reading.container](opened, label_text(dict(fields)).encode(), place)
        except UnwritableError as error:
            raise UnwritableError(f"{source}: {error}") from error
        except (IndexError, KeyError, ValueError) as error:
            raise UnwritableError(f"{source}: is broken where the label belongs: {error}") from error
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as out:
                opened.copy(out, splices)
            Path(name).chmod(source.stat().st_mode & 0o777)
            written = _read_back(Path(name), fields)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
        changed = sum(splice.length for splice in splices)
        return Labelled(written, changed, manifest_kind(file) is not None)


def _read_back(path: Path, fields: Mapping[str, str]) -> Reading:
    with path.open("rb") as file:
        reading = read_label(file)
    said = [dict(placed.label.fields()) | dict(placed.label.others) for placed in reading.placed]
    if said != [dict(fields)] or any(finding.code is Code.TRUNCATED for finding in reading.findings):
        raise UnwritableError(f"the label could not be read back as it was written: {said}")
    return reading
