"""A file's manifest, asked of a confined process that lives as long as the question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from scanner.core.errors import SettingsError
from scanner.media.child import Child
from scanner.media.protocol import Fields, ProtocolError
from scanner.media.sandbox import Confinement
from scanner.provenance.embedded import manifest_kind
from scanner.provenance.manifest import Manifest, parse_manifest, unreadable

WAIT_S = 30.0  # hashing 4 GiB takes some 10 s; starting the process 1 s
PARSER = "scanner.credentials.parsing:parse"
CONFINEMENT = Confinement(address_space_bytes=1024 * 1024 * 1024)
_LONGEST = 64 * 1024  # characters of a manifest as it travels: 32 actions of three short texts


def available() -> bool:
    """Whether the extra is installed."""
    return find_spec("c2pa") is not None


def read_manifest(
    file: BinaryIO, trust: Path | None = None, *, wait_s: float = WAIT_S, parser: str = PARSER
) -> Manifest | None:
    """The active manifest of an MP4, MOV (fragmented in one file, too) or AVI; None without one, or without the extra.

    The whole file is hashed when there is one. A manifest that cannot be read, or not within `wait_s`, is `unreadable`.

    Args:
        file: with a descriptor, at any place.
        trust: certificate authorities that vouch for signers, PEM. None trusts nobody: a whole manifest is `valid`.
        parser: "module:function" of what reads it in the confined process.

    Raises SettingsError when `trust` cannot be read.
    """
    kind = manifest_kind(file) if available() else None
    if kind is None:
        return None
    anchors = _anchors(trust)
    child = Child("scanner.credentials.cell_main", [file.fileno()])
    try:
        return _asked(child, kind, anchors, trust, wait_s, parser)
    except ProtocolError as error:
        return unreadable(f"the process that read it {child.obituary(error)}")
    finally:
        child.close()


def lifting(trust: Path | None, wait_s: float = WAIT_S) -> Callable[[Path], str | None]:
    """What to put beside the segments of a file: its manifest as text, since cutting takes it out of the bytes."""

    def lifted(path: Path) -> str | None:
        try:
            with path.open("rb") as file:
                manifest = read_manifest(file, trust, wait_s=wait_s) if path.is_file() else None
        except OSError:
            return None  # the cutter will say so, in better words
        return manifest.text if manifest else None

    return lifted


def _asked(
    child: Child, kind: str, anchors: str | None, trust: Path | None, wait_s: float, parser: str
) -> Manifest | None:
    child.channel.allow(wait_s)
    child.channel.tell(
        {"confinement": asdict(CONFINEMENT), "parser": parser, "processor_s": wait_s, "kind": kind, "anchors": anchors}
    )
    said = Fields(child.channel.hear())
    if said.has("settings"):
        raise SettingsError(f"provenance.c2pa_trust {trust}: {said.text('settings', _LONGEST)}")
    if said.has("unreadable"):
        return unreadable(said.text("unreadable", _LONGEST))
    if not said.has("manifest"):
        return None
    manifest = parse_manifest(said.text("manifest", _LONGEST))
    if manifest is None:
        raise ProtocolError("what it says of the manifest is no manifest")
    return manifest


def _anchors(trust: Path | None) -> str | None:
    if trust is None:
        return None
    try:
        return trust.read_text("ascii")
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"provenance.c2pa_trust {trust}: {error}") from error
