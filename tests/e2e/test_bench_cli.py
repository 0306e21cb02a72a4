"""`scanner bench` end to end on one small clip: what it says must add up. Speed itself is measured in tests/bench."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from scanner.sample import draw_sample


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "talk.mp4"
    draw_sample(path, forged=False, seconds=4, size=(320, 240))
    return path


def bench(*arguments: str, profile: tuple[str, ...] = ("--profile", "360p30")) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-m", "scanner", "bench", *arguments, *profile, "--json"],
        check=False,
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_live_streams_are_all_answered_and_measured(clip) -> None:
    live, quality = bench(
        "live", str(clip), "--bus", "memory", "--streams", "2", "--seconds", "5", "--coverage", "patrol", "--quality",
        "--patrol-clips", "2", "--patrol-every", "1",
    )  # fmt: skip
    assert live["published"] == live["answered"] == 5  # at 0, 2, 4 s and at 1, 3 s
    assert live["coverage"] == {"patrol": 5}
    assert live["face_frames_where_seen"] == 16  # two clips of 8 a second
    assert live["libraries"].pop("kafka") == 0
    assert set(live["libraries"]) == {"ffmpeg", "mediapipe", "onnxruntime"}
    assert all(cores > 0 for cores in live["libraries"].values())
    latency = live["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    assert live["cpu"]["cells"] > 0
    assert live["memory_mib"]["cells"] > 10
    assert quality["segments"] > 0
    assert 0 <= quality["score_difference"] < 1


def test_stages_are_timed_beside_their_libraries(clip) -> None:
    told = {row["stage"]: row for row in bench("stages", str(clip), "--rounds", "3")}
    assert told.pop("machine") == {
        "stage": "machine",
        "device": "cpu",
        "graphs": "only CUDA has them",
        "decode": "cpu",
    }
    assert set(told) == {"decode", "detect", "crop", "score", "observe", "conclude", "wire", "batch"}
    assert all(row["ours_ms"] > 0 for name, row in told.items() if name != "batch")
    assert all(told[name]["bare_ms"] > 0 for name in ("decode", "detect", "crop", "score", "observe", "wire"))
    assert 0 < told["batch"]["efficiency"] < 1.2
    assert 0 < told["batch"]["ours"] < 1


def test_patrol_is_held_against_full_coverage_on_labelled_files(clip) -> None:
    table = clip.parent / "labels.csv"
    table.write_text(f"file,label\n{clip.name},real\n")
    forged, real = bench("quality", str(clip.parent), "--labels", str(table))
    assert (forged["kind"], forged["streams"]) == ("forged", 0)
    assert (real["kind"], real["streams"], real["segments"]) == ("real", 1, 10)  # 20 s, the clip again and again
    assert real["caught_in_patrol"] <= real["caught_in_full"] <= 1


def test_an_unknown_bus_is_refused(clip) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scanner", "bench", "live", str(clip), "--bus", "pigeon", "--profile", "360p30"],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert b"pigeon" in done.stderr


@pytest.mark.kafka
def test_an_archive_is_answered_alike_by_groups_of_two_sizes_and_its_speed_is_told(clip, kafka_broker) -> None:
    where = ("--bootstrap", kafka_broker.bootstrap)
    decoding, one, two = bench("archive", str(clip), "--copies", "3", "--workers", "1,2", *where, profile=())
    assert decoding["video_s"] == pytest.approx(4.0, abs=0.1)
    assert (one["workers"], two["workers"]) == (1, 2)
    assert one["segments"] == two["segments"] == 6
    assert one["video_s"] == pytest.approx(12.0, abs=0.1)
    assert one["sha256"] == two["sha256"]
    assert one["per_core_hour"] > 0
    assert 0 < one["beside_decoding"] < 1


@pytest.mark.kafka
def test_what_the_kafka_client_takes_is_told_apart(clip, kafka_broker) -> None:
    (live,) = bench("live", str(clip), "--streams", "1", "--seconds", "5", "--bootstrap", kafka_broker.bootstrap)
    assert 0 < live["libraries"]["kafka"] < live["cpu"]["worker"]
    assert 0 < live["ours"] < 1


@pytest.mark.kafka
def test_live_streams_are_measured_without_and_with_an_archive(clip, kafka_broker) -> None:
    where = ("--bootstrap", kafka_broker.bootstrap)
    alone, beside = bench("priorities", str(clip), "--streams", "1", "--seconds", "5", "--backlog", "2", *where)
    assert (alone["archive_segments"], beside["archive_segments"]) == (0, 10)
    assert alone["answered"] == alone["published"] == beside["answered"] == beside["published"] == 3
    assert beside["archive_answered"] > 0
