"""Archive runs on the page: progress, results, and how two runs differ."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from runs import FACTS, done, replayed

from scanner.core.errors import SettingsError
from scanner.core.types import Label
from scanner.dashboard.archives import LISTED
from scanner.replay.journal import JOURNAL, RESULTS, Journal
from scanner.replay.runs import Run, Runs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two runs: one to the end, one that a death has interrupted."""
    replayed(tmp_path / "before", 0.1)
    replayed(tmp_path / "after", 0.9, planned=4)
    return tmp_path


def test_progress_is_what_is_done_of_what_was_planned(root: Path) -> None:
    runs = {run.name: run for run in Runs(root)}
    assert (runs["before"].share, runs["before"].finished) == (1.0, True)
    assert (runs["after"].share, runs["after"].finished) == (0.75, False)
    assert runs["after"].labels == {"no_manipulation_found": 1, "manipulated": 1, "no_verdict": 1}
    assert runs["after"].failed == 1


def test_a_run_that_went_on_counts_from_its_last_start(root: Path) -> None:
    journal = Journal(root / "after", FACTS)
    journal.plan(1, 1000, 2000)
    (run,) = [run for run in Runs(root) if run.name == "after"]
    assert (run.share, run.running, len(run.files)) == (0.0, True, 3)
    done(journal, "d/last.mp4")
    run.follow()
    assert (run.share, run.finished, run.running) == (1.0, True, True)
    journal.close()
    assert not run.running


def test_lines_are_read_once_and_a_half_written_one_later(root: Path) -> None:
    run = Run(root / "after")
    run.follow()
    whole = (root / "after" / JOURNAL).read_bytes()
    last = whole.splitlines(keepends=True)[-1].replace(b"c/broken.mp4", b"d/next.mp4")
    with (root / "after" / JOURNAL).open("ab") as file:
        file.write(last[:20])
        file.flush()
        run.follow()
        assert len(run.files) == 3
        file.write(last[20:])
    run.follow()
    run.follow()
    assert (len(run.files), run.failed) == (4, 2)


def test_a_run_that_was_replaced_is_read_anew(root: Path) -> None:
    runs = Runs(root)
    assert len(list(runs)) == 2
    for name in (JOURNAL, RESULTS):
        (root / "after" / name).unlink()
    journal = Journal(root / "after", FACTS)
    done(journal, "x.mp4")
    journal.close()
    (run,) = [run for run in runs if run.name == "after"]
    assert list(run.files) == ["x.mp4"]


def test_what_cannot_be_read_is_left_out(root: Path) -> None:
    (root / "after" / JOURNAL).write_text("junk\n")
    assert [run.name for run in Runs(root)] == ["before"]
    assert list(Runs(root / "nowhere")) == []


def test_somebody_who_watches_does_not_keep_a_replay_from_starting(root: Path) -> None:
    run = Run(root / "after")
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            assert isinstance(run.running, bool)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for _ in range(20):
            Journal(root / "after", FACTS).close()
    finally:
        stop.set()
        thread.join()


def test_a_files_lines_are_its_own(root: Path) -> None:
    run = Run(root / "after")
    run.follow()
    moved = run.files["b/moved.mp4"]
    assert [(each.stream_id, each.score) for each in run.verdicts(moved)] == [("b/moved.mp4", 0.9)] * 2
    assert run.score(moved) == 0.9
    with pytest.raises(SettingsError, match="too many"):
        run.verdicts(replace(moved, end=10**12))


# The pages.


@pytest.fixture
def client(make_desk, root):
    return make_desk(**{"dashboard.runs": str(root)}).client("viewer")


def test_the_list_shows_every_run_with_its_state(client) -> None:
    page = client.get("/runs").text
    assert "finished" in page
    assert "stopped" in page
    assert 'value="750"' in page
    assert 'href="/runs"' in client.get("/").text


def test_without_the_setting_there_are_no_runs(desk) -> None:
    client = desk.client("viewer")
    assert [client.get(path).status_code for path in ("/runs", "/runs/run?name=a", "/runs/diff")] == [404] * 3
    assert 'href="/runs"' not in client.get("/").text


def test_a_runs_files_come_most_suspicious_first_and_can_be_sifted(client) -> None:
    page = client.get("/runs/run?name=after").text
    assert page.index("moved.mp4") < page.index("calm.mp4")
    assert "0.90" in page
    assert "no video &lt;b&gt;" in page
    sifted = client.get("/runs/run?name=after&label=manipulated").text
    assert "b/moved.mp4</bdi></a>" in sifted
    assert "a/calm.mp4</bdi></a>" not in sifted
    assert "a/calm.mp4</bdi></a>" in client.get("/runs/run?name=after&q=CALM").text


def test_many_files_come_in_pages(make_desk, tmp_path) -> None:
    journal = Journal(tmp_path / "big", FACTS)
    for number in range(LISTED + 5):
        done(journal, f"{number:04}.mp4")
    journal.close()
    client = make_desk(**{"dashboard.runs": str(tmp_path)}).client("viewer")
    first, second = (client.get(f"/runs/run?name=big&page={number}").text for number in (1, 2))
    assert first.count(".mp4</bdi></a>") == LISTED
    assert second.count(".mp4</bdi></a>") == 5
    assert [client.get(f"/runs/run?name=big&page={odd}").status_code for odd in ("0", "-1", "x", "9" * 30)] == [200] * 4


def test_a_files_page_shows_its_segments(client) -> None:
    page = client.get("/runs/file?name=after&stream=b/moved.mp4").text
    assert page.count('<rect class="is-manipulated"') == 2
    assert client.get("/runs/file?name=after&stream=nothing").status_code == 404


def test_two_runs_are_compared(client) -> None:
    page = client.get("/runs/diff?before=before&after=after").text
    assert "b/moved.mp4" in page
    assert "0.10 → 0.90" in page
    assert Label.MANIPULATED.value in page
    assert client.get("/runs/diff?before=before&after=nothing").status_code == 404


@pytest.mark.parametrize("name", ["..", "../..", "/etc", "after/../../x", "", "after%00"])
def test_no_other_folder_is_read_however_the_name_is_spelled(client, root, name) -> None:
    (root.parent / JOURNAL).write_bytes((root / "after" / JOURNAL).read_bytes())
    assert client.get("/runs/run", params={"name": name}).status_code == 404
