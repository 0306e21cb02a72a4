"""Replay's rules: what is done is done once, whatever dies; results in order; two results compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

import pytest
from typer.testing import CliRunner

from scanner.cli.app import app
from scanner.core.errors import SettingsError
from scanner.media.objects import Stored, Wait
from scanner.replay.cache import Cache
from scanner.replay.diff import cohen_kappa, compare
from scanner.replay.fetch import FETCHED, Archive, Fetching
from scanner.replay.items import Item, items_of
from scanner.replay.journal import Journal
from scanner.replay.page import write_page
from scanner.replay.results import read_results, write_parquet
from scanner.replay.run import Throttle, replay

FACTS = {"model": "m1", "coverage": "full"}


def lines_of(item: Item, score: float = 0.25, label: str = "no_manipulation_found") -> list[bytes]:
    verdict = {
        "verdict_id": f"{item.stream_id}/0",
        "stream_id": item.stream_id,
        "sequence": 0,
        "start_ms": 0,
        "end_ms": 2000,
        "label": label,
        "score": score,
        "reasons": [],
        "model": {"name": "fake", "sha256": "0" * 64},
    }
    summary = {"type": "summary", "uri": str(item.path), "label": label, "score": score, "duration_ms": 2000}
    return [json.dumps(line).encode() for line in (verdict, summary)]


class DiedError(Exception):
    pass


class Scanning:
    """Counts what it scans; may die over one file."""

    def __init__(self, dies_at: str = "") -> None:
        self.scanned: list[str] = []
        self._dies_at = dies_at

    def __call__(self, item: Item, path: Path) -> Iterator[bytes]:
        if item.stream_id == self._dies_at:
            raise DiedError
        self.scanned.append(item.stream_id)
        yield from lines_of(item)


@pytest.fixture
def archive(tmp_path: Path) -> list[Item]:
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.mp4").write_bytes(b"bytes %d" % number)
    return items_of([str(folder)], None)


def nowhere(uri: str) -> Archive:
    raise AssertionError(uri)


def ran(
    folder: Path,
    items: list[Item],
    scan: Scanning,
    cache: Path | None = None,
    at_once: int = 2,
    store: Callable[[str], Archive] | None = None,
) -> list[str]:
    journal = Journal(folder, FACTS)
    try:
        fetching = Fetching(folder, 10**9, Throttle(None).wait, store or nowhere)
        finished = replay(items, scan, journal, Cache(cache, FACTS), Event(), at_once=at_once, fetching=fetching)
        return [done.stream_id for done in finished]
    finally:
        journal.close()


def streams_in(file: Path) -> list[str]:
    return [line["stream_id"] for line in map(json.loads, file.read_text().splitlines()) if "verdict_id" in line]


def test_what_was_done_before_a_death_is_not_done_again(tmp_path: Path, archive: list[Item]) -> None:
    out = tmp_path / "out"
    with pytest.raises(DiedError):
        ran(out, archive, Scanning(dies_at="3.mp4"), at_once=1)
    before = streams_in(out / "results.jsonl")
    assert before == [f"{number}.mp4" for number in range(len(before))]
    second = Scanning()
    assert ran(out, archive, second) == [item.stream_id for item in archive[len(before) :]]
    assert not set(before) & set(second.scanned)
    assert streams_in(out / "results.jsonl") == [f"{number}.mp4" for number in range(6)]
    assert ran(out, archive, Scanning()) == []


@pytest.mark.parametrize("torn", ["results.jsonl", "journal.jsonl"])
def test_half_a_line_that_a_death_left_is_cut_off(tmp_path: Path, archive: list[Item], torn: str) -> None:
    out = tmp_path / "out"
    ran(out, archive[:3], Scanning())
    with (out / torn).open("ab") as file:
        file.write(b'{"verdict_id": "half a li')
    assert ran(out, archive, Scanning()) == ["3.mp4", "4.mp4", "5.mp4"]
    assert streams_in(out / "results.jsonl") == [f"{number}.mp4" for number in range(6)]


def test_results_without_a_word_in_the_journal_are_made_anew(tmp_path: Path, archive: list[Item]) -> None:
    out = tmp_path / "out"
    ran(out, archive[:3], Scanning())
    journal = out / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    assert ran(out, archive[:3], Scanning()) == ["2.mp4"]
    assert streams_in(out / "results.jsonl") == ["0.mp4", "1.mp4", "2.mp4"]


def test_unchanged_bytes_come_from_the_cache_and_changed_ones_do_not(tmp_path: Path, archive: list[Item]) -> None:
    cache = tmp_path / "cache"
    ran(tmp_path / "first", archive, Scanning(), cache)
    archive[4].path.write_bytes(b"other bytes")
    second = Scanning()
    ran(tmp_path / "second", archive, second, cache)
    assert second.scanned == ["4.mp4"]
    assert (tmp_path / "first/results.jsonl").read_bytes() == (tmp_path / "second/results.jsonl").read_bytes()


def test_results_of_another_model_are_not_mixed(tmp_path: Path) -> None:
    Journal(tmp_path, FACTS).close()
    with pytest.raises(SettingsError, match="another model: choose another --out"):
        Journal(tmp_path, {**FACTS, "model": "m2"})


def test_two_replays_do_not_write_one_folder(tmp_path: Path) -> None:
    first = Journal(tmp_path, FACTS)
    with pytest.raises(SettingsError, match="another replay is writing"):
        Journal(tmp_path, FACTS)
    first.close()


def test_a_manifest_lists_files_beside_it(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("file,stream_id,label\na.mp4,one,real\nb/c.mp4,,fake\n")
    assert [(item.path, item.stream_id) for item in items_of([], table)] == [
        (tmp_path / "a.mp4", "one"),
        (tmp_path / "b/c.mp4", "b/c.mp4"),
    ]
    lines = tmp_path / "list.jsonl"
    lines.write_text('{"path": "a.mp4"}\n\n{"path": "a.mp4"}\n')
    assert [item.stream_id for item in items_of([], lines)] == ["a.mp4", "a.mp4~2"]
    lines.write_text('{"name": "a.mp4"}\n')
    with pytest.raises(SettingsError, match="row 1 has no path"):
        items_of([], lines)


def test_a_file_that_cannot_be_read_is_a_failure_and_not_the_end(tmp_path: Path, archive: list[Item]) -> None:
    archive[1].path.unlink()
    out = tmp_path / "out"
    ran(out, archive, Scanning())
    journal = Journal(out, FACTS)
    assert journal.done["1.mp4"].failures == ("cannot be read: No such file or directory",)
    assert len(journal.done) == 6
    journal.close()


@dataclass
class Shelf:
    """A store; what it gave, and the most that lay in the replay's folder meanwhile."""

    folder: Path
    given: list[str] = field(default_factory=list)
    most_bytes: int = 0

    def fetch(self, stored: Stored, target: Path, wait: Wait) -> str:
        self.given.append(stored.key)
        payload = stored.etag.encode() * (stored.size // len(stored.etag))
        target.write_bytes(payload)
        lying = len(list((self.folder / FETCHED).iterdir()))
        self.most_bytes = max(self.most_bytes, lying * stored.size)
        return hashlib.sha256(payload).hexdigest()


def objects(*etags: str, size: int = 100) -> list[Item]:
    stored = [Stored(f"s3://films/{n}.mp4", f"{n}.mp4", size, etag) for n, etag in enumerate(etags)]
    return [Item(Path(each.key), each.key, each.size, each) for each in stored]


def test_an_object_is_fetched_again_only_when_its_etag_or_size_changed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "out")
    ran(tmp_path / "out", objects("a", "b"), Scanning(), store=lambda _: shelf)
    assert ran(tmp_path / "out", objects("a", "b"), Scanning(), store=lambda _: shelf) == []
    assert ran(tmp_path / "out", objects("a", "c"), Scanning(), store=lambda _: shelf) == ["1.mp4"]
    assert sorted(shelf.given) == ["0.mp4", "1.mp4", "1.mp4"]
    assert len(read_results(tmp_path / "out")) == 2
    assert not list((tmp_path / "out" / FETCHED).iterdir()), "nothing that was fetched is left"


