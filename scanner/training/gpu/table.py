"""The table of sources that travels to a machine with a GPU, and its rows read back as pictures around a face.

python -m scanner.training.gpu.table CORPUS CACHE TABLE      # here: what survey found, packed small
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.evaluation.video import read_video
from scanner.training.data import Kind, read_corpus, roles
from scanner.training.forge.layers import Pixels
from scanner.training.gpu.geometry import KEPT
from scanner.training.landmarks import steady
from scanner.vision import single_threaded

FACE_PX: Final = 128
CANVAS: Final = 224
LENGTH: Final = 8
_UNIT: Final = 16  # a landmark is kept in sixteenths of a pixel
LARGEST_PX: Final = 144.0


@dataclass(frozen=True, slots=True)
class Row:
    """One source as the table names it."""

    path: str
    kind: str
    person: str
    method: str
    role: str
    start: int
    stop: int
    boxes: NDArray[np.float32]
    "(T, 4) in pixels of the source as it lies on disk."
    points: NDArray[np.float32]
    "(T, K, 2), or (T, 0, 2) for generated material."


Read: TypeAlias = tuple[Pixels, Row]


def pack(corpus: Path, cache: Path, out: Path) -> int:
    """Writes the table of every source with a usable face; gives their number. Needs what `survey` left in `cache`."""
    from scanner.training.sources import LEAST_PRESENCE, longest  # noqa: PLC0415  # it brings the face detector

    sources = read_corpus(corpus)
    given = roles(sources)
    heads: list[tuple[str, ...]] = []
    spans, boxes, points = [], [], []
    for source in sources:
        found = np.load(cache / f"{source.path.stem}.npz")
        good = np.isfinite(found["boxes"][:, 0])
        if not source.fake:
            good &= found["presence"] > LEAST_PRESENCE
        start, stop = longest(good)
        if stop - start < (1 if source.kind is Kind.STILL else LENGTH):
            continue
        own = found["points"][start:stop]
        own = np.zeros((stop - start, len(KEPT), 2)) if source.fake else steady(own)[:, list(KEPT)]
        heads.append(
            (f"{source.kind}/{source.path.name}", source.kind.value, source.person, source.method, given[source.path])
        )
        spans.append((start, stop))
        boxes.append(found["boxes"][start:stop].astype(np.float16))
        whole = np.round(own * _UNIT).astype(np.int16)
        whole[1:] -= whole[:-1].copy()  # changes compress better than places
        points.append(whole)
    np.savez_compressed(
        out, heads=np.array(heads), spans=np.array(spans), boxes=np.concatenate(boxes), points=np.concatenate(points)
    )
    return len(heads)


def read_table(path: Path) -> list[Row]:
    """What `pack` wrote."""
    with np.load(path) as table:
        heads, spans, boxes, points = (table[name] for name in ("heads", "spans", "boxes", "points"))
    rows, begin = [], 0
    for head, (start, stop) in zip(heads, spans.tolist(), strict=True):
        end = begin + stop - start
        places = np.cumsum(points[begin:end].astype(np.int32), axis=0) / _UNIT
        if head[3]:
            places = places[:, :0]
        own, marks = boxes[begin:end].astype(np.float32), places.astype(np.float32)
        path_, kind, person, method, role = (str(word) for word in head)
        rows.append(Row(path_, kind, person, method, role, start, stop, own, marks))
        begin = end
    return rows


def read_frames(corpus: Path, row: Row) -> tuple[Pixels, Row]:
    """Frames (T, H, W, 3) of a row and the row: faces of LARGEST_PX at most, and no more than a canvas may show."""
    path = corpus / row.path
    if row.kind == Kind.STILL:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"not a picture: {path}")
        frames = np.ascontiguousarray(picture[None, ..., ::-1])
    else:
        frames = read_video(path)[0][row.start : row.stop]
    face = float(np.median(np.maximum(row.boxes[:, 2] - row.boxes[:, 0], row.boxes[:, 3] - row.boxes[:, 1])))
    factor = LARGEST_PX / face
    if factor < 1:
        height, width = frames.shape[1:3]
        size = (round(width * factor), round(height * factor))
        frames = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
        scale = np.array([size[0] / width, size[1] / height], np.float32)
        row = replace(row, boxes=row.boxes * np.tile(scale, 2), points=row.points * scale)
    return _around(np.asarray(frames, np.uint8), row)


def _around(frames: Pixels, row: Row) -> tuple[Pixels, Row]:
    """Only the part of the pictures that a turned and swaying canvas can reach: a fifth of the memory."""
    boxes = row.boxes
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    reach = float(sides.max()) * CANVAS / FACE_PX / 2 * 1.25
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    low = np.maximum(np.floor(middles.min(axis=0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(middles.max(axis=0) + reach), (frames.shape[2], frames.shape[1])).astype(int)
    part = frames[:, low[1] : high[1], low[0] : high[0]]
    shift = low.astype(np.float32)
    row = replace(row, boxes=boxes - np.tile(shift, 2), points=row.points - shift)
    return np.ascontiguousarray(part), row


def _read(job: tuple[Path, Row]) -> Read:
    return read_frames(*job)


def read_entries(corpus: Path, rows: list[Row], workers: int = 0) -> list[Read]:
    """Frames of every row, decoded on all cores. Call it before the card is used: the processes are forked."""
    single_threaded()  # before they are: a forked process cannot end OpenCV's threads, and waits for them
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=get_context("fork")) as pool:
        return list(pool.map(_read, [(corpus, row) for row in rows], chunksize=4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("corpus", "cache", "table"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    print(f"{pack(args.corpus, args.cache, args.table)} sources")


if __name__ == "__main__":
    main()
