"""Whatever the bytes: an observation with a reason, or a refusal in one clear line. Never a hang, never a lost pool."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from scanner.core.errors import CellLostError, MediaError, ScannerError
from scanner.core.types import ClipSpec, Mode, Observation, Reason
from scanner.media import demux
from scanner.media.cell import CellPlan
from scanner.media.cutter import cut
from scanner.media.demux import Limits
from scanner.media.inprocess import InProcessObserver
from scanner.media.pool import CellPool
from scanner.ports import Observer
from scanner.testing import FakeDetector, draw_video, segment_of

sys.path.insert(0, str(Path(__file__).parent))
import hostile

SPEC = ClipSpec(length=8, size=32)
FRAMES = 48


@pytest.fixture(scope="module")
def pool() -> Iterator[CellPool]:
    with CellPool(1, CellPlan(SPEC, detectors="scanner.testing:fake_detectors", patience_s=20)) as made:
        yield made


@dataclass
class Canary:
    """A server on loopback that nobody may ask, and a file that nobody may open."""

    url: str
    hits: list[str]


@pytest.fixture
def canary() -> Iterator[Canary]:
    hits: list[str] = []
    bait = draw_video()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(bait)))
            self.end_headers()
            self.wfile.write(bait)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Canary(f"http://127.0.0.1:{server.server_address[1]}/bait.mp4", hits)
    server.shutdown()
    server.server_close()
    thread.join()


def observed(observer: Observer, payload: bytes) -> tuple[int, Observation]:
    sighting = observer.observe(segment_of(payload), Mode.FULL)
    clips = sum(1 for _ in sighting.clips())
    return clips, sighting.observation()


def cut_and_observed(observer: Observer, path: Path, payload: bytes) -> list[Observation]:
    path.write_bytes(payload)
    return [observed(observer, segment.payload)[1] for segment in cut(path)]


def check(error: ScannerError) -> None:
    """One clear line."""
    text = str(error)
    assert text.isprintable()
    assert 10 < len(text) < 300


@pytest.mark.parametrize("name", hostile.ODD)
def test_the_strange_but_sound_is_answered_in_every_frame(name: str, pool: CellPool, tmp_path: Path) -> None:
    payload = hostile.ODD[name]()
    _, whole = observed(pool, payload)
    assert whole.reasons == ()
    assert whole.tally.frames_decoded == whole.tally.frames_total >= FRAMES
    pieces = cut_and_observed(pool, tmp_path / "odd", payload)
    assert all(piece.reasons == () for piece in pieces)
    assert sum(piece.tally.frames_decoded for piece in pieces) == whole.tally.frames_total


BROKEN = {
    "zero bytes": (lambda: b"", "empty: holds no bytes"),
    "text": (lambda: b"This is not a video. " * 100, "no sound MP4"),
    "zeros": (lambda: b"\0" * 100_000, "no sound MP4"),
    "sound only": (lambda: draw_video(frames=0, audio=True), "no video stream among 1 \\(audio\\)"),
    "no index": (lambda: draw_video()[:9000], "index \\(the moov box\\) is missing"),
    "no keyframe": (hostile.without_keyframe, "no keyframe"),
    "huge container": (hostile.with_huge_container, "the size of its pictures cannot be found"),
    "a gop of 50 s": (
        lambda: draw_video(codec="mpeg4", rate=5, frames=250, gop=500),
        "no keyframe for more than 30 s: encode it",
    ),
    "hls": (lambda: hostile.playlists("http://x/y.ts")["hls"], "an HLS playlist, which only names other files"),
    "concat": (lambda: hostile.playlists("x.mp4")["concat"], "a concat script, which only names other files"),
    "dash": (lambda: hostile.playlists("http://x/")["dash"], "a DASH manifest, which only names other files"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_cut_is_refused_in_one_clear_line(name: str, tmp_path: Path) -> None:
    draw, words = BROKEN[name]
    path = tmp_path / "broken.mp4"
    path.write_bytes(draw())
    with pytest.raises(MediaError, match=words) as refusal:
        list(cut(path))
    assert str(path) in str(refusal.value)
    check(refusal.value)


@pytest.mark.parametrize(
    ("draw", "reasons"),
    [
        (hostile.with_huge_jpegs, {Reason.DECODE_PARTIAL, Reason.TOO_FEW_FRAMES, Reason.NO_FACE}),
        (hostile.with_huge_vp8, {Reason.DECODE_PARTIAL, Reason.TOO_FEW_FRAMES, Reason.NO_FACE}),
        (hostile.with_long_samples, {Reason.TOO_FEW_FRAMES, Reason.NO_FACE}),
        (hostile.without_keyframe, {Reason.DECODE_PARTIAL, Reason.TOO_FEW_FRAMES, Reason.NO_FACE}),
        (lambda: draw_video(frames=1), {Reason.TOO_FEW_FRAMES, Reason.NO_FACE}),
        (lambda: draw_video(frames=0, audio=True), {Reason.NO_VIDEO}),
        (lambda: draw_video(faces=0), {Reason.NO_FACE}),
    ],
    ids=["huge jpegs", "huge vp8", "frames of 46 hours", "no keyframe", "one frame", "sound only", "nobody"],
)
def test_what_cannot_be_judged_is_answered_with_reasons(draw, reasons: set[Reason], pool: CellPool) -> None:
    clips, observation = observed(pool, draw())
    assert clips == 0
    assert set(observation.reasons) == reasons
    assert pool.restarts == 0


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv"])
def test_a_file_that_ends_in_the_middle_gives_its_good_segments(container: str, pool: CellPool, tmp_path: Path) -> None:
    """An index at the front, the last third of the bytes gone."""
    options = {"movflags": "faststart"} if container == "mp4" else {}
    whole = draw_video(container=container, frames=300, container_options=options)
    path = tmp_path / "truncated"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    cutting = cut(path)
    pieces = [observed(pool, segment.payload)[1] for segment in cutting]
    assert len(pieces) >= 3
    assert all(piece.reasons == () for piece in pieces[:-1])
    assert 150 < sum(piece.tally.frames_decoded for piece in pieces) < 250
    if container != "mpegts":  # a transport stream promises no duration
        assert "it ends after" in cutting.damage


@pytest.mark.parametrize("road", ["in process", "in a cell", "through the cutter"])
@pytest.mark.parametrize("target", ["server", "file"])
def test_a_file_that_names_another_reaches_nothing(
    road: str, target: str, pool: CellPool, canary: Canary, tmp_path: Path
) -> None:
    """In process there is no sandbox: the formats and protocols that FFmpeg may use must do alone."""
    bait = tmp_path / "bait.mp4"
    bait.write_bytes(draw_video(frames=60))
    url = canary.url if target == "server" else str(bait)
    here = InProcessObserver(SPEC, FakeDetector(), FakeDetector())
    for name, payload in hostile.playlists(url).items():
        try:
            if road == "through the cutter":
                found = cut_and_observed(pool, tmp_path / "list.m3u8", payload)
            else:
                found = [observed(here if road == "in process" else pool, payload)[1]]
        except MediaError as error:
            check(error)
        else:
            assert sum(one.tally.frames_total for one in found) in (2, 10), name  # the decoy around the playlist
    assert canary.hits == []


def test_the_canary_sings(canary: Canary) -> None:
    """The server does count, so that zero hits means something: without our limits FFmpeg asks it."""
    with av.open(
        BytesIO(hostile.playlists(canary.url)["hls"]), format="hls", options={"extension_picky": "0"}
    ) as list_:
        next(list_.demux())
    assert canary.hits


FORCED = {"hls": "hls", "concat": "concat", "dash": "dash", "sdp": "sdp"}


def forced(format: str, left: str):
    """av.open as if FFmpeg had taken the bytes for a playlist, without the caution that it has of its own."""

    def open_as(media: object, mode: str, options: dict[str, str], **kwargs: object) -> object:
        bold = {"extension_picky": "0", "allowed_extensions": "ALL", "safe": "0"} if format in ("hls", "concat") else {}
        if left == "formats":
            bold["protocol_whitelist"] = "file,http,tcp,udp,rtp,crypto,data"
        return av.open(media, mode, format=format, options={**options, **bold}, **kwargs)

    return SimpleNamespace(open=open_as, error=av.error, stream=av.stream)


@pytest.mark.parametrize("format", FORCED)
@pytest.mark.parametrize("left", ["formats", "protocols"])
def test_formats_and_protocols_each_keep_a_playlist_from_reaching_out(
    format: str,
    left: str,
    canary: Canary,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Either list does it alone, also where FFmpeg would follow: with the other one opened wide."""
    monkeypatch.setattr(demux, "av", forced(format, left))
    if left == "protocols":
        monkeypatch.setattr(demux, "FORMATS", (*demux.FORMATS, "hls", "concat", "dash", "sdp"))
    here = InProcessObserver(SPEC, FakeDetector(), FakeDetector())
    with pytest.raises(MediaError, match=r"no sound MP4" if left == "formats" else None):
        observed(here, hostile.playlists(canary.url)[format])
    assert canary.hits == []


