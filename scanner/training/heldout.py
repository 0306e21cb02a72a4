"""The people and generators that are never trained on, cut by the production observer.

python -m scanner.training.heldout CORPUS STORE
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from scanner.evaluation.crops import Item, cut_files
from scanner.training.cut import GEOMETRY
from scanner.training.data import Role, read_corpus, roles


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
    parser.add_argument("--length", type=int, default=16, help="frames a clip")
    args = parser.parse_args()
    store = cut_files(args.corpus, held_out_items(args.corpus), args.store, replace(GEOMETRY, length=args.length))
    print(f"{len(store.cuts)} clips of {len(store.items)} files")


if __name__ == "__main__":
    main()
