"""The dashboard on a real Apache Kafka: it follows topics, plays by coordinates, and publishes what people say."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from contextlib import closing

import pytest

from scanner import wire
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.core.types import Label, Mode, ModelRef, Provenance, Segment, Tally, Verdict
from scanner.testing import draw_video

pytestmark = pytest.mark.kafka
PASSWORD = "correct horse battery"
PATIENCE_S = 60.0


def until(reached) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def site(kafka_broker, tmp_path):
    from scanner.assembly.bus import topic_plans
    from scanner.dashboard.accounts import Accounts, Role
    from scanner.dashboard.serve import site_for
    from scanner.settings import load

    own = uuid.uuid4().hex[:8]
    names = {f"topics.{name}": f"{own}.{name}" for name in wire.Topics.__dataclass_fields__}
    settings = load(flags={**names, "topics.partitions": 2, "dashboard.users_file": str(tmp_path / "users.json")})
    Accounts(tmp_path / "users.json").add("ana", Role.REVIEWER, PASSWORD)
    bus = KafkaBus(KafkaConfig((kafka_broker.bootstrap,), deadline_s=15))
    bus.create(topic_plans(settings))
    site = site_for(settings, bus)
    site.feed.start()
    yield site
    site.feed.stop()


def test_it_follows_plays_and_answers(site) -> None:
    from starlette.testclient import TestClient

    from scanner.dashboard.app import create_app

    payload = draw_video(frames=12)
    segment = Segment("cam", 0, 0, payload, hashlib.sha256(payload).hexdigest())
    with closing(site.bus.publisher()) as publisher:
        publisher.publish(wire.segment_record(segment, site.topics.segments))
        publisher.flush(PATIENCE_S)
        with closing(site.bus.reader([site.topics.segments], from_beginning=True)) as reader:
            found: list = []
            until(lambda: found.extend(reader.poll(1, 10)) or found)
        verdict = Verdict(
            "v1", "cam", 0, 0, 2000, Label.MANIPULATED, 0.9, (), (), Provenance(), Tally(12, 12, 12, 0, Mode.FULL),
            ModelRef("m", "0" * 64), "1" * 64, source=found[0].source,
        )  # fmt: skip
        publisher.publish(wire.verdict_record(verdict, site.topics.verdicts, at_ms=time.time_ns() // 1_000_000))
        publisher.flush(PATIENCE_S)

    client = TestClient(create_app(site), follow_redirects=False)

    def token(path: str) -> str:
        return re.findall(r'name="csrf" value="([^"]+)"', client.get(path).text)[0]

    fields = {"csrf": token("/sign-in"), "name": "ana", "password": PASSWORD}
    assert client.post("/sign-in", data=fields).status_code == 303
    until(lambda: 'data-id="cam"' in client.get("/").text)
    page = client.get("/stream?id=cam").text
    (clip,) = re.findall(r'src="(/clip[^"]+)"', page)
    assert client.get(clip.replace("&amp;", "&")).content == payload
    assert "&#34;verdict_id&#34;: &#34;v1&#34;" in page, "fetched off its topic"

    fields = {"csrf": token("/reviews"), "case": "v1", "decision": "confirm"}
    assert "Nothing to review" in client.post("/reviews", data=fields).text
    with closing(site.bus.reader([site.topics.reviews], from_beginning=True)) as reader:
        said: list = []
        until(lambda: said.extend(reader.poll(1, 10)) or said)
    assert (wire.review_of(said[0].record).verdict_id, wire.review_of(said[0].record).decision) == ("v1", "confirm")
    assert site.lag.now()[0] == {0: 0, 1: 1} or site.lag.now()[0] == {0: 1, 1: 0}
