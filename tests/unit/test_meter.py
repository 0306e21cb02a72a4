"""What libraries take of the processor."""

from __future__ import annotations

import threading
import time

from scanner.meter import Meter


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_block_counts_what_its_own_thread_computes_and_not_what_it_waits() -> None:
    meter = Meter(time.thread_time_ns)
    with meter.running():
        spin(0.02)
        time.sleep(0.05)
    spin(0.02)
    assert 0.02 <= meter.seconds < 0.035


def test_threads_of_a_library_count_and_stay_counted_when_they_have_ended() -> None:
    meter = Meter(time.thread_time_ns, own=lambda name: name.startswith("theirs"))
    asked, told = threading.Event(), threading.Event()

    def work() -> None:
        spin(0.03)
        told.set()
        asked.wait(5)

    theirs, other = threading.Thread(target=work, name="theirs-0"), threading.Thread(target=spin, args=(0.03,))
    theirs.start(), other.start()
    assert told.wait(5)
    other.join()
    alive = meter.seconds
    asked.set()
    theirs.join()
    assert 0.02 <= alive < 0.05
    assert meter.seconds >= alive
