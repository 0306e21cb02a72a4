"""Sets in DeepfakeBench's layout (FaceForensics++, Celeb-DF, DFDC, DF40) as a corpus to train on and to measure with.

    python -m scanner.training.deepfakebench LIST.json FRAMES CORPUS          # then survey, bank, pack … CORPUS
    python -m scanner.training.deepfakebench LIST.json FRAMES TEST --split test
    scanner evaluate TEST --labels TEST/labels.csv

DeepfakeBench keeps the pictures of a video, by default 32 from all over it: enough for the frame stage. The clip stage
looks at neighbouring frames, so its preprocessing has to be run for all of them first.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from scanner.evaluation.video import encode
from scanner.training.data import Kind
from scanner.training.forge.layers import Pixels

LICENCE: Final = "that of the corpus"
_KEPT: Final = {"crf": "10", "preset": "veryfast"}
_RATE: Final = Fraction(25)


@dataclass(frozen=True, slots=True)
class Video:
    """One video of a list."""

    name: str
    group: str
    frames: tuple[Path, ...]
    "Pictures in order."

    @property
    def fake(self) -> bool:
        """Whether its group, whose name then does not hold "real", is a method."""
        return "real" not in self.group.lower()

    @property
    def person(self) -> str:
        """Who is in it: what stands before the first underscore, as FaceForensics++ and Celeb-DF name people."""
        return self.name.partition("_")[0]

    @property
    def file(self) -> str:
        """Its path in the corpus that is made."""
        return f"{Kind.GENERATED if self.fake else Kind.CLIP}/{self.group}--{self.name}.mkv"


def read_list(table: Path, root: Path, split: str) -> list[Video]:
    """Videos of `split` in one of DeepfakeBench's JSON files; picture paths are taken relative to `root`.

    The layout is data set → group → split → (compression →) video → {label, frames}.

    Raises:
        ValueError: no such split, or a video without pictures.
    """
    groups = [pair for corpus in json.loads(table.read_text()).values() for pair in corpus.items()]
    known = sorted({name for _, splits in groups for name in splits})
    if split not in known:
        raise ValueError(f"{table} has no split {split}; there are {', '.join(known) or 'none'}")
    videos = []
    for group, splits in groups:
        for name, video in _videos(splits.get(split, {})):
            frames = tuple(root / frame.replace("\\", "/") for frame in video["frames"])
            if not frames:
                raise ValueError(f"{table}: {group} {name} has no pictures")
            videos.append(Video(name, group, frames))
    return videos


def _videos(tree: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in tree.items():
        if "frames" in value:
            yield name, value
        else:
            yield from _videos(value)


def read_pictures(video: Video) -> Pixels:
    """(T, H, W, 3) RGB with even sides, all of the first picture's size; ValueError for what is no picture."""
    out: list[Pixels] = []
    for path in video.frames:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"not a picture: {path}")
        height, width = (side - side % 2 for side in (out[0] if out else picture).shape[:2])
        if picture.shape[:2] != (height, width):
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        out.append(np.asarray(picture[..., ::-1], np.uint8))
    return np.stack(out)


def write_corpus(videos: Iterable[Video], out: Path) -> int:
    """Every video as a file under `out`, with lists for training and labels for measuring; gives their number.

    A fake is paired with the real video that has the name of its person, as in FaceForensics++.
    """
    every = list(videos)
    for video in every:
        made = out / video.file
        made.parent.mkdir(parents=True, exist_ok=True)
        if not made.exists():
            part = made.with_suffix(".part")
            part.write_bytes(encode(read_pictures(video), codec="libx264", options=_KEPT, rate=_RATE, kbps=None))
            part.replace(made)
    for kind, fake in ((Kind.CLIP, False), (Kind.GENERATED, True)):
        rows = [_listed(video) for video in every if video.fake is fake]
        _write_rows(out / f"{kind}.csv", ("file", "person", "licence", "method"), rows)
    originals = {video.name for video in every if not video.fake}
    columns = ("file", "label", "family", "method", "person", "source", "pair")
    _write_rows(out / "labels.csv", columns, [_labelled(video, originals) for video in every])
    return len(every)


def _listed(video: Video) -> tuple[str, ...]:
    return Path(video.file).name, video.person, LICENCE, video.group if video.fake else ""


def _labelled(video: Video, originals: set[str]) -> tuple[str, ...]:
    pair = (video.person if video.person in originals else "") if video.fake else video.name
    method = video.group if video.fake else ""
    return video.file, "fake" if video.fake else "real", "", method, video.person, video.person, pair


def _write_rows(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="") as sink:
        table = csv.writer(sink)
        table.writerow(columns)
        table.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path, help="one of DeepfakeBench's JSON files")
    parser.add_argument("frames", type=Path, help="folder that the list's picture paths start from")
    parser.add_argument("out", type=Path, help="corpus that is made")
    parser.add_argument("--split", default="train")
    args = parser.parse_args()
    try:
        count = write_corpus(read_list(args.list, args.frames, args.split), args.out)
    except ValueError as error:
        parser.error(str(error))
    print(f"{count} videos in {args.out}")


if __name__ == "__main__":
    main()
