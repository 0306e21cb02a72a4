"""Floor 1: the edges of the system, each a Protocol of one to three verbs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scanner.core.types import (
    Clip,
    ClipSpec,
    Detections,
    Mode,
    ModelRef,
    Observation,
    Pixels,
    Segment,
    Source,
)


class FaceDetector(Protocol):
    """Finds faces in one picture."""

    def detect(self, pixels: Pixels) -> Detections:
        """(H, W, 3) RGB to faces, most confident first."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Scores:
    """A batch's outputs, in the order of its clips."""

    logits: NDArray[np.float32]
    """(N,) uncalibrated; grow with suspicion"""
    frame_logits: NDArray[np.float32]
    """(N, T)"""
    maps: NDArray[np.float32]
    """(N, T, h, w) in [0, 1]: where the model saw traces"""


class ClipModel(Protocol):
    """Scores clips; owns the normalisation, so that pixels go in as they were cut."""

    ref: ModelRef
    spec: ClipSpec

    def score(self, clips: NDArray[np.uint8]) -> Scores:
        """(N, T, S, S, 3) RGB to scores. Raises InferenceError."""


class Sighting(Protocol):
    """A segment under observation: first its clips, one at a time, then the observation itself."""

    def clips(self) -> Iterator[Clip]:
        """Clips in the order they were cut. A clip's pixels are valid until the next one is asked for."""

    def observation(self) -> Observation:
        """To be asked after the last clip. Raises MediaError or CellLostError."""


class Observer(Protocol):
    """Looks at a segment in a decode cell."""

    def observe(self, segment: Segment, mode: Mode) -> Sighting: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Record:
    """What travels on a bus: bytes with a key and headers."""

    topic: str
    key: bytes
    value: bytes | None = field(repr=False)
    """None deletes the key from a compacted topic"""
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        return len(self.key) + len(self.value or b"") + sum(len(name) + len(value) for name, value in self.headers)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record with its place on the bus."""

    record: Record
    partition: int
    offset: int
    timestamp_ms: int

    @property
    def source(self) -> Source:
        return Source(self.record.topic, self.partition, self.offset)


Place = tuple[str, int]
"""topic and partition"""


class Assignments(Protocol):
    """Told when partitions come and go, between two polls, on the thread that polls."""

    def assigned(self, places: Sequence[Place]) -> None: ...

    def revoked(self, places: Sequence[Place]) -> None: ...


class Subscription(Protocol):
    """One member of a consumer group, together with its way to answer."""

    def poll(self, timeout_s: float, limit: int) -> list[Delivery]:
        """Up to `limit` records of partitions that are not paused. Raises BrokerUnavailableError."""

    def pause(self, places: Iterable[Place]) -> None: ...

    def resume(self, places: Iterable[Place]) -> None: ...

    def commit(self, outputs: Sequence[Record], offsets: Mapping[Place, int]) -> None:
        """Atomic: readers see all outputs and the group stands at `offsets` (next to read), or nothing has happened.

        Raises:
            BrokerUnavailableError: everything or nothing has happened. Commit exactly the same again, less what was
                revoked meanwhile: what had happened is not done twice.
            MembershipLostError: the offsets are not this member's to move; nothing has happened.
            ScannerError: refused; nothing has happened.
        """

    def behind(self, places: Iterable[Place]) -> dict[Place, int]:
        """Records that are there and were not delivered, of places that are this member's.

        Raises BrokerUnavailableError.
        """

    def rewind(self, places: Iterable[Place]) -> None:
        """Delivers again what was not committed. Raises BrokerUnavailableError."""

    def close(self) -> None:
        """Leaves the group. Uncommitted records are delivered again, to somebody else."""


class Publisher(Protocol):
    """Puts records on the bus, bounded in bytes."""

    def publish(self, record: Record) -> None: ...

    def flush(self, timeout_s: float) -> None:
        """Returns when everything is durable. Raises BrokerUnavailableError."""

    def close(self) -> None: ...


class Reader(Protocol):
    """Reads topics outside any group, from the beginning, the end, or a time."""

    def poll(self, timeout_s: float, limit: int) -> list[Delivery]: ...

    def at_end(self) -> bool:
        """Whether everything that was there when this was asked has been read.

        Commits that were under way when reading began are waited for.
        """

    def close(self) -> None: ...


class Bus(Protocol):
    """A place where topics live: Apache Kafka, or this process's memory."""

    def subscribe(self, topics: Sequence[str], group: str, listener: Assignments | None = None) -> Subscription: ...

    def publisher(self) -> Publisher: ...

    def sole_publisher(self, name: str) -> Publisher:
        """The only one of its name, wherever it runs: when this returns, the one before has flushed its last.

        What the one before had not flushed is never there, and it raises ReplacedError at its next flush. A flush is
        atomic; after one that failed the publisher is of no more use. To be flushed before much waits.
        """

    def reader(
        self,
        topics: Sequence[str],
        *,
        from_beginning: bool,
        partitions: Sequence[int] | None = None,
        since_ms: int | None = None,
    ) -> Reader:
        """All partitions, or only those with the given numbers.

        Args:
            since_ms: instead of the beginning, the first record that is not older (ms since the epoch).
        """

    def fetch(self, source: Source) -> Delivery | None:
        """The one record at these coordinates; None when retention or compaction has taken it."""

    def create(self, topics: Mapping[str, TopicPlan]) -> list[str]:
        """Creates what is missing and returns its names."""

    def lag(self, topic: str, group: str) -> dict[Place, int]:
        """Records not yet committed by the group, a partition."""

    def committed(self, topic: str, group: str) -> dict[Place, int]:
        """The next offset to answer, a partition; a partition of which the group has committed nothing is left out."""


_WEEK_MS = 7 * 24 * 3600 * 1000
_COMPACTED_FILE_BYTES = (
    2 * 1024 * 1024
)  # compaction follows within half a minute; an hour of states is never read again


@dataclass(frozen=True, slots=True)
class TopicPlan:
    partitions: int
    compacted: bool = False
    retention_ms: int | None = None
    max_record_bytes: int = 8 * 1024 * 1024

    @property
    def segment_ms(self) -> int | None:
        """How long Apache Kafka adds to one file: only whole files expire. None leaves its choice."""
        if self.retention_ms is None or self.retention_ms >= _WEEK_MS:
            return None
        return max(60_000, self.retention_ms // 4)

    @property
    def segment_bytes(self) -> int | None:
        """Size of one file: what is added to is never compacted, and whoever restores reads all of it. As above."""
        return _COMPACTED_FILE_BYTES if self.compacted else None


class MediaStore(Protocol):
    """Where the bytes behind claim checks lie."""

    def get(self, uri: str, size: int, sha256: str) -> bytes:
        """The bytes, checked. Raises ClaimRefusedError or ClaimUnavailableError."""
