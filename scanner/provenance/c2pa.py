"""C2PA manifests by c2pa-python (extra `c2pa`): read, validated, never fetched from a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from scanner.core.errors import SettingsError
from scanner.provenance.manifest import Manifest, manifest_of
from scanner.provenance.reading import Container, container_of

_KINDS = {Container.MP4: "video/mp4", Container.AVI: "video/avi"}


def available() -> bool:
    """Whether the extra is installed."""
    return find_spec("c2pa") is not None


def read_manifest(file: BinaryIO, trust: Path | None = None) -> Manifest | None:
    """The active manifest of an MP4, MOV (fragmented in one file, too) or AVI; None without one, or without the extra.

    The whole file is hashed when there is one.

    Args:
        trust: certificate authorities that vouch for signers, PEM. None trusts nobody: a whole manifest is `valid`.

    Raises SettingsError when `trust` cannot be read.
    """
    kind = _KINDS.get(container_of(file)) if available() else None
    if kind is None:
        return None
    import c2pa  # noqa: PLC0415 - an extra

    file.seek(0)
    try:
        reader = c2pa.Reader.try_create(kind, file, context=_context(trust))
        if reader is None:
            return None
        with reader:
            return manifest_of(json.loads(reader.json()), str(reader.get_validation_state()))
    except c2pa.C2paError:
        return None  # no video that C2PA knows; what reads it next will tell what is wrong


def lifting(trust: Path | None) -> Callable[[Path], str | None]:
    """What to put beside the segments of a file: its manifest as text, since cutting takes it out of the bytes."""

    def lifted(path: Path) -> str | None:
        try:
            with path.open("rb") as file:
                manifest = read_manifest(file, trust) if path.is_file() else None
        except OSError:
            return None  # the cutter will say so, in better words
        return manifest.text if manifest else None

    return lifted


def _context(trust: Path | None) -> object:
    import c2pa  # noqa: PLC0415 - an extra

    chosen: dict[str, object] = {"verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False}}
    if trust is not None:
        try:
            chosen["trust"] = {"trust_anchors": trust.read_text("ascii")}
        except (OSError, UnicodeError) as error:
            raise SettingsError(f"provenance.c2pa_trust {trust}: {error}") from error
    try:
        return c2pa.Context(c2pa.Settings.from_dict(chosen))
    except c2pa.C2paError as error:
        raise SettingsError(f"provenance.c2pa_trust {trust}: {error}") from error
