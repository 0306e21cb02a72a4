"""Hands to feed a dashboard and to sign in to it, for its tests."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from said import TOPICS, verdict
from starlette.testclient import TestClient

from scanner import wire
from scanner.bus.memory import MemoryBus
from scanner.core.types import Segment, Source, Verdict
from scanner.dashboard.site import Site
from scanner.ports import Record

PASSWORD = "correct horse battery"

CHEAP = PasswordHasher.from_parameters(CHEAPEST)


@dataclass
class Desk:
    """The dashboard, and hands to feed it."""

    bus: MemoryBus
    site: Site
    app: Any
    address: str = ""
    runs: Path | None = None
    """where replays lie"""

    def publish(self, *records: Record) -> None:
        publisher = self.bus.publisher()
        for record in records:
            publisher.publish(record)
        self.settled()

    def say(self, *verdicts: Verdict) -> None:
        now = time.time_ns() // 1_000_000
        self.publish(
            *(wire.verdict_record(said, TOPICS.verdicts, at_ms=now, live_at_ms=now - 800) for said in verdicts)
        )

    def settled(self) -> None:
        """Waits until what is on the bus has been folded."""
        readers = self.bus.reader(list(self.site.feed._view.topics), from_beginning=False)._positions
        deadline = time.monotonic() + 10
        while any(self.site.feed._next.get(place, 0) < position for place, position in readers.items()):
            assert time.monotonic() < deadline, "the feed does not follow"
            time.sleep(0.005)

    def segment(self, payload: bytes, stream_id: str = "cam", sequence: int = 0) -> Source:
        """Puts a segment on its topic and says where it lies."""
        import hashlib

        segment = Segment(stream_id, sequence, sequence * 2000, payload, hashlib.sha256(payload).hexdigest())
        self.bus.publisher().publish(wire.segment_record(segment, TOPICS.segments))
        reader = self.bus.reader([TOPICS.segments], from_beginning=True)
        return [delivery.source for delivery in reader.poll(1, 1000)][-1]

    def client(self, role: str | None = None, **settings: Any) -> TestClient:
        client = TestClient(self.app, follow_redirects=False, **settings)
        if role:
            answer = sign_in(client, role)
            assert answer.status_code == 303, answer.text
        return client


def token(page: str) -> str:
    (found, *_) = re.findall(r'name="csrf" value="([^"]+)"', page)
    return found


def sign_in(client: TestClient, name: str, password: str = PASSWORD, **form: str) -> Any:
    fields = {"csrf": token(client.get("/sign-in").text), "name": name, "password": password, **form}
    return client.post("/sign-in", data=fields)


def suspicious(stream_id: str = "cam", sequence: int = 0, score: float = 0.9, source: Source | None = None) -> Verdict:
    said = verdict(stream_id, sequence, score)
    return replace(said, source=source) if source else said
