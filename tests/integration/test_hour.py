"""RTMP by nginx, through Apache Kafka, to verdicts, with two forced outages; every segment and every gap is accounted.

pytest -m live -s tests/integration/test_hour.py                       4 minutes, on drawn heads
SCANNER_LIVE_S=3600 SCANNER_LIVE_CLIP=talk.mp4 pytest -m live -s tests/integration/test_hour.py
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from threading import Event, Thread
from typing import IO

import pytest
from live_parts import wait_until
from media_servers import Nginx

from scanner import wire
from scanner.bench.material import PROFILES
from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.core.types import Reason, Segment
from scanner.ports import Delivery
from scanner.sample import draw_sample

pytestmark = [pytest.mark.live, pytest.mark.kafka, pytest.mark.timeout(7200)]

LASTS_S = float(os.environ.get("SCANNER_LIVE_S", "240"))
CLIP = os.environ.get("SCANNER_LIVE_CLIP")
STREAMS = ("studio-1", "studio-2")
OUTAGE_S = min(45.0, LASTS_S / 8)
SEGMENT_S = 2.0
SETTLING_S = 15.0  # an outage is felt a little after its end: reconnecting, with backoff


@dataclass(frozen=True)
class Outage:
    """Wall clock, seconds since the epoch."""

    of: str
    began_s: float
    ended_s: float

    def explains(self, before: Segment, after: Segment) -> bool:
        began_ms, ended_ms = (before.captured_at_ms or 0), (after.captured_at_ms or 0)
        return ended_ms >= self.began_s * 1000 and began_ms <= (self.ended_s + SETTLING_S) * 1000


class Cli:
    """The program, as an operator runs it."""

    def __init__(self, broker: LocalBroker, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "SCANNER_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap,
            "SCANNER_LOG__FORMAT": "json",
            "XDG_STATE_HOME": str(folder),
        }

    @contextmanager
    def running(self, *arguments: str, stdout: IO[bytes] | None = None) -> Iterator[subprocess.Popen[bytes]]:
        with (self._folder / f"{arguments[0]}.log").open("wb") as log:
            process = subprocess.Popen(self._line(arguments), env=self._environment, stderr=log, stdout=stdout)
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def lines(self, *arguments: str) -> list[dict]:
        told = self._line((*arguments, "--json"))
        done = subprocess.run(told, env=self._environment, check=True, stdout=subprocess.PIPE, timeout=300)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def run(self, *arguments: str) -> None:
        subprocess.run(self._line(arguments), env=self._environment, check=True, timeout=300)

    @staticmethod
    def _line(arguments: tuple[str, ...]) -> list[str]:
        return [str(Path(sys.executable).with_name("scanner")), *arguments]


def footage(folder: Path) -> Path:
    """Half a minute as a live encoder sends it; 720p30, a keyframe every two seconds."""
    clip = Path(CLIP) if CLIP else folder / "drawn.mp4"
    if not CLIP:
        draw_sample(clip, size=(1280, 720), seconds=10, forged=False)
    profile = PROFILES["720p30"]
    size = f"scale={profile.width}:{profile.height}:force_original_aspect_ratio=decrease"
    picture = f"{size},pad={profile.width}:{profile.height}:-1:-1,fps={profile.fps},format=yuv420p"
    form = f"-c:v libx264 -preset veryfast -tune zerolatency -b:v {profile.kbps}k -g 60 -sc_threshold 0 -an -t 30"
    target = folder / "footage.flv"
    told = ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "-1", "-i", str(clip), "-vf", picture, *form.split()]
    subprocess.run([*told, str(target)], check=True)
    return target


@contextmanager
def encoders(media: Path, port: int) -> Iterator[None]:
    """One a stream; as OBS does, they knock again when the server is gone."""
    stop = Event()

    def push(stream: str) -> None:
        told = ["ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", str(media), "-c", "copy"]
        while not stop.is_set():
            with subprocess.Popen(
                [*told, "-f", "flv", f"rtmp://127.0.0.1:{port}/live/{stream}"], stderr=subprocess.DEVNULL
            ) as process:
                while process.poll() is None and not stop.wait(0.2):
                    pass
                process.kill()
            stop.wait(1.0)

    threads = [Thread(target=push, args=(stream,)) for stream in STREAMS]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def outage(of: str, told: list[Outage]) -> Iterator[None]:
    began_s = time.time()
    yield
    time.sleep(max(0.0, began_s + OUTAGE_S - time.time()))
    told.append(Outage(of, began_s, time.time()))


@pytest.fixture
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with Nginx(tmp_path_factory.mktemp("nginx")) as server:
        yield server


def test_two_outages_cost_what_they_must_and_all_of_it_is_told(tmp_path: Path, nginx: Nginx) -> None:
    sources = tmp_path / "sources.toml"
    sources.write_text("".join(f'[{name}]\nurl = "rtmp://127.0.0.1:{nginx.rtmp}/live/{name}"\n' for name in STREAMS))
    media = footage(tmp_path)
    outages: list[Outage] = []
    with LocalBroker(tmp_path / "broker") as broker, (tmp_path / "ingested").open("w+b") as ingested:
        cli = Cli(broker, tmp_path)
        cli.run("topics", "create")
        bus = KafkaBus(KafkaConfig((broker.bootstrap,)))
        with (
            cli.running("worker", "--coverage", "patrol") as worker,
            cli.running("ingest", "--sources", str(sources), "--json", stdout=ingested) as ingest,
        ):
            with encoders(media, nginx.rtmp):
                began = time.monotonic()
                time.sleep(LASTS_S / 3)
                with outage("RTMP server", outages):
                    nginx.end()
                nginx.start()
                time.sleep(max(0.0, began + LASTS_S * 2 / 3 - time.monotonic()))
                with outage("broker", outages):
                    broker.kill()
                broker.start()
                time.sleep(max(0.0, began + LASTS_S - time.monotonic()))
                assert worker.poll() is None
                ingest.send_signal(signal.SIGTERM)
                assert ingest.wait(60) == 0
            wait_until(lambda: not sum(line["lag"] for line in cli.lines("topics", "lag")), 300)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0
        *_, proof = cli.lines("topics", "verify")
        ingested.seek(0)
        told = [json.loads(line) for line in ingested]
        segments = [(wire.segment_of(each), each) for each in everything(bus, "scanner.segments")]
        verdicts = everything(bus, "scanner.verdicts")
    account(segments, verdicts, outages, told, proof)


def everything(bus: KafkaBus, topic: str) -> list[Delivery]:
    found: list[Delivery] = []
    with closing(bus.reader([topic], from_beginning=True)) as reader:
        while not reader.at_end():
            found += reader.poll(0.2, 1000)
    return found


def account(
    segments: list[tuple[Segment, Delivery]],
    verdicts: list[Delivery],
    outages: list[Outage],
    told: list[dict],
    proof: dict,
) -> None:
    """Prints the figures, and holds every one of them against another."""
    streams = defaultdict(list)
    for segment, _ in segments:
        streams[segment.stream_id].append(segment)
    assert set(streams) == set(STREAMS)
    answers = [wire.verdict_of(each.record) for each in verdicts]
    captured = {(segment.stream_id, segment.sequence): segment.captured_at_ms or 0 for segment, _ in segments}
    delays_s = [
        (each.timestamp_ms - captured[verdict.stream_id, verdict.sequence]) / 1000 - SEGMENT_S
        for each, verdict in zip(verdicts, answers, strict=True)
    ]
    percentiles = quantiles(delays_s, n=100)
    print(f"\n{len(segments)} segments, {len(verdicts)} verdicts, {proof['dead_letters']} dead letters")
    print(f"verdicts after the segment's end: median {percentiles[49]:.2f} s, 95 % {percentiles[94]:.2f} s")
    print(f"labels {Counter(str(v.label) for v in answers)}, modes {Counter(str(v.coverage.mode) for v in answers)}")
    print(f"shed {sum(Reason.SHED in verdict.reasons for verdict in answers)}")
    for one in outages:
        print(f"outage of the {one.of}: {one.ended_s - one.began_s:.0f} s")
    for source in told:
        account_of_stream(streams[source["name"]], outages, source)
    print(f"proof: {proof}")
    assert proof["holds"]
    assert proof["segments"] == len(segments) == proof["verdicts"] + proof["dead_letters"]
    assert (proof["missing"], proof["double"], proof["repeated_upstream"]) == (0, 0, 0)
    assert proof["dead_letters"] == proof["pending"] == 0
    assert proof["lost_upstream"] == len(STREAMS)


def account_of_stream(segments: list[Segment], outages: list[Outage], told: dict) -> None:
    pairs = list(itertools.pairwise(segments))
    assert all(before.sequence < after.sequence for before, after in pairs)
    gaps = [(before, after) for before, after in pairs if after.sequence - before.sequence > 1]
    missing = sum(after.sequence - before.sequence - 1 for before, after in gaps)
    dark_s = sum((after.start_ms - before.start_ms) / 1000 - SEGMENT_S for before, after in gaps)
    spread_s = (segments[-1].start_ms - segments[0].start_ms) / 1000 + SEGMENT_S
    wall_s = ((segments[-1].captured_at_ms or 0) - (segments[0].captured_at_ms or 0)) / 1000 + SEGMENT_S
    print(
        f"{told['name']}: {len(segments)} segments over {spread_s:.1f} s (wall clock {wall_s:.1f} s), {len(gaps)} gaps"
        f" of {dark_s:.1f} s in all, {missing} numbers missing, {told['lost']} told lost, {told['reconnects']} retries"
    )
    (rtmp,) = (one for one in outages if one.of == "RTMP server")
    assert all(rtmp.explains(*gap) for gap in gaps), "a gap that no outage of the server explains"
    assert len(gaps) == 1, "the server was away once; the broker's absence costs nothing"
    assert missing == told["lost"] == 1
    assert told["published"] == len(segments)
    assert OUTAGE_S - 2 * SEGMENT_S < dark_s < OUTAGE_S + 2 * SETTLING_S
    assert abs(spread_s - wall_s) < 1.0
    assert abs(len(segments) * SEGMENT_S + dark_s - spread_s) < 2 * SEGMENT_S
