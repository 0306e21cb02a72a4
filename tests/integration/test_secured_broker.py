"""TLS, SASL SCRAM and the printed ACLs against a real Apache Kafka: each role may do its work and nothing else."""

from __future__ import annotations

import gc
import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from typer.testing import CliRunner

from scanner.assembly.bus import topic_plans, topics_of
from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.cli.app import app
from scanner.core.errors import BrokerRefusedError, ScannerError, TopicMissingError
from scanner.letters import redriver
from scanner.ports import Record
from scanner.settings import Settings, TopicSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from certificates import certificate

pytestmark = pytest.mark.kafka
ROLES = ("worker", "publisher", "replayer", "ingest", "dashboard", "tail", "redrive", "auditor")
TOPICS = topics_of(Settings())
GROUP = Settings().kafka.group


@pytest.fixture(autouse=True)
def _swept() -> Iterator[None]:
    """kafka-python leaves refused connections to the garbage collector: it comes while their warnings are expected."""
    yield
    gc.collect()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Secured:
    config: KafkaConfig
    """of nobody yet: name and password are missing"""
    open_config: KafkaConfig
    """of the administrator"""

    def as_(self, role: str, **changed: object) -> KafkaBus:
        named = {"username": f"scanner-{role}", "password": f"secret of {role}", **changed}
        return KafkaBus(replace(self.config, **named))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    papers = certificate(folder / "papers", "localhost", "127.0.0.1")
    clients, inside, controller = free_port(), free_port(), free_port()
    listeners = f"INTERNAL://127.0.0.1:{inside},CLIENT://127.0.0.1:{clients}"
    properties = {
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "CLIENT:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INTERNAL",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": "User:ANONYMOUS",
        "listener.name.client.ssl.keystore.type": "PEM",
        "listener.name.client.ssl.keystore.location": str(papers.both),
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
    }
    with LocalBroker(folder / "broker", port=clients, properties=properties) as running:
        open_config = KafkaConfig(bootstrap_servers=(f"127.0.0.1:{inside}",), deadline_s=30)
        KafkaBus(open_config).create(topic_plans(Settings()))
        with KafkaAdminClient(**open_config.client()) as admin:
            for role in ROLES:
                admin.alter_user_scram_credentials(
                    [UserScramCredentialUpsertion(f"scanner-{role}", ScramMechanism.SCRAM_SHA_512, f"secret of {role}")]
                )
            admin.create_acls(printed_acls())
        config = KafkaConfig(
            bootstrap_servers=(running.bootstrap,),
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            username="nobody",
            password="nothing",
            ca_file=papers.authority,
            deadline_s=15,
        )
        yield Secured(config, open_config)


def printed_acls() -> list[ACL]:
    """What `scanner topics acls --json` prints, given to the broker."""
    said = CliRunner().invoke(app, ["topics", "acls", "--json"])
    assert said.exit_code == 0, said.output
    given = [json.loads(line) for line in said.stdout.splitlines()]
    assert {one["role"] for one in given} == set(ROLES)
    return [
        ACL(
            one["principal"],
            "*",
            ACLOperation[one["operation"].upper()],
            ACLPermissionType.ALLOW,
            ResourcePattern(
                ResourceType[one["resource"].upper().replace("-", "_")],
                one["name"],
                ACLResourcePatternType.PREFIXED if one["prefixed"] else ACLResourcePatternType.LITERAL,
            ),
        )
        for one in given
    ]


def written(bus: KafkaBus, topic: str) -> None:
    with closing(bus.publisher()) as publisher:
        publisher.publish(Record(topic, b"cam", b"{}"))
        publisher.flush(10)


def read(bus: KafkaBus, topic: str) -> None:
    with closing(bus.reader([topic], from_beginning=True)) as reader:
        reader.poll(1.0, 1)  # time enough for a busy broker to refuse


def may(action, bus: KafkaBus, topic: str) -> bool:
    try:
        action(bus, topic)
    except ScannerError as error:
        if "uthoriz" in str(error):
            return False
        raise
    return True


READS = {
    "worker": {"segments", "archive", "states", "archive_states"},
    "publisher": set(),
    "replayer": {"archive"},
    "ingest": {"segments"},
    "dashboard": {"segments", "archive", "verdicts", "alerts", "states", "deadletters", "reviews", "faces"},
    "tail": {"verdicts", "alerts", "shadow"},
    "redrive": {"deadletters", "segments", "archive", "verdicts"},
    "auditor": {"segments", "archive", "verdicts", "alerts", "deadletters", "reviews"},
}
WRITES = {
    "worker": {"verdicts", "alerts", "states", "archive_states", "deadletters", "faces", "shadow"},
    "publisher": {"segments"},
    "replayer": {"archive"},
    "ingest": {"segments"},
    "dashboard": {"reviews", "segments", "archive"},
    "tail": set(),
    "redrive": {"segments", "archive"},
    "auditor": set(),
}
NAMES = tuple(name for name in TopicSettings.model_fields if name != "partitions")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_and_writes_what_it_must_and_nothing_else(broker: Secured, role: str) -> None:
    bus = broker.as_(role)
    assert {name for name in NAMES if may(read, bus, getattr(TOPICS, name))} == READS[role]
    assert {name for name in NAMES if may(written, bus, getattr(TOPICS, name))} == WRITES[role]


