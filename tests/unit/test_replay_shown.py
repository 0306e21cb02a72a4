"""The progress of an archive on its way to a topic: a long file shows before it ends, and all of it counts once."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from scanner.cli.replay_shown import OnTheWay, Shown
from scanner.core.types import Claim, Segment


@pytest.fixture
def bars() -> Progress:
    return Progress(console=Console(file=io.StringIO()))


def segment(stream: str, number: int, size: int, claim: Claim | None = None) -> Segment:
    return Segment(stream, number, number * 2000, b"x" * size, "00" * 32, claim=claim)


def test_segments_move_the_bar_and_the_end_of_a_file_counts_what_its_container_took(bars: Progress) -> None:
    shown = Shown(bars, 2, 1000)
    way = OnTheWay(shown, {"a": 600, "b": 400})
    way.segment(segment("a", 0, 200))
    way.segment(segment("a", 1, 300))
    (task,) = bars.tasks
    assert (task.completed, task.fields["files"]) == (500, "0/2")
    way.ended("a", until_ms=4000, failed=False)
    assert (task.completed, task.fields["files"], task.fields["failed"]) == (600, "1/2", 0)
    assert task.fields["speed"] > 0
    way.ended("b", until_ms=0, failed=True)
    assert (task.completed, task.fields["files"], task.fields["failed"]) == (1000, "2/2", 1)
    assert task.finished


def test_segments_count_as_no_more_than_their_file_and_claims_as_what_they_claim(bars: Progress) -> None:
    way = OnTheWay(Shown(bars, 1, 100), {"a": 100})
    way.segment(segment("a", 0, 0, Claim("file:///srv/0", 80, "00" * 32)))
    way.segment(segment("a", 1, 80))
    assert bars.tasks[0].completed == 100
    way.ended("a", until_ms=4000, failed=False)
    assert bars.tasks[0].completed == 100


def test_what_lay_on_the_topic_before_says_nothing_of_the_speed(bars: Progress) -> None:
    shown = Shown(bars, 2, 200)
    way = OnTheWay(shown, {"whole": 100, "half": 100})
    way.ended("whole", until_ms=7_200_000, failed=False)
    assert bars.tasks[0].fields["speed"] == 0.0
    assert bars.tasks[0].fields["rate"] == 0.0
    way.segment(segment("half", 500, 50))
    assert bars.tasks[0].fields["speed"] == 0.0
    way.segment(segment("half", 501, 50))
    assert bars.tasks[0].fields["speed"] > 0
