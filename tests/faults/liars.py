"""Detectors that a hostile picture has taken over: what they do inside the cell, the parent must bear."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import sys
from collections.abc import Callable
from itertools import count

import deeds

from scanner.core.types import Detections, Pixels
from scanner.testing import FakeDetector

REFUSED, DONE = 101, 100
_MADE = count()
Pair = tuple[FakeDetector, FakeDetector]


class TakenOver(FakeDetector):
    """Says what it likes on the cell's socket, or spoils the cell's arena."""

    def __init__(self, deed: str) -> None:
        super().__init__()
        self._deed = deed

    def detect(self, pixels: Pixels) -> Detections:
        sock = Wire(int(sys.argv[1]))
        match self._deed:
            case "rubbish":
                sock.sendall(os.urandom(4096))
            case "longest":
                sock.sendall(b"\xff" * 4)
            case "flood":
                while True:
                    sock.sendall(b"\0\0\0\2{}")
            case "slot":
                say(sock, {"clip": {"tracklet": 0, "start_ms": 0, "end_ms": 9, "repeats": 0}, "slot": 4})
            case "done":
                say(sock, {"done": {"duration_ms": 10}})
            case "terminal":
                say(sock, {"rejected": "\x1b[31m" + "x" * 10_000})
            case "leave":
                os._exit(0)
            case "shrink":
                shrink_the_arena()
            case deed:
                attempt(deed)
        return super().detect(pixels)


class Wire:
    """The cell's socket, without the questions that Python's own asks of the kernel."""

    def __init__(self, number: int) -> None:
        self._number = number

    def sendall(self, said: bytes) -> None:
        while said:
            said = said[os.write(self._number, said) :]


def attempt(name: str) -> None:
    """Tries a deed and tells by the exit status how it ended."""
    try:
        {**deeds.REFUSED, **deeds.FATAL}[name]()
    except deeds.ERRORS:
        os._exit(REFUSED)
    os._exit(DONE)


def say(sock: Wire, message: object) -> None:
    text = json.dumps(message).encode()
    sock.sendall(struct.pack("!I", len(text)) + text)


def shrink_the_arena() -> None:
    """Would be a SIGBUS in the parent."""
    arena = int(sys.argv[3])
    try:
        os.ftruncate(arena, 0)
    except OSError:
        os._exit(77)
    fcntl.fcntl(arena, fcntl.F_GET_SEALS)


def __getattr__(deed: str) -> Callable[[], Pair]:
    """A factory of detectors for every deed, "liars:flood". The rehearsal's own detectors behave."""
    if deed.startswith("__"):
        raise AttributeError(deed)
    return lambda: (TakenOver(deed), TakenOver(deed)) if next(_MADE) else (FakeDetector(), FakeDetector())
