"""c2pa-python, and nothing else of it anywhere: bytes to a manifest. Runs where nothing can be reached or harmed."""

from __future__ import annotations

import json
from typing import BinaryIO

import c2pa

from scanner.core.errors import SettingsError
from scanner.provenance.manifest import manifest_of


def parse(file: BinaryIO, kind: str, anchors: str | None) -> str | Exception | None:
    """The active manifest as its line of JSON, None without one, or what is wrong with it.

    Args:
        kind: media type.
        anchors: certificate authorities, PEM.

    Raises SettingsError when they are none.
    """
    context = _context(anchors)
    try:
        reader = c2pa.Reader.try_create(kind, file, context=context)
        if reader is None:
            return None
        with reader:
            manifest = manifest_of(json.loads(reader.json()), str(reader.get_validation_state()))
    except (c2pa.C2paError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return error
    return manifest.text if manifest else None


def _context(anchors: str | None) -> object:
    chosen: dict[str, object] = {"verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False}}
    if anchors is not None:
        chosen["trust"] = {"trust_anchors": anchors}
    try:
        return c2pa.Context(c2pa.Settings.from_dict(chosen))
    except c2pa.C2paError as error:
        raise SettingsError(str(error)) from error
