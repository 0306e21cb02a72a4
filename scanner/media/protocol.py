"""What a parent and its confined process say to each other: bounded JSON behind a length, never a pickle.

    ┌────────────┬───────────────┬─────────────────────────────────┐
    │ u32 length │ JSON, one dict│ raw bytes, where a message says │
    └────────────┴───────────────┴─────────────────────────────────┘

Everything the confined side says is checked here before it becomes one of our values.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, TypeVar

from scanner.core.errors import ScannerError
from scanner.core.text import visible

Message = dict[str, Any]
T = TypeVar("T")
LARGEST_MESSAGE_BYTES = 2 * 1024 * 1024  # an observation with 2048 tracklets is 1.2 MB
_LENGTH = struct.Struct("!I")


class ProtocolError(ScannerError):
    """The confined side said something that it must not say: it is not to be trusted further."""


class ClosedError(ProtocolError):
    """The other side is gone."""


class OverdueError(ProtocolError):
    """The other side did not speak in time."""


class Channel:
    """One end of the socket. Time spent waiting for the other side counts against the `patience` it was given."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._left_s: float | None = None

    def allow(self, seconds: float | None) -> None:
        """From now on, how long all waiting together may take; None is for ever."""
        self._left_s = seconds

    def tell(self, message: Mapping[str, Any], *attached: bytes | memoryview) -> None:
        text = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
        if len(text) > LARGEST_MESSAGE_BYTES:
            raise ProtocolError(f"a message of {len(text)} bytes exceeds {LARGEST_MESSAGE_BYTES}")
        for part in (_LENGTH.pack(len(text)) + text, *attached):
            self._wait(lambda part=part: self._sock.sendall(part))  # type: ignore[misc]  # mypy cannot infer a lambda's default

    def hear(self) -> Message:
        (length,) = _LENGTH.unpack(self.take(_LENGTH.size))
        if length > LARGEST_MESSAGE_BYTES:
            raise ProtocolError(f"a message of {length} bytes exceeds {LARGEST_MESSAGE_BYTES}")
        try:
            message = json.loads(self.take(length))
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"not JSON: {error}") from error
        if not isinstance(message, dict):
            raise ProtocolError(f"not a JSON object: {type(message).__name__}")
        return message

    def take(self, size: int) -> bytes:
        """Exactly `size` raw bytes: in one piece where nothing limits the wait, so that they need not be joined."""
        parts: list[bytes] = []
        left = size
        while left:
            part = self._wait(lambda left=left: self._sock.recv(left, socket.MSG_WAITALL))  # type: ignore[misc]  # the same
            if not part:
                raise ClosedError("the other side closed the connection")
            parts.append(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        self._sock.close()

    def _wait(self, call: Callable[[], T]) -> T:
        before = monotonic()
        if self._left_s is not None and self._left_s <= 0:
            raise OverdueError("no time left")
        try:
            self._sock.settimeout(self._left_s)
            return call()
        except TimeoutError as error:
            raise OverdueError("no answer in time") from error
        except OSError as error:
            raise ClosedError(f"the other side is gone: {error}") from error
        finally:
            if self._left_s is not None:
                self._left_s -= monotonic() - before


class Fields:
    """A message taken apart field by field, each checked."""

    def __init__(self, message: Any) -> None:
        if not isinstance(message, dict):
            raise ProtocolError(f"expected an object, got {type(message).__name__}")
        self._message = message

    def integer(self, name: str, least: int, most: int) -> int:
        value = self._message.get(name)
        if type(value) is not int or not least <= value <= most:
            raise ProtocolError(f"{name} must be an integer in [{least}, {most}], got {_shown(value)}")
        return value

    def number(self, name: str, least: float, most: float) -> float:
        return _number(self._message.get(name), name, least, most)

    def numbers(self, name: str, count: int, least: float, most: float) -> tuple[float, ...]:
        values = self.items(name, count)
        if len(values) != count:
            raise ProtocolError(f"{name} must have {count} numbers, got {len(values)}")
        return tuple(_number(value, name, least, most) for value in values)

    def flag(self, name: str) -> bool:
        value = self._message.get(name)
        if type(value) is not bool:
            raise ProtocolError(f"{name} must be true or false, got {_shown(value)}")
        return value

    def text(self, name: str, longest: int) -> str:
        value = self._message.get(name)
        if not isinstance(value, str) or len(value) > longest:
            raise ProtocolError(f"{name} must be text of at most {longest} characters, got {_shown(value)}")
        return visible(value)

    def items(self, name: str, most: int) -> list[Any]:
        value = self._message.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise ProtocolError(f"{name} must be a list of at most {most}, got {_shown(value)}")
        return value

    def inner(self, name: str) -> Fields:
        return Fields(self._message.get(name))

    def has(self, name: str) -> bool:
        return self._message.get(name) is not None


def _number(value: object, name: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ProtocolError(f"{name} must be a number in [{least}, {most}], got {_shown(value)}")
    return float(value)


def _shown(value: object) -> str:
    return repr(value)[:80]
