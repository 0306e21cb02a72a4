"""Deals out each topic by itself, so that every member has its share of live streams and of archives.

Dealt out together, topics are weighed as one: whoever comes second to a member that has all is given what it gives
up first, and that may be all of one topic and nothing of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment


class EvenStickyAssignor(CooperativeStickyAssignor):  # type: ignore[misc]  # kafka-python is not typed
    """Bears the name of the one it is made of, for it keeps that one's promises topic by topic."""

    def assign(self, cluster: Any, members: Iterable[Any]) -> Mapping[str, Any]:
        everybody = list(members)
        dealt: dict[str, list[tuple[str, list[int]]]] = {member.member_id: [] for member in everybody}
        for topic in sorted({topic for member in everybody for topic in member.metadata.topics}):
            askers = [_Member.of(member, topic) for member in everybody if topic in member.metadata.topics]
            for member_id, assignment in super().assign(_Cluster(cluster, topic), askers).items():
                dealt[member_id] += assignment.assigned_partitions
        return {
            member_id: ConsumerProtocolAssignment(self.version, partitions, b"")
            for member_id, partitions in dealt.items()
        }


@dataclass(frozen=True, slots=True)
class _Cluster:
    """As if there were one topic."""

    cluster: Any
    topic: str

    def topics(self) -> set[str]:
        return {self.topic}

    def partitions_for_topic(self, topic: str) -> Any:
        return self.cluster.partitions_for_topic(topic)


@dataclass(frozen=True, slots=True)
class _Metadata:
    topics: tuple[str, ...]
    owned_partitions: tuple[Any, ...]
    generation_id: int


@dataclass(frozen=True, slots=True)
class _Member:
    """As if it asked for one topic."""

    member_id: str
    metadata: _Metadata

    @classmethod
    def of(cls, member: Any, topic: str) -> _Member:
        told = member.metadata
        owned = tuple(each for each in getattr(told, "owned_partitions", None) or () if each.topic == topic)
        return cls(member.member_id, _Metadata((topic,), owned, told.generation_id))
