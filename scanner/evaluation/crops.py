"""Whole files cut into clips by the production observer, kept on disk so that many models can be measured on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
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
    "Per file: width, height, face_px, bitrate_kbps, sharpness, brightness of its most followed face."


def cut_files(
    root: Path,
    items: Iterable[Item],
    out: Path,
    spec: ClipSpec,
    mode: Mode = Mode.FULL,
    done: Callable[[str], None] = lambda _: None,
) -> Store:
    """Cuts every file under `root`; a store of these items and this geometry is opened as it is.

    `done` is told each file's name.
    """
    wanted = tuple(items)
    if out.with_suffix(".json").exists():
        store = open_store(out)
        if store.items == wanted and store.pixels.shape[1:3] == (spec.length, spec.size):
            return store
    _write(root, list(wanted), out, spec, mode, done)
    return open_store(out)


def _write(root: Path, items: list[Item], out: Path, spec: ClipSpec, mode: Mode, done: Callable[[str], None]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    raw, count, cuts, about = out.with_suffix(".raw"), 0, [], {}
    with raw.open("wb") as sink, quiet_near_and_far() as (near, far):
        for item in items:
            observer = SegmentObserver((root / item.file).read_bytes(), mode, spec, near=near, far=far, limits=Limits())
            try:
                for clip in observer.clips():
                    sink.write(np.ascontiguousarray(clip.pixels).tobytes())
                    cuts.append(Cut(item.file, clip.tracklet, clip.start_ms, clip.end_ms))
                    count += 1
                about[item.file] = _about(observer)
            except ScannerError as error:
                about[item.file] = {"error": str(error)}
            done(item.file)
    shape = (count, spec.length, spec.size, spec.size, 3)
    np.save(out.with_suffix(".npy"), np.memmap(raw, np.uint8, "r", shape=shape))
    raw.unlink()
    table = {"items": [asdict(i) for i in items], "cuts": [asdict(c) for c in cuts], "about": about}
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
    )
