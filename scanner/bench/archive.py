"""An archive through a worker group: how fast, beside decoding alone, and whether it says the same whoever answers.

files ──cut──▶ archive topic ──▶ workers ──▶ verdicts, dead letters ──▶ payloads by stream and sequence
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av

from scanner.bench.group import Group
from scanner.bench.live import published_loop
from scanner.bench.material import Loop
from scanner.bench.usage import usage_of
from scanner.core.errors import ScannerError
from scanner.ports import Bus, Delivery

SILENT_S = 300.0
"""a group that answers nothing for so long has stopped"""
_POLL_S = 0.25
_DECLARED = ("timing_ms", "source")
"""what of a verdict may differ between two runs: times, and the offset its segment was given"""

Payloads = Mapping[tuple[str, int], bytes]
"""stream and sequence to the verdict's JSON without the declared fields, or a dead letter's stage and message"""


class ArchiveStalledError(ScannerError):
    """The workers stopped answering."""


@dataclass(frozen=True, slots=True)
class ArchiveFigures:
    """One run, from the first file cut to the last answer read."""

    workers: int
    segments: int
    dead_letters: int
    video_s: float
    wall_s: float
    cpu_s: float
    """of workers and cells together"""
    cutting_cpu_s: float
    """of this process and its cutters"""
    sha256: str
    """of all payloads in the order of streams and sequences"""

    @property
    def hours_per_hour(self) -> float:
        """Of video, an hour on the clock."""
        return self.video_s / self.wall_s

    @property
    def hours_per_core_hour(self) -> float:
        """Of video, an hour of a core that is really given: what else runs on the machine counts little."""
        return self.video_s / (self.cpu_s + self.cutting_cpu_s)


def run_archive(
    group: Group, workers: int, publish: Callable[[Bus, str], int], told: Callable[[int, int], None] = lambda *_: None
) -> tuple[ArchiveFigures, Payloads]:
    """Publishes and waits for every answer.

    Args:
        publish: puts the archive on the topic of that name; how many segments it has.
        told: about four times a second: answered, and how many there are to be.

    Raises:
        ArchiveStalledError: nothing was answered for SILENT_S.
    """
    mine = {name: role for name, role in group.roles.items() if name != "broker"}
    before = {name: usage_of(role).cpu_s for name, role in mine.items()}
    began = time.monotonic()
    with ThreadPoolExecutor(1, thread_name_prefix="publish") as aside:
        publishing = aside.submit(publish, group.bus, group.topics.archive or group.topics.segments)
        answers = Answers()
        for count in answers.until(group, publishing.done):
            told(count, publishing.result() if publishing.done() else 0)
            if publishing.done() and count >= publishing.result():
                break
    wall = time.monotonic() - began
    spent = {name: usage_of(role).cpu_s - before[name] for name, role in mine.items()}
    figures = ArchiveFigures(
        workers=workers,
        segments=len(answers.payloads),
        dead_letters=answers.dead_letters,
        video_s=round(answers.video_ms / 1000, 1),
        wall_s=round(wall, 1),
        cpu_s=round(sum(cpu for name, cpu in spent.items() if name != "bench"), 1),
        cutting_cpu_s=round(spent["bench"], 1),
        sha256=digest_of(answers.payloads),
    )
    return figures, answers.payloads


class Answers:
    """What came back so far."""

    def __init__(self) -> None:
        self.payloads: dict[tuple[str, int], bytes] = {}
        self.video_ms = 0
        self.dead_letters = 0

    def until(self, group: Group, all_published: Callable[[], bool]) -> Iterator[int]:
        """Counts of answers, until the caller has enough. Raises ArchiveStalledError."""
        heard = time.monotonic()
        with closing(
            group.bus.reader([group.topics.verdicts, group.topics.deadletters], from_beginning=True)
        ) as reader:
            while True:
                for delivery in reader.poll(_POLL_S, limit=1000):
                    heard = time.monotonic()
                    self._take(delivery, group.topics.verdicts)
                if time.monotonic() - heard > SILENT_S and all_published():
                    raise ArchiveStalledError(f"no answer for {SILENT_S:g} s after {len(self.payloads)} segments")
                yield len(self.payloads)

    def _take(self, delivery: Delivery, verdicts: str) -> None:
        headers = {name: value.decode(errors="replace") for name, value in delivery.record.headers}
        if delivery.record.topic != verdicts:
            self.dead_letters += 1
            said = f"{headers.get('scanner-stage')}: {headers.get('__streams.errors.message')}"
            self.payloads[headers.get("stream-id", ""), int(headers.get("sequence", "0"))] = said.encode()
            return
        verdict = json.loads(delivery.record.value or b"{}")
        self.video_ms += verdict["end_ms"] - verdict["start_ms"]
        kept = {name: value for name, value in verdict.items() if name not in _DECLARED}
        self.payloads[verdict["stream_id"], verdict["sequence"]] = json.dumps(kept).encode()


def digest_of(payloads: Payloads) -> str:
    """Equal for equal payloads, whatever the order they came in."""
    digest = hashlib.sha256()
    for (stream, sequence), payload in sorted(payloads.items()):
        digest.update(f"{stream}\n{sequence}\n{len(payload)}\n".encode() + payload)
    return digest.hexdigest()


def unlike(one: Payloads, other: Payloads) -> list[tuple[str, int]]:
    """Segments that are not answered alike in both."""
    return sorted(place for place in one.keys() | other.keys() if one.get(place) != other.get(place))


@dataclass(frozen=True, slots=True)
class Decoding:
    """Every frame decoded by PyAV, one thread a core, and nothing else done."""

    video_s: float
    wall_s: float
    cpu_s: float

    @property
    def hours_per_hour(self) -> float:
        return self.video_s / self.wall_s

    @property
    def hours_per_core_hour(self) -> float:
        return self.video_s / self.cpu_s


def decoding_alone(files: Sequence[Path], cores: int) -> Decoding:
    """Raises av.FFmpegError where a file is no video."""
    began, cpu = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(cores, thread_name_prefix="decode") as threads:
        seconds = sum(threads.map(_decoded_s, files))
    return Decoding(round(seconds, 1), round(time.monotonic() - began, 2), round(time.process_time() - cpu, 2))


def _decoded_s(file: Path) -> float:
    """Seconds of video."""
    first = last = None
    step = 0.0
    with av.open(str(file), "r") as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for frame in container.decode(stream):
            first = frame.time if first is None else first
            last = frame.time
        step = float(1 / stream.average_rate) if stream.average_rate else 0.0
    return 0.0 if first is None or last is None else last - first + step


def backlog(group: Group, loops: Sequence[Loop], segments: int) -> None:
    """So many segments of archives, in streams of twenty, for workers to have something to do beside live streams."""
    topic = group.topics.archive or group.topics.segments
    with closing(group.bus.publisher()) as publisher:
        for number in range(segments):
            publisher.publish(
                published_loop(loops[number // 20 % len(loops)], f"film-{number // 20:05}", number % 20, topic)
            )
        publisher.flush(120.0)
