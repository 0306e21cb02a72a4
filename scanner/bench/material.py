"""What benches run on: talking heads as a live encoder sends them, cut into segments by the production cutter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from av.filter import Graph
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from scanner.core.errors import SettingsError
from scanner.core.types import Segment
from scanner.media.cutter import cut
from scanner.sample import draw_sample

GOP_S = 2
CLIP_S = 10
DRAWN = 2


@dataclass(frozen=True, slots=True)
class Profile:
    """What a live encoder is set to."""

    width: int
    height: int
    fps: int
    kbps: int


PROFILES = {
    "360p30": Profile(640, 360, 30, 800),
    "720p30": Profile(1280, 720, 30, 2500),
    "1080p30": Profile(1920, 1080, 30, 4500),
}


@dataclass(frozen=True, slots=True)
class Loop:
    """A stream's segments, to be sent again and again."""

    name: str
    forged: bool | None
    """None where nobody said"""
    segments: tuple[Segment, ...]

    @property
    def seconds(self) -> float:
        return float(len(self.segments) * GOP_S)

    def at(self, sequence: int) -> Segment:
        """The stream's segment of that number: after the last one comes the first again."""
        segment = self.segments[sequence % len(self.segments)]
        return replace(segment, sequence=sequence, start_ms=sequence * GOP_S * 1000, end_of_stream=False)


def profile_named(name: str) -> Profile:
    """Raises SettingsError."""
    if name not in PROFILES:
        raise SettingsError(f"no profile {name!r}: one of {', '.join(PROFILES)}")
    return PROFILES[name]


def loops(folder: Path, profile: Profile, files: Sequence[Path] = (), seconds: int = CLIP_S) -> list[Loop]:
    """Encodes each file, or drawn talking heads and forged twins where none is given, and cuts them.

    Args:
        folder: where the encoded clips are put.
        seconds: of each clip, whole GOPs; shorter files start again from their beginning.
    """
    if files:
        return [loop_of(folder, profile, file, seconds=seconds, forged=None) for file in files]
    made = []
    for seed in range(1, DRAWN + 1):
        for forged in (False, True):
            name = f"drawn-{seed}{'-forged' if forged else ''}"
            source, path = folder / f"{name}-source.mp4", folder / f"{name}.mp4"
            size = (profile.width, profile.height)
            draw_sample(source, forged=forged, forged_spans=[(0.0, seconds)], seconds=seconds, size=size, seed=seed)
            encode_live(source, path, profile, seconds)
            made.append(_cut(path, name, forged))
    return made


def loop_of(folder: Path, profile: Profile, file: Path, *, seconds: int, forged: bool | None) -> Loop:
    """One file as a live encoder sends it; nothing of it stays in `folder`."""
    with TemporaryDirectory(dir=folder) as own:
        path = Path(own, "live.mp4")
        encode_live(file, path, profile, seconds)
        return _cut(path, file.name, forged)


def encode_live(source: Path, target: Path, profile: Profile, seconds: int) -> None:
    """H.264 as live encoders send it: zerolatency, no B-frames, a keyframe every two seconds, constant bit rate."""
    wanted = seconds * profile.fps
    with av.open(str(target), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=profile.fps)
        stream.width, stream.height, stream.pix_fmt = profile.width, profile.height, "yuv420p"
        stream.bit_rate = profile.kbps * 1000
        stream.codec_context.gop_size = GOP_S * profile.fps
        gop = GOP_S * profile.fps
        stream.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0",
            "maxrate": str(profile.kbps * 1000),
            "bufsize": str(profile.kbps * 1000),
        }
        number = 0
        while number < wanted:
            began = number
            for frame in _frames(source, profile):
                frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, profile.fps), PictureType.NONE
                out.mux(stream.encode(frame))
                number += 1
                if number == wanted:
                    break
            if number == began:
                raise SettingsError(f"{source} holds no picture")
        out.mux(stream.encode(None))


def _frames(source: Path, profile: Profile) -> Iterator[VideoFrame]:
    """The file's pictures at the profile's size and rate, with bars where the shape differs: some shown twice."""
    shown = 0
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        fit = _fitting(stream, profile)
        first: float | None = None
        for frame in container.decode(stream):
            first = frame.time if first is None else first
            due = round(((frame.time or 0.0) - (first or 0.0)) * profile.fps) + 1
            if shown < due:
                fit.vpush(frame)
                sized = fit.vpull()
                for _ in range(shown, due):
                    yield sized
                shown = due


def _fitting(stream: VideoStream, profile: Profile) -> Graph:
    """Scales into the profile's picture without changing the shape, and fills what is left."""
    size = f"{profile.width}:{profile.height}"
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(template=stream),
        graph.add("scale", f"{size}:force_original_aspect_ratio=decrease:force_divisible_by=2"),
        graph.add("pad", f"{size}:(ow-iw)/2:(oh-ih)/2"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _cut(path: Path, name: str, forged: bool | None) -> Loop:
    with cut(path, stream_id=name, target_s=GOP_S) as pieces:
        return Loop(name, forged, tuple(pieces))
