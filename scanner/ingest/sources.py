"""What is ingested: `NAME=URL` on a command line, or a TOML file with one table a source.

[studio-1]
url = "rtmp://0.0.0.0:1935/live/studio-1?listen=1"

["lobby/door"]
url = "rtsp://user:secret@10.0.0.7/stream"
transport = "udp"
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scanner.core.errors import SettingsError
from scanner.headers import LARGEST_STREAM_ID_BYTES

_NAMED = re.compile(r"(?P<name>[^=:/?#]+(?:/[^=:?#]+)?)=(?P<url>.+)")


class SourceSpec(BaseModel):
    """One source, as it was described."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=LARGEST_STREAM_ID_BYTES)
    """its stream on the topic"""
    url: str = Field(min_length=1, repr=False)
    transport: Literal["tcp", "udp"] = "tcp"
    """of RTSP"""
    format: Literal["dash"] | None = None
    """of an http(s) address that does not end in .mpd, and is a DASH manifest all the same"""
    segment_s: float | None = Field(None, gt=0, le=30)
    stall_s: float | None = Field(None, gt=0, le=3600)


def source_of(given: str) -> SourceSpec:
    """`NAME=URL`, or a URL or path whose host and path become the name. Raises SettingsError."""
    named = _NAMED.fullmatch(given)
    name, url = (named["name"], named["url"]) if named else (name_from(given), given)
    return checked_source(name, {"url": url})


def read_sources(file: Path) -> tuple[SourceSpec, ...]:
    """Raises SettingsError, naming the source and what is wrong with it."""
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{file}: {why}") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f'{file}: {name} stands alone; a source is a table: [name] with url = "…"')
    return tuple(checked_source(name, table, f"{file}: ") for name, table in tables.items())


def name_from(url: str) -> str:
    """Host and path, without user, password, port and query."""
    parts = urlsplit(url)
    if not parts.scheme or parts.scheme == "file":
        return Path(parts.path or url).name or "source"
    if parts.scheme == "udp":
        return f"udp/{parts.netloc.rpartition('@')[2].replace(':', '/')}"
    return f"{parts.hostname or 'source'}/{parts.path.strip('/')}".rstrip("/")


def checked_source(name: str, table: dict[str, object], where: str = "") -> SourceSpec:
    """Raises SettingsError, naming the source and what is wrong with it."""
    try:
        return SourceSpec.model_validate({"name": name, **table})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{where}source {name}: {place}: {first['msg']}") from error
