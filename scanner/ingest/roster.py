"""Which sources there are to be, and who said so: the command line, the file of sources, or whoever uses the API."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from scanner.core.errors import SettingsError
from scanner.ingest.sources import SourceSpec, checked_source, read_sources


class SourceOwnedError(SettingsError):
    """The source was not added here and cannot be changed here."""


class Roster:
    """The sources of all three; those that were added by `put` are still there after a restart."""

    def __init__(self, fixed: Iterable[SourceSpec], file: Path | None = None, kept: Path | None = None) -> None:
        """Raises SettingsError.

        Args:
            file: a sources.toml whose edits are followed.
            kept: where sources that are added by `put` are remembered; they cannot be added without.
        """
        self.file = file
        self._fixed = tuple(fixed)
        self._kept = kept
        self._written = self._last_written()
        self._listed = read_sources(file) if file else ()
        self._added = _read(kept) if kept else {}

    def sources(self) -> tuple[SourceSpec, ...]:
        """Raises SettingsError when two have one name."""
        everything = (*self._fixed, *self._listed, *self._added.values())
        names = [source.name for source in everything]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SettingsError(f"two sources would be one stream: {', '.join(twice)}; name them apart: NAME=URL")
        return everything

    def origin(self, name: str) -> str:
        """Where it was described."""
        if name in self._added:
            return "api"
        return "command line" if any(source.name == name for source in self._fixed) else "file"

    def edited(self) -> bool:
        """Whether the file changed since the last time; then it is read again. Raises SettingsError."""
        now = self._last_written()
        if now == self._written:
            return False
        self._written = now
        if self.file is not None:
            self._listed = read_sources(self.file)
        return True

    def put(self, source: SourceSpec) -> bool:
        """Adds it, or changes one that was added. Whether it is new. Raises SourceOwnedError, SettingsError."""
        self._refuse_others(source.name)
        new = source.name not in self._added
        self._keep({**self._added, source.name: source})
        return new

    def remove(self, name: str) -> bool:
        """Whether it was there. Raises SourceOwnedError, SettingsError."""
        self._refuse_others(name)
        if name not in self._added:
            return False
        self._keep({each: source for each, source in self._added.items() if each != name})
        return True

    def _refuse_others(self, name: str) -> None:
        if any(source.name == name for source in (*self._fixed, *self._listed)):
            raise SourceOwnedError(f"source {name} comes from the {self.origin(name)}: change it there")

    def _keep(self, added: dict[str, SourceSpec]) -> None:
        if self._kept is None:
            raise SettingsError("sources cannot be added: there is no place to keep them")
        part = self._kept.with_suffix(".part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # keys of streams
                json.dump({name: source.model_dump(exclude={"name"}) for name, source in added.items()}, file)
            part.rename(self._kept)
        except OSError as error:
            raise SettingsError(f"{self._kept}: {error.strerror}") from error
        self._added = added

    def _last_written(self) -> tuple[int, int] | None:
        try:
            return None if self.file is None else (self.file.stat().st_mtime_ns, self.file.stat().st_size)
        except OSError:
            return None


def _read(kept: Path) -> dict[str, SourceSpec]:
    try:
        tables = json.loads(kept.read_text())
        return {name: checked_source(name, table, f"{kept}: ") for name, table in tables.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise SettingsError(f"{kept}: {error}; sources that were added are kept there") from error
