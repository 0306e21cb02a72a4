"""Settings to a bus, its topics, and the store behind claim checks. Imports nothing that decodes or scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.media.store import ObjectStore
from scanner.media.web import WebLimits
from scanner.ports import TopicPlan
from scanner.settings import Settings
from scanner.wire import Topics

DAY_MS = 24 * 3600 * 1000


def kafka_bus(settings: Settings, *, deadline_s: float = 20.0) -> KafkaBus:
    """Apache Kafka as the settings describe it. Raises SettingsError.

    Args:
        deadline_s: of every wait for a broker.
    """
    kafka = settings.kafka
    return KafkaBus(
        KafkaConfig(
            bootstrap_servers=kafka.bootstrap_servers,
            instance=kafka.instance,
            security_protocol=kafka.security_protocol,
            sasl_mechanism=kafka.sasl_mechanism,
            username=kafka.username,
            password=kafka.password.get_secret_value() if kafka.password else None,
            ca_file=kafka.ca_file,
            cert_file=kafka.cert_file,
            key_file=kafka.key_file,
            max_record_bytes=largest_record(settings),
            deadline_s=deadline_s,
            # What was fetched and not yet handed out lies beside what is pending: a small part of it.
            fetch_bytes=min(32 * 1024 * 1024, settings.worker.pending_mib * 1024 * 1024 // 4),
        )
    )


def largest_record(settings: Settings) -> int:
    """Bytes of the largest record: an inline segment with room for its headers, or a verdict with many faces."""
    return settings.claims.inline_limit_bytes + 1024 * 1024


def topics_of(settings: Settings) -> Topics:
    return Topics(**settings.topics.model_dump(exclude={"partitions"}))


def topic_plans(settings: Settings) -> dict[str, TopicPlan]:
    """Every topic and how it is created. Segments and their states share their partitioning: one stream, one worker."""
    topics, faces = topics_of(settings), settings.faces
    plan = TopicPlan(settings.topics.partitions, max_record_bytes=largest_record(settings))
    kept = replace(plan, retention_ms=settings.audit.retention_days * DAY_MS)
    return {
        **dict.fromkeys((*topics.asked, topics.deadletters), plan),
        **dict.fromkeys((topics.verdicts, topics.alerts, topics.reviews, topics.shadow), kept),
        **dict.fromkeys((topics.states_of(asked) for asked in topics.asked), replace(plan, compacted=True)),
        **({topics.faces: replace(plan, retention_ms=round(faces.kept_min * 60_000))} if faces.kept_min else {}),
    }


def media_store(settings: Settings) -> ObjectStore:
    """Where claim checks may point to: the roots and buckets that are allowed, and the folder this one writes to."""
    claims = settings.claims
    own = claims.write_to.removeprefix("file://") if claims.write_to and claims.write_to.startswith("file://") else None
    return ObjectStore(
        file_roots=(*claims.file_roots, *([Path(own)] if own else [])),
        s3_buckets=claims.s3_buckets,
        s3_endpoint=claims.s3_endpoint,
        https_hosts=claims.https_hosts,
        https_limits=WebLimits(claims.https_timeout_s, claims.https_private, claims.https_ca_file),
        max_bytes=claims.max_bytes,
    )
