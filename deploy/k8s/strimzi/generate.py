"""Writes topics.yaml and users.yaml from the product's own plans and rights.

python deploy/k8s/strimzi/generate.py
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from scanner.assembly.bus import topic_plans, topics_of
from scanner.bus.acls import ROLES, Grant, grants
from scanner.ports import TopicPlan
from scanner.settings import Settings

HERE = Path(__file__).parent
KINDS = {"topic": "topic", "group": "group", "transactional-id": "transactionalId"}
REPLICAS = 3


def resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"strimzi.io/cluster": "scanner"}}
    return {"apiVersion": "kafka.strimzi.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def topic(name: str, plan: TopicPlan) -> dict[str, Any]:
    config: dict[str, Any] = {"max.message.bytes": plan.max_record_bytes}
    if plan.compacted:
        config["cleanup.policy"] = "compact"
    if plan.retention_ms:
        config["retention.ms"] = plan.retention_ms
    if plan.segment_ms:
        config["segment.ms"] = plan.segment_ms
    if plan.segment_bytes is not None:
        config["segment.bytes"] = plan.segment_bytes
    return resource("KafkaTopic", name, {"partitions": plan.partitions, "replicas": REPLICAS, "config": config})


def user(role: str, given: Iterable[Grant]) -> dict[str, Any]:
    rights = [
        {
            "resource": {
                "type": KINDS[each.resource],
                "name": each.name,
                "patternType": "prefix" if each.prefixed else "literal",
            },
            "operations": [each.operation],
        }
        for each in given
        if each.role == role
    ]
    spec = {"authentication": {"type": "tls"}, "authorization": {"type": "simple", "acls": rights}}
    return resource("KafkaUser", f"scanner-{role}", spec)


def write(name: str, about: str, resources: Iterable[dict[str, Any]]) -> None:
    text = yaml.safe_dump_all(list(resources), sort_keys=False)
    (HERE / name).write_text(f"# {about}; generate.py writes this, tests hold it to them.\n{text}", "utf-8")


if __name__ == "__main__":
    settings = Settings()
    rights = grants(topics_of(settings), settings.kafka.group)
    plans = sorted(topic_plans(settings).items())
    write("topics.yaml", "As `scanner topics create` makes them", (topic(*plan) for plan in plans))
    write("users.yaml", "The least rights that `scanner topics acls` lists", (user(role, rights) for role in ROLES))
