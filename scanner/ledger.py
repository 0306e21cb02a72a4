"""Which segments a worker owes an answer, in the order of their partitions. Pure bookkeeping: no bus, no threads.

partition 0   10 ✔  11 ✔  12 …  13 ✔        answered up to 11: outputs of 10 and 11 may go out with offset 12,
                                             those of 13 wait, so that outputs and offset move together
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from scanner.ports import Delivery, Place, Record


class Trace(Protocol):
    """The trace of a segment, until its answer is committed."""

    @property
    def traceparent(self) -> str:
        """For the records that answer it."""

    def published(self) -> None:
        """The answer is committed."""


@dataclass(slots=True, eq=False)
class Debt:
    """One delivered segment until its answer is committed."""

    delivery: Delivery
    taken_s: float
    """monotonic clock when it was delivered"""
    live_at_ms: int | None = None
    """wall clock at which a live segment was complete; None: it has time, or nobody says (see shedding)"""
    claimed_bytes: int = 0
    """of a claim check: fetched when the segment is looked at"""
    outputs: tuple[Record, ...] | None = field(default=None, repr=False)
    """the records that answer it; None while it is being worked on"""
    trace: Trace | None = None
    """where segments are traced, since it was judged"""

    @property
    def place(self) -> Place:
        return self.delivery.record.topic, self.delivery.partition

    @property
    def due_ms(self) -> int:
        """Wall clock from which it counts as waiting: since it was complete, or else since it reached its topic."""
        return self.delivery.timestamp_ms if self.live_at_ms is None else self.live_at_ms

    @property
    def size(self) -> int:
        """Bytes in memory until the answer is committed."""
        return len(self.delivery.record.value or b"") + self.claimed_bytes


@dataclass(frozen=True, slots=True)
class Payment:
    """Answers that may be committed together."""

    debts: tuple[Debt, ...]
    offsets: dict[Place, int]
    """the next offset to read, a partition"""

    @property
    def outputs(self) -> list[Record]:
        return [record for debt in self.debts for record in debt.outputs or ()]


@dataclass(frozen=True, slots=True)
class Owed:
    """What waits of one topic."""

    count: int
    bytes: int


class Ledger:
    """Feed `take`, settle debts, collect `payable`, confirm with `paid`."""

    def __init__(self) -> None:
        self._owed: dict[Place, deque[Debt]] = {}
        self._offered: Payment | None = None

    def take(self, delivery: Delivery, now_s: float) -> Debt:
        debt = Debt(delivery, now_s)
        self._owed.setdefault(debt.place, deque()).append(debt)
        return debt

    def payable(self) -> Payment | None:
        """The answered head of every partition, or None when no head is answered.

        The same again until it is paid, less what was dropped: of a commit that failed nobody may know whether it
        happened, and only the same commit can be made twice without harm.
        """
        if self._offered is None:
            self._offered = self._answered()
        return self._offered

    def _answered(self) -> Payment | None:
        debts: list[Debt] = []
        offsets: dict[Place, int] = {}
        for place, owed in self._owed.items():
            for debt in owed:
                if debt.outputs is None:
                    break
                debts.append(debt)
                offsets[place] = debt.delivery.offset + 1
        return Payment(tuple(debts), offsets) if debts else None

    def paid(self, payment: Payment) -> None:
        self._offered = None
        gone = set(map(id, payment.debts))
        for place in payment.offsets:
            owed = self._owed.get(place)
            while owed and id(owed[0]) in gone:
                owed.popleft()

    def drop(self, places: Iterable[Place]) -> None:
        """Forgets partitions that somebody else answers now."""
        gone = set(places)
        for place in gone:
            self._owed.pop(place, None)
        if self._offered is not None:
            kept = tuple(debt for debt in self._offered.debts if debt.place not in gone)
            offsets = {place: offset for place, offset in self._offered.offsets.items() if place not in gone}
            self._offered = Payment(kept, offsets) if kept else None

    def owes(self, debt: Debt) -> bool:
        """Whether the debt is still ours: its partition was not revoked meanwhile."""
        return any(debt is other for other in self._owed.get(debt.place, ()))

    def oldest(self, place: Place) -> Debt | None:
        """The first segment of a partition that is not answered."""
        return next((debt for debt in self._owed.get(place, ()) if debt.outputs is None), None)

    def owing(self, place: Place) -> int:
        """Segments of one partition that wait for their answer or its commit."""
        return len(self._owed.get(place, ()))

    def owed(self, topic: str) -> Owed:
        """Of all its partitions."""
        debts = [debt for (name, _), owed in self._owed.items() if name == topic for debt in owed]
        return Owed(len(debts), sum(debt.size for debt in debts))

    def __len__(self) -> int:
        return sum(len(owed) for owed in self._owed.values())

    @property
    def pending_bytes(self) -> int:
        return sum(debt.size for owed in self._owed.values() for debt in owed)
