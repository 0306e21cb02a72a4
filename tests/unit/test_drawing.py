"""Drawing for tests leaves the process as it was."""

from __future__ import annotations

import os

from scanner.testing import draw_video


def test_drawing_av1_leaves_no_real_time_priority() -> None:
    assert draw_video(codec="libsvtav1", frames=3)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
