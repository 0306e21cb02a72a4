"""`scanner topics`, `publish` and `tail` as people and scripts meet them, on a real Apache Kafka."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import pytest

from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.cli.app import main
from scanner.core.errors import SegmentInvalidError
from scanner.core.identity import identity
from scanner.core.types import Alert, Edge, Label, Mode, ModelRef, Provenance, Segment, Tally, Verdict
from scanner.letters import DeadLetter, deadletter_record
from scanner.ports import Delivery, Record
from scanner.testing import draw_video
from scanner.wire import (
    Topics,
    alert_record,
    segment_of,
    segment_record,
    verdict_record,
)

pytestmark = pytest.mark.kafka

KINDS = (
    "segments",
    "verdicts",
    "alerts",
    "states",
    "deadletters",
    "reviews",
    "archive",
    "archive_states",
    "shadow",
    "faces",
)


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str


class Scanner:
    """The program with topics of its own."""

    def __init__(self, broker: LocalBroker) -> None:
        self.topics = {kind: f"{kind}-{uuid.uuid4()}" for kind in KINDS}
        self.bus = KafkaBus(KafkaConfig((broker.bootstrap,)))
        self.environment = {
            "SCANNER_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap,
            **{f"SCANNER_TOPICS__{kind.upper()}": name for kind, name in self.topics.items()},
        }

    def __call__(self, *arguments: object, code: int = 0) -> Done:
        """In this process: starting Python and its libraries 15 times took longer than all the rest."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        argv = patch.object(sys, "argv", ["scanner", *map(str, arguments)])
        with argv, patch.dict(os.environ, self.environment), redirect_stdout(out), redirect_stderr(err):
            handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            with pytest.raises(SystemExit) as end:
                main()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        done = Done(*(stream.buffer.getvalue().decode() for stream in (out, err)))
        assert (end.value.code or 0) == code, done.stderr
        return done

    def lines(self, *arguments: object, code: int = 0) -> list[dict]:
        return [json.loads(line) for line in self(*arguments, code=code).stdout.splitlines()]


@pytest.fixture
def scanner(kafka_broker: LocalBroker) -> Scanner:
    """With empty topics."""
    return created(kafka_broker)


@pytest.fixture(scope="module")
def follower(kafka_broker: LocalBroker) -> Scanner:
    """With topics that several tests read."""
    return created(kafka_broker)


def created(broker: LocalBroker) -> Scanner:
    scanner = Scanner(broker)
    made = scanner("topics", "create", "--partitions", 3)
    assert made.stdout.split() == sorted(scanner.topics.values())
    return scanner


@pytest.fixture(scope="module")
def said(follower: Scanner) -> list[Verdict]:
    """Four verdicts and an alert, on their topics."""
    verdicts = [
        verdict("cam-1", 0, Label.NO_MANIPULATION_FOUND),
        verdict("cam-1", 1, Label.MANIPULATED),
        verdict("cam-2", 0, Label.MANIPULATED),
        verdict("cam-2", 1, Label.INSUFFICIENT_EVIDENCE),
    ]
    alert = Alert("a1", Edge.RAISED, "cam-2", "1", 0, 1000, 9.5, (), verdicts[2].verdict_id)
    publisher = follower.bus.publisher()
    for each in verdicts:
        publisher.publish(verdict_record(each, follower.topics["verdicts"], at_ms=0))
    publisher.publish(alert_record(alert, follower.topics["alerts"], at_ms=0))
    publisher.flush(30)
    publisher.close()
    return verdicts


def verdict(stream: str, sequence: int, label: Label) -> Verdict:
    return Verdict(
        verdict_id=f"{stream}/{sequence}",
        stream_id=stream,
        sequence=sequence,
        start_ms=1000 * sequence,
        end_ms=1000 * (sequence + 1),
        label=label,
        score=None if label is Label.INSUFFICIENT_EVIDENCE else 0.5,
        reasons=(),
        tracks=(),
        provenance=Provenance(),
        coverage=Tally(25, 25, 16, 0, Mode.FULL),
        model=ModelRef("m", "0" * 64),
        policy_sha256="1" * 64,
    )


