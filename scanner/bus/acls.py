"""Who may do what on the bus, and no more: the rights of each role, as Apache Kafka's ACLs.

Write and Read imply Describe. Idempotent producers need no right of their own since Apache Kafka 2.8 (KIP-679).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from scanner.letters import redriver
from scanner.wire import Topics

Resource = Literal["topic", "group", "transactional-id"]
Operation = Literal["Read", "Write", "Describe"]
_RIGHTS_OF_TOPICS: dict[str, dict[Operation, tuple[str, ...]]] = {
    "worker": {
        "Read": ("segments", "archive", "states", "archive_states"),
        "Write": ("verdicts", "alerts", "states", "archive_states", "deadletters", "faces", "shadow"),
    },
    "publisher": {"Write": ("segments",)},
    "replayer": {"Read": ("archive",), "Write": ("archive",)},
    "ingest": {"Read": ("segments",), "Write": ("segments",)},
    "dashboard": {
        "Read": ("segments", "archive", "verdicts", "alerts", "states", "deadletters", "reviews", "faces"),
        "Write": ("reviews", "segments", "archive"),
    },
    "tail": {"Read": ("verdicts", "alerts", "shadow")},
    "redrive": {"Read": ("deadletters", "segments", "archive", "verdicts"), "Write": ("segments", "archive")},
    "auditor": {"Read": ("segments", "archive", "verdicts", "alerts", "deadletters", "reviews")},
}
"""publisher: publish; replayer: replay --to kafka, which reads where it stopped; ingest reads where each stream's
numbers ended; dashboard: admins redrive dead letters; auditor: topics lag and verify, audit, reviews"""

ROLES = tuple(_RIGHTS_OF_TOPICS)


@dataclass(frozen=True, slots=True)
class Grant:
    """One right of one role."""

    role: str
    operation: Operation
    resource: Resource
    name: str
    prefixed: bool = False
    """whether the right holds for all names that begin so"""


def grants(topics: Topics, group: str) -> tuple[Grant, ...]:
    """The rights of every role, for these topics and this group of workers."""
    of_topics = [
        Grant(role, operation, "topic", getattr(topics, name))
        for role, rights in _RIGHTS_OF_TOPICS.items()
        for operation, names in rights.items()
        for name in names
        if getattr(topics, name)
    ]
    return (
        *of_topics,
        Grant("worker", "Read", "group", group),
        Grant("worker", "Write", "transactional-id", f"{group}.", prefixed=True),
        *(Grant(role, "Write", "transactional-id", redriver(topics)) for role in ("redrive", "dashboard")),
        Grant("dashboard", "Describe", "group", group),
        Grant("auditor", "Describe", "group", group),
    )


def commands(given: Iterable[Grant], *, bootstrap: str, prefix: str, command_config: str) -> Iterator[str]:
    """Lines of a shell script, one a kind of right: what `kafka-acls.sh` of Apache Kafka is told."""
    together: dict[tuple[str, Operation, bool], list[Grant]] = {}
    for grant in given:
        together.setdefault((grant.role, grant.operation, grant.prefixed), []).append(grant)
    for (role, operation, prefixed), alike in together.items():
        words = ["kafka-acls.sh", "--bootstrap-server", bootstrap, "--command-config", command_config, "--add"]
        words += ["--allow-principal", f"User:{prefix}{role}", "--operation", operation]
        words += ["--resource-pattern-type", "prefixed"] if prefixed else []
        for grant in alike:
            words += [f"--{grant.resource}", grant.name]
        yield shlex.join(words)
