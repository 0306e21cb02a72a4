"""One description of how to reach Apache Kafka, and what each of kafka-python's clients is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scanner.bus.kafka.assignor import EvenStickyAssignor
from scanner.core.errors import SettingsError

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

# Headers and framing beside the largest value: a segment's headers are under 4 KiB but for aigc-label and c2pa.
_ENVELOPE_BYTES = 256 * 1024
_DELIVERY_MS = 120_000
_UNMEASURED = {"metrics_enabled": False}  # nobody reads kafka-python's, and each request and record pays for them
_GATHERED_BYTES, _GATHERED_MS = 4 * 1024 * 1024, 200
_TRANSACTION_GRACE_MS = 5_000


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """How to reach the brokers, and how much may be under way."""

    bootstrap_servers: tuple[str, ...] = ("localhost:9092",)
    instance: str | None = None
    """a worker slot's name: its static membership and its transactions. A restart within the session keeps its
    partitions, and ends at once what the process before left open"""
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    start: Literal["earliest", "latest"] = "earliest"
    """where a group without committed offsets begins"""
    deadline_s: float = 20.0
    """how long the brokers may be silent before it is an error"""
    session_s: float = 45.0
    """a member silent for longer loses its partitions"""
    poll_interval_s: float = 300.0
    """longest time between two polls"""
    max_record_bytes: int = 8 * 1024 * 1024
    """the largest record sent or fetched"""
    fetch_bytes: int = 32 * 1024 * 1024
    """the most one fetch brings"""
    inflight_bytes: int = 32 * 1024 * 1024
    """handed to a publisher and not yet acknowledged; above it, publish waits"""

    def __post_init__(self) -> None:
        sasl = self.security_protocol.startswith("SASL")
        if sasl and not (self.sasl_mechanism and self.username and self.password):
            raise SettingsError(f"{self.security_protocol} needs sasl_mechanism, username and password")
        if self.sasl_mechanism and not sasl:
            raise SettingsError(f"sasl_mechanism is set, but security_protocol is {self.security_protocol}")
        if (self.cert_file is None) != (self.key_file is None):
            raise SettingsError("cert_file and key_file go together: a certificate needs its key")
        for path in (self.ca_file, self.cert_file, self.key_file):
            if path is not None and not path.is_file():
                raise SettingsError(f"{path} is not there")

    @property
    def deadline_ms(self) -> int:
        return int(self.deadline_s * 1000)

    def client(self) -> Mapping[str, Any]:
        """What every client is told."""
        return {
            "bootstrap_servers": list(self.bootstrap_servers),
            "client_id": "scanner",
            "bootstrap_timeout_ms": self.deadline_ms,
            # A request that is lost is noticed while there is time left to repeat it.
            "request_timeout_ms": max(1000, self.deadline_ms // 2),
            # kafka-python's 30 s would add half a minute to the end of every outage.
            "reconnect_backoff_max_ms": 1000,
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "ssl_cafile": _text(self.ca_file),
            "ssl_certfile": _text(self.cert_file),
            "ssl_keyfile": _text(self.key_file),
        }

    def consumer(self) -> Mapping[str, Any]:
        """What every consumer is told: nothing uncommitted is seen, nothing is committed behind our back."""
        return {
            **self.client(),
            **_UNMEASURED,
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
            "fetch_max_bytes": self.fetch_bytes,
            "max_partition_fetch_bytes": self.max_record_bytes + _ENVELOPE_BYTES,
            "fetch_max_wait_ms": min(500, self.deadline_ms // 4),
        }

    def member(self, group: str) -> Mapping[str, Any]:
        """What a member of a group is told beside that."""
        return {
            **self.consumer(),
            # A fetch a record would cost more than reading it: the broker gathers what comes within this time.
            "fetch_min_bytes": _GATHERED_BYTES,
            "fetch_max_wait_ms": min(_GATHERED_MS, self.deadline_ms // 4),
            "group_id": group,
            "group_instance_id": self.instance,
            "auto_offset_reset": self.start,
            "partition_assignment_strategy": (EvenStickyAssignor,),
            "session_timeout_ms": int(self.session_s * 1000),
            "heartbeat_interval_ms": int(min(3.0, self.session_s / 3) * 1000),
            "max_poll_interval_ms": int(self.poll_interval_s * 1000),
        }

    def producer(self) -> Mapping[str, Any]:
        return {
            **self.client(),
            **_UNMEASURED,
            "acks": "all",
            "enable_idempotence": True,
            "allow_auto_create_topics": False,
            "max_request_size": self.max_record_bytes + _ENVELOPE_BYTES,
            "max_block_ms": self.deadline_ms,
            # Longer than a slow link takes over `inflight_bytes`; who cannot wait so long flushes with a deadline.
            "delivery_timeout_ms": max(_DELIVERY_MS, self.deadline_ms),
        }

    def transactional(self, name: str) -> Mapping[str, Any]:
        """What a producer of transactions is told; `name` is its transactional id."""
        return {
            **self.producer(),
            "transactional_id": name,
            # One that its worker did not live to end holds up the readers behind it for so long.
            "transaction_timeout_ms": self.deadline_ms + _TRANSACTION_GRACE_MS,
        }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
