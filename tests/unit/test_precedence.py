"""While live streams are looked at, archives stand still between two clips, and never longer than they may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from scanner.worker import precedence
from scanner.worker.precedence import Precedence


def looks(cells: int, *, live: int, archives: int) -> Precedence:
    told = Precedence(cells)
    for count, archived in ((live, False), (archives, True)):
        for _ in range(count):
            told.began(archived=archived)
    return told


@contextmanager
def holding(told: Precedence, count: int) -> Iterator[Callable[[], int]]:
    """So many looks of archives ask; how many stand still."""
    threads = [threading.Thread(target=told.hold, args=(0.0,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    try:
        yield lambda: sum(thread.is_alive() for thread in threads)
    finally:
        for _ in range(count):
            told.ended(archived=True)
        for thread in threads:
            thread.join(10)


def until(stand_still: Callable[[], int], count: int) -> None:
    deadline = time.monotonic() + 10
    while stand_still() != count:
        assert time.monotonic() < deadline, f"{stand_still()} stand still and not {count}"
        time.sleep(0.002)


def test_an_archive_stands_still_until_the_live_look_beside_it_ends() -> None:
    told = looks(2, live=1, archives=1)
    with holding(told, 1) as stand_still:
        until(stand_still, 1)
        told.ended(archived=False)
        until(stand_still, 0)


@pytest.mark.parametrize(
    ("cells", "live", "archives", "still"),
    [
        (2, 0, 2, 0),  # no live stream comes
        (2, 1, 1, 1),
        (1, 1, 1, 0),  # its cell is waited for
        (2, 2, 1, 0),  # likewise: one live look has the other cell, and one has none
        (8, 1, 7, 1),
        (8, 3, 5, 1),
        (8, 2, 2, 0),  # there is room for all
        (8, 4, 4, 1),
    ],
)
def test_each_live_look_takes_the_place_of_one_archive(cells: int, live: int, archives: int, still: int) -> None:
    with holding(looks(cells, live=live, archives=archives), archives) as stand_still:
        until(stand_still, still)


def test_an_archive_goes_on_when_a_live_look_comes_to_wait_for_its_cell() -> None:
    told = looks(2, live=1, archives=1)
    with holding(told, 1) as stand_still:
        until(stand_still, 1)
        told.began(archived=False)
        until(stand_still, 0)


def test_a_look_stands_still_only_so_long_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "LONGEST_S", 0.2)
    told = looks(2, live=1, archives=1)
    assert told.hold(0.0) >= 0.19
    assert told.hold(0.3) < 0.19