def test_a_stream_whose_pictures_grow_past_the_limit_is_judged_up_to_there() -> None:
    """The decoder itself refuses the larger pictures, before it takes memory for them."""
    small, large = draw_video(container="mpegts"), draw_video(container="mpegts", size=(320, 240))
    here = InProcessObserver(SPEC, FakeDetector(), FakeDetector(), Limits(max_pixels=40_000))
    _, observation = observed(here, small + large)
    assert Reason.DECODE_PARTIAL in observation.reasons
    assert (observation.width, observation.height) == (160, 120)
    assert 40 <= observation.tally.frames_decoded <= 48


def test_opening_does_not_decode_a_picture_past_the_limit() -> None:
    payload = BytesIO(draw_video(codec="mpeg2video", container="mpegts"))
    with demux.opened(payload, Limits(max_pixels=10_000)) as (_, stream):
        assert (stream.width, stream.height) == (0, 0)


def test_a_container_that_says_too_much_is_refused() -> None:
    here = InProcessObserver(SPEC, FakeDetector(), FakeDetector(), Limits(max_pixels=10_000))
    with pytest.raises(MediaError, match=r"160 × 120 px exceeds 10000 px"):
        observed(here, draw_video())


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(max_frames=20), "more than 20 frames"),
        (Limits(max_duration_s=1.0), "longer than the limit of 1 s"),
    ],
)
def test_what_asks_for_too_much_is_refused(limits: Limits, words: str) -> None:
    here = InProcessObserver(SPEC, FakeDetector(), FakeDetector(), limits)
    with pytest.raises(MediaError, match=words):
        observed(here, draw_video())


