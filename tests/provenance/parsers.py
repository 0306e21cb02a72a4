"""What a manifest parser that hostile bytes have taken over might do. Run in the confined process, by name."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

from scanner.provenance.manifest import unreadable


def _rehearsed(file):
    return file.seek(0, os.SEEK_END) < 100


def hang(file, kind, anchors):
    if not _rehearsed(file):
        time.sleep(10**6)


def spin(file, kind, anchors):
    while not _rehearsed(file):
        pass


def crash(file, kind, anchors):
    if not _rehearsed(file):
        os.abort()


def hoard(file, kind, anchors):
    return None if _rehearsed(file) else str([bytearray(2**28) for _ in range(64)])


def babble(file, kind, anchors):
    return None if _rehearsed(file) else '{"state": "trusted"}'


def flood(file, kind, anchors):
    return None if _rehearsed(file) else "x" * 10**6


def snoop(file, kind, anchors):
    """What it reached, as a manifest's fault."""
    if _rehearsed(file):
        return None
    reached = []
    for name, attempt in _ATTEMPTS.items():
        try:
            attempt()
            reached.append(name)
        except OSError:
            pass
    return unreadable(json.dumps(reached)).text


_ATTEMPTS = {
    "read": lambda: Path("/etc/passwd").read_bytes(),
    "write": lambda: Path("/tmp/scanner-was-here").write_bytes(b""),
    "list": lambda: list(Path("/").iterdir()),
    "kill": lambda: os.kill(os.getppid(), 0),
}


def connect(file, kind, anchors):
    if not _rehearsed(file):
        socket.socket().connect(("127.0.0.1", 9))


def fork(file, kind, anchors):
    if not _rehearsed(file):
        os.posix_spawn("/bin/true", ["true"], {})
