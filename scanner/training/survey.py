"""Finds faces and landmarks in every source once, so that forging need not.

python -m scanner.training.survey CORPUS CACHE --jobs 2
"""

from __future__ import annotations

import argparse
import os
from functools import lru_cache
from multiprocessing import Pool
from pathlib import Path

from scanner.faces.mediapipe import MediapipeDetector
from scanner.training.data import Source, read_corpus
from scanner.training.landmarks import FaceMesh
from scanner.training.sources import open_tools, survey


@lru_cache(maxsize=1)
def _tools() -> tuple[MediapipeDetector, FaceMesh]:
    return open_tools()


def _one(job: tuple[Source, Path]) -> None:
    source, cache = job
    survey(source, cache, *_tools())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    sources = read_corpus(args.corpus)
    with Pool(args.jobs) as pool:
        for done, _ in enumerate(pool.imap_unordered(_one, [(s, args.cache) for s in sources], 8), start=1):
            if done % 100 == 0 or done == len(sources):
                print(f"{done} of {len(sources)}", flush=True)


if __name__ == "__main__":
    main()
