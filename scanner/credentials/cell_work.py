"""The work of that process: an inherited file in, one answer out by the socket."""

from __future__ import annotations

import os
import socket
from importlib import import_module
from io import BytesIO

from scanner.core.errors import SettingsError
from scanner.media.protocol import Channel, ClosedError, Message
from scanner.media.sandbox import Confinement, Layer, allow_processor_time, confine
from scanner.provenance.manifest import LONGEST_TEXT

# An MP4 without anything in it: what the parser loads on first use is loaded before the doors are shut.
_REHEARSAL = b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x08moov" + b"\0\0\0\x08mdat"


def serve(sock: socket.socket, file: int, layers: frozenset[Layer]) -> None:
    channel = Channel(sock)
    orders = channel.hear()
    module, function = orders["parser"].split(":")
    parse = getattr(import_module(module), function)
    with os.fdopen(file, "rb") as media:
        try:
            parse(BytesIO(_REHEARSAL), "video/mp4", orders["anchors"])
            confine(Confinement(**orders["confinement"]), layers)
            allow_processor_time(orders["processor_s"])
            media.seek(0)
            channel.tell(_answer(parse(media, orders["kind"], orders["anchors"])))
        except SettingsError as error:
            channel.tell({"settings": str(error)})
        except MemoryError:
            channel.tell({"unreadable": "takes more memory than its process may have"})
        except ClosedError:
            pass  # nobody waits any more


def _answer(found: str | Exception | None) -> Message:
    if isinstance(found, Exception):
        return {"unreadable": str(found)[:LONGEST_TEXT]}
    return {"manifest": found} if found else {"none": True}