def test_an_unchanged_object_with_a_cached_result_is_not_fetched(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "one")
    ran(tmp_path / "one", objects("a", "b"), Scanning(), tmp_path / "cache", store=lambda _: shelf)
    second = Scanning()
    assert len(ran(tmp_path / "two", objects("a", "b"), second, tmp_path / "cache", store=nowhere)) == 2
    assert second.scanned == []


def test_fetched_objects_never_take_more_room_than_they_may(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shelf, journal = Shelf(folder), Journal(folder, FACTS)
    fetching = Fetching(folder, 250, lambda _: None, lambda _: shelf)
    items = [*objects(*"abcdefgh"), *(replace(each, stream_id="large") for each in objects("x", size=300))]
    cache = Cache(None, FACTS)
    done = list(replay(items, Scanning(), journal, cache, Event(), at_once=6, fetching=fetching))
    journal.close()
    assert shelf.most_bytes <= 200
    assert done[-1].failures == ("s3://films/0.mp4: 300 bytes, and --room is 250",)
    assert [one.failures for one in done[:-1]] == [()] * 8


def test_reading_is_held_to_the_bandwidth() -> None:
    import time

    throttle = Throttle(10_000)
    began_s = time.monotonic()
    for _ in range(4):
        throttle.wait(1000)
    assert 0.25 < time.monotonic() - began_s < 2


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [
        ([("a", "a"), ("b", "b")], 1.0),
        ([("a", "b"), ("b", "a")], -1.0),
        ([("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")], 0.0),
        # Cohen's own table has two raters; 20, 5, 10, 15 of 50 gives 0.4.
        ([("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15, 0.4),
        ([("a", "a")] * 3, None),
        ([], None),
    ],
)
def test_kappa_is_agreement_beyond_chance(pairs: list[tuple[str, str]], kappa: float | None) -> None:
    assert cohen_kappa(pairs) == (None if kappa is None else pytest.approx(kappa))


def test_a_difference_names_who_changed(tmp_path: Path, archive: list[Item]) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(line for item in archive[:4] for line in lines_of(item)))
    moved = [
        (0.25, "no_manipulation_found"),
        (0.75, "suspected"),
        (0.9, "manipulated"),
        (0.25, "no_manipulation_found"),
    ]
    after = [line for item, (s, label) in zip(archive[1:5], moved, strict=True) for line in lines_of(item, s, label)]
    (tmp_path / "b.jsonl").write_bytes(b"\n".join(after))
    found = compare(read_results(tmp_path / "a.jsonl"), read_results(tmp_path / "b.jsonl"))
    assert [(change.stream_id, change.after) for change in found.changed] == [
        ("3.mp4", "manipulated"),
        ("2.mp4", "suspected"),
    ]
    assert (found.only_before, found.only_after) == (("0.mp4",), ("4.mp4",))
    assert found.shift
    assert found.shift.mean == pytest.approx((0 + 0.5 + 0.65) / 3)
    assert (found.segments_compared, found.segments_changed) == (3, 2)
    write_page(tmp_path / "page.html", found, "a <b>", "b")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<circle") == 3
    assert "a &lt;b&gt;" in page
    with pytest.raises(SettingsError, match="holds no verdict"):
        read_results(_empty(tmp_path))


def _empty(folder: Path) -> Path:
    (folder / "empty.jsonl").write_text("")
    return folder / "empty.jsonl"


def test_parquet_says_what_the_lines_say(tmp_path: Path, archive: list[Item]) -> None:
    lines = tmp_path / "results.jsonl"
    lines.write_bytes(b"\n".join(line for item in archive for line in lines_of(item)))
    assert write_parquet(lines, tmp_path / "results.parquet") == 6
    assert read_results(tmp_path / "results.parquet") == read_results(lines)


@pytest.mark.parametrize("more", [["--to", "kafka"], ["videos/"], ["--manifest", "list.csv"]])
def test_a_stretch_of_the_topic_and_an_archive_are_not_asked_for_at_once(more: list[str]) -> None:
    told = CliRunner().invoke(app, ["replay", "run", "--from-topic", *more])
    assert isinstance(told.exception, SettingsError)
    assert "--from-topic scans what lies on the topic" in str(told.exception)
