"""The hostile corpus through decode cells and the cutter. Nothing reaches out, no segment goes without an answer.

pytest -m hostile -s tests/faults/test_corpus.py                             all of it; prints the counts
SCANNER_HOSTILE_CLIPS=/data/clips SCANNER_HOSTILE_MUTATIONS=20000 pytest …   mutates your own clips, as many times
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import pytest

from scanner.core.errors import CellLostError, MediaError
from scanner.core.types import ClipSpec, Mode
from scanner.media import demux
from scanner.media.cell import CellPlan
from scanner.media.cutter import cut
from scanner.media.demux import Limits
from scanner.media.pool import CellPool
from scanner.sample import draw_sample
from scanner.testing import draw_video, segment_of

sys.path.insert(0, str(Path(__file__).parent))
import containers
import corpus
from canary import Canary, canaries
from hostile import mutated

CELLS = 2
PLAN = CellPlan(
    ClipSpec(length=8, size=32), Limits(max_duration_s=60), detectors="scanner.testing:fake_detectors", patience_s=30
)
MUTATIONS = int(os.environ.get("SCANNER_HOSTILE_MUTATIONS", "4000"))
FAMILIES = ("reaching_out", "external", "bombs", "broken")


@dataclass
class Counts:
    """What became of the inputs. A segment is lost when it is neither answered nor refused in one clear line."""

    inputs: int = 0
    answered: int = 0
    refused: int = 0
    cells_lost: int = 0
    segments_lost: int = 0
    canary_hits: int = 0


@pytest.fixture(scope="module")
def pool() -> Iterator[CellPool]:
    with CellPool(CELLS, PLAN) as made:
        yield made


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    with canaries(tmp_path) as made:
        yield made


def outcome(pool: CellPool, payload: bytes) -> str:
    """One segment as a worker treats it: tried again once when its cell was lost, then given up with the reason."""
    for _ in range(2):
        try:
            sighting = pool.observe(segment_of(payload), Mode.FULL)
            for _ in sighting.clips():
                pass
            assert sighting.observation().duration_ms >= 1
        except MediaError as error:
            return "refused" if is_clear(error) else f"unclear: {error!r}"
        except CellLostError as error:
            last = "refused" if is_clear(error) else f"unclear: {error!r}"
        else:
            return "answered"
    return last


def cut_outcome(path: Path, payload: bytes) -> str:
    path.write_bytes(payload)
    try:
        with cut(path, limits=PLAN.limits) as cutting:
            for _ in islice(cutting, 1000):
                pass
    except MediaError as error:
        return "refused" if is_clear(error) else f"unclear: {error!r}"
    return "answered"


def is_clear(error: Exception) -> bool:
    text = str(error)
    return text.isprintable() and 10 < len(text) < 700


def tried(pool: CellPool, inputs: Iterable[tuple[str, bytes]]) -> Counts:
    counts, before = Counts(), pool.restarts
    with ThreadPoolExecutor(CELLS) as threads:
        for (name, _), told in _each(threads, pool, inputs):
            counts.inputs += 1
            if told not in {"answered", "refused"}:
                counts.segments_lost += 1
                sys.stderr.write(f"{name}: {told}\n")
            counts.answered += told == "answered"
            counts.refused += told == "refused"
    counts.cells_lost = pool.restarts - before
    return counts


def _each(
    threads: ThreadPoolExecutor, pool: CellPool, inputs: Iterable[tuple[str, bytes]]
) -> Iterator[tuple[tuple[str, bytes], str]]:
    """A few at a time: the corpus does not fit into memory."""
    each = iter(inputs)
    while batch := list(islice(each, 4 * CELLS)):
        yield from zip(batch, threads.map(lambda one: outcome(pool, one[1]), batch), strict=True)


def told(family: str, counts: Counts) -> None:
    sys.stderr.write(json.dumps({"family": family, **asdict(counts)}) + "\n")
    assert counts.inputs
    assert counts.answered + counts.refused == counts.inputs
    assert counts.segments_lost == 0
    assert counts.canary_hits == 0


def family(name: str, canary: Canary) -> Iterator[tuple[str, bytes]]:
    made = getattr(corpus, name)
    return made(canary) if name in {"reaching_out", "external"} else made()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_part_of_the_corpus_in_cells(name: str, pool: CellPool, canary: Canary) -> None:
    step = {"reaching_out": 31, "external": 9, "bombs": 4, "broken": 9}[name]
    counts = tried(pool, islice(family(name, canary), 0, None, step))
    counts.canary_hits = len(canary.sung())
    told(name, counts)
    assert counts.cells_lost == 0


def test_a_part_of_the_corpus_through_the_cutter(canary: Canary, tmp_path: Path) -> None:
    made = [*islice(family("reaching_out", canary), 0, None, 397), *islice(family("broken", canary), 0, None, 79)]
    for name, payload in made:
        assert cut_outcome(tmp_path / "list.m3u8", payload) in {"answered", "refused"}, name
    assert canary.sung() == []


def test_the_canary_notices(canary: Canary) -> None:
    import socket
    from urllib.request import urlopen

    with urlopen(canary.url) as answer:
        assert answer.read(4)
    canary.file.read_bytes()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", int(canary.addresses[2].rpartition(":")[2])))
    assert len(canary.sung()) == 3


@pytest.mark.parametrize("sizes_only", [False, True])
def test_ffmpeg_is_told_every_bound(sizes_only: bool) -> None:
    """Streams past the limit do not even come into being; what is not on the list of codecs is not opened."""
    limits = Limits(max_streams=8)
    with demux.opened(BytesIO(containers.with_tracks(8)), limits, sizes_only=sizes_only) as (container, _):
        assert len(container.streams) == 8
    with (
        pytest.raises(MediaError),
        demux.opened(BytesIO(containers.mp4_with_tracks(9)), limits, sizes_only=sizes_only) as (container, _),
    ):
        assert len(container.streams) <= 8


def test_streams_beside_the_video_cost_no_cell(pool: CellPool) -> None:
    """What a library loads when it first meets one was loaded before the doors were shut."""
    before = pool.restarts
    for payload in (
        containers.with_subtitle("S_TEXT/UTF8", b"", b"words"),
        containers.with_subtitle("S_TEXT/ASS", b"[Script Info]", b"0,0,Default,,0,0,0,,words"),
        containers.with_attachment("a.ttf", "font/ttf", bytes(64)),
        draw_video(audio=True),
    ):
        assert outcome(pool, payload) == "answered"
    assert pool.restarts == before


@pytest.mark.hostile
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_corpus_in_cells(name: str, pool: CellPool, canary: Canary) -> None:
    counts = tried(pool, family(name, canary))
    counts.canary_hits = len(canary.sung())
    told(name, counts)
    assert outcome(pool, draw_video()) == "answered"


@pytest.mark.hostile
@pytest.mark.timeout(3600)
def test_the_corpus_through_the_cutter(canary: Canary, tmp_path: Path) -> None:
    counts = Counts()
    for name in FAMILIES:
        for _, payload in islice(family(name, canary), 0, None, 4):
            what = cut_outcome(tmp_path / "list.m3u8", payload)
            counts.inputs += 1
            counts.answered += what == "answered"
            counts.refused += what == "refused"
    counts.canary_hits = len(canary.sung())
    told("through the cutter", counts)


@pytest.mark.hostile
@pytest.mark.timeout(7200)
def test_mutated_clips_in_cells(canary: Canary, tmp_path: Path) -> None:
    """Real clips where SCANNER_HOSTILE_CLIPS names a folder of them, else drawn ones. With the real detectors."""
    with CellPool(CELLS, CellPlan(ClipSpec(), PLAN.limits, patience_s=60)) as pool:
        mutate(pool, canary, tmp_path)


def mutate(pool: CellPool, canary: Canary, tmp_path: Path) -> None:
    clips = sound_clips(tmp_path)
    inputs = ((f"mutation {seed}", mutated(clips[seed % len(clips)], seed)) for seed in range(MUTATIONS))
    counts = tried(pool, inputs)
    counts.canary_hits = len(canary.sung())
    told(f"mutations of {len(clips)} clips", counts)
    assert counts.answered > counts.inputs // 10
    assert outcome(pool, draw_video()) == "answered"


def sound_clips(folder: Path) -> list[bytes]:
    named = os.environ.get("SCANNER_HOSTILE_CLIPS")
    if named:
        files = sorted(file for file in Path(named).iterdir() if file.suffix == ".mp4")
        return [file.read_bytes() for file in files]
    drawn = [
        draw_video(codec=codec, container=container, bframes=bframes)
        for codec, container, bframes in (
            ("libx264", "mp4", 2), ("libx265", "matroska", 2), ("libvpx-vp9", "webm", 0), ("libvpx", "webm", 0),
            ("libx264", "mpegts", 2), ("flv", "flv", 0), ("mpeg4", "avi", 0), ("mpeg2video", "mpegts", 0),
            ("libsvtav1", "mp4", 0), ("libx264", "flv", 0),
        )
    ]  # fmt: skip
    sample = folder / "sample.mp4"
    draw_sample(sample, forged=True, seconds=2, fps=25, size=(640, 360))
    return [*drawn, sample.read_bytes()]
