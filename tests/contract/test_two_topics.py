"""What a group promises over two topics at once: each is shared evenly, and one commit holds for both."""

from __future__ import annotations

import uuid
from collections import Counter
from contextlib import closing

import pytest
from buses import PATIENCE_S, Watcher, created, publish, settle, take

from scanner.core.errors import ScannerError
from scanner.ports import Bus, Record, Subscription


def test_each_topic_is_shared_evenly_also_with_those_who_come_later(bus: Bus, group: str) -> None:
    topics = [created(bus, 6), created(bus, 6)]
    watchers: list[Watcher] = []
    members: list[Subscription] = []

    def even() -> bool:
        shares = [Counter(topic for topic, _ in watcher.owned) for watcher in watchers]
        return all(share == dict.fromkeys(topics, 6 // len(watchers)) for share in shares)

    for _ in range(3):
        watchers.append(Watcher())
        members.append(bus.subscribe(topics, group, watchers[-1]))
        settle(members, even)
    for member in members:
        member.close()


def test_one_commit_moves_the_offsets_of_both_topics_or_of_neither(bus: Bus, group: str) -> None:
    live, archive, answers = created(bus, 1), created(bus, 1), created(bus, 1)
    publish(bus, live, ("cam", b"1"), ("cam", b"2"))
    publish(bus, archive, ("film", b"3"), ("film", b"4"))
    with closing(bus.subscribe([live, archive], group)) as member:
        take(member, 4)
        said = [Record(answers, b"cam", b"said 1"), Record(answers, b"film", b"said 3")]
        member.commit(said, {(live, 0): 1, (archive, 0): 1})
        nowhere = [Record(answers, b"cam", b"said 2"), Record(f"nowhere-{uuid.uuid4()}", b"film", b"said 4")]
        with pytest.raises(ScannerError):
            member.commit(nowhere, {(live, 0): 2, (archive, 0): 2})
    assert bus.committed(live, group) == {(live, 0): 1}
    assert bus.committed(archive, group) == {(archive, 0): 1}
    with closing(bus.reader([answers], from_beginning=True)) as reader:
        found = []
        while not reader.at_end():
            found += reader.poll(PATIENCE_S / 30, 100)
    assert sorted(delivery.record.value or b"" for delivery in found) == [b"said 1", b"said 3"]
