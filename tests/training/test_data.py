"""Who may be trained on, and who is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.training.data import DEV_METHODS, Kind, Role, Source, roles

pytestmark = pytest.mark.training


def _clips(person: str, count: int) -> list[Source]:
    return [Source(Path(f"{person}_{n}.mp4"), Kind.CLIP, person, "MIT") for n in range(count)]


def test_nobody_is_both_trained_on_and_calibrated_with():
    sources = [clip for n in range(40) for clip in _clips(f"rare{n}", 2)]
    sources += [clip for n in range(20) for clip in _clips(f"frequent{n}", 12)]
    given = roles(sources)
    people = {role: {s.person for s in sources if given[s.path] is role} for role in Role}
    assert not people[Role.TRAIN] & people[Role.CALIBRATE]
    assert sum(person.startswith("frequent") for person in people[Role.CALIBRATE]) == 3
    assert sum(person.startswith("rare") for person in people[Role.CALIBRATE]) == 6


def test_held_out_generators_are_never_trained_on():
    fakes = [Source(Path(f"{m}.mp4"), Kind.GENERATED, m, "MIT", m) for m in (*DEV_METHODS, "another")]
    given = roles(fakes)
    assert {s.method for s in fakes if given[s.path] is Role.TRAIN} == {"another"}