SOUND = {
    "mp4": draw_video(bframes=2),
    "fragmented mp4": draw_video(container_options={"movflags": "frag_keyframe+empty_moov"}),
    "matroska": draw_video(codec="libx265", container="matroska"),
    "webm": draw_video(codec="libvpx-vp9", container="webm"),
    "mpegts": draw_video(container="mpegts", audio=True),
    "flv": draw_video(codec="flv", container="flv"),
    "avi": draw_video(codec="mpeg4", container="avi"),
    "mjpeg": draw_video(codec="mjpeg", container="avi", pix_fmt="yuvj420p", frames=12),
}


@pytest.mark.parametrize("name", SOUND)
def test_mutated_clips_are_answered_or_refused(name: str, pool: CellPool) -> None:
    outcomes = {"answered": 0, "refused": 0, "lost": 0}
    for seed in range(40):
        try:
            observed(pool, hostile.mutated(SOUND[name], seed))
            outcomes["answered"] += 1
        except MediaError as error:
            check(error)
            outcomes["refused"] += 1
        except CellLostError as error:
            check(error)
            outcomes["lost"] += 1
    assert outcomes["answered"] > 10, outcomes
    assert outcomes["lost"] == 0, outcomes  # none known; a crash of a decoder is worth looking at
    clips, _ = observed(pool, draw_video())
    assert clips == 6


@pytest.mark.parametrize("name", SOUND)
def test_mutated_files_are_cut_or_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mutated"
    for seed in range(4):
        path.write_bytes(hostile.mutated(SOUND[name], 1000 + seed))
        try:
            starts = [segment.start_ms for segment in cut(path)]
        except MediaError as error:
            check(error)
        else:
            assert starts == sorted(set(starts))
