"""What the health page tells, and dead letters tried again from it."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from desks import token
from said import TOPICS, dead, judged, verdict

from scanner import letters, wire
from scanner.core.errors import BrokerUnavailableError, MediaError
from scanner.core.types import Label, Reason, Source
from scanner.dashboard.view import View
from scanner.ports import Delivery

WORKER = wire.Answerer("gpu-1", 2)


def told(sequence: int, at_ms: int, by: wire.Answerer, partition: int = 3) -> Delivery:
    said = replace(verdict("cam", sequence), source=Source(TOPICS.segments, partition, sequence))
    record = wire.verdict_record(said, TOPICS.verdicts, at_ms=at_ms, by=by)
    return replace(judged(said, at_ms), record=record)


def test_a_worker_is_known_by_its_verdicts_headers() -> None:
    view = View(TOPICS)
    view.fold(told(0, 1000, WORKER))
    view.fold(told(1, 2000, replace(WORKER, cells_restarted=5), partition=7))
    (worker,) = view.tallies.workers.values()
    assert (worker.heard_ms, worker.cells_restarted) == (2000, 5)
    assert worker.rate.now(2000) == 2 / 60
    assert view.tallies.seats("gpu-1") == [3, 7]


def test_a_partition_that_went_to_another_worker_leaves_the_first() -> None:
    view = View(TOPICS)
    view.fold(told(0, 1000, WORKER))
    view.fold(told(1, 2000, wire.Answerer("gpu-2", 0)))
    assert (view.tallies.seats("gpu-1"), view.tallies.seats("gpu-2")) == ([], [3])


def test_a_flood_of_made_up_workers_does_not_fill_the_memory() -> None:
    view = View(TOPICS)
    for number in range(200):
        view.fold(told(number, 1000, wire.Answerer(f"{'w' * 500}-{number}", 0)))
        view.fold(told(1000 + number, 1000, wire.Answerer(f"{number}", 0)))
    assert len(view.tallies.workers) <= 50
    assert max(map(len, view.tallies.workers)) <= 100


def test_the_page_shows_workers_cells_restarted_and_what_was_shed(desk) -> None:
    shed = verdict("late", 0, None, label=Label.INSUFFICIENT_EVIDENCE, reasons=(Reason.SHED,))
    desk.publish(told(0, 1000, WORKER).record, wire.verdict_record(shed, TOPICS.verdicts, at_ms=1))
    page = desk.client("viewer").get("/health").text
    row = page[page.index("gpu-1") :].split("</tr>")[0]
    assert ">2</td>" in row
    assert "<dt>not looked at (shed)</dt><dd>1</dd>" in page


# Dead letters, tried again.


def bury(desk, stream_id: str = "cam") -> Source:
    """A segment on its topic and its dead letter; where the letter lies."""
    source = desk.segment(b"not a video", stream_id)
    original = desk.bus.fetch(source)
    letter = letters.DeadLetter(MediaError("not a video"), 1)
    desk.publish(letters.deadletter_record(original, letter, TOPICS.deadletters, at_ms=1))
    with desk.site.feed.looking() as view:
        return view.tallies.letters[-1].place


def try_again(desk, client, *places: Source, **form: str):
    page = client.get("/health").text
    named = [f"{place.partition}/{place.offset}" for place in places]
    answer = client.post("/health/redrive", data={"csrf": token(page), "letter": named, **form})
    desk.site.redriver.wait(10)
    return answer


def redriven(desk) -> list[str]:
    reader = desk.bus.reader([TOPICS.segments], from_beginning=True)
    return [name for each in reader.poll(0.1, 1000) if (name := letters.redriven_from(each.record))]


def test_an_admin_puts_a_dead_letter_on_its_topic_again_and_sees_it(desk) -> None:
    place = bury(desk)
    client = desk.client("admin")
    answer = try_again(desk, client, place)
    assert (answer.status_code, answer.headers["location"]) == (303, "/health")
    assert redriven(desk) == [f"{place.topic}/{place.partition}/{place.offset}"]
    page = client.get("/health").text
    assert "is being tried again" in page
    assert f'value="{place.partition}/{place.offset}"' not in page


def test_a_dead_letter_is_tried_again_once_however_often_somebody_asks(desk) -> None:
    place = bury(desk)
    client = desk.client("admin")
    try_again(desk, client, place)
    try_again(desk, client, place)
    assert len(redriven(desk)) == 1
    assert "was tried again before" in client.get("/health").text


def test_all_that_the_page_shows_are_tried_again_at_once(desk) -> None:
    places = [bury(desk, "a"), bury(desk, "b"), bury(desk, "c")]
    client = desk.client("admin")
    assert "Try all 3 again" in client.get("/health").text
    try_again(desk, client, *places)
    assert len(redriven(desk)) == 3


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_nobody_but_admins_tries_dead_letters_again(desk, role) -> None:
    place = bury(desk)
    client = desk.client(role)
    assert "Try again" not in client.get("/health").text
    assert try_again(desk, client, place).status_code == 403
    assert redriven(desk) == []


def test_a_forged_form_tries_nothing_again(desk) -> None:
    place = bury(desk)
    client = desk.client("admin")
    assert try_again(desk, client, place, csrf="forged").status_code == 403
    named = {"csrf": token(client.get("/health").text), "letter": f"{place.partition}/{place.offset}"}
    answer = client.post("/health/redrive", data=named, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert redriven(desk) == []


def test_no_other_record_is_put_on_the_topic_by_a_made_up_place(desk) -> None:
    bury(desk)
    client = desk.client("admin")
    for letter in ("0/0x", "99/1", "3/-1", "../3/1", ""):
        answer = client.post("/health/redrive", data={"csrf": token(client.get("/health").text), "letter": letter})
        assert answer.status_code == 404, letter
    assert redriven(desk) == []


def test_a_second_redrive_waits_for_the_first(desk, monkeypatch) -> None:
    place = bury(desk)
    client = desk.client("admin")
    free, fetch = threading.Event(), desk.bus.fetch
    monkeypatch.setattr(desk.bus, "fetch", lambda source: free.wait(10) and fetch(source))
    form = {"csrf": token(client.get("/health").text), "letter": f"{place.partition}/{place.offset}"}
    assert client.post("/health/redrive", data=form).status_code == 303
    assert "under way" in client.get("/health").text
    assert client.post("/health/redrive", data=form).status_code == 409
    free.set()
    desk.site.redriver.wait(10)
    assert len(redriven(desk)) == 1


def test_a_broker_that_goes_away_during_a_redrive_is_told_and_the_letter_may_be_tried_again(desk, monkeypatch) -> None:
    place = bury(desk)
    client = desk.client("admin")

    def away(_: Source) -> None:
        raise BrokerUnavailableError("the broker is away")

    with monkeypatch.context() as patched:
        patched.setattr(desk.bus, "fetch", away)
        try_again(desk, client, place)
    assert "the broker is away" in client.get("/health").text
    try_again(desk, client, place)
    assert len(redriven(desk)) == 1


def test_a_dead_letter_that_retention_has_taken_is_told_as_gone(desk) -> None:
    desk.publish(dead("cam").record)
    with desk.site.feed.looking() as view:
        (letter,) = view.tallies.letters
        view.tallies.letters[0] = replace(letter, place=Source(TOPICS.deadletters, 3, 999))
    client = desk.client("admin")
    try_again(desk, client, Source(TOPICS.deadletters, 3, 999))
    assert "its bytes are gone" in client.get("/health").text
