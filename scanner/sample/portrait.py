"""The still picture behind the sample and where its parts lie, in pixels of portrait.jpg.

Anchors were read off a face mesh once; lids and lips are parabolas through its points.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.core.types import Pixels

Floats = NDArray[np.float32]
Point = tuple[float, float]

FACE_CENTRE: Point = (205.0, 121.0)
NECK: Point = (203.0, 186.0)
"""what the head turns about"""
NOSE: Point = (203.0, 128.0)
HEAD: tuple[float, float, float, float] = (206.0, 106.0, 84.0, 96.0)
"""centre and radii of an ellipse around head and hair"""
OVAL: tuple[Point, ...] = (
    (207.1, 69.7), (220.3, 70.7), (231.3, 72.9), (241.4, 77.1), (247.6, 83.2), (251.0, 90.7), (252.6, 98.3),
    (252.5, 107.8), (251.1, 116.7), (249.7, 125.9), (247.7, 135.8), (244.0, 145.9), (239.2, 154.1), (234.0, 160.3),
    (227.3, 166.0), (221.7, 170.2), (215.8, 174.0), (208.9, 176.6), (200.3, 177.0), (191.9, 175.5), (185.6, 172.2),
    (180.5, 167.8), (175.8, 162.9), (170.1, 156.6), (165.8, 149.9), (162.2, 141.2), (160.1, 130.8), (159.4, 120.9),
    (159.3, 111.7), (159.1, 102.7), (160.1, 93.3), (162.5, 85.9), (166.5, 79.0), (172.9, 73.7), (183.0, 70.5),
    (194.0, 69.4),
)  # fmt: skip
"""outline of the face, clockwise from the forehead"""


@dataclass(frozen=True, slots=True)
class Opening:
    """An eye or a mouth: two curves that meet at the corners."""

    left: float
    right: float
    upper: tuple[float, float, float]
    """y = a·(x - middle)² + b·(x - middle) + c"""
    lower: tuple[float, float, float]

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2

    def upper_at(self, x: Floats) -> Floats:
        return _parabola(self.upper, x - self.middle)

    def lower_at(self, x: Floats) -> Floats:
        return _parabola(self.lower, x - self.middle)


def _parabola(terms: tuple[float, float, float], x: Floats) -> Floats:
    a, b, c = terms
    return (a * x * x + b * x + c).astype(np.float32)


def _opening(upper: tuple[Point, ...], lower: tuple[Point, ...]) -> Opening:
    left, right = upper[0][0], upper[-1][0]
    middle = (left + right) / 2
    top, bottom = (
        np.polyfit([x - middle for x, _ in points], [y for _, y in points], 2).tolist() for points in (upper, lower)
    )
    return Opening(left, right, (top[0], top[1], top[2]), (bottom[0], bottom[1], bottom[2]))


EYES: tuple[Opening, Opening] = (
    _opening(
        ((174.0, 100.9), (176.2, 99.3), (178.5, 98.1), (182.2, 97.5), (185.9, 98.1), (189.5, 99.9), (193.2, 103.7)),
        ((174.0, 100.9), (177.5, 103.0), (180.1, 103.8), (183.8, 104.4), (187.3, 104.4), (190.6, 104.1),
         (193.2, 103.7)),
    ),
    _opening(
        ((216.8, 105.1), (221.0, 101.6), (224.8, 100.1), (228.6, 99.9), (232.3, 100.9), (234.5, 102.4),
         (236.5, 104.3)),
        ((216.8, 105.1), (219.4, 105.7), (222.7, 106.4), (226.2, 106.8), (230.0, 106.6), (232.7, 106.1),
         (236.5, 104.3)),
    ),
)  # fmt: skip
MOUTH: Opening = _opening(
    ((183.7, 140.0), (189.1, 139.9), (192.7, 140.7), (197.2, 141.7), (202.7, 142.5), (208.6, 142.4), (213.3, 142.0),
     (217.3, 141.5), (223.0, 142.4)),
    ((183.7, 140.0), (188.8, 145.4), (192.4, 147.5), (196.9, 149.2), (202.3, 150.0), (208.0, 149.9), (212.9, 148.8),
     (217.0, 147.1), (223.0, 142.4)),
)  # fmt: skip
"""the inside of the lips: what shows the teeth"""


def portrait() -> Pixels:
    """(320, 410, 3) RGB."""
    raw = resources.files("scanner.sample").joinpath("portrait.jpg").read_bytes()
    bgr = cast(Pixels, cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR))
    return np.ascontiguousarray(bgr[..., ::-1])


def enlarged(pixels: Pixels, scale: float) -> Pixels:
    """The portrait at the clip's scale, its contours tightened to what a camera of that size would have seen."""
    height, width = pixels.shape[:2]
    size = round(width * scale), round(height * scale)
    big = cv2.resize(pixels, size, interpolation=cv2.INTER_LANCZOS4).astype(np.float32)
    crisp = big + 0.3 * (big - cv2.GaussianBlur(big, (0, 0), 1.2 * scale / 1.75))
    return cast(Pixels, np.clip(crisp, 0, 255).astype(np.uint8))
