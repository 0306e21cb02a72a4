"""Cells that die, hang, hoard or are left alone cost their own segment; the pool lives on and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scanner.core.errors import CellLostError, ScannerError
from scanner.core.types import Clip, ClipSpec, Mode
from scanner.media.cell import CellPlan
from scanner.media.pool import CellPool, CellsUnavailableError
from scanner.testing import draw_video, segment_of

SPEC = ClipSpec(length=8, size=32)
PLAN = CellPlan(SPEC, detectors="scanner.testing:mischievous_detectors", patience_s=2.0)


@pytest.fixture(scope="module")
def pool() -> Iterator[CellPool]:
    with CellPool(1, PLAN) as made:
        yield made


def observed(pool: CellPool, payload: bytes, sequence: int = 0) -> list[Clip]:
    return list(pool.observe(segment_of(payload, stream_id="cam", sequence=sequence), Mode.FULL).clips())


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def children() -> set[int]:
    """Processes whose parent is this one, zombies too."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(stat.parent.name))
    return found


def belongings() -> tuple[set[int], int, set[str]]:
    return children(), len(list(Path("/proc/self/fd").iterdir())), {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("crash", r"segment 7 of cam: the decode cell was ended by SIGABRT.* after \d"),
        ("raise", r"segment 7 of cam: the decode cell ended with status 1; its last words: RuntimeError: the picture"),
        ("hang", r"segment 7 of cam: the decode cell was stopped, it took more than 2 s"),
        ("hoard", r"more memory than a decode cell may have"),
    ],
)
def test_a_cell_that_fails_costs_its_segment_only(pool: CellPool, mark: str, words: str) -> None:
    before = pool.restarts
    with pytest.raises(ScannerError, match=words):
        observed(pool, draw_video(mark=mark), sequence=7)
    assert len(observed(pool, draw_video())) == 6
    assert pool.restarts == before + (mark != "hoard")


def test_a_killed_cell_is_replaced_from_the_spare(pool: CellPool) -> None:
    pool.ready()
    clips = pool.observe(segment_of(draw_video(frames=200)), Mode.FULL).clips()
    next(clips)
    (cell,) = pool._lent
    os.kill(cell.child.pid, signal.SIGKILL)
    with pytest.raises(CellLostError, match="SIGKILL"):
        list(clips)
    assert len(observed(pool, draw_video())) == 6


def test_a_lost_cell_is_replaced_within_a_second() -> None:
    """With the real detectors. Measured on a machine that may be busy with other tests, so five times the promise."""
    with CellPool(1, CellPlan(SPEC)) as pool:
        assert observed(pool, draw_video()) == []
        until(lambda: len(pool._idle) == 2, 60)
        for lost in range(3):
            cell = pool.take()
            os.kill(cell.child.pid, signal.SIGKILL)
            cell.child._process.wait()
            since = time.monotonic()
            pool.give_back(cell)
            assert observed(pool, draw_video()) == []
            assert time.monotonic() - since < 5.0
            assert pool.restarts == lost + 1
            until(lambda: len(pool._idle) == 2, 60)


def test_an_idle_cell_that_dies_is_not_lent(pool: CellPool) -> None:
    until(lambda: len(pool._idle) == 2)
    for cell in list(pool._idle):
        os.kill(cell.child.pid, signal.SIGKILL)
        cell.child._process.wait()
    assert len(observed(pool, draw_video())) == 6


def test_a_sighting_left_half_way_gives_its_cell_up(pool: CellPool) -> None:
    clips = pool.observe(segment_of(draw_video(frames=200)), Mode.FULL).clips()
    next(clips)
    (cell,) = pool._lent
    clips.close()
    assert not pool._lent
    assert not alive(cell.child.pid)
    assert len(observed(pool, draw_video())) == 6


def test_a_sighting_never_begun_takes_no_cell(pool: CellPool) -> None:
    for _ in range(5):
        pool.observe(segment_of(draw_video(frames=8)), Mode.FULL)
    assert len(observed(pool, draw_video())) == 6


def test_a_slow_reader_is_not_taken_for_a_hung_cell(pool: CellPool) -> None:
    """Only waiting for the cell counts, not the time between two clips."""
    taken = 0
    for _ in pool.observe(segment_of(draw_video()), Mode.FULL).clips():
        time.sleep(0.6)
        taken += 1
    assert taken == 6


