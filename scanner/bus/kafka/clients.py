"""Making kafka-python's clients: one that finds no broker leaves nothing behind.

A constructor of kafka-python 3.0.12 that fails keeps its thread and four file descriptors for ever: a worker that waits
for its broker overnight would run out of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

Client = TypeVar("Client")


def made(kind: Callable[..., Client], config: Mapping[str, Any]) -> Client:
    """KafkaConsumer, KafkaProducer or KafkaAdminClient. Raises kafka-python's errors."""
    lines: list[KafkaNetClient] = []

    def line(**told: Any) -> KafkaNetClient:
        lines.append(KafkaNetClient(**told))
        return lines[-1]

    try:
        return kind(**config, kafka_client=line)
    except BaseException:
        for opened in lines:
            with suppress(KafkaError):
                opened.close()
        raise
