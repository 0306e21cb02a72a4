"""Replays on disk, for the dashboard's tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from said import verdict

from scanner import wire
from scanner.replay.journal import Done, Journal

FACTS = {"model": "m" * 64, "coverage": "full", "device": "cpu", "code": "1.0"}
SUMMARY = {"type": "summary", "label": "suspected", "score": 0.66}


def done(journal: Journal, stream_id: str, score: float | None = 0.1, **changes) -> Done:
    """A finished file of two segments."""
    verdicts = [verdict(stream_id, number, score) for number in range(2)]
    lines = [*map(wire.json_of, verdicts), json.dumps({**SUMMARY, "label": verdicts[0].label, "score": score}).encode()]
    one = Done(stream_id, "d", 1000, 4000, 2, verdicts[0].label.value)
    return journal.finish(replace(one, **changes), lines)


def replayed(folder: Path, moved: float, planned: int = 3) -> None:
    """A run of three files: a calm one, one with this score, and one that could not be read."""
    journal = Journal(folder, FACTS)
    journal.plan(planned, 1000 * planned, 1000)
    done(journal, "a/calm.mp4")
    done(journal, "b/moved.mp4", moved)
    done(journal, "c/broken.mp4", None, label=None, failures=("segment 0: no video <b>",), segments=0)
    journal.close()
