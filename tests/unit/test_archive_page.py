"""A replay's page: what it counts, what it shows of many files, and that nothing foreign runs in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scanner.replay.journal import Done, Journal
from scanner.replay.runs import Run
from scanner.report.archive import FAILED, HIGHEST, SLOWEST, Row, Told, overview_of, rows_of, write_archive_page
from scanner.report.model import Thresholds

LINES = Thresholds(0.6, 0.8)
TOTALS = {
    "seconds": 90.0,
    "video_hours_per_hour": 6.5,
    "video_hours_per_hour_and_core": 3.25,
    "from_cache": 2,
    "done_before": 0,
    "stopped": False,
}


def page(tmp_path: Path, rows: list[Row], **totals: object) -> str:
    told = Told("results", "fake 1", LINES, (("coverage", "full"),), {**TOTALS, **totals}, ("results.jsonl",))
    write_archive_page(tmp_path / "summary.html", rows, told)
    return (tmp_path / "summary.html").read_text()


def test_rows_come_from_the_journal_and_the_last_line_of_each_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"model": "m"})
    spans = [{"start_ms": 0, "end_ms": 320, "score": 0.7}, {"start_ms": 900, "end_ms": 1220, "score": 0.9}]
    summary = {"type": "summary", "uri": "in/a.mp4", "label": "suspected", "score": 0.71, "spans": spans}
    error = {"type": "error", "uri": "in/b.mp4", "reason": "no video"}
    good = Done("a.mp4", "", 10, 2000, 1, "suspected", took_ms=500)
    journal.finish(good, [b'{"verdict_id": "1"}', json.dumps(summary).encode()])
    journal.finish(Done("b.mp4", "", 10, 0, 0, None, ("no video",)), [json.dumps(error).encode()])
    journal.close()
    run = Run(tmp_path)
    run.follow()
    first, second = rows_of(run)
    assert first == Row("a.mp4", "in/a.mp4", "suspected", 0.71, ((900, 1220), (0, 320)), 2000, 1, 500)
    assert first.speed == 4.0
    assert first.href == (Path.cwd() / "in/a.mp4").as_uri()
    assert second == Row("b.mp4", "in/b.mp4", failures=("no video",))


@pytest.mark.parametrize("spans", [0, 3, 1500])
def test_a_summary_is_found_whatever_its_length(tmp_path: Path, spans: int) -> None:
    journal = Journal(tmp_path, {"model": "m"})
    for name in ("a", "b"):
        found = [{"start_ms": n, "end_ms": n + 1, "score": 0.9} for n in range(spans)]
        summary = {"type": "summary", "uri": name, "label": "suspected", "score": 0.75, "spans": found}
        verdict = {"verdict_id": "1", "pad": "x" * 9000}
        done = Done(name, "", 10, 2000, 1, "suspected")
        journal.finish(done, [json.dumps(verdict).encode(), json.dumps(summary).encode()])
    journal.close()
    run = Run(tmp_path)
    run.follow()
    assert [(row.place, row.score, len(row.moments)) for row in rows_of(run)] == [
        (name, 0.75, min(spans, 4)) for name in ("a", "b")
    ]


def test_the_page_tells_counts_rates_failures_and_where_to_look(tmp_path: Path) -> None:
    rows = [
        Row("a.mp4", "/films/a.mp4", "manipulated", 0.93, ((1500, 3000),), 60_000, 30, 12_000),
        Row("b.mp4", "s3://films/b.mp4", "suspected", 0.7, ((0, 320),), 60_000, 30, 9_000),
        Row("c.mp4", "/films/c.mp4", "no_manipulation_found", 0.1, (), 60_000, 30, 8_000),
        Row("d.mp4", "/films/d.mp4", failures=("cannot be read as video",)),
    ]
    told = page(tmp_path, rows)
    assert "4 files scanned" in told
    assert "3 min 0 s of video in 90 segments" in told
    assert "<b>1</b> suspected <small>25 %</small>" in told
    assert "6.5 × <small>real time</small>" in told
    assert '<a href="file:///films/a.mp4#t=1.5,3.0">0:01.5–0:03.0</a>' in told
    assert "none reaches 0.60" in told
    assert 'href="s3' not in told, "no browser opens it"
    assert "cannot be read as video" in told
    assert told.index("What took longest") < told.index("12.0 s") < told.index("9.0 s") < told.index("8.0 s")


def test_only_rows_worth_a_look_are_kept_of_very_many(tmp_path: Path) -> None:
    rows = [
        Row(
            f"{number}.mp4", f"/films/{number}.mp4", "suspected", number / 5000, (), 1000, 1, number + 1, False, ("no",)
        )
        for number in range(5000)
    ]
    overview = overview_of(rows, LINES)
    assert (overview.files, overview.failed, sum(overview.bins)) == (5000, 5000, 5000)
    assert sorted(row.name for _, _, row in overview.highest) == sorted(
        f"{5000 - n}.mp4" for n in range(1, HIGHEST + 1)
    )
    assert min(took for took, _, _ in overview.slowest) == 5001 - SLOWEST
    assert len(overview.failures) == FAILED
    assert len(page(tmp_path, rows)) < 200_000
    assert f"{HIGHEST} of 5\u202f000; all of them stand in results.jsonl" in page(tmp_path, rows)


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\u202egpj.exe"])
def test_names_and_reasons_are_shown_and_never_run(tmp_path: Path, hostile: str) -> None:
    row = Row(hostile, f"/films/{hostile}", "suspected", 0.7, ((0, 10),), 1000, 1, 5, False, (hostile,))
    told = page(tmp_path, [row])
    assert hostile not in told
    assert "default-src &#39;none&#39;" in told


def test_what_came_from_the_cache_is_not_among_what_took_longest(tmp_path: Path) -> None:
    cached = Row("a.mp4", label="suspected", score=0.7, duration_ms=1000, segments=1, took_ms=3, cached=True)
    assert "What took longest" not in page(tmp_path, [cached])


def test_a_run_that_was_stopped_says_how_to_go_on(tmp_path: Path) -> None:
    assert "run the same command again" in page(tmp_path, [Row("a.mp4")], stopped=True)
    assert "run the same command again" not in page(tmp_path, [Row("a.mp4")])


def test_streams_of_a_topic_have_no_place_and_no_link(tmp_path: Path) -> None:
    told = page(tmp_path, [Row("cam-7", label="suspected", score=0.7, moments=((0, 2000),))])
    assert "cam-7" in told
    assert 'href="file:' not in told
