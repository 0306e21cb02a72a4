"""A contact sheet of every family as the card forges it, to be looked at.

python -m scanner.training.gpu.sheet CORPUS TABLE OUT.png --zoo RUN/zoo
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from scanner.training.data import Kind, Role
from scanner.training.gpu.config import GpuConfig
from scanner.training.gpu.forgeries import SHARES
from scanner.training.gpu.gallery import open_gallery
from scanner.training.gpu.nets import Zoo, open_zoo
from scanner.training.gpu.table import read_entries, read_table
from scanner.training.gpu.workshop import forge


@torch.no_grad()
def draw_sheet(corpus: Path, table: Path, zoo_folder: Path | None, out: Path, seed: int, rows: int = 2) -> None:
    """Every family: real, forged at three times, mask."""
    rng = np.random.default_rng(seed)
    known = [row for row in read_table(table) if row.role == Role.TRAIN]
    some = []
    for kind, number in ((Kind.STILL, 16), (Kind.CLIP, 24)):
        own = [row for row in known if row.kind == kind]
        some += [own[k] for k in rng.choice(len(own), min(number, len(own)), replace=False)]
    gallery = open_gallery(read_entries(corpus, some), torch.device("cpu"))
    people = sorted({row.person for row in known if row.kind == Kind.CLIP})
    zoo = open_zoo(zoo_folder, people, gallery.device) if zoo_folder else Zoo(people=people)
    lines = []
    for family in SHARES:
        one = replace(GpuConfig(), only=family, pairs=rows, device="cpu")
        _, real, made, _ = forge(gallery, zoo, one, rng)
        mask = made.mask[:, 3].expand(-1, 3, -1, -1)
        shown = [real[:, 0], made.clips[:, 0], made.clips[:, 3], made.clips[:, 7], mask]
        line = torch.stack(shown, dim=1).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
        picture = np.ascontiguousarray((line.clamp(0, 1) * 255).byte().numpy()[..., ::-1])
        cv2.putText(picture, family, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 255, 255), 2)
        lines.append(picture)
    cv2.imwrite(str(out), np.concatenate(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("corpus", "table", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--zoo", type=Path, help="folder of generators that a run left")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw_sheet(args.corpus, args.table, args.zoo, args.out, args.seed)


if __name__ == "__main__":
    main()
