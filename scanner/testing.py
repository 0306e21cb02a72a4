"""For tests, ours and those of programs that use this package: drawn videos, and fakes for the ports.

A drawn face is a bright disc that moves over a gradient; a drawn forgery is a disc that flickers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from scanner.core.errors import InferenceError
from scanner.core.types import ClipSpec, Detections, ModelRef, Pixels, Segment
from scanner.ports import Scores

BRIGHT = 200  # of 255: the disc is brighter, the gradient darker
FACE = np.array([[0.35, 0.4], [0.65, 0.4], [0.5, 0.55], [0.5, 0.75], [0.1, 0.45], [0.9, 0.45]], np.float32)
"""keypoints of a drawn face, fractions of its box: it looks into the camera"""
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "13"},
}


@dataclass(frozen=True, slots=True)
class Pause:
    """A jump of the clock: `seconds` more (or less) before frame `at`."""

    at: int
    seconds: Fraction


def draw_video(
    *,
    codec: str = "libx264",
    container: str = "mp4",
    size: tuple[int, int] = (160, 120),
    frames: int = 48,
    rate: Fraction | int = 25,
    gop: int = 12,
    bframes: int = 0,
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    vfr: bool = False,
    pauses: Sequence[Pause] = (),
    faces: int = 1,
    flicker: bool = False,
    mark: str = "none",
    cut_at: int | None = None,
    audio: bool = False,
    seed: int = 0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> bytes:
    """A small video, the same for the same arguments.

    Args:
        size: width and height in pixels.
        frames: 0 leaves the video stream out.
        gop: frames from keyframe to keyframe.
        rotation: degrees that a player turns it counter-clockwise.
        vfr: every third frame stays twice as long.
        cut_at: the frame from which the scene is another one.
        mark: the colour of a corner, which MischievousDetector obeys; see MISCHIEF.
        options: of the encoder.
    """
    with TemporaryDirectory() as folder:  # a file, not memory: an index at the front is written in a second pass
        file = Path(folder, "drawn")
        with av.open(file, "w", format=container, options=container_options or {}) as output:
            output.metadata.update(metadata or {})
            sound = _sound_stream(output) if audio else None
            if frames:
                clock = Fraction(rate) * (2 if vfr else 1)
                stream: Any = output.add_stream(codec, rate=rate)
                stream.width, stream.height = size
                stream.pix_fmt = pix_fmt
                stream.gop_size = gop
                stream.codec_context.max_b_frames = bframes
                stream.options = {**_tuned(codec, bframes), **(options or {})}
                stream.time_base = stream.codec_context.time_base = 1 / clock
                if rotation:
                    stream.set_display_rotation(rotation)
                pictures = draw_pictures(
                    size, frames, faces=faces, flicker=flicker, mark=mark, cut_at=cut_at, seed=seed
                )
                for pixels, tick in zip(pictures, _ticks(frames, clock, pauses, vfr=vfr), strict=True):
                    frame = VideoFrame.from_ndarray(pixels, format="rgb24")
                    frame.pts, frame.time_base = tick, 1 / clock
                    output.mux(stream.encode(frame))
                output.mux(stream.encode(None))
            if sound is not None:
                _play(output, sound, frames / Fraction(rate) if frames else Fraction(1))
        _at_usual_priority()
        return file.read_bytes()


def _at_usual_priority() -> None:
    """SVT-AV1, run by root, gives the whole process real-time priority: children inherit it and starve the machine."""
    for task in Path("/proc/self/task").glob("*"):
        with suppress(OSError):  # the encoder's threads are just ending
            os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))


def draw_pictures(
    size: tuple[int, int],
    count: int,
    *,
    faces: int = 1,
    flicker: bool = False,
    mark: str = "none",
    cut_at: int | None = None,
    seed: int = 0,
) -> Iterator[Pixels]:
    """(H, W, 3) RGB pictures of discs that circle over a slowly moving gradient."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    phase = np.random.default_rng(seed).uniform(0, 6.28, size=faces + 1)
    radius = max(2.0, min(width / max(1, faces), height) / 5)
    for number in range(count):
        wave = 70 + 30 * np.sin(x / max(8, width / 6) + number / 20 + phase[0]) * np.cos(y / max(8, height / 4))
        if cut_at is not None and number >= cut_at:
            wave = wave * 0.3
        picture = np.stack([wave, wave * 0.9, wave * 1.1], axis=2)
        for face in range(faces):
            angle = number / 15 + phase[face + 1]
            across = x - width * (face + 0.5) / faces - radius / 3 * np.cos(angle)
            down = y - height / 2 - radius / 3 * np.sin(angle)
            inside = across**2 + down**2 < radius**2
            picture[inside] = 250 - 40 * (number % 2) if flicker else 240
        if mark != "none":
            picture[: height // 4, : width // 4] = MISCHIEF[mark]
        yield picture.clip(0, 255).astype(np.uint8)


def segment_of(payload: bytes, *, stream_id: str = "drawn", sequence: int = 0, start_ms: int = 0) -> Segment:
    return Segment(stream_id, sequence, start_ms, payload, sha256(payload).hexdigest())


def _tuned(codec: str, bframes: int) -> dict[str, str]:
    options = dict(_OPTIONS.get(codec, {}))
    if codec == "libx264" and bframes:
        options = {"preset": "ultrafast", "bf": str(bframes), "b-pyramid": "none"}
    return options


def _ticks(frames: int, per_second: Fraction, pauses: Sequence[Pause], *, vfr: bool) -> Iterator[int]:
    tick = 0
    for number in range(frames):
        tick += sum(round(pause.seconds * per_second) for pause in pauses if pause.at == number)
        yield tick
        tick += 1 if not vfr else 4 if number % 3 == 2 else 2


def _sound_stream(output: OutputContainer) -> Any:
    stream: Any = output.add_stream("aac", rate=16000)
    stream.layout = "mono"
    return stream


def _play(output: OutputContainer, stream: Any, seconds: Fraction) -> None:
    for start in range(0, int(seconds * 16000), 1024):
        samples = np.sin(np.arange(start, start + 1024) / 10).astype(np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, start
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


MISCHIEF: dict[str, tuple[int, int, int]] = {
    "hang": (190, 0, 0),
    "crash": (0, 190, 0),
    "raise": (0, 0, 190),
    "hoard": (190, 0, 190),
}
"""what MischievousDetector does when it sees the colour: sleeps for ever, ends the process, raises, takes memory"""


class FakeDetector:
    """Finds drawn faces: one for each stretch of columns with bright pixels. Or says what it was told to."""

    def __init__(self, script: Sequence[Detections] | None = None) -> None:
        """With a script, the answers in order; the last one for ever."""
        self._script = list(script or ())
        self.calls = 0
        self.closed = False

    def detect(self, pixels: Pixels) -> Detections:
        self.calls += 1
        if self._script:
            return self._script[min(self.calls, len(self._script)) - 1]
        bright = pixels.min(axis=2) > BRIGHT
        columns = np.flatnonzero(np.diff(np.concatenate([[0], bright.any(axis=0), [0]])))
        boxes = [_box_of(bright, int(x0), int(x1)) for x0, x1 in columns.reshape(-1, 2)]
        if not boxes:
            return Detections.empty()
        corners = np.array(boxes, np.float32)
        sides = corners[:, 2:] - corners[:, :2]
        keypoints = corners[:, None, :2] + FACE[None] * sides[:, None]
        return Detections(corners, np.full(len(boxes), 0.9, np.float32), keypoints.astype(np.float32))

    def close(self) -> None:
        self.closed = True


class MischievousDetector(FakeDetector):
    """A FakeDetector that obeys marked pictures: see MISCHIEF."""

    def detect(self, pixels: Pixels) -> Detections:
        corner = pixels[: len(pixels) // 8, : len(pixels[0]) // 8].reshape(-1, 3).mean(axis=0)
        for name, colour in MISCHIEF.items():
            if np.abs(corner - colour).max() < 30:
                _misbehave(name)
        return super().detect(pixels)


def fake_detectors() -> tuple[FakeDetector, FakeDetector]:
    """For CellPlan(detectors="scanner.testing:fake_detectors"): cells that start fast."""
    return FakeDetector(), FakeDetector()


def mischievous_detectors() -> tuple[FakeDetector, FakeDetector]:
    """For CellPlan(detectors="scanner.testing:mischievous_detectors"): cells that drawn marks make fail."""
    return MischievousDetector(), MischievousDetector()


class FakeModel:
    """A ClipModel that sees flicker: the logit grows with the change from frame to frame. Or does as it is told."""

    def __init__(
        self, spec: ClipSpec | None = None, script: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None = None
    ) -> None:
        """With a script, (N, T, S, S, 3) clips to (N,) logits; whatever it raises becomes an InferenceError."""
        self.spec = spec or ClipSpec(length=8, size=32)
        self.ref = ModelRef("fake", sha256(b"fake").hexdigest())
        self._script = script or _flicker
        self.batches: list[int] = []

    def score(self, clips: NDArray[np.uint8]) -> Scores:
        self.batches.append(len(clips))
        try:
            logits = self._script(clips).astype(np.float32)
        except Exception as error:
            raise InferenceError(f"the fake model was told to fail: {error}") from error
        frames = np.repeat(logits[:, None], self.spec.length, axis=1)
        return Scores(logits, frames, np.zeros((len(clips), self.spec.length, 5, 5), np.float32))


def _flicker(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    change = np.abs(np.diff(clips.astype(np.float32), axis=1)).mean(axis=(1, 2, 3, 4))
    return np.asarray(change - 4.0, np.float32)


def _box_of(bright: NDArray[np.bool_], x0: int, x1: int) -> tuple[float, float, float, float]:
    height, width = bright.shape
    rows = np.flatnonzero(bright[:, x0:x1].any(axis=1))
    return x0 / width, int(rows[0]) / height, x1 / width, (int(rows[-1]) + 1) / height


def _misbehave(name: str) -> None:
    if name == "hang":
        time.sleep(10**6)
    if name == "crash":
        os.abort()
    if name == "raise":
        raise RuntimeError("the picture told the detector to fail")
    hoard = [np.empty(2**27, np.uint8) for _ in range(64)]
    raise AssertionError(f"{len(hoard)} hoards of 128 MiB fitted")
