"""An archive of drawn videos through the real command: killed in the middle, resumed, and the same for any cells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.testing import draw_video
from scanner.wire import segment_of


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for number in range(5):
        (folder / f"{number}.mp4").write_bytes(draw_video(frames=50, gop=25, seed=number))
    (folder / "broken.mp4").write_text("not a video")
    return folder


def command(archive: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "scanner", "replay", str(archive), "--out", str(out), "--no-cache", "--json", *more]


def results(out: Path) -> list[dict[str, Any]]:
    """All lines without what timing and place change."""
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in {"timing_ms", "source"}} for line in lines]


def test_a_killed_replay_goes_on_and_gives_the_same_for_any_number_of_cells(archive: Path, tmp_path: Path) -> None:
    whole = subprocess.run(
        command(archive, tmp_path / "whole", "--at-once", "1"),
        env={**os.environ, "SCANNER_SCAN__CELLS": "1"},
        capture_output=True,
        check=False,
    )
    assert whole.returncode == 3  # one file is broken
    assert "not scanned" in whole.stderr.decode() or "broken.mp4" in whole.stderr.decode()
    told = json.loads(whole.stdout)
    assert (told["files"], told["done"], told["failed"]) == (6, 6, 1)

    killed = subprocess.Popen(command(archive, tmp_path / "killed"), stdout=subprocess.DEVNULL)
    journal = tmp_path / "killed" / "journal.jsonl"
    until = time.monotonic() + 120
    while not (journal.exists() and journal.read_bytes().count(b"stream_id") >= 2):
        assert killed.poll() is None, "it was too fast to be killed"
        assert time.monotonic() < until
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    again = subprocess.run(
        command(archive, tmp_path / "killed"),
        env={**os.environ, "SCANNER_SCAN__CELLS": "2"},
        capture_output=True,
        check=False,
    )
    resumed = json.loads(again.stdout)
    assert resumed["done"] == 6
    assert resumed["done_before"] >= 2
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    page = Path(resumed["page"]).read_text()
    assert "6 files scanned" in page
    assert "1 file with failures" in page


@pytest.mark.kafka
def test_an_archive_published_through_a_kill_holds_every_segment_once(
    kafka_broker: LocalBroker, tmp_path: Path
) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.mp4").write_bytes(draw_video(frames=400, gop=25, seed=number))
    environment = {
        **os.environ,
        "SCANNER_KAFKA__BOOTSTRAP_SERVERS": kafka_broker.bootstrap,
        "SCANNER_TOPICS__ARCHIVE": "replayed-segments",
    }
    scanner = [sys.executable, "-m", "scanner"]
    subprocess.run([*scanner, "topics", "create"], env=environment, check=True, capture_output=True)
    out = tmp_path / "out"
    told = [*scanner, "replay", str(folder), "--to", "kafka", "--out", str(out), "--json"]
    killed = subprocess.Popen([*told, "--speed", "2"], env=environment, stdout=subprocess.DEVNULL)
    bus = KafkaBus(KafkaConfig((kafka_broker.bootstrap,)))
    until = time.monotonic() + 60
    while len(numbers_on(bus)) < 4:
        assert killed.poll() is None
        assert time.monotonic() < until
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    half = len(numbers_on(bus))
    again = subprocess.run(told, env=environment, check=True, capture_output=True)
    found = json.loads(again.stdout)
    assert (found["done"], found["stopped"]) == (3, False)
    assert found["segments"] < 24, "what had arrived was published again"
    assert half < 24
    assert sorted(numbers_on(bus)) == [(f"{file}.mp4", number) for file in range(3) for number in range(8)]

    here = tmp_path / "here"
    asked = ["--from-topic", "--since", "1h", "--coverage", "patrol", "--out", str(here), "--json"]
    environment |= {"SCANNER_TOPICS__SEGMENTS": "replayed-segments", "SCANNER_TOPICS__ARCHIVE": ""}
    scanned = subprocess.run([*scanner, "replay", *asked], env=environment, check=False, capture_output=True)
    assert scanned.returncode == 0, scanned.stderr
    counted = json.loads(scanned.stdout)
    assert (counted["streams"], counted["segments"], counted["failed"]) == (3, 24, 0)
    assert "3 files scanned" in Path(counted["page"]).read_text()


def numbers_on(bus: KafkaBus) -> list[tuple[str, int]]:
    with closing(bus.reader(["replayed-segments"], from_beginning=True)) as reader:
        found = []
        while not reader.at_end():
            found += [segment_of(delivery) for delivery in reader.poll(0.2, 500)]
    return [(segment.stream_id, segment.sequence) for segment in found]
