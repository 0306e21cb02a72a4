"""An ffmpeg program between a source and us: it speaks what our own FFmpeg does not, and copies to a pipe.

source ──▶ ffmpeg, confined ──pipe──▶ our demuxer
              └─ what it says ──▶ how long the source is, and why it ended
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from scanner.media.sandbox import Confinement, confine_relay

_KEPT_BYTES = 64 * 1024
_LENGTH = re.compile(rb"Duration: (\d+):(\d\d):(\d\d\.\d+)")
_COMPLAINT = re.compile(r"^(?:\[[^]]*\] )*\[(?:error|fatal|panic)\] (?:\[[^]]*\] )*(.+)$", re.MULTILINE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+]*://[^\s'\"]+")
_OPENED = re.compile(r"^[a-z][a-z0-9+]*://\S+: ")
_LONGEST = 300
_END_S = 2.0

RELAYED_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,mpegts"
_FRAGMENTED = ("-f", "mp4", "-movflags", "+empty_moov+default_base_moof+frag_keyframe", "-frag_duration", "500000")
"""any codec, times as they were; written every half second, or a picture would wait for the next keyframe"""


def relay_command(program: str, source: Sequence[str], *, sound: bool) -> tuple[str, ...]:
    """Copies the best video, and sound where it is asked for: with it, a source whose pictures stop is seen to live.

    Args:
        source: the program's options for its input, and the input.
    """
    kept = ("-map", "0:v", "-map", "0:a?", "-f", "mpegts") if sound else ("-an", "-sn", "-dn", *_FRAGMENTED)
    return (program, "-nostdin", "-nostats", "-v", "level+info", *source, "-c", "copy", *kept, "pipe:1")


class Relay:
    """The program; it ends with the process that started it."""

    def __init__(self, command: Sequence[str], devices: Sequence[str], confinement: Confinement) -> None:
        """Called before a second thread runs.

        Args:
            command: must write to its standard output, and tell errors and the source's length on its standard error.
            devices: files that it may open for reading and writing.
        """
        heard, said = os.pipe()
        program, places = Path(command[0]), tuple(map(Path, devices))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            bufsize=0,
            preexec_fn=lambda: confine_relay(confinement, program, places),  # noqa: PLW1509 - no thread was started yet
        )
        os.close(said)
        os.set_blocking(heard, False)
        self._heard = heard
        self._said = b""
        assert self._process.stdout is not None  # noqa: S101 - it was asked for as a pipe
        self.output: IO[bytes] = self._process.stdout
        self.duration_s: float | None = None
        """of a source that has an end; known when its first bytes are read"""

    def listen(self) -> None:
        """Takes what it said: to be called now and then, or it will wait for somebody to hear it."""
        while words := self._read():
            self._said = (self._said + words)[-_KEPT_BYTES:]
            if self.duration_s is None and (found := _LENGTH.search(self._said)):
                hours, minutes, seconds = found.groups()
                self.duration_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)

    def complaint(self) -> str:
        """Why it ended; empty where it came to the end of its source. To be asked when its output has ended."""
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return ""
        self.listen()
        return complaint_in(self._said.decode(errors="replace")) or f"ffmpeg ended with {code}" if code else ""

    def _read(self) -> bytes:
        try:
            return os.read(self._heard, _KEPT_BYTES)
        except BlockingIOError:
            return b""


def complaint_in(said: str) -> str:
    """The last error among an ffmpeg program's words (`-v level+info`), addresses without user, password and query.

    An address that it begins with is left out: whoever reads it knows what was opened.
    """
    complaints = [_OPENED.sub("", complaint) for complaint in _COMPLAINT.findall(said)]
    return _ADDRESS.sub(lambda found: _public(found.group()), complaints[-1].strip())[:_LONGEST] if complaints else ""


def _public(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip(':')}{':' * url.endswith(':')}"
