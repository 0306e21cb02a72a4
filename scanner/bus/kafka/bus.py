"""The bus on Apache Kafka: makes members, publishers and readers, creates topics, measures lag."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from kafka.protocol.consumer import IsolationLevel, OffsetSpec

from scanner.bus.kafka.clients import made
from scanner.bus.kafka.config import KafkaConfig
from scanner.bus.kafka.errors import ours, translated
from scanner.bus.kafka.publisher import KafkaPublisher
from scanner.bus.kafka.reader import KafkaReader, counted, fetched
from scanner.bus.kafka.records import place_of
from scanner.bus.kafka.sole import KafkaSolePublisher
from scanner.bus.kafka.subscription import KafkaSubscription
from scanner.core.errors import TopicMissingError
from scanner.core.types import Source
from scanner.ports import Assignments, Delivery, Place, TopicPlan

_FEW = 4  # offsets behind, of which some may be marks; more is a backlog


class KafkaBus:
    """Holds no connection itself: each thing it makes has its own."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config

    def subscribe(self, topics: Sequence[str], group: str, listener: Assignments | None = None) -> KafkaSubscription:
        self._places(topics)
        return KafkaSubscription(self._config, topics, group, listener, self._require)

    def publisher(self) -> KafkaPublisher:
        return KafkaPublisher(self._config, self._require)

    def sole_publisher(self, name: str) -> KafkaSolePublisher:
        return KafkaSolePublisher(self._config, name, self._require)

    def reader(
        self,
        topics: Sequence[str],
        *,
        from_beginning: bool,
        partitions: Sequence[int] | None = None,
        since_ms: int | None = None,
    ) -> KafkaReader:
        places = self._places(topics)
        chosen = [place for place in places if partitions is None or place.partition in partitions]
        return KafkaReader(
            self._config, chosen, self._written(chosen), from_beginning=from_beginning, since_ms=since_ms
        )

    def fetch(self, source: Source) -> Delivery | None:
        if source.partition not in {place.partition for place in self._places([source.topic])}:
            return None
        return fetched(self._config, source)

    def create(self, topics: Mapping[str, TopicPlan]) -> list[str]:
        with self._admin("create topics") as admin:
            there = set(admin.list_topics())
            missing = {name: _options(plan) for name, plan in topics.items() if name not in there}
            if not missing:
                return []
            created = admin.create_topics(missing, timeout_ms=self._config.deadline_ms, raise_errors=False)
            admin.wait_for_topics(list(missing), timeout_ms=self._config.deadline_ms)
        for topic in created["topics"]:
            error = for_code(topic["error_code"])
            if topic["error_code"] and error is not TopicAlreadyExistsError:
                raise translated(error(topic["error_message"]), f"create topic {topic['name']}")
        return sorted(missing)

    def lag(self, topic: str, group: str) -> dict[Place, int]:
        places = self._places([topic])
        with self._admin(f"measure the lag of {group}") as admin:
            first = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
            last = admin.list_partition_offsets(
                dict.fromkeys(places, OffsetSpec.LATEST), isolation_level=IsolationLevel.READ_COMMITTED
            )
            done = self._insist(lambda: admin.list_group_offsets({group: places})[group])
        starts = {place: max(done[place].offset if place in done else -1, first[place].offset) for place in places}
        behind = {place: max(0, last[place].offset - start) for place, start in starts.items()}
        # A redrive ends its transactions with marks, and nobody commits an offset for those.
        few = {place: (starts[place], last[place].offset) for place, count in behind.items() if 0 < count <= _FEW}
        exact = counted(self._config, few) if few else {}
        return {place_of(place): count for place, count in {**behind, **exact}.items()}

    def committed(self, topic: str, group: str) -> dict[Place, int]:
        places = self._places([topic])
        with self._admin(f"ask what {group} has committed") as admin:
            done = self._insist(lambda: admin.list_group_offsets({group: places})[group])
        return {place_of(place): done[place].offset for place in places if place in done and done[place].offset >= 0}

    def _written(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The end of what is written now, open transactions included."""
        with self._admin("find the end") as admin:
            ends = admin.list_partition_offsets(
                dict.fromkeys(places, OffsetSpec.LATEST), isolation_level=IsolationLevel.READ_UNCOMMITTED
            )
        return {place: ends[place].offset for place in places}

    def _insist(self, ask: Callable[[], Any]) -> Any:
        """Asks again while the broker says "not yet": a fresh one has no group coordinator for a second or two."""
        deadline = time.monotonic() + self._config.deadline_s
        while True:
            try:
                return ask()
            except KafkaError as error:
                if not error.retriable or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _require(self, topic: str) -> None:
        self._places([topic])

    def _places(self, topics: Sequence[str]) -> list[TopicPartition]:
        """Every partition. Raises TopicMissingError; BrokerRefusedError where the broker will not tell."""
        with self._admin(f"look up {', '.join(topics)}") as admin:
            told = {topic["name"]: topic for topic in admin.describe_topics(list(topics))}
        found = {name: topic for name, topic in told.items() if not _missing(topic)}
        if missing := sorted(set(topics) - found.keys()):
            raise TopicMissingError(f"no such topic: {', '.join(missing)}; run `scanner topics create`")
        return [
            TopicPartition(name, partition["partition_index"])
            for name in topics
            for partition in sorted(found[name]["partitions"], key=lambda each: int(each["partition_index"]))
        ]

    @contextmanager
    def _admin(self, doing: str) -> Iterator[KafkaAdminClient]:
        with ours(f"{doing}{self._hint()}"), made(KafkaAdminClient, self._config.client()) as admin:
            yield admin

    def _hint(self) -> str:
        # The broker's word on a wrong password is lost: kafka-python 3.0.12 drops what comes just before the end.
        return " (are username and password right?)" if self._config.sasl_mechanism else ""


def _missing(topic: Mapping[str, Any]) -> bool:
    """Whether the broker knows no such topic. Raises ScannerError where it will not describe it."""
    code = topic["error_code"]
    if code not in {0, UnknownTopicOrPartitionError.errno}:
        raise translated(for_code(code)(), f"look up {topic['name']}")
    return bool(code)


def _options(plan: TopicPlan) -> dict[str, object]:
    configs = {
        "cleanup.policy": "compact" if plan.compacted else "delete",
        "max.message.bytes": str(plan.max_record_bytes),
    }
    if plan.retention_ms is not None:
        configs["retention.ms"] = str(plan.retention_ms)
    if plan.segment_ms is not None:
        configs["segment.ms"] = str(plan.segment_ms)
    if plan.segment_bytes is not None:
        configs["segment.bytes"] = str(plan.segment_bytes)
    return {"num_partitions": plan.partitions, "configs": configs}
