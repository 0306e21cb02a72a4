"""The same clips alone, on the in-memory bus and through Apache Kafka and a worker group: the same verdicts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from scanner.sample import draw_sample

PATIENCE_S = 180


def scanner(*arguments, environment=None, **options):
    command = [sys.executable, "-m", "scanner", *map(str, arguments)]
    return subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
        **options,
    )


def verdicts_in(output: bytes) -> list[dict]:
    return [line for line in map(json.loads, output.splitlines()) if "verdict_id" in line]


def facts(verdicts):
    """What must not depend on the road that was taken, to the byte, by id."""
    declared = {"timing_ms", "source"}
    kept = ({name: value for name, value in v.items() if name not in declared} for v in verdicts)
    return {v["verdict_id"]: json.dumps(v) for v in kept}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    draw_sample(folder / "calm.mp4", forged=False, seconds=6)
    draw_sample(folder / "forged.mp4", forged=True, seconds=6)
    draw_sample(folder / "other.mp4", forged=False, seconds=4, seed=5)
    return folder


@pytest.fixture(scope="module")
def alone(clips):
    return facts(verdicts_in(scanner("scan", "--json", "--device", "cpu", clips).stdout))


def test_two_scans_say_the_same(clips, alone) -> None:
    assert len(alone) >= 8
    again = facts(verdicts_in(scanner("scan", "--json", "--device", "cpu", clips).stdout))
    assert again == alone


@pytest.mark.parametrize(("cells", "threads", "batch"), [(1, 1, 1), (3, 2, 5)])
def test_any_number_of_cells_and_clips_in_a_batch_says_the_same(clips, alone, cells, threads, batch) -> None:
    told = {"CELLS": cells, "SCORE_THREADS": threads, "BATCH_SIZE": batch, "BATCH_WAIT_MS": 50}
    environment = {f"SCANNER_SCAN__{name}": str(value) for name, value in told.items()}
    assert (
        facts(verdicts_in(scanner("scan", "--json", "--device", "cpu", clips, environment=environment).stdout)) == alone
    )


@contextmanager
def workers(count, environment, *more):
    command = [sys.executable, "-m", "scanner", "worker", "--device", "cpu", *more]
    running = [
        subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(count)
    ]
    try:
        yield running
    finally:
        for worker in running:
            worker.send_signal(signal.SIGTERM)
        for worker in running:
            _, told = worker.communicate(timeout=60)
            assert worker.returncode == 0, told.decode()[-2000:]


@pytest.mark.kafka
@pytest.mark.parametrize(("count", "road"), [(1, "publish"), (3, "replay")])
def test_a_worker_group_on_kafka_says_what_a_scan_says(clips, alone, kafka_broker, tmp_path, count, road) -> None:
    """As live segments looked at in full, or as an archive on its own topic, which always is."""
    environment = {
        "SCANNER_KAFKA__BOOTSTRAP_SERVERS": kafka_broker.bootstrap,
        "SCANNER_KAFKA__GROUP": f"group-{count}",
        "SCANNER_TOPICS__PARTITIONS": "4",
        "SCANNER_SCAN__CELLS": "1",
        **({"SCANNER_WORKER__SHADOW_MODEL": "tempo-s"} if road == "publish" else {}),
        **{
            f"SCANNER_TOPICS__{name.upper()}": f"e2e{count}.{name}"
            for name in (
                "segments",
                "verdicts",
                "alerts",
                "states",
                "deadletters",
                "reviews",
                "archive",
                "archive_states",
                "shadow",
            )
        },
    }
    scanner("topics", "create", environment=environment)
    if road == "publish":
        scanner("publish", clips, "--speed", "max", environment=environment)
    else:
        scanner("replay", clips, "--to", "kafka", "--out", tmp_path, environment=environment)
    with workers(count, environment, *(("--coverage", "full") if road == "publish" else ())):
        told = scanner(
            "tail", "--json", "--from-beginning", "--count", len(alone), "--timeout", 150, environment=environment
        )
        assert facts(verdicts_in(told.stdout)) == alone
        if road == "publish":
            the_shadow_said_the_same(environment, len(alone))


def the_shadow_said_the_same(environment, count):
    """The same model once more beside itself, in the same transactions."""
    topics = (f"topic:{environment[f'SCANNER_TOPICS__{name}']}" for name in ("VERDICTS", "SHADOW"))
    told = json.loads(scanner("replay", "diff", *topics, "--json", environment=environment).stdout)
    assert (told["segments_compared"], told["segments_changed"]) == (count, 0)
    assert (told["only_before"], told["only_after"]) == ([], [])
    assert told["shift"]["largest_absolute"] == 0
