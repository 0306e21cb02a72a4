"""What every bus promises the members of a group: partitions come, go and rest."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import pytest
from buses import PATIENCE_S, Watcher, gather, next_offsets, publish, quiet, settle, take, take_apart

from scanner.core.errors import BrokerUnavailableError, MembershipLostError
from scanner.ports import Bus, Place

# Members.


def test_two_members_share_the_partitions(bus: Bus, topic: str, group: str) -> None:
    one, two = Watcher(), Watcher()
    with closing(bus.subscribe([topic], group, one)) as first:
        settle([first], lambda: len(one.owned) == 4)
        with closing(bus.subscribe([topic], group, two)) as second:
            settle([first, second], lambda: len(one.owned) == len(two.owned) == 2)
            assert not one.owned & two.owned
            kept = [places for verb, places in one.moves if verb == "revoked"]
            assert sum(map(len, kept)) == 2, "a partition that stays is not revoked on the way"
            publish(bus, topic, *((f"{i}", str(i).encode()) for i in range(40)))
            mine, theirs = take_apart(first, second, 40)
    assert {d.partition for d in mine} == {number for _, number in one.owned}
    assert {d.partition for d in theirs} == {number for _, number in two.owned}


def test_a_member_that_leaves_gives_its_partitions_and_uncommitted_records_to_the_other(
    bus: Bus, topic: str, group: str
) -> None:
    one, two = Watcher(), Watcher()
    publish(bus, topic, *((f"{i}", str(i).encode()) for i in range(20)))
    with closing(bus.subscribe([topic], group, one)) as first:
        second = bus.subscribe([topic], group, two)
        got = gather([first, second], lambda got: len(two.owned) == 2 and len({d.record.value for d in got}) == 20)
        assert len(got) >= 20
        second.close()
        left = two.owned
        again = gather([first], lambda got: len(one.owned) == 4 and {d.partition for d in got} >= {n for _, n in left})
    assert {d.partition for d in again} >= {number for _, number in left}


def test_a_partition_that_went_to_another_member_cannot_be_committed(bus: Bus, topic: str, group: str) -> None:
    one, two = Watcher(), Watcher()
    publish(bus, topic, *((f"{i}", b"x") for i in range(20)))
    with closing(bus.subscribe([topic], group, one)) as first:
        got = take(first, 20)
        with closing(bus.subscribe([topic], group, two)) as second:
            settle([first, second], lambda: len(two.owned) == 2)
            with pytest.raises(MembershipLostError, match=topic):
                first.commit([], next_offsets(got))
            first.commit([], {place: offset for place, offset in next_offsets(got).items() if place in one.owned})


def test_a_listener_that_fails_is_told_again_and_no_record_is_skipped(bus: Bus, topic: str, group: str) -> None:
    class Unlucky(Watcher):
        failures = 2

        def assigned(self, places: Sequence[Place]) -> None:
            if self.failures:
                self.failures -= 1
                raise BrokerUnavailableError("states could not be read")
            super().assigned(places)

    owner = Unlucky()
    publish(bus, topic, *((f"{i}", str(i).encode()) for i in range(8)))
    with closing(bus.subscribe([topic], group, owner)) as member:
        for _ in range(2):
            # One long poll: the partitions and their first records come together.
            with pytest.raises(BrokerUnavailableError, match="states"):
                member.poll(PATIENCE_S, 100)
        assert sorted(int(d.record.value or b"") for d in take(member, 8)) == list(range(8))
    assert len(owner.owned) == 4


# Pausing.


def test_a_paused_partition_waits_and_the_others_go_on(bus: Bus, topic: str, group: str) -> None:
    owner = Watcher()
    with closing(bus.subscribe([topic], group, owner)) as member:
        settle([member], lambda: len(owner.owned) == 4)
        member.pause([(topic, 1)])
        publish(bus, topic, *((f"{i}", b"x") for i in range(40)))
        got = quiet(member)
        assert {d.partition for d in got} == {0, 2, 3}
        member.resume([(topic, 1)])
        assert {d.partition for d in take(member, 40 - len(got))} == {1}


def test_a_pause_outlives_a_rebalance_that_leaves_the_partition_here(bus: Bus, topic: str, group: str) -> None:
    one, two = Watcher(), Watcher()
    with closing(bus.subscribe([topic], group, one)) as first:
        settle([first], lambda: len(one.owned) == 4)
        first.pause(one.owned)
        with closing(bus.subscribe([topic], group, two)) as second:
            settle([first, second], lambda: len(one.owned) == len(two.owned) == 2)
            publish(bus, topic, *((f"{i}", b"x") for i in range(40)))
            assert quiet(first) == []
            first.resume(one.owned)
            assert {d.partition for d in take(first, 1)} <= {number for _, number in one.owned}
