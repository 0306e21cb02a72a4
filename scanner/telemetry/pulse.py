"""What the probes are told."""

from __future__ import annotations

from time import monotonic


class Pulse:
    """Whether a worker moves and may be given work. It never speaks of the broker's health: restarting a worker does
    not mend a broker."""

    def __init__(self, patience_s: float = 120.0) -> None:
        """
        Args:
            patience_s: how long one turn of the loop may take; a commit or a rebalance may wait for the broker.
        """
        self.warm = False
        """the model has scored its first batch"""
        self.partitions = 0
        self._patience_s = patience_s
        self._turned_s = monotonic()

    def turn(self) -> None:
        """The loop went round once more."""
        self._turned_s = monotonic()

    @property
    def still_s(self) -> float:
        """How long the loop has not gone round."""
        return monotonic() - self._turned_s

    @property
    def alive(self) -> bool:
        return self.still_s < self._patience_s

    @property
    def ready(self) -> bool:
        return self.alive and self.warm and self.partitions > 0
