"""Keeps the result of a join that ends between two polls; kafka-python 3.0.12 throws it away and joins again.

    poll ──JoinGroup──▶ (timeout)      … broker answers …      poll ──▶ kafka-python: JoinGroup again, a new rebalance
                                                                    └─▶ here: takes the answer

Two members that poll in turn, or scan between polls, would otherwise chase each other from rebalance to rebalance
(seen in the contract tests: 18 generations in 30 s, never settled).
"""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.structs import MemberState


def keep_joins(consumer: KafkaConsumer) -> None:
    """To be called before the first poll. Touches private names: they are held by tests/contract."""
    consumer._coordinator.__class__ = _Coordinator  # noqa: SLF001 - no public way to choose it


class _Coordinator(ConsumerCoordinator):  # type: ignore[misc]  # kafka-python is not typed
    _unclaimed: tuple[Any, bytes] | None = None
    """generation and assignment of a join that nobody has waited for to the end"""

    async def _do_join_and_sync_async(self) -> bytes:
        unclaimed, self._unclaimed = self._unclaimed, None
        if unclaimed is not None and unclaimed[0] == self._generation:
            return unclaimed[1]
        assignment: bytes = await super()._do_join_and_sync_async()
        self._unclaimed = (self._generation, assignment)
        with self._lock:
            # The session runs from here on: heartbeats must not wait for the next poll.
            self.state = MemberState.STABLE
            self._enable_heartbeat()
        return assignment

    async def _on_join_complete_async(self, *told: Any) -> None:
        self._unclaimed = None
        await super()._on_join_complete_async(*told)
