"""Matplotlib for pictures in files. It lives in this file alone, and loads when the first picture is drawn."""

from __future__ import annotations

from typing import Any


def pyplot() -> Any:
    """`matplotlib.pyplot` without a screen."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only those who draw should spend

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - the same

    return plt
