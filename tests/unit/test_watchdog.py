"""A partition that stands still is roused step by step, each step once."""

from __future__ import annotations

from scanner.worker.watchdog import Remedy, Watchdog

HERE, THERE = ("segments", 0), ("segments", 1)


def steps(dog: Watchdog, until_s: int, *, since_s: int = 0) -> list[tuple[int, Remedy]]:
    """Every remedy for HERE that falls due, tried at once, second by second."""
    found = []
    for now_s in range(since_s, until_s):
        for place, remedy in dog.overdue(now_s).items():
            dog.tried(place, remedy)
            if place == HERE:
                found.append((now_s, remedy))
    return found


def test_each_step_comes_once_and_in_order() -> None:
    dog = Watchdog(10)
    dog.watch([HERE, THERE], 0)
    dog.alive([THERE], 5)
    expected = [(10, Remedy.REPORT), (20, Remedy.SEEK), (30, Remedy.REJOIN), (40, Remedy.END)]
    assert steps(dog, 100) == expected


def test_a_sign_of_life_begins_again() -> None:
    dog = Watchdog(10)
    dog.watch([HERE], 0)
    assert steps(dog, 21) == [(10, Remedy.REPORT), (20, Remedy.SEEK)]
    dog.alive([HERE], 21)
    assert steps(dog, 32, since_s=21) == [(31, Remedy.REPORT)]


def test_what_nobody_can_do_anything_about_begins_again_for_all_that_are_watched() -> None:
    dog = Watchdog(10)
    dog.watch([HERE, THERE], 0)
    assert steps(dog, 21) == [(10, Remedy.REPORT), (20, Remedy.SEEK)]
    dog.excuse(25)
    assert dog.overdue(34) == {}
    assert dog.overdue(35) == {HERE: Remedy.REPORT, THERE: Remedy.REPORT}


def test_being_assigned_again_is_no_sign_of_life_and_being_revoked_ends_the_watch() -> None:
    dog = Watchdog(10)
    dog.watch([HERE], 0)
    dog.watch([HERE], 9)
    assert steps(dog, 11) == [(10, Remedy.REPORT)]
    dog.forget([HERE])
    assert steps(dog, 100) == []
