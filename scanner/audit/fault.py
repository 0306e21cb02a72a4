"""What a check found: which thing is not as it was, and in which way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One departure from what was signed."""

    place: str
    """a file, with the line where there are lines"""
    says: str

    def __str__(self) -> str:
        return f"{self.place}: {self.says}"
