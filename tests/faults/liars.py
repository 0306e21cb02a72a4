"""Detectors that a hostile picture has taken over: what they do inside the cell, the parent must bear."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import sys

from scanner.core.types import Detections, Pixels
from scanner.testing import FakeDetector

Pair = tuple[FakeDetector, FakeDetector]


class TakenOver(FakeDetector):
    """Says what it likes on the cell's socket, or spoils the cell's arena."""

    def __init__(self, deed: str) -> None:
        super().__init__()
        self._deed = deed

    def detect(self, pixels: Pixels) -> Detections:
        sock = socket.socket(fileno=os.dup(int(sys.argv[1])))
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
        return super().detect(pixels)


def say(sock: socket.socket, message: object) -> None:
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


def rubbish() -> Pair:
    return TakenOver("rubbish"), TakenOver("rubbish")


def longest() -> Pair:
    return TakenOver("longest"), TakenOver("longest")


def flood() -> Pair:
    return TakenOver("flood"), TakenOver("flood")


def slot() -> Pair:
    return TakenOver("slot"), TakenOver("slot")


def done() -> Pair:
    return TakenOver("done"), TakenOver("done")


def terminal() -> Pair:
    return TakenOver("terminal"), TakenOver("terminal")


def leave() -> Pair:
    return TakenOver("leave"), TakenOver("leave")


def shrink() -> Pair:
    return TakenOver("shrink"), TakenOver("shrink")
