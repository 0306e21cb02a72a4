"""Whole files cut into clips by the production observer, kept on disk so that many models can be measured on them.

python -m scanner.training.crops CORPUS STORE   # the people and generators that are never trained on
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.core.errors import ScannerError
from scanner.core.types import ClipSpec, Mode
from scanner.faces.mediapipe import MediapipeDetector, Range
from scanner.media.demux import Limits
from scanner.media.observe import SegmentObserver
from scanner.training.data import Role, read_corpus, roles


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


def cut_files(root: Path, items: Iterable[Item], out: Path, spec: ClipSpec, mode: Mode = Mode.FULL) -> Store:
    """Cuts every file under `root` once; a store that exists is opened as it is."""
    if not out.with_suffix(".json").exists():
        _write(root, list(items), out, spec, mode)
    return open_store(out)


def _write(root: Path, items: list[Item], out: Path, spec: ClipSpec, mode: Mode) -> None:
    near, far = MediapipeDetector(Range.SHORT), MediapipeDetector(Range.FULL)
    out.parent.mkdir(parents=True, exist_ok=True)
    raw, count, cuts, about = out.with_suffix(".raw"), 0, [], {}
    with raw.open("wb") as sink:
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
    near.close()
    far.close()
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


def open_store(out: Path) -> Store:
    """A store that `cut_files` wrote."""
    table = json.loads(out.with_suffix(".json").read_text())
    return Store(
        pixels=np.load(out.with_suffix(".npy"), mmap_mode="r"),
        cuts=tuple(Cut(**row) for row in table["cuts"]),
        items=tuple(Item(**row) for row in table["items"]),
        about=table["about"],
    )


def held_out_items(corpus: Path) -> list[Item]:
    """Real clips of the people who calibrate, and outputs of the generators that choose between designs."""
    sources = read_corpus(corpus)
    given = roles(sources)
    return [
        Item(
            f"{s.kind}/{s.path.name}", s.fake, "dev" if s.fake else "real", s.method, s.person, f"{s.method}:{s.person}"
        )
        for s in sources
        if given[s.path] in {Role.DEV, Role.CALIBRATE}
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("store", type=Path)
    args = parser.parse_args()
    store = cut_files(args.corpus, held_out_items(args.corpus), args.store, ClipSpec())
    print(f"{len(store.cuts)} clips of {len(store.items)} files")


if __name__ == "__main__":
    main()
