"""A TCP proxy between Kafka's clients and a broker that understands just enough to fail by kind of request.

client ──▶ proxy ──▶ broker        request:  length(4) api_key(2) version(2) correlation(4) …
       ◀──       ◀──               response: length(4) correlation(4) …
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from scanner.bus.broker import LocalBroker

HOST = "127.0.0.1"


class Api(IntEnum):
    """Kinds of requests, by Kafka's API keys."""

    PRODUCE = 0
    FETCH = 1
    HEARTBEAT = 12
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS = 24
    ADD_OFFSETS = 25
    END_TXN = 26
    OFFSETS = 28


@dataclass
class Fault:
    """What happens to requests of one kind, or of all."""

    what: Literal["swallow", "mute", "delay", "cut"]
    """swallow the request; mute the answer; delay the request; cut the connection"""
    api: Api | None = None
    times: int = 10**9
    seconds: float = 0.0
    met: int = 0
    """requests it has happened to"""

    def meets(self, api: int) -> bool:
        if self.met >= self.times or (self.api is not None and self.api != api):
            return False
        self.met += 1
        return True


class FaultProxy:
    """Listens on `port`; give it one fault at a time by setting `fault`."""

    def __init__(self, port: int, upstream: int) -> None:
        self.fault: Fault | None = None
        self._upstream = upstream
        self._ends: set[socket.socket] = set()
        self._listener = socket.create_server((HOST, port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Closes every connection there is."""
        for end in list(self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection((HOST, self._upstream), timeout=5)
            except OSError:
                client.close()
                continue
            broker.settimeout(None)
            self._ends |= {client, broker}
            muted: set[int] = set()
            for pump in (self._requests, self._answers):
                threading.Thread(target=self._pump, args=(pump, client, broker, muted), daemon=True).start()

    def _pump(self, pump, client: socket.socket, broker: socket.socket, muted: set[int]) -> None:
        with suppress(OSError, EOFError):
            pump(client, broker, muted)
        for end in (client, broker):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._ends.discard(end)

    def _requests(self, client: socket.socket, broker: socket.socket, muted: set[int]) -> None:
        while True:
            frame = _frame(client)
            api, _, correlation = struct.unpack_from(">hhi", frame, 4)
            fault = self.fault
            if fault is not None and fault.meets(api):
                if fault.what == "cut":
                    return
                if fault.what == "swallow":
                    continue
                if fault.what == "mute":
                    muted.add(correlation)
                time.sleep(fault.seconds)
            broker.sendall(frame)

    @staticmethod
    def _answers(client: socket.socket, broker: socket.socket, muted: set[int]) -> None:
        while True:
            frame = _frame(broker)
            (correlation,) = struct.unpack_from(">i", frame, 4)
            if correlation not in muted:
                client.sendall(frame)


def _frame(source: socket.socket) -> bytes:
    length = _exactly(source, 4)
    return length + _exactly(source, struct.unpack(">i", length)[0])


def _exactly(source: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = source.recv(min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def proxied_broker(folder) -> tuple[LocalBroker, int, int]:
    """A broker with a listener that is advertised at another port: where the proxy listens, and where it leads."""
    plain, controller, behind, front = (_free_port() for _ in range(4))
    properties = {
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listeners": f"PROXIED://{HOST}:{behind},CLIENT://{HOST}:{plain},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PROXIED://{HOST}:{front},CLIENT://{HOST}:{plain}",
        "listener.security.protocol.map": "PROXIED:PLAINTEXT,CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    return LocalBroker(folder, port=plain, properties=properties), front, behind


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
