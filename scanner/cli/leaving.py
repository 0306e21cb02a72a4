"""Leaving while the broker is away: nobody would hear of what is finished now.

kafka-python cannot be interrupted, and waits for its deadlines, 20 s each. What is not committed is delivered again to
somebody else, as after a crash: so nothing is lost by not waiting.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread

import structlog

from scanner.telemetry import Pulse

_STUCK_S = 3.0  # without a turn of the loop
_LOOK_S = 0.5
_CONNECT_S = 1.0

_log = structlog.get_logger()


def at_once() -> None:
    """As a crash, but with a good conscience."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def leave_unheard(stop: Event, pulse: Pulse, servers: Sequence[str], leave: Callable[[], None] = at_once) -> None:
    """Watches from now on. When `stop` is set, the loop stands still and no server can be reached, it calls `leave`.

    Args:
        servers: `host:port` each.
    """

    def watch() -> None:
        stop.wait()
        while pulse.still_s < _STUCK_S or any(map(_answers, servers)):
            time.sleep(_LOOK_S)
        _log.warning("left_unheard", away=", ".join(servers))
        leave()

    Thread(target=watch, name="leaving", daemon=True).start()


def _answers(server: str) -> bool:
    host, _, port = server.rpartition(":")
    with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S):
        return True
    return False