def test_topics_are_created_once(scanner: Scanner) -> None:
    again = scanner("topics", "create")
    assert again.stdout == ""
    assert "0 created, 10 there already" in again.stderr


def test_publish_says_what_is_durable_and_lag_counts_it(scanner: Scanner, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(draw_video(frames=100, rate=25, gop=25))  # 4 s: two segments of 2 s
    outcomes = scanner.lines("publish", "--copies", 3, clip)
    assert sorted((o["type"], o["stream_id"], o["segments"]) for o in outcomes) == [
        ("published", f"clip.mp4~{n}", 2) for n in (1, 2, 3)
    ]
    lag = scanner.lines("topics", "lag")
    assert [(line["topic"], line["partition"]) for line in lag] == [
        (scanner.topics[kind], number) for kind in ("archive", "segments") for number in range(3)
    ]
    assert sum(line["lag"] for line in lag) == 6
    reader = scanner.bus.reader([scanner.topics["segments"]], from_beginning=True)
    segments = []
    while not reader.at_end():
        segments += [segment_of(delivery) for delivery in reader.poll(1, 100)]
    reader.close()
    assert len({segment.sha256 for segment in segments}) == 2


def test_publish_goes_on_after_a_file_that_is_no_video(scanner: Scanner, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "b.mp4").write_bytes(draw_video(frames=25))
    outcomes = scanner.lines("publish", tmp_path, code=3)
    assert sorted(o["type"] for o in outcomes) == ["error", "published"]


@pytest.mark.parametrize("wrong", [["--speed", "fast"], ["--speed", "0"], ["--stream-id", "x"]])
def test_publish_refuses_what_makes_no_sense(scanner: Scanner, tmp_path: Path, wrong: list[str]) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"never read")
    refused = scanner("publish", *wrong, tmp_path, code=2)
    assert wrong[0] in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_loop_ends_cleanly_at_sigterm(scanner: Scanner, tmp_path: Path) -> None:
    clip = tmp_path / "loop.mp4"
    clip.write_bytes(draw_video(frames=25, rate=25, gop=25))
    command = [sys.executable, "-m", "scanner", "publish", "--loop", "--speed", "20", str(clip)]
    reader = scanner.bus.reader([scanner.topics["segments"]], from_beginning=True)
    with subprocess.Popen(command, env={**os.environ, **scanner.environment}, stdout=subprocess.PIPE) as running:
        try:
            seen, deadline = 0, time.monotonic() + 120
            while seen < 3 and time.monotonic() < deadline:
                seen += len(reader.poll(0.2, 100))
            running.terminate()
            output, _ = running.communicate(timeout=120)
        finally:
            running.kill()
    assert seen >= 3
    assert running.returncode == 0
    assert json.loads(output)["segments"] >= 3
    segments = []
    while not reader.at_end():
        segments += [segment_of(delivery) for delivery in reader.poll(1, 100)]
    reader.close()
    assert segments[-1].end_of_stream


def test_tail_prints_verdicts_and_alerts_as_they_are(follower: Scanner, said: list[Verdict]) -> None:
    lines = follower.lines("tail", "--from-beginning", "--timeout", 2)
    assert {line["verdict_id"] for line in lines if "label" in line} == {each.verdict_id for each in said}
    assert [line["edge"] for line in lines if "alert_id" in line] == ["raised"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["--stream", "cam-1"], ["cam-1/0", "cam-1/1"]),
        (["--label", "manipulated"], ["cam-1/1", "cam-2/0"]),
        (["--label", "manipulated", "--stream", "cam-2"], ["cam-2/0"]),
    ],
)
def test_tail_shows_what_was_asked_for(
    follower: Scanner, said: list[Verdict], asked: list[str], expected: list[str]
) -> None:
    lines = follower.lines("tail", "--from-beginning", "--count", len(expected), "--timeout", 30, *asked)
    assert sorted(line["verdict_id"] for line in lines if "label" in line) == expected


def test_tail_says_when_the_time_was_up(follower: Scanner, said: list[Verdict]) -> None:
    late = follower("tail", "--count", 1, "--timeout", 1, code=3)
    assert "0 of 1 verdicts came within 1 s" in late.stderr


