"""What a bench starts, it gives back."""

from __future__ import annotations

import weakref

from scanner.bench.group import in_memory
from scanner.settings import load


def test_a_run_in_memory_leaves_neither_bus_nor_model_behind() -> None:
    """`scanner plan` makes a dozen of them in one process; no collection of cycles is asked for."""
    with in_memory(load(flags={"scan.cells": 1, "scan.coverage": "patrol"})) as group:
        assert group.libraries()["onnxruntime"] > 0
        left = [weakref.ref(group.bus), weakref.ref(group.libraries.__closure__[0].cell_contents.model)]
    del group
    assert [thing() for thing in left] == [None, None]
