"""A GPU that was asked for and is not there is told of; nothing is decoded otherwise in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.assembly.scan import assembled
from scanner.core.errors import DeviceUnavailableError, MediaError, SettingsError
from scanner.core.types import ClipSpec, Mode
from scanner.media.cell import CellPlan
from scanner.media.demux import Limits
from scanner.media.hardware import acceleration, check_decoder
from scanner.media.observe import SegmentObserver
from scanner.media.pool import CellPool, CellsUnavailableError
from scanner.settings import load
from scanner.testing import FakeDetector, draw_video

NO_GPU = not Path("/dev/nvidia0").exists()
without_gpu = pytest.mark.skipif(not NO_GPU, reason="says what happens on a machine without a GPU")


@pytest.mark.parametrize("wish", ["gpu", "cuda", "cuda:x", "nvdec:0", ""])
def test_a_decoder_that_does_not_exist_is_refused(wish) -> None:
    with pytest.raises(SettingsError, match="must be cpu or cuda:N"):
        check_decoder(wish)


def test_software_needs_no_device() -> None:
    assert check_decoder("cpu") == "cpu"
    assert acceleration("cpu") is None


def test_a_gpu_that_is_not_there_stops_the_start() -> None:
    wanted = load(flags={"scan.decode": "cuda:97"})
    with pytest.raises(DeviceUnavailableError, match="cuda:97"), assembled(wanted):
        pass


@without_gpu
def test_a_segment_is_not_decoded_in_software_when_a_gpu_was_asked_for() -> None:
    observer = SegmentObserver(
        draw_video(), Mode.FULL, ClipSpec(8, 32), near=FakeDetector(), far=FakeDetector(), limits=Limits(),
        decoder="cuda:0",
    )  # fmt: skip
    with pytest.raises(MediaError):
        list(observer.clips())


@without_gpu
def test_a_cell_whose_gpu_does_not_start_does_not_start_either() -> None:
    plan = CellPlan(ClipSpec(8, 32), detectors="scanner.testing:fake_detectors", decoder="cuda:0")
    with CellPool(1, plan) as pool, pytest.raises(CellsUnavailableError, match="no decode cell can be started"):
        pool.ready()
