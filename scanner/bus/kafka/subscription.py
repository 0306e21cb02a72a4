"""One member of a consumer group, and its way to answer."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from scanner.bus.kafka.clients import made
from scanner.bus.kafka.config import KafkaConfig
from scanner.bus.kafka.errors import ours
from scanner.bus.kafka.joins import keep_joins
from scanner.bus.kafka.records import delivery_of, place_of
from scanner.bus.kafka.transactor import KafkaTransactor, UndecidedError
from scanner.core.errors import BrokerUnavailableError, MembershipLostError
from scanner.ports import Assignments, Delivery, Place, Record

_LEAVE_S = 5.0


class KafkaSubscription:
    """Polls, pauses and commits on one thread; kafka-python keeps the membership alive on another."""

    def __init__(
        self,
        config: KafkaConfig,
        topics: Sequence[str],
        group: str,
        listener: Assignments | None,
        require: Callable[[str], None],
    ) -> None:
        """`require` raises TopicMissingError for a topic that is not there."""
        self._config = config
        self._topics = tuple(topics)
        self._listener = listener
        self._require = require
        self._known: set[str] = set()
        self._transactor = KafkaTransactor(config, f"{group}.{config.instance or uuid.uuid4()}")
        self._paused: set[Place] = set()
        self._fetched: dict[TopicPartition, list[Any]] = {}
        self._undecided: dict[Place, int] = {}
        """offsets of a commit of which nobody knows whether it happened"""
        if config.instance is not None:
            # What this slot's last process left open holds up the states that are read when partitions come.
            self._transactor.fence(time.monotonic() + config.deadline_s)
        self._alive_at = time.monotonic()
        try:
            with ours(f"join group {group}"):
                self._consumer = made(KafkaConsumer, config.member(group))
        except BaseException:
            self._transactor.close()
            raise
        try:
            self._join()
        except BaseException:
            self.close()
            raise

    def _join(self) -> None:
        keep_joins(self._consumer)
        self._moves = _Moves(self._consumer)
        with ours("join the group"):
            self._consumer.subscribe(self._topics, listener=self._moves)
            # A leader that joins before it knows the partitions deals out none, and kafka-python may never notice.
            self._ask_the_broker()

    def poll(self, timeout_s: float, limit: int) -> list[Delivery]:
        with ours(f"poll {', '.join(self._topics)}"):
            # Kept until they can be handed out: what a failing listener drops here would never be fetched again.
            self._fetched = self._fetched or self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=limit)
            self._tell_moves()
            self._notice_silence(bool(self._fetched))
        fetched, self._fetched = self._fetched, {}
        kept = (records for partition, records in fetched.items() if place_of(partition) in self._moves.owned)
        return [delivery_of(record) for records in kept for record in records]

    def pause(self, places: Iterable[Place]) -> None:
        self._paused |= set(places) & self._moves.owned
        self._consumer.pause(*_partitions(self._paused))

    def resume(self, places: Iterable[Place]) -> None:
        chosen = set(places) & self._paused
        self._paused -= chosen
        self._consumer.resume(*_partitions(chosen & self._moves.owned))

    def commit(self, outputs: Sequence[Record], offsets: Mapping[Place, int]) -> None:
        """1. learn what became of a commit that was not decided  2. outputs and offsets in one transaction.

        While this runs no partition leaves: a rebalance waits, so that the next owner starts behind these offsets.

        Raises:
            BrokerUnavailableError: everything or nothing has happened; commit exactly the same again.
            MembershipLostError: the offsets are not this member's to move; nothing has happened.
            BrokerRefusedError: nothing has happened.
        """
        deadline = time.monotonic() + self._config.deadline_s
        self._look_up(outputs)
        with self._moves.held():
            group = self._membership(offsets)
            # Step 1. What an earlier commit left open is decided, then asked for.
            if self._undecided.keys() & offsets.keys() and self._happened(offsets, deadline):
                return
            # Step 2. Everything or nothing.
            try:
                self._transactor.commit(outputs, _committable(offsets), group, deadline)
            except UndecidedError:
                self._undecided = dict(offsets)
                raise
        self._alive_at = time.monotonic()

    def behind(self, places: Iterable[Place]) -> dict[Place, int]:
        chosen = _partitions(set(places) & self._moves.owned)
        with ours("find the end"):
            ends = self._consumer.end_offsets(chosen, timeout_ms=self._config.deadline_ms // 2)
            return {place_of(each): max(0, end - (self._consumer.position(each) or 0)) for each, end in ends.items()}

    def rewind(self, places: Iterable[Place]) -> None:
        chosen = _partitions(set(places) & self._moves.owned)
        with ours("go back to what is committed"):
            self._fetched = {partition: found for partition, found in self._fetched.items() if partition not in chosen}
            ask = self._consumer.beginning_offsets if self._config.start == "earliest" else self._consumer.end_offsets
            starts = ask(chosen, timeout_ms=self._config.deadline_ms // 2)
            for place in chosen:
                committed = self._consumer.committed(place, timeout_ms=self._config.deadline_ms // 2)
                self._consumer.seek(place, starts[place] if committed is None else committed)

    def close(self) -> None:
        """Without a word to a broker that is away: the session runs out."""
        with suppress(BrokerUnavailableError), ours("leave the group"):
            self._consumer.close(autocommit=False, timeout_ms=int(min(_LEAVE_S, self._config.deadline_s) * 1000))
        self._transactor.close()

    def _look_up(self, outputs: Sequence[Record]) -> None:
        for topic in {output.topic for output in outputs} - self._known:
            self._require(topic)
            self._known.add(topic)

    def _membership(self, offsets: Mapping[Place, int]) -> ConsumerGroupMetadata:
        """What the broker checks offsets against (KIP-447). Raises MembershipLostError."""
        # A place that went and came back between two polls is answered by somebody else up to where it now begins.
        moving = {place for _, places in self._moves.told for place in places}
        if foreign := sorted(set(offsets) - self._moves.owned | set(offsets) & moving):
            raise MembershipLostError(f"no longer this member's: {foreign}")
        group = self._consumer.group_metadata()
        if offsets and group.generation_id < 0:
            # Sent without a generation, offsets would be taken without a check.
            raise MembershipLostError("this member is out of its group")
        return group

    def _happened(self, offsets: Mapping[Place, int], deadline: float) -> bool:
        """Whether the undecided commit went through. Raises BrokerUnavailableError while nobody can tell."""
        self._transactor.fence(deadline)
        undecided, left_ms = self._undecided, max(1, int((deadline - time.monotonic()) * 1000))
        place = next(place for place in offsets if place in undecided)
        with ours("ask what is committed"):
            committed = self._consumer.committed(TopicPartition(*place), timeout_ms=left_ms)
        self._undecided = {}
        happened = committed is not None and committed >= undecided[place]
        if happened and any(undecided.get(place) != offset for place, offset in offsets.items()):
            raise ValueError(f"{undecided} was committed, and {dict(offsets)} is not the same again")
        return happened

    def _tell_moves(self) -> None:
        while self._moves.told:
            verb, places = self._moves.told[0]
            if verb == "revoked":
                self._paused -= set(places)
                for place in places:
                    self._undecided.pop(place, None)
            if self._listener is not None:
                getattr(self._listener, verb)(places)
            self._moves.told.popleft()  # not before: a listener that fails is told again
        if still := self._paused & self._moves.owned:
            # kafka-python forgets pauses when an assignment is replaced.
            self._consumer.pause(*_partitions(still))

    def _notice_silence(self, heard: bool) -> None:
        """kafka-python polls an absent broker for ever without a word: ask, when nothing came for a while."""
        now = time.monotonic()
        if heard:
            self._alive_at = now
        elif now - self._alive_at > self._config.deadline_s / 2:
            self._ask_the_broker()

    def _ask_the_broker(self) -> None:
        somewhere = [TopicPartition(topic, 0) for topic in self._topics]
        self._consumer.end_offsets(somewhere, timeout_ms=self._config.deadline_ms // 2)
        self._alive_at = time.monotonic()


class _Moves(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python is not typed
    """What kafka-python's own thread says of partitions, kept for the thread that polls."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self.owned: set[Place] = set()
        self._consumer = consumer
        self._commit = threading.Lock()
        self.told: deque[tuple[str, list[Place]]] = deque()
        """oldest first"""

    def held(self) -> threading.Lock:
        """While this lock is held no partition is given up."""
        return self._commit

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        places = sorted(place_of(partition) for partition in assigned)
        self.owned |= set(places)
        self.told.append(("assigned", places))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        # A commit under way needs this very thread to finish: wait without blocking it.
        while not self._commit.acquire(blocking=False):
            await self._consumer._net.sleep(0.005)  # noqa: SLF001 – the loop's sleep has no public name
        try:
            places = sorted(place_of(partition) for partition in revoked)
            self.owned -= set(places)
            self.told.append(("revoked", places))
        finally:
            self._commit.release()


def _partitions(places: Iterable[Place]) -> list[TopicPartition]:
    return [TopicPartition(*place) for place in places]


def _committable(offsets: Mapping[Place, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
