"""A ledger as lines, and the check of every one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from scanner.audit.chain import NOTHING_BEFORE, Ledger, Link, Seal, canonical, root_of
from scanner.audit.fault import Fault
from scanner.audit.keys import PublicKey

_ENTRY: TypeAdapter[Link | Seal] = TypeAdapter(Annotated[Link | Seal, Field(discriminator="type")])


@dataclass(frozen=True, slots=True)
class Parsed:
    """Lines that could be read, with the faults of those that could not, or that do not follow."""

    ledger: Ledger
    lines: dict[tuple[str, int], int]
    """stream and place to the 1-based line of the link"""
    faults: tuple[Fault, ...]


def ledger_lines(entries: Iterable[Link | Seal]) -> bytes:
    """One line an entry; a link's ends with its own digest, so that a changed one is found by itself."""
    return b"".join(_line(entry) + b"\n" for entry in entries)


def parse_ledger(content: bytes, name: str) -> Parsed:
    """Reads lines back; each link is checked against its own digest and against the one before."""
    ledger, lines, faults = Ledger(), {}, []
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n") if content else (), 1):
        entry = _entry(line)
        place = f"{name}, line {number}"
        if entry is None:
            faults.append(Fault(place, "is not a link or seal as it was written"))
            continue
        if isinstance(entry, Link):
            if (wrong := _break(ledger, entry)) is not None:
                faults.append(Fault(place, wrong))
            lines[entry.stream_id, entry.place] = number
        ledger.take(entry)
    return Parsed(ledger, lines, tuple(faults))


def check_ledger(parsed: Parsed, name: str, key: PublicKey) -> tuple[Fault, ...]:
    """All faults: of lines, of links that do not follow one another, and of seals that do not hold."""
    return (*parsed.faults, *_broken_seals(parsed.ledger, name, key))


def _broken_seals(ledger: Ledger, name: str, key: PublicKey) -> Iterator[Fault]:
    for seal in ledger.seals:
        told = f"the seal over {seal.stream_id} {seal.first}–{seal.last}"
        covered = [link for link in ledger.links.get(seal.stream_id, []) if seal.first <= link.place <= seal.last]
        if [link.place for link in covered] != list(range(seal.first, seal.last + 1)):
            yield Fault(name, f"{told} covers links that are not there, or are there twice")
        elif seal.root != root_of(covered):
            yield Fault(name, f"{told} is over other links: its Merkle root is not theirs")
        elif not key.signed(seal.message, seal.signature):
            yield Fault(name, f"{told} is not signed by the key {key.key_id}")


def _break(ledger: Ledger, link: Link) -> str | None:
    before = ledger.links.get(link.stream_id)
    told = f"link {link.place} of {link.stream_id} (verdict {link.verdict_id})"
    if before is None:  # a case of a long stream begins in its middle
        broken = link.place == 0 and link.previous != NOTHING_BEFORE
        return f"{told} is the first and names one before" if broken else None
    if link.place != before[-1].place + 1:
        return f"{told} follows link {before[-1].place}: something was taken out or put in"
    if link.previous != before[-1].sha256:
        return f"{told} was not made after the link that stands before it"
    return None


def _line(entry: Link | Seal) -> bytes:
    facts = asdict(entry)
    return canonical({**facts, "sha256": entry.sha256} if isinstance(entry, Link) else facts)


def _entry(line: bytes) -> Link | Seal | None:
    try:
        entry = _ENTRY.validate_json(line)
    except ValidationError:
        return None
    return entry if _line(entry) == line else None
