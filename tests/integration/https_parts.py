"""What HTTPS sources are tested with: a video in several forms, and its pictures as a confined pull brings them."""

from __future__ import annotations

import subprocess
from io import BytesIO
from pathlib import Path

import av

from scanner.core.errors import MediaError
from scanner.core.types import Segment
from scanner.ingest import SourceSpec
from scanner.ingest.addresses import address_of
from scanner.media.pull import Pull
from scanner.testing import draw_video

KEY = bytes(range(16))
VIDEO = draw_video(frames=100, rate=25, gop=25)
FORMS = {
    "plain": (),
    "ranged": ("-hls_flags", "single_file"),
    "fragments": ("-hls_segment_type", "fmp4", "-hls_flags", "single_file"),
    "secret": ("-hls_key_info_file", "info"),
}


def fill(folder: Path) -> None:
    """Four seconds as a file, and as a playlist of each form."""
    (folder / "video.mp4").write_bytes(VIDEO)
    (folder / "key").write_bytes(KEY)
    (folder / "info").write_text("key\nkey\n")
    for name, form in FORMS.items():
        told = "ffmpeg -v error -nostdin -i video.mp4 -c copy -f hls -hls_time 1 -hls_playlist_type vod"
        subprocess.run([*told.split(), *form, f"{name}.m3u8"], cwd=folder, check=True)
    (folder / "master.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nplain.m3u8\n")


def pulled(url: str, damage: str = "") -> list[Segment]:
    """Raises MediaError, also for what ended it early."""
    address = address_of(SourceSpec(name="cam", url=url))
    assert not isinstance(address, Path)
    with Pull(address, stream_id="cam", target_s=1.0, stall_s=10.0) as pull:
        segments = list(pull)
        assert pull._child is None or not pull._child._last_words, bytes(pull._child._last_words)
        if pull.damage != damage:
            raise MediaError(pull.damage)
        assert {"rlimit", "no_new_privs", "no_capabilities"} <= set(pull.sandbox)
    return segments


def frames_of(segments: list[Segment]) -> list[bytes]:
    return [picture for segment in segments if segment.payload for picture in pictures_of(segment.payload)]


def pictures_of(video: bytes) -> list[bytes]:
    with av.open(BytesIO(video)) as container:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]
