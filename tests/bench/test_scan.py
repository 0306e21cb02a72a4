"""How fast and how large a scan is: `pytest -m bench tests/bench/test_scan.py -s`. Prints one JSON line a figure."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from scanner.bench.usage import Role, usage_of
from scanner.sample import draw_sample

pytestmark = [pytest.mark.bench, pytest.mark.timeout(7200)]
CLIP_S = 20
ROUNDS = 3
HOUR_S = 3600


def told(figure: str, **facts) -> None:
    sys.stderr.write(json.dumps({"figure": figure, **facts}) + "\n")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scanner", "scan", "--json", "--device", "cpu", *arguments]


def decoded_alone(path: Path) -> float:
    """Seconds PyAV takes to decode every frame on one thread, nothing else."""
    began = time.perf_counter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for _ in container.decode(stream):
            pass
    return time.perf_counter() - began


def test_full_coverage_beside_decoding_alone(tmp_path) -> None:
    """720p30, one face, everything decoded and scored; start-up is taken out by scanning a short clip too."""
    long, short = tmp_path / "long.mp4", tmp_path / "short.mp4"
    draw_sample(long, forged=False, seconds=CLIP_S, fps=30, size=(1280, 720))
    draw_sample(short, forged=False, seconds=2, fps=30, size=(1280, 720))
    speeds, decodes, ratios = [], [], []
    for _ in range(ROUNDS):
        spent = {}
        for path in (short, long):
            began = time.perf_counter()
            subprocess.run(command(str(path)), check=True, capture_output=True)
            spent[path] = time.perf_counter() - began
        scanning = spent[long] - spent[short]
        decoding = decoded_alone(long) * (CLIP_S - 2) / CLIP_S
        speeds.append((CLIP_S - 2) / scanning)
        decodes.append((CLIP_S - 2) / decoding)
        ratios.append(decoding / scanning)
    told(
        "full_coverage_720p30",
        cores=len(os.sched_getaffinity(0)),
        times_real_time=round(statistics.median(speeds), 2),
        decode_alone_times_real_time=round(statistics.median(decodes), 2),
        decode_alone_over_scan=round(statistics.median(ratios), 3),
        rounds=ROUNDS,
    )
    assert min(speeds) > 0


def test_memory_of_an_hour_of_1080p(tmp_path) -> None:
    """Peak memory of all processes together stays under 1.5 GiB."""
    path = tmp_path / "hour.mp4"
    seconds = int(os.environ.get("SCANNER_BENCH_SECONDS", HOUR_S))
    loop_for(seconds, path, tmp_path)
    coverage = os.environ.get("SCANNER_BENCH_COVERAGE", "patrol")
    began, peak, lines = time.perf_counter(), 0.0, 0
    with subprocess.Popen(command(str(path), "--coverage", coverage), stdout=subprocess.PIPE) as process:
        os.set_blocking(process.stdout.fileno(), False)
        while process.poll() is None:
            peak = max(peak, usage_of(Role(process.pid)).pss_mib)
            lines += (process.stdout.read() or b"").count(b"\n")
            time.sleep(0.2)
        lines += (process.stdout.read() or b"").count(b"\n")
    spent = time.perf_counter() - began
    told(
        "hour_1080p",
        coverage=coverage,
        video_s=seconds,
        file_mib=round(path.stat().st_size / 2**20),
        peak_mib=round(peak),
        verdicts=lines - 1,
        times_real_time=round(seconds / spent, 1),
    )
    assert process.returncode == 0
    assert lines - 1 >= seconds / 2 * 0.9
    assert peak < 1536


def loop_for(seconds: int, path: Path, scratch: Path) -> None:
    clip = scratch / "minute.mp4"
    draw_sample(clip, forged=False, seconds=20, fps=30, size=(1920, 1080))
    with av.open(str(path), "w") as output:
        target, shift = None, 0
        while target is None or shift * target.time_base < seconds:
            with av.open(str(clip)) as container:
                stream = container.streams.video[0]
                target = target or output.add_stream_from_template(stream)
                last = 0
                for packet in container.demux(stream):
                    if packet.dts is None:
                        continue
                    last = max(last, packet.pts + packet.duration)
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = target
                    output.mux(packet)
                shift += last
