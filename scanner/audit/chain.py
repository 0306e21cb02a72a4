"""A stream's verdicts as a chain: each link holds the digest of a verdict's bytes and of the link before. Pure.

verdict lines ──▶ Link 0 ◀─ Link 1 ◀─ Link 2 …        seal: Merkle root over the links since the last one, signed
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from scanner.audit.keys import PrivateKey, PublicKey
from scanner.audit.merkle import merkle_root
from scanner.core.types import Verdict

NOTHING_BEFORE = "0" * 64


@dataclass(frozen=True, slots=True)
class Link:
    """One verdict in the chain of its stream."""

    stream_id: str
    place: int
    """0-based in the chain"""
    sequence: int
    verdict_id: str
    verdict_sha256: str
    """of the verdict's JSON exactly as it was published, without a line's end"""
    previous: str
    """digest of the link before; 64 zeros at the beginning"""
    type: Literal["link"] = "link"

    @property
    def sha256(self) -> str:
        """Hex digest over all fields."""
        return hashlib.sha256(canonical(asdict(self))).hexdigest()


@dataclass(frozen=True, slots=True)
class Seal:
    """The operator's word that these links stood there by then."""

    stream_id: str
    first: int
    last: int
    """places of the links it covers, both inclusive"""
    root: str
    """hex, Merkle root over the links' digests"""
    sealed_at_ms: int
    """wall clock, ms since the epoch, UTC"""
    key_id: str
    signature: str
    """base64, over the other fields"""
    type: Literal["seal"] = "seal"

    @property
    def message(self) -> bytes:
        """What is signed."""
        facts = asdict(self)
        del facts["signature"]
        return canonical(facts)

    def holds(self, links: list[Link], key: PublicKey) -> bool:
        """Whether it is the key's seal over just these links."""
        return self.root == root_of(links) and key.signed(self.message, self.signature)


@dataclass(slots=True)
class Ledger:
    """What was chained so far, of all streams; grows by links and seals."""

    links: dict[str, list[Link]] = field(default_factory=dict)
    seals: list[Seal] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def take(self, entry: Link | Seal) -> None:
        """Takes in what was written earlier."""
        if isinstance(entry, Seal):
            self.seals.append(entry)
        else:
            self.links.setdefault(entry.stream_id, []).append(entry)
            self._known.add(entry.verdict_id)

    def chained(self, verdict: Verdict, line: bytes) -> Link | None:
        """The next link of the verdict's stream; None for a verdict that is in the chain: readers get repeats."""
        if verdict.verdict_id in self._known:
            return None
        before = self.links.get(verdict.stream_id, [])
        link = Link(
            stream_id=verdict.stream_id,
            place=before[-1].place + 1 if before else 0,
            sequence=verdict.sequence,
            verdict_id=verdict.verdict_id,
            verdict_sha256=hashlib.sha256(line).hexdigest(),
            previous=before[-1].sha256 if before else NOTHING_BEFORE,
        )
        self.take(link)
        return link

    def sealed(self, key: PrivateKey, at_ms: int) -> list[Seal]:
        """One seal a stream over the links that none covers yet."""
        fresh = []
        covered = {seal.stream_id: seal.last for seal in self.seals}
        for stream_id, links in self.links.items():
            loose = [link for link in links if link.place > covered.get(stream_id, -1)]
            if loose:
                bare = Seal(stream_id, loose[0].place, loose[-1].place, root_of(loose), at_ms, key.public.key_id, "")
                fresh.append(replace(bare, signature=key.sign(bare.message)))
        for seal in fresh:
            self.take(seal)
        return fresh


def root_of(links: list[Link]) -> str:
    return merkle_root([bytes.fromhex(link.sha256) for link in links]).hex()


def canonical(facts: dict[str, object]) -> bytes:
    """JSON of which there is only one: keys sorted, nothing between them, ASCII (as RFC 8785 for what we write)."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
