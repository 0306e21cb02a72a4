"""Headers of records, read with suspicion: each there once, in UTF-8, numbers that every JSON reader keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scanner.core.errors import SegmentInvalidError

LARGEST_STREAM_ID_BYTES = 512  # it is a key of every topic and stands in every log line
LARGEST_NUMBER = 2**53  # what JSON readers everywhere keep exactly


class Headers:
    """Header access with errors that name the header."""

    def __init__(self, headers: Sequence[tuple[str, bytes]]) -> None:
        self._values = dict(headers)
        self._counts = Counter(name for name, _ in headers)

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        if self._counts[name] > 1:
            raise SegmentInvalidError(f"header {name} is there {self._counts[name]} times")
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError as error:
            raise SegmentInvalidError(f"header {name} is not UTF-8: {value!r:.60}") from error

    def need(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise SegmentInvalidError(f"header {name} is missing")
        return value

    def number(self, name: str, value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) <= 20) or int(value) > LARGEST_NUMBER:
            raise SegmentInvalidError(f"header {name} must be a whole number up to 2^53, got {value[:40]!r}")
        return int(value)

    def flag(self, name: str) -> bool:
        value = self.text(name)
        if value not in {None, "true", "false"}:
            raise SegmentInvalidError(f"header {name} must be true or false, got {value!r:.40}")
        return value == "true"