def test_a_pixel_is_read_only_and_a_slot_is_not_reused_while_it_is_read(pool: CellPool) -> None:
    clips = pool.observe(segment_of(draw_video(frames=200)), Mode.FULL).clips()
    first = next(clips)
    copy = first.pixels.copy()
    time.sleep(0.3)  # the cell runs ahead into the other slots
    assert (first.pixels == copy).all()
    with pytest.raises(ValueError, match="read-only"):
        first.pixels[0] = 0
    assert len(list(clips)) == 24


def test_threads_share_the_cells(pool: CellPool) -> None:
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(len(observed(pool, draw_video())))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [6] * 4


def test_closing_leaves_no_process_descriptor_or_thread() -> None:
    before = belongings()
    with CellPool(2, PLAN) as pool:
        assert len(observed(pool, draw_video())) == 6
        with pytest.raises(CellLostError):
            observed(pool, draw_video(mark="crash"))
        assert children() - before[0]
    assert belongings() == before


def test_closing_while_cells_start_leaves_nothing() -> None:
    before = belongings()
    CellPool(2, PLAN).close()
    assert belongings() == before


def test_closing_while_a_cell_observes_tells_its_reader_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.media.pool.CLOSING_S", 100.0)
    before = belongings()
    pool = CellPool(1, CellPlan(SPEC, detectors="scanner.testing:mischievous_detectors"))
    pool.ready()
    errors: list[ScannerError] = []

    def read() -> None:
        try:
            observed(pool, draw_video(mark="hang"))
        except ScannerError as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: pool._lent)
    time.sleep(0.2)
    since = time.monotonic()
    pool.close()
    reader.join(5)
    assert time.monotonic() - since < 50
    assert "closed" in str(errors[0])
    with pytest.raises(CellLostError, match="closed"):
        pool.ready()
    assert belongings() == before


def test_a_reader_that_never_comes_back_does_not_hold_up_the_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.media.pool.CLOSING_S", 0.1)
    pool = CellPool(1, PLAN)
    clips = pool.observe(segment_of(draw_video(frames=200)), Mode.FULL).clips()
    next(clips)
    pool.close()
    with pytest.raises(CellLostError, match="closed"):
        list(clips)


def test_a_factory_that_does_not_work_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.media.pool._PAUSE_S", 0.01)
    before = belongings()
    with (
        CellPool(1, CellPlan(SPEC, detectors="scanner.testing:nothing_here")) as pool,
        pytest.raises(CellsUnavailableError, match=r"no decode cell can be started.*nothing_here"),
    ):
        pool.ready()
    assert belongings() == before


def test_waiting_for_a_cell_is_bounded() -> None:
    with CellPool(1, PLAN) as pool:
        pool.ready()
        pool._wait_s = 0.3
        held = pool.observe(segment_of(draw_video(frames=200)), Mode.FULL).clips()
        next(held)
        with pytest.raises(CellLostError, match=r"no decode cell became free within 0\.3 s"):
            observed(pool, draw_video())
        held.close()


ORPHANED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with it ignored
from scanner.core.types import ClipSpec, Mode
from scanner.media.cell import CellPlan
from scanner.media.pool import CellPool
from scanner.testing import draw_video, segment_of
pool = CellPool(1, CellPlan(ClipSpec(length=8, size=32), detectors="scanner.testing:mischievous_detectors"))
pool.ready()
print(*(cell.child.pid for cell in pool._cells), flush=True)
list(pool.observe(segment_of(draw_video(mark="hang")), Mode.FULL).clips())
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_cells_die_with_their_parent_also_when_they_hang(how: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", ORPHANED], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as lines:
        cells = [int(pid) for pid in lines.readline().split()]
        assert len(cells) == 2
        time.sleep(0.5)
        assert all(alive(pid) for pid in cells)
        parent.send_signal(how)
        parent.wait()
    until(lambda: not any(alive(pid) for pid in cells), seconds=3)


def test_ctrl_c_in_the_terminal_prints_nothing_of_the_cells() -> None:
    """The whole foreground group gets SIGINT, as from a keyboard; only the parent may speak."""
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert parent.stdout is not None
    cells = [int(pid) for pid in parent.stdout.readline().split()]
    time.sleep(0.5)
    os.killpg(parent.pid, signal.SIGINT)
    _, said = parent.communicate(timeout=30)
    assert said.count("Traceback") == 1
    until(lambda: not any(alive(pid) for pid in cells), seconds=3)
