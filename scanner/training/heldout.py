"""The people and generators that are never trained on, cut by the production observer.

python -m scanner.training.heldout CORPUS STORE
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.random import Generator

from scanner.evaluation.crops import Item, cut_files
from scanner.evaluation.video import read_video
from scanner.training.cut import GEOMETRY
from scanner.training.data import Kind, Role, Source, read_corpus, roles
from scanner.training.nuisance import draw_nuisance, shown, transmit


def held_out_items(corpus: Path, *, everybody: bool = False) -> list[Item]:
    """Real clips of the people who calibrate, and outputs of the generators that choose between designs.

    With `everybody` the real clips of all people: of a corpus that nothing was trained on.
    """
    sources = read_corpus(corpus)
    given = roles(sources)
    return [
        Item(
            f"{s.kind}/{s.path.name}", s.fake, "dev" if s.fake else "real", s.method, s.person, f"{s.method}:{s.person}"
        )
        for s in sources
        if given[s.path] in {Role.DEV, Role.CALIBRATE} or (everybody and s.kind is Kind.CLIP and not s.fake)
    ]


def worn_items(corpus: Path, folder: Path, a_person: int, seed: int = 3, *, everybody: bool = False) -> list[Item]:
    """Held-out real clips as they were found and as they look after other ways, `a_person` videos each, in `folder`.

    Thresholds for poor video need poor video of real people: each further copy goes through one draw of the nuisances
    that training uses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = read_corpus(corpus)
    given = roles(sources)
    people: dict[str, list[Source]] = {}
    for source in sources:
        real = source.kind is Kind.CLIP and not source.fake
        if given[source.path] is Role.CALIBRATE or (everybody and real):
            people.setdefault(source.person, []).append(source)
    rng, items = np.random.default_rng(seed), []
    for own in people.values():
        some = [own[k] for k in rng.permutation(len(own))[: a_person // 4]]
        for number in range(a_person):
            source = some[number % len(some)]
            name = f"{source.path.stem}-{number}.mkv"
            worn = number >= len(some)
            (folder / name).write_bytes(_worn(source, rng) if worn else source.path.read_bytes())
            items.append(Item(name, False, "real", "", source.person, source.path.stem))
    return items


def _worn(source: Source, rng: Generator) -> bytes:
    frames, face_px = read_video(source.path, 50)[0], source.face_px or 120.0
    draw = draw_nuisance(rng, face_px, len(frames))
    return transmit(shown(frames, face_px, draw), draw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--length", type=int, default=16, help="frames a clip")
    parser.add_argument("--box-scale", type=float, default=GEOMETRY.box_scale)
    parser.add_argument("--size", type=int, default=GEOMETRY.size, help="pixels a side of the crops")
    parser.add_argument("--everybody", action="store_true", help="all real people: nothing was trained on the corpus")
    parser.add_argument("--worn", type=int, default=0, help="videos a person, most of them worn; 0: files as they are")
    args = parser.parse_args()
    root, items = args.corpus, held_out_items(args.corpus, everybody=args.everybody)
    if args.worn:
        root = args.store.with_suffix(".worn")
        items = worn_items(args.corpus, root, args.worn, everybody=args.everybody)
    spec = replace(GEOMETRY, length=args.length, size=args.size, box_scale=args.box_scale)
    store = cut_files(root, items, args.store, spec)
    print(f"{len(store.cuts)} clips of {len(store.items)} files")


if __name__ == "__main__":
    main()
