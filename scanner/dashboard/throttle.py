"""How often somebody may try. Pure: time is handed in."""

from __future__ import annotations

from collections import OrderedDict, deque

KEYS_KEPT = 10_000


class Throttle:
    """At most `tries` failures within `window_s`, a key."""

    def __init__(self, tries: int, window_s: float) -> None:
        self._tries = tries
        self._window_s = window_s
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """Seconds until the next try is allowed; 0 when it is."""
        failed = self._failed.get(key)
        if failed is None or len(failed) < self._tries:
            return 0.0
        return max(0.0, failed[0] + self._window_s - now_s)

    def failed(self, key: str, now_s: float) -> None:
        failed = self._failed.setdefault(key, deque(maxlen=self._tries))
        failed.append(now_s)
        self._failed.move_to_end(key)
        if len(self._failed) > KEYS_KEPT:
            self._failed.popitem(last=False)

    def forget(self, key: str) -> None:
        self._failed.pop(key, None)
