"""URLs to what FFmpeg is told: by scheme, which protocols and containers it may use for this source and no others."""

from __future__ import annotations

import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from scanner.core.errors import SettingsError
from scanner.ingest.devices import device_address
from scanner.ingest.sources import SourceSpec
from scanner.media.demux import FORMATS
from scanner.media.pull import Address
from scanner.media.relay import RELAYED_FORMATS, relay_command

_PROBING = {"analyzeduration": "2000000", "probesize": "5000000"}  # 2 s: what an encoder's keyframe interval often is


@dataclass(frozen=True, slots=True)
class _Scheme:
    protocols: str
    formats: str
    container_format: str | None = None
    relayed: bool = False
    """our FFmpeg does not speak it: an ffmpeg program on this machine does"""
    dash: bool = False
    fetched: bool = False
    """by us, who check certificates, as FFmpeg does not: it needs no protocol of its own"""
    alone: bool = False
    may_listen: bool = False


_MEDIA = ",".join(FORMATS)
_SCHEMES = {
    "rtmp": _Scheme("rtmp,tcp", "flv,live_flv", may_listen=True),
    "rtmps": _Scheme("rtmps,tls,tcp", "flv,live_flv"),
    "rtsp": _Scheme("rtsp,rtp,udp,tcp", "rtsp,rtp,sdp,mpegts", "rtsp", may_listen=True),
    "rtsps": _Scheme("rtsps,rtp,udp,tls,tcp", "rtsp,rtp,sdp,mpegts", "rtsp"),
    "udp": _Scheme("udp", "mpegts", "mpegts"),
    "tcp": _Scheme("tcp", "mpegts", "mpegts", may_listen=True),
    "http": _Scheme("http,https,tls,tcp,crypto,data", f"hls,{_MEDIA}", alone=True),
    "https": _Scheme("", f"hls,{_MEDIA}", fetched=True, alone=True),
    "srt": _Scheme("srt,udp", "mpegts", relayed=True, may_listen=True),
    "v4l2": _Scheme("file", "video4linux2,v4l2", "v4l2", relayed=True),
}
_DASH = {
    "http": _Scheme("", _MEDIA, dash=True, alone=True),
    "https": _Scheme("", _MEDIA, dash=True, alone=True),
}


def address_of(source: SourceSpec) -> Address | Path:
    """How to reach it; a path where it is a file on this machine. Raises SettingsError."""
    parts = urlsplit(source.url)
    if parts.scheme in ("", "file"):
        return _local(source, Path(parts.path if parts.scheme else source.url))
    dash = source.format == "dash" or parts.path.endswith(".mpd")
    scheme = (_DASH if dash else _SCHEMES).get(parts.scheme)
    if scheme is None:
        known = ", ".join(_DASH) if dash else ", ".join((*_SCHEMES, "file"))
        raise SettingsError(f"source {source.name}: {parts.scheme}:// is not one of {known}{' for DASH' * dash}")
    if parts.scheme == "v4l2":
        return device_address(source, parts.path, dict(parse_qsl(parts.query)), _ffmpeg(source.name, "a device"))
    if not parts.netloc:
        raise SettingsError(f"source {source.name}: {parts.scheme}:// without a host")
    url, listens = _listening(source, scheme)
    return Address(
        url=url,
        shown=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
        options=_options(source, scheme, listens=listens),
        container_format=None if scheme.relayed else scheme.container_format,
        dash=scheme.dash,
        fetched=scheme.fetched,
        relay=_relay(source.name, url, parts.scheme, scheme) if scheme.relayed else (),
        listens=listens or parts.scheme == "udp",
        alone=scheme.alone,
    )


def _local(source: SourceSpec, path: Path) -> Address | Path:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SettingsError(f"source {source.name}: {path}: {error.strerror}") from error
    if stat.S_ISFIFO(mode):
        options = {"format_whitelist": _MEDIA, "protocol_whitelist": "", **_PROBING}
        return Address(url=str(path), shown=str(path), options=options, listens=True, pipe=True)
    if stat.S_ISCHR(mode):
        return device_address(source, str(path), {}, _ffmpeg(source.name, "a device"))
    if not stat.S_ISREG(mode):
        raise SettingsError(f"source {source.name}: {path}: neither a file, a named pipe nor a device")
    return path


def _listening(source: SourceSpec, scheme: _Scheme) -> tuple[str, bool]:
    """The URL without our `listen=1`, and whether the source is waited for."""
    parts = urlsplit(source.url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    asked = ("listen", "1") in query
    if asked and not scheme.may_listen:
        raise SettingsError(f"source {source.name}: {parts.scheme} cannot listen; put a media server in front")
    listens = asked or ("mode", "listener") in query
    if not asked:
        return source.url, listens
    rest = [pair for pair in query if pair != ("listen", "1")]
    if parts.scheme == "srt":
        rest.append(("mode", "listener"))
    return urlunsplit(parts._replace(query=urlencode(rest))), listens


def _options(source: SourceSpec, scheme: _Scheme, *, listens: bool) -> dict[str, str]:
    if scheme.relayed:
        return {"format_whitelist": RELAYED_FORMATS, "protocol_whitelist": "", **_PROBING}
    options = {"format_whitelist": scheme.formats, "protocol_whitelist": scheme.protocols, **_PROBING}
    if scheme.container_format == "rtsp":
        options["rtsp_transport"] = source.transport
        options |= {"rtsp_flags": "listen", "listen_timeout": "86400"} if listens else {}
    elif listens:
        options["listen"] = "1"
    return options


def _relay(name: str, url: str, called: str, scheme: _Scheme) -> tuple[str, ...]:
    """The command of an ffmpeg that reads the address by the protocols and containers of its scheme, and no others."""
    confined = ["-protocol_whitelist", scheme.protocols, "-format_whitelist", scheme.formats]
    return relay_command(_ffmpeg(name, called), [*confined, "-i", url], sound=True)


def _ffmpeg(name: str, called: str) -> str:
    program = shutil.which("ffmpeg")
    if program is None:
        raise SettingsError(f"source {name}: {called} needs the ffmpeg program on the PATH (apt-get install ffmpeg)")
    return program