def test_a_topic_that_one_may_not_see_is_refused_and_one_that_is_not_there_is_missing(broker: Secured) -> None:
    with pytest.raises(BrokerRefusedError, match=f"could not look up {TOPICS.reviews}: TopicAuthorizationFailedError"):
        read(broker.as_("tail"), TOPICS.reviews)
    with pytest.raises(TopicMissingError, match="no such topic: nowhere"):
        read(KafkaBus(broker.open_config), "nowhere")


def test_a_worker_answers_in_transactions(broker: Secured) -> None:
    written(broker.as_("publisher"), TOPICS.segments)
    bus = broker.as_("worker", instance="slot-1", start="earliest")
    with closing(bus.subscribe(TOPICS.asked, GROUP)) as member:
        deadline = time.monotonic() + 60
        while not (got := member.poll(0.2, 10)):
            assert time.monotonic() < deadline, "nothing came"
        place = (got[0].record.topic, got[0].partition)
        member.commit([Record(TOPICS.verdicts, b"cam", b"{}")], {place: got[0].offset + 1})
    assert broker.as_("auditor").committed(place[0], GROUP)[place] == got[0].offset + 1
    assert broker.as_("dashboard").lag(TOPICS.segments, GROUP)


def test_who_redrives_is_the_only_one_and_nobody_else_can_end_it(broker: Secured) -> None:
    def alone(bus: KafkaBus, topic: str) -> None:
        with closing(bus.sole_publisher(redriver(TOPICS))) as publisher:
            publisher.publish(Record(topic, b"cam", b"{}"))
            publisher.flush(10)

    assert {role for role in ROLES if may(alone, broker.as_(role), TOPICS.segments)} == {"redrive", "dashboard"}


@pytest.mark.parametrize(("role", "group"), [("tail", GROUP), ("publisher", GROUP), ("worker", "another-group")])
def test_who_may_not_join_a_group_cannot_take_its_segments(broker: Secured, role: str, group: str) -> None:
    bus = broker.as_(role, instance="intruder")

    def join() -> None:
        with closing(bus.subscribe([TOPICS.segments], group)) as member:
            for _ in range(50):
                member.poll(0.1, 10)

    with pytest.raises(ScannerError):
        join()


def test_a_wrong_password_is_told_in_one_line(broker: Secured) -> None:
    bus = broker.as_("tail", deadline_s=4.0, password="a guess")
    with pytest.raises(ScannerError, match="are username and password right"):
        bus.reader([TOPICS.verdicts], from_beginning=True)


def test_a_broker_that_proves_nothing_is_not_talked_to(broker: Secured, tmp_path: Path) -> None:
    stranger = certificate(tmp_path).authority
    with pytest.raises(ScannerError):
        broker.as_("tail", ca_file=stranger, deadline_s=4.0).reader([TOPICS.verdicts], from_beginning=True)


def test_without_tls_nothing_is_said(broker: Secured) -> None:
    plain = replace(broker.config, security_protocol="SASL_PLAINTEXT", deadline_s=4.0, ca_file=None)
    with pytest.raises(ScannerError):
        KafkaBus(plain).reader([TOPICS.verdicts], from_beginning=True)


def test_the_commands_are_those_of_the_tool() -> None:
    def topics(*names: str) -> str:
        return " ".join(f"--topic {getattr(TOPICS, name)}" for name in names)

    said = CliRunner().invoke(app, ["topics", "acls", "--role", "worker", "--prefix", "s-"])
    assert said.stdout.splitlines() == [
        f"kafka-acls.sh --bootstrap-server localhost:9092 --command-config admin.properties --add "
        f"--allow-principal User:s-worker --operation {line}"
        for line in (
            f"Read {topics('segments', 'archive', 'states', 'archive_states')} --group scanner",
            f"Write {topics('verdicts', 'alerts', 'states', 'archive_states', 'deadletters', 'faces', 'shadow')}",
            "Write --resource-pattern-type prefixed --transactional-id scanner.",
        )
    ]
    refused = CliRunner().invoke(app, ["topics", "acls", "--role", "boss"])
    assert "no such role: boss" in str(refused.exception)
