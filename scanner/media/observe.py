"""Observe: bytes of a segment to clips of faces. Runs inside a decode cell, keeps nothing between two segments.

packets ─decode─▶ frames ─bursts─▶ T frames ─probe, track─▶ faces ─one square a face─▶ clips
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from io import BytesIO

import numpy as np

from scanner.core.clips import CUT_LUMA, ONE_LOOK, Burst, Pace, between, bursts, clip_square, probes
from scanner.core.errors import MediaError
from scanner.core.tracking import Track, Tracker
from scanner.core.types import (
    Clip,
    ClipSpec,
    Detections,
    Floats,
    Mode,
    Observation,
    Pixels,
    Reason,
    Tally,
)
from scanner.core.verdict import nothing_seen
from scanner.media.decode import Decoder, Frame
from scanner.media.demux import Limits, NoVideoError, nominal_step, opened
from scanner.media.followed import Followed, tracklet_of
from scanner.media.hardware import CPU, acceleration
from scanner.ports import FaceDetector
from scanner.vision import fingerprint, luma_difference

DETECT_EVERY = 5  # frames; at 30 fps a face moves less than half its width in between, the rest is interpolated
LOOK_PX = 320  # longer side of the picture the detector sees; its models take 128 or 192 px
PAUSE_S, PAUSE_STEPS = Fraction(1, 2), 4  # slow recordings have long steps, all alike


class SegmentObserver:
    """Observes one segment: iterate `clips`, then ask for `observation`."""

    def __init__(
        self,
        payload: bytes,
        mode: Mode,
        spec: ClipSpec,
        *,
        near: FaceDetector,
        far: FaceDetector,
        limits: Limits,
        pace: Pace = ONE_LOOK,
        decoder: str = CPU,
    ) -> None:
        """
        Args:
            pace: of a patrol.
            decoder: "cpu" or "cuda:N".
        """
        self._payload = payload
        self._mode = mode
        self._spec = spec
        self._pace = pace
        self._decoder = decoder
        self._near = near
        self._far = far
        self._limits = limits
        self._tracker = Tracker()
        self._followed: dict[int, Followed] = {}
        self._probe = 0
        self._far_last = False
        self._observation: Observation | None = None
        self._first_print: Pixels | None = None
        self._last_print: Pixels | None = None
        self._crowded = False
        self._cuts: deque[int] = deque()
        self._last_time: Fraction | None = None
        self._last_gap = Fraction(0)

    def clips(self) -> Iterator[Clip]:
        """Clips in time order. Raises MediaError."""
        if not self._payload:
            raise MediaError("holds no bytes")
        try:
            hwaccel = acceleration(self._decoder)
            media = BytesIO(self._payload)
            with opened(media, self._limits, sizes_only=True, hwaccel=hwaccel) as (container, stream):
                decoder = Decoder(container, stream, self._limits)
                for burst in self._bursts(decoder):
                    yield from self._burst(burst)
                decoder.skip_rest()
                self._observation = self._conclude(decoder)
        except NoVideoError:
            self._observation = nothing_seen(self._mode)

    def observation(self) -> Observation:
        if self._observation is None:
            raise RuntimeError("observation asked for before the last clip was taken")
        return self._observation

    def _bursts(self, decoder: Decoder) -> Iterator[Burst[Frame]]:
        """One look after the other in a patrol, at its pace; else all that there is."""
        frames = _thinned(decoder.frames(), decoder, self._spec.max_fps)
        every, due = Fraction(self._pace.every_s).limit_denominator(1000), Fraction(0)
        while not decoder.at_end:
            decoder.rest_until(due)
            yield from bursts(
                frames,
                self._spec.length,
                self._mode,
                self._is_cut,
                wanted=partial(_not_before, due),
                most=self._pace.clips,
            )
            if not every or self._mode is not Mode.PATROL:
                return
            due += every * max(1, -((due - (self._last_time or due)) // every))

    # One burst: probe, follow, cut.

    def _burst(self, burst: Burst[Frame]) -> Iterator[Clip]:
        while self._cuts and self._cuts[0] <= burst.frames[-1].index:
            self._cuts.popleft()
            self._tracker.cut()  # only now: the last burst before the cut was followed after the cut was seen
        places = probes(len(burst.frames), DETECT_EVERY)
        numbers = self._probed(burst, places)
        for track in self._tracker.tracks:
            seen = [(place, track.seen[n][0]) for n, place in zip(numbers, places, strict=True) if n in track.seen]
            if seen:
                yield from self._follow(track, burst, seen)

    def _probed(self, burst: Burst[Frame], places: tuple[int, ...]) -> range:
        """Looks for faces at these places of the burst; the numbers of the probes.

        A burst that follows another begins with what was seen one frame before: the last probe of that one. Of the
        probes that show a burst, one is by the far detector:

            burst    [0             7)[8            15)[16           23)
            probes   far         near                far            near
        """
        last = len(places) - 1
        shared = burst.follows and last > 0
        first = self._probe - shared
        self._probe = first + len(places)
        thorough = 0 if self._far_last or not shared else last
        for place in range(shared, len(places)):
            self._look(first + place, burst.frames[places[place]].picture.small(LOOK_PX), thorough=place == thorough)
        self._far_last = thorough == last
        return range(first, self._probe)

    def _look(self, number: int, pixels: Pixels, *, thorough: bool) -> None:
        found = self._far.detect(pixels) if thorough else self._near.detect(pixels)
        if not thorough and self._lost_any(found.boxes):
            found = self._far.detect(pixels)
        if len(found) > self._limits.max_faces:
            self._crowded = True
            keep = slice(0, self._limits.max_faces)
            found = type(found)(found.boxes[keep], found.scores[keep], found.keypoints[keep])
        if len(self._tracker.tracks) >= self._limits.max_tracklets:
            self._crowded = True
            found = Detections.empty()
        self._tracker.update(number, found)

    def _lost_any(self, boxes: Floats) -> bool:
        return len(boxes) < self._tracker.alive

    def _follow(self, track: Track, burst: Burst[Frame], seen: list[tuple[int, Floats]]) -> Iterator[Clip]:
        places = tuple(place for place, _ in seen)
        boxes = between(places, np.stack([box for _, box in seen]), len(burst.frames))
        followed = self._note(track, burst, places, boxes)
        if len(seen) < 2 or places[-1] - places[0] < len(burst.frames) // 2:
            return  # passing through: too little of it here to say where it is in every frame
        pixels = self._cut(burst, boxes)
        followed.measure(_face_of(pixels[len(pixels) // 2], self._spec.box_scale))
        start, end = _times(burst.frames)
        yield Clip(track.index, start, end, burst.repeats, pixels)

    def _note(self, track: Track, burst: Burst[Frame], places: tuple[int, ...], boxes: Floats) -> Followed:
        start, end = _times(burst.frames[places[0] : places[-1] + 1])
        followed = self._followed.setdefault(track.index, Followed(start, end))
        followed.end_ms = max(followed.end_ms, end)
        followed.frames += len(burst.frames) - burst.repeats
        followed.boxes.extend(boxes[list(places)])
        return followed

    def _cut(self, burst: Burst[Frame], boxes: Floats) -> Pixels:
        first = burst.frames[0].picture
        square = clip_square(boxes, self._spec.box_scale, first.width, first.height)
        return np.stack([frame.picture.square(square, self._spec.size) for frame in burst.frames])

    def _is_cut(self, frame: Frame) -> bool:
        now = fingerprint(frame.picture)
        before, self._last_print = self._last_print, now
        if before is None:
            self._first_print = now
        cut = before is not None and luma_difference(now, before) > CUT_LUMA
        if cut:
            self._cuts.append(frame.index)
        return self._paused(frame) or cut

    def _paused(self, frame: Frame) -> bool:
        """Whether the clock stood much longer than before: what follows is no motion of what went before."""
        before, self._last_time = self._last_time, frame.time
        gap = frame.time - before if before is not None else Fraction(0)
        usual, self._last_gap = self._last_gap, gap
        return gap > PAUSE_S and gap > PAUSE_STEPS * usual

    # After the last burst.

    def _conclude(self, decoder: Decoder) -> Observation:
        duration_ms = max(1, round(decoder.duration * 1000))
        reasons = []
        if decoder.frames_damaged:
            reasons.append(Reason.DECODE_PARTIAL)
        if decoder.frames_decoded < self._spec.length:
            reasons.append(Reason.TOO_FEW_FRAMES)
        if not self._followed:
            reasons.append(Reason.NO_FACE)
        if self._crowded:
            reasons.append(Reason.TOO_MANY_FACES)
        kbps = round(decoder.video_bytes * 8 / duration_ms)
        return Observation(
            duration_ms=duration_ms,
            width=decoder.width,
            height=decoder.height,
            codec=decoder.stream.codec.canonical_name,
            tally=Tally(decoder.frames_total, decoder.frames_decoded, 0, decoder.frames_damaged, self._mode),
            tracklets=tuple(
                tracklet_of(track, self._followed[track.index], decoder, kbps)
                for track in self._tracker.tracks
                if track.index in self._followed
            ),
            reasons=tuple(reasons),
            opening=_hex(self._first_print),
            closing=_hex(self._last_print),
        )


def _hex(luma: Pixels | None) -> str:
    return "" if luma is None else luma.tobytes().hex()


def _thinned(frames: Iterator[Frame], decoder: Decoder, max_fps: float) -> Iterator[Frame]:
    """Every k-th frame, so that the rate stays under the model's."""
    every = max(1, int(np.ceil(float(1 / nominal_step(decoder.stream)) / max_fps)))
    return (frame for frame in frames if frame.index % every == 0)


def _not_before(time: Fraction, frame: Frame) -> bool:
    return frame.time >= time


def _times(frames: tuple[Frame, ...]) -> tuple[int, int]:
    step = frames[-1].time - frames[-2].time if len(frames) > 1 else 0
    return round(frames[0].time * 1000), max(round(frames[0].time * 1000) + 1, round((frames[-1].time + step) * 1000))


def _face_of(pixels: Pixels, scale: float) -> Pixels:
    margin = round(len(pixels) * (1 - 1 / scale) / 2)
    return pixels[margin : len(pixels) - margin, margin : len(pixels) - margin]
