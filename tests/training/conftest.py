"""A drawn scene; without the extra `train` nothing here is collected."""

from __future__ import annotations

import importlib.util

import pytest

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def scene():
    from drawn_faces import drawn_clip

    from scanner.training.forge import Scene

    frames, points = drawn_clip(1)
    donor, donor_points = drawn_clip(2)
    return Scene(frames, points, 4, 16, donor, donor_points)
