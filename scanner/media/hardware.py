"""Decoding on a GPU: NVDEC by FFmpeg's `cuda`. A segment that it cannot decode is an error, never decoded otherwise."""

from __future__ import annotations

from pathlib import Path

from av.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available

from scanner.core.errors import DeviceUnavailableError, SettingsError

CPU = "cpu"


def check_decoder(wish: str) -> str:
    """`cpu` or `cuda:N`, as it was asked for. Raises DeviceUnavailableError or SettingsError."""
    if wish == CPU:
        return wish
    kind, _, number = wish.partition(":")
    if kind != "cuda" or not number.isdigit():
        raise SettingsError(f"scan.decode must be cpu or cuda:N, got {wish!r}")
    if "cuda" not in hwdevices_available():
        raise DeviceUnavailableError(f"decoding on {wish} was asked for: this FFmpeg was built without CUDA")
    if not Path(f"/dev/nvidia{number}").exists():
        raise DeviceUnavailableError(f"decoding on {wish} was asked for: no NVIDIA device /dev/nvidia{number}")
    return wish


def acceleration(decoder: str) -> HWAccel | None:
    """What FFmpeg is to decode with; None is its software. Pictures come back as NV12 in this process's memory."""
    if decoder == CPU:
        return None
    return HWAccel("cuda", decoder.partition(":")[2], allow_software_fallback=False)


def try_decoder(decoder: str) -> None:
    """Starts it once, so that a machine which cannot is found out before any segment. Raises av's errors."""
    hwaccel = acceleration(decoder)
    if hwaccel is not None:
        hwaccel.create(Codec("h264", "r"))
