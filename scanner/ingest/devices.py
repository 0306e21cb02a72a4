"""Cameras and capture cards of this machine: v4l2:///dev/video0?input_format=mjpeg&video_size=1280x720&framerate=30.

Their pictures are copied as they come, so the device has to compress them; most cameras do when they are asked for
`mjpeg` or `h264`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from scanner.core.errors import SettingsError
from scanner.ingest.sources import SourceSpec
from scanner.media.pull import Address
from scanner.media.relay import RELAYED_FORMATS, relay_command

_VIDEO4LINUX = 81  # the major number of its devices: Documentation/admin-guide/devices.txt of the kernel
_COMPRESSED = ("mjpeg", "h264", "hevc")
_ASKED = {"input_format": "mjpeg", "video_size": None, "framerate": None}
"""what may be asked of a device, and what is by default"""


def device_address(source: SourceSpec, path: str, asked: Mapping[str, str], program: str) -> Address:
    """How to reach it. Raises SettingsError when it is none, is not there, or is asked for what cannot be copied."""
    _check(source.name, path, asked)
    options = {name: asked.get(name, usual) for name, usual in _ASKED.items()}
    told = [part for name, value in options.items() if value for part in (f"-{name}", value)]
    confined = ["-protocol_whitelist", "file", "-format_whitelist", "video4linux2,v4l2"]
    return Address(
        url=path,
        shown=f"v4l2://{path}",
        options={"format_whitelist": RELAYED_FORMATS, "protocol_whitelist": ""},
        relay=relay_command(program, [*confined, "-f", "v4l2", *told, "-i", path], sound=False),
        devices=(path,),
    )


def _check(name: str, path: str, asked: Mapping[str, str]) -> None:
    try:
        found = Path(path).stat()
    except OSError as error:
        there = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
        raise SettingsError(
            f"source {name}: {path}: {error.strerror}; video devices of this machine: {there}"
        ) from error
    if not stat.S_ISCHR(found.st_mode) or os.major(found.st_rdev) != _VIDEO4LINUX:
        raise SettingsError(f"source {name}: {path} is no video device (Video4Linux)")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SettingsError(f"source {name}: {path}: no right to read it; is this user in the group video?")
    if unknown := sorted(asked.keys() - _ASKED.keys()):
        raise SettingsError(f"source {name}: {unknown[0]} is not one of {', '.join(_ASKED)}")
    if asked.get("input_format", _COMPRESSED[0]) not in _COMPRESSED:
        raise SettingsError(
            f"source {name}: input_format must be one of {', '.join(_COMPRESSED)}: pictures are copied as they come"
        )
