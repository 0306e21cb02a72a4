"""What the broker says of a topic that it does not describe, and what we make of it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from kafka import errors as foreign

from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.core.errors import BrokerRefusedError, BrokerUnavailableError, TopicMissingError


class Admin:
    def __init__(self, codes: dict[str, int]) -> None:
        self._codes = codes

    def describe_topics(self, topics):
        return [{"name": name, "error_code": self._codes[name], "partitions": []} for name in topics]


def looked_up(monkeypatch, **codes: int) -> None:
    monkeypatch.setattr("scanner.bus.kafka.bus.made", lambda kind, config: nullcontext(Admin(codes)))
    KafkaBus(KafkaConfig())._places(list(codes))


def test_what_the_broker_does_not_know_is_missing(monkeypatch) -> None:
    with pytest.raises(TopicMissingError, match="no such topic: gone; run `scanner topics create`"):
        looked_up(monkeypatch, there=0, gone=foreign.UnknownTopicOrPartitionError.errno)


def test_a_right_that_is_missing_is_no_missing_topic(monkeypatch) -> None:
    with pytest.raises(BrokerRefusedError, match=r"^could not look up secret: TopicAuthorizationFailedError$"):
        looked_up(monkeypatch, there=0, secret=foreign.TopicAuthorizationFailedError.errno)


def test_a_topic_without_a_leader_is_not_there_yet(monkeypatch) -> None:
    with pytest.raises(BrokerUnavailableError, match=r"^could not look up fresh: LeaderNotAvailableError$"):
        looked_up(monkeypatch, fresh=foreign.LeaderNotAvailableError.errno)
