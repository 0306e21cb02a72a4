"""Whole files cut into clips by the production observer, kept on disk so that many models can be measured on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.core.errors import ScannerError
from scanner.core.types import ClipSpec, Mode, Quality
from scanner.faces.mediapipe import quiet_near_and_far
from scanner.media.demux import Limits
from scanner.media.observe import SegmentObserver


@dataclass(frozen=True, slots=True)
class Item:
    """A file to be cut and what is known of it."""

    file: str
    fake: bool
    family: str
    method: str
    person: str
    source: str
    pair: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """One clip in a store."""

    file: str
    tracklet: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Store:
    """Clips of many files."""

    pixels: NDArray[np.uint8]
    "(n, T, S, S, 3), mapped."
    cuts: tuple[Cut, ...]
    "(n,) in the order of pixels."
    items: tuple[Item, ...]
    about: dict[str, dict[str, Any]]
    "Per file: width, height, face_px, bitrate_kbps, sharpness, brightness of its most followed face, or an error."
    asked: dict[str, Any] = field(default_factory=dict)
    "What it was cut from and by: root, spec, mode, files."


def cut_files(
    root: Path,
    items: Iterable[Item],
    out: Path,
    spec: ClipSpec,
    mode: Mode = Mode.FULL,
    done: Callable[[str], None] = lambda _: None,
) -> Store:
    """Cuts every file under `root`; a store of these items, bytes and geometry is opened as it is.

    A file that breaks off in the middle gives no clips, and its error in `about`. `done` is told each file's name.
    """
    wanted = tuple(items)
    asked = {"root": str(root.resolve()), "spec": asdict(spec), "mode": mode.value, "files": _stamps(root, wanted)}
    table = out.with_suffix(".json")
    if table.exists():
        store = open_store(out)
        if (store.asked, store.items) == (asked, wanted):
            return store
    table.unlink(missing_ok=True)
    _write(root, list(wanted), out, spec, mode, done, asked)
    return open_store(out)


def _stamps(root: Path, items: Iterable[Item]) -> list[list[int]]:
    """Size in bytes and time of change in nanoseconds of each file."""
    stats = [(root / item.file).stat() for item in items]
    return [[stat.st_size, stat.st_mtime_ns] for stat in stats]


def _write(
    root: Path,
    items: list[Item],
    out: Path,
    spec: ClipSpec,
    mode: Mode,
    done: Callable[[str], None],
    asked: dict[str, Any],
) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    raw, about = out.with_suffix(".raw"), dict[str, dict[str, Any]]()
    cuts: list[Cut] = []
    with raw.open("wb") as sink, quiet_near_and_far() as (near, far):
        for item in items:
            observer = SegmentObserver((root / item.file).read_bytes(), mode, spec, near=near, far=far, limits=Limits())
            begun, place = len(cuts), sink.tell()
            try:
                for clip in observer.clips():
                    sink.write(np.ascontiguousarray(clip.pixels).tobytes())
                    cuts.append(Cut(item.file, clip.tracklet, clip.start_ms, clip.end_ms))
                about[item.file] = _about(observer)
            except ScannerError as error:
                about[item.file] = {"error": str(error)}
                del cuts[begun:]
                sink.seek(place)
                sink.truncate()
            done(item.file)
    shape = (len(cuts), spec.length, spec.size, spec.size, 3)
    pixels = np.memmap(raw, np.uint8, "r", shape=shape) if cuts else np.zeros(shape, np.uint8)
    np.save(out.with_suffix(".npy"), pixels)
    raw.unlink()
    table = {"items": [asdict(i) for i in items], "cuts": [asdict(c) for c in cuts], "about": about, "asked": asked}
    out.with_suffix(".json").write_text(json.dumps(table))


def _about(observer: SegmentObserver) -> dict[str, Any]:
    seen = observer.observation()
    if not seen.tracklets:
        return {"width": seen.width, "height": seen.height, "reasons": list(seen.reasons)}
    quality = max(seen.tracklets, key=lambda tracklet: tracklet.frames).quality
    return {"width": seen.width, "height": seen.height, "duration_ms": seen.duration_ms, **asdict(quality)}


def quality_of(about: dict[str, Any]) -> Quality:
    """The quality that a store tells of a file with a face."""
    return Quality(**{field.name: about[field.name] for field in fields(Quality)})


def open_store(out: Path) -> Store:
    """A store that `cut_files` wrote."""
    table = json.loads(out.with_suffix(".json").read_text())
    return Store(
        pixels=np.load(out.with_suffix(".npy"), mmap_mode="r"),
        cuts=tuple(Cut(**row) for row in table["cuts"]),
        items=tuple(Item(**row) for row in table["items"]),
        about=table["about"],
        asked=table.get("asked", {}),
    )