def test_a_missing_topic_is_one_line_that_says_what_to_do(kafka_broker: LocalBroker) -> None:
    lost = Scanner(kafka_broker)("tail", "--timeout", 1, code=3)
    assert lost.stderr.count("\n") == 1
    assert "run `scanner topics create`" in lost.stderr


def test_topics_verify_proves_one_answer_a_segment_or_says_what_is_wrong(scanner: Scanner) -> None:
    topics = Topics(**scanner.topics)
    group = f"group-{uuid.uuid4()}"
    for number in range(3):
        segment = Segment("cam", number, 1000 * number, b"x", hashlib.sha256(b"x").hexdigest())
        publish(scanner, segment_record(segment, topics.segments))
    publish(scanner, Record(topics.segments, b"cam", b"noise"))
    with closing(scanner.bus.subscribe([topics.segments], group)) as member:
        asked: list[Delivery] = []
        while len(asked) < 4:
            asked += member.poll(0.5, 10)
        outputs = [answer_to(delivery, topics) for delivery in asked]
        ends = {(topics.segments, asked[0].partition): asked[-1].offset}
        member.commit(outputs[:3], ends)
        (told,) = scanner.lines("topics", "verify", "--group", group)
        assert (told["holds"], told["segments"], told["verdicts"], told["pending"]) == (True, 4, 3, 1)
        member.commit(outputs[3:], {place: offset + 1 for place, offset in ends.items()})
        (told,) = scanner.lines("topics", "verify", "--group", group)
        assert (told["holds"], told["dead_letters"], told["pending"]) == (True, 1, 0)
        member.commit(outputs[1:2], {})
    *found, told = scanner.lines("topics", "verify", "--group", group, code=1)
    assert [(each["kind"], each["offset"]) for each in found] == [("double", asked[1].offset)]
    assert (told["holds"], told["double"]) == (False, 1)


def publish(scanner: Scanner, record: Record) -> None:
    publisher = scanner.bus.publisher()
    publisher.publish(record)
    publisher.flush(30)
    publisher.close()


def answer_to(delivery: Delivery, topics: Topics) -> Record:
    """A verdict or a dead letter, as the worker writes them."""
    try:
        segment = segment_of(delivery)
    except SegmentInvalidError as error:
        return deadletter_record(delivery, DeadLetter(error, 1), topics.deadletters, at_ms=0)
    plain = verdict(segment.stream_id, segment.sequence, Label.NO_MANIPULATION_FOUND)
    facts = (segment.stream_id, segment.sequence, segment.sha256, Mode.FULL, plain.model.sha256, plain.policy_sha256)
    said = replace(plain, verdict_id=identity(*facts), source=delivery.source)
    return verdict_record(said, topics.verdicts, at_ms=0)


def test_dead_letters_are_listed_shown_and_redriven_once(scanner: Scanner, tmp_path: Path) -> None:
    topics = Topics(**scanner.topics)
    group = f"group-{uuid.uuid4()}"
    publish(scanner, Record(topics.segments, b"cam", b"noise", (("stream-id", b"cam"),)))
    with closing(scanner.bus.subscribe([topics.segments], group)) as member:
        asked: list[Delivery] = []
        while not asked:
            asked = member.poll(0.5, 10)
        member.commit([answer_to(asked[0], topics)], {(topics.segments, asked[0].partition): 1})
    (listed,) = scanner.lines("deadletters", "list", "--stage", "wire")
    assert (listed["stream_id"], listed["disposition"]) == ("cam", "poison")
    assert scanner.lines("deadletters", "list", "--stream", "other") == []
    shown = json.loads(scanner("deadletters", "show", listed["at"], "--save", tmp_path / "saved").stdout)
    assert "content-sha256" in shown["message"]
    assert (tmp_path / "saved").read_bytes() == b"noise"
    scanner("deadletters", "show", "0/999", code=3)
    scanner("deadletters", "redrive", code=2)
    for options, fate in ((["--dry-run"], "redriven"), ([], "redriven"), ([], "redriven_before")):
        (told,) = scanner.lines("deadletters", "redrive", listed["at"], *options)
        assert told["fate"] == fate
    assert sum(scanner.bus.lag(topics.segments, group).values()) == 1
