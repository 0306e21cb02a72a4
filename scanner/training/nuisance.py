"""What happens to any video on its way: size, light, noise, repeated frames, and one or two generations of real codecs.

    filmed ─▶ origin size, light, noise ─▶ (first encoder) ─▶ shown size, larger or smaller ─▶ last encoder

Everything is drawn once for a pair and done alike to the real clip and to its forgery, so that none of it tells them
apart. The encoder comes last, after the forgery: otherwise double compression would be the label.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator

from scanner.evaluation.video import encode, read_video
from scanner.training.forge.layers import Mask, Pixels

RATES = (Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(24))


@dataclass(frozen=True, slots=True)
class Nuisance:
    """One draw."""

    origin_px: float
    "Longer side of the face box where the clip was first made."
    face_px: float
    "… where it is shown in the end: up to three times as large, since players and editors enlarge."
    kernel: int
    "OpenCV's interpolation on the way from one to the other."
    gain: float
    gamma: float
    saturation: float
    blur_px: float
    noise: float
    "Standard deviation of sensor noise in grey levels."
    fixed_noise: float
    repeat: tuple[int, int]
    "First frame and count of a whole-picture freeze; count 0 is none."
    codec: str
    options: dict[str, str]
    kbps: int | None
    rate: Fraction
    first_crf: int | None
    "Constant rate factor of an earlier generation of encoding, if there was one."
    seed: int


SHOWN_PX: Final = (56.0, 200.0)
"""Face sizes in the end; the model's crop shows 123 pixels of them."""
_KERNELS: Final = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_AREA)


def draw_nuisance(rng: Generator, native_face_px: float, length: int) -> Nuisance:
    """A draw for a source whose face box is `native_face_px` wide."""
    face_px = float(np.exp(rng.uniform(*np.log(SHOWN_PX))))
    origin_px = min(native_face_px, max(face_px, 80.0))
    if rng.random() < 0.45:
        origin_px = float(np.exp(rng.uniform(np.log(min(60.0, origin_px)), np.log(origin_px))))
    face_px = min(face_px, 3 * origin_px)
    mpeg4 = rng.random() < 0.06
    crf = 18 + int(18 * rng.random() ** 1.7)  # most streams look fair, some poor
    h264 = {"crf": str(crf), "g": str(int(rng.choice([12, 25, 50, 120, 250]))), "preset": str(rng.choice(_PRESETS))}
    low_rate = rng.random() < 0.15
    if low_rate:
        del h264["crf"]
    return Nuisance(
        origin_px=origin_px,
        face_px=face_px,
        kernel=_KERNELS[rng.integers(len(_KERNELS))],
        gain=float(rng.normal(1.0, 0.08)),
        gamma=float(np.exp(rng.normal(0.0, 0.12))),
        saturation=float(rng.uniform(0.0, 0.5)) if rng.random() < 0.06 else float(rng.normal(1.0, 0.12)),
        blur_px=float(rng.uniform(0.3, 1.4)) if rng.random() < 0.2 else 0.0,
        noise=float(rng.uniform(1.0, 8.0)) if rng.random() < 0.25 else 0.0,
        fixed_noise=float(rng.uniform(0.5, 3.0)) if rng.random() < 0.1 else 0.0,
        repeat=(int(rng.integers(1, length)), int(rng.integers(1, 6))) if rng.random() < 0.1 else (0, 0),
        codec="mpeg4" if mpeg4 else "libx264",
        options={"qscale": str(int(rng.integers(2, 9)))} if mpeg4 else h264,
        kbps=int(face_px**2 * rng.uniform(0.012, 0.06)) if low_rate and not mpeg4 else None,
        rate=RATES[rng.integers(len(RATES))],
        first_crf=int(rng.integers(18, 34)) if rng.random() < 0.4 else None,
        seed=int(rng.integers(2**31)),
    )


_PRESETS = ("ultrafast", "superfast", "veryfast", "veryfast", "faster", "medium")


def resize(clip: Pixels, factor: float, kernel: int = cv2.INTER_CUBIC) -> Pixels:
    """(T, H, W, 3) scaled to even sides; `kernel` is used when it grows."""
    height, width = scaled(clip.shape[1:3], factor)
    if (height, width) == clip.shape[1:3]:
        return clip
    how = cv2.INTER_AREA if factor < 1 else kernel
    return np.stack([cv2.resize(picture, (width, height), interpolation=how) for picture in clip]).astype(np.uint8)


def scaled(shape: tuple[int, ...], factor: float) -> tuple[int, int]:
    """Even sides (H, W) of at least 32 pixels."""
    height, width = (max(round(side * factor / 2) * 2, 32) for side in shape)
    return height, width


def shown(clip: Pixels, native_face_px: float, draw: Nuisance) -> Pixels:
    """All of the way but the last encoder: (T, H, W, 3) in the size that is shown."""
    filmed = degrade(resize(clip, draw.origin_px / native_face_px), draw)
    if draw.first_crf is not None:
        options = {"crf": str(draw.first_crf), "preset": "veryfast"}
        filmed = read_video(encode(filmed, codec="libx264", options=options, rate=draw.rate, kbps=None))[0]
    if draw.origin_px == draw.face_px:
        return filmed
    height, width = shown_shape(clip.shape[1:3], native_face_px, draw)
    pictures = [cv2.resize(picture, (width, height), interpolation=draw.kernel) for picture in filmed]
    return np.stack(pictures).astype(np.uint8)


def shown_shape(shape: tuple[int, ...], native_face_px: float, draw: Nuisance) -> tuple[int, int]:
    """Sides of what `shown` gives for a picture (H, W)."""
    return scaled(scaled(shape, draw.origin_px / native_face_px), draw.face_px / draw.origin_px)


def shown_mask(mask: Mask, native_face_px: float, draw: Nuisance) -> Mask:
    """(T, H, W) in the size of the pictures that `shown` gives."""
    height, width = shown_shape(mask.shape[1:], native_face_px, draw)
    return np.stack([cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR) for m in mask])


def degrade(clip: Pixels, draw: Nuisance) -> Pixels:
    """Camera and editor: light, colour, blur, noise, freezes. (T, H, W, 3) → the same shape."""
    table = np.clip(255 * (np.arange(256) / 255.0) ** draw.gamma * draw.gain, 0, 255).astype(np.uint8)
    noise = np.random.default_rng(draw.seed)
    pattern = noise.normal(0.0, 1.0, clip.shape[1:]).astype(np.float32) * draw.fixed_noise
    out = []
    for picture in clip:
        changed = cv2.LUT(picture, table)
        grey = cv2.cvtColor(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        changed = cv2.addWeighted(changed, draw.saturation, grey, 1 - draw.saturation, 0)
        if draw.blur_px:
            changed = cv2.GaussianBlur(changed, (0, 0), draw.blur_px)
        if draw.noise or draw.fixed_noise:
            grain = noise.standard_normal(picture.shape[:2], np.float32)[..., None] * draw.noise
            changed = np.clip(changed + grain + pattern, 0, 255).astype(np.uint8)
        out.append(changed)
    at, count = draw.repeat
    for t in range(at, min(at + count, len(out))):
        out[t] = out[at - 1]
    return np.stack(out).astype(np.uint8)


def transmit(clip: Pixels, draw: Nuisance) -> bytes:
    """The clip as the file that the last encoder makes.

    Where a side does not divide by 16, x264's assembly makes a few different pixels of the same input (one run in ten;
    never with asm=0): it reads memory beyond the picture.
    """
    return encode(clip, codec=draw.codec, options=draw.options, rate=draw.rate, kbps=draw.kbps)
