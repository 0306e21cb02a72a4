"""Freed memory is kept: a block that comes again costs no new pages."""

from __future__ import annotations

import os
import subprocess
import sys

from scanner.memory import ENVIRONMENT

_FAULTS = """
import resource, sys
if "keep" in sys.argv:
    from scanner.memory import keep_freed
    assert keep_freed()
def segment():
    return len([bytearray(1_400_000) for _ in range(30)])  # a burst of pictures, held together
segment()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    segment()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments: str, **environment: str) -> int:
    """Pages that a process had to be given for 20 segments, after the first."""
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    told = subprocess.run(
        [sys.executable, "-c", _FAULTS, *arguments],
        env={**quiet, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(told.stdout)


def test_large_blocks_that_come_and_go_cost_pages_once() -> None:
    assert faults() > 10_000
    assert faults("keep") < 1000


def test_a_process_can_be_started_so() -> None:
    assert faults(**ENVIRONMENT) < 1000
