"""Layers that confine a process before it meets hostile bytes. What a machine lacks is left out and not claimed.

exec ─▶ seclude (no network, no writing) ─▶ imports, rehearsal ─▶ confine (limits, no files, few system calls)
     ─▶ detectors ─▶ hostile bytes
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import math
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scanner.media import landlock, seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_CAPABILITY_VERSION_3 = 0x20080522
_OF_THE_NETWORK = tuple(
    Path(place)
    for place in (
        "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
        "/etc/protocols", "/etc/localtime", "/etc/ld.so.cache", "/etc/ssl", "/etc/pki", "/etc/ca-certificates",
        "/etc/crypto-policies", "/etc/gnutls", "/run/systemd/resolve", "/usr/lib", "/usr/lib64", "/lib", "/lib64",
        "/usr/share", "/usr/local/share/ca-certificates", "/dev/null", "/dev/urandom",
    )
)  # fmt: skip
"""what the resolver and TLS read while a live source runs"""
_LIBRARIES = tuple(Path(place) for place in ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64"))


class Layer(StrEnum):
    """The names by which a verdict tells what confined the decoder."""

    RLIMIT = "rlimit"
    NO_NEW_PRIVS = "no_new_privs"
    NO_NETWORK = "no_network"
    NO_CAPABILITIES = "no_capabilities"
    LANDLOCK = "landlock"
    SECCOMP = "seccomp"


@dataclass(frozen=True, slots=True)
class Confinement:
    """How much a confined process may have."""

    address_space_bytes: int = 1536 * 1024 * 1024
    """1.25 GB are taken by PyAV and mediapipe on a 720p stream; under 1 GiB they do not start"""
    open_files: int = 64


def seclude() -> frozenset[Layer]:
    """Leaves the terminal's signals, the network and what could be written or run.

    Called before any thread starts and any library is loaded. To be handed on to `confine`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    layers = set()
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        layers.add(Layer.NO_NEW_PRIVS)
    if _no_network():
        layers.add(Layer.NO_NETWORK)
    if landlock.only_read():
        layers.add(Layer.LANDLOCK)
    return frozenset(layers)


def confine(limits: Confinement, secluded: frozenset[Layer]) -> frozenset[Layer]:
    """Shuts every door; the layers that hold. Called when everything trusted is loaded and was used once.

    What runs afterwards must find its libraries and files in memory already. Landlock means: no thread writes a file
    or connects, and this one and those it starts open none; the filter of system calls holds for every thread.
    """
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write to a file fails; it need not kill
    on = {
        Layer.NO_NEW_PRIVS: Layer.NO_NEW_PRIVS in secluded,
        Layer.NO_NETWORK: Layer.NO_NETWORK in secluded,
        Layer.RLIMIT: _bounded(limits),
        Layer.LANDLOCK: landlock.open_nothing() and Layer.LANDLOCK in secluded,
        Layer.NO_CAPABILITIES: _drop_capabilities(),
    }
    _prctl(_PR_SET_DUMPABLE, 0)
    on[Layer.SECCOMP] = seccomp.install()  # the last one: it forbids what the others needed
    return frozenset(layer for layer, holds in on.items() if holds)


def seclude_networked() -> frozenset[Layer]:
    """As `seclude`, for a process that fetches its bytes itself and may start a relay first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return frozenset({Layer.NO_NEW_PRIVS} if _prctl(_PR_SET_NO_NEW_PRIVS, 1) else ())


def confine_networked(limits: Confinement, secluded: frozenset[Layer]) -> frozenset[Layer]:
    """As `confine`, but for the doors that a live source comes through: sockets, and the files of resolver and TLS."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        socket.getaddrinfo("localhost", 80)  # what the resolver loads on first use is loaded
    "ü".encode("idna")  # and what spells names of hosts that are not ASCII
    on = {
        Layer.RLIMIT: _bounded(limits),
        Layer.LANDLOCK: landlock.open_only(_OF_THE_NETWORK),
        Layer.NO_CAPABILITIES: _drop_capabilities(),
    }
    _prctl(_PR_SET_DUMPABLE, 0)
    on[Layer.SECCOMP] = seccomp.install(networked=True)
    return secluded | {layer for layer, holds in on.items() if holds}


def confine_relay(limits: Confinement, program: Path, devices: tuple[Path, ...]) -> None:
    """For a program about to be run by a live source's process, which it does not outlive. Takes what there is.

    It reads what resolver and TLS need and its libraries, and writes to nothing but the pipe that it was given.
    """
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _bounded(limits)
    landlock.open_only(_OF_THE_NETWORK, run=(program.resolve(), *_LIBRARIES), devices=devices)
    _drop_capabilities()


def seclude_with_gpu() -> frozenset[Layer]:
    """As `seclude`, for a cell that decodes on a GPU: its driver opens devices whenever a stream begins."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    held = {Layer.NO_NEW_PRIVS: _prctl(_PR_SET_NO_NEW_PRIVS, 1), Layer.NO_NETWORK: _no_network()}
    return frozenset(layer for layer, holds in held.items() if holds)


def confine_with_gpu(limits: Confinement, secluded: frozenset[Layer]) -> frozenset[Layer]:  # noqa: ARG001 - as `confine`
    """Only what a driver can live with: it maps more memory than any limit would allow, opens files and calls ioctl."""
    capless = _drop_capabilities()
    _prctl(_PR_SET_DUMPABLE, 0)
    return secluded | ({Layer.NO_CAPABILITIES} if capless else set())


def allow_processor_time(seconds: float) -> None:
    """From now on, this process is ended when it has computed for so long. May be set anew for each segment."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    until = math.ceil(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until if hard == resource.RLIM_INFINITY else min(until, hard), hard))


def _bounded(limits: Confinement) -> bool:
    wanted = {
        resource.RLIMIT_AS: limits.address_space_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: limits.open_files,
    }
    achieved = [_limit(kind, most) for kind, most in wanted.items()]
    return all(achieved)


def _limit(kind: int, most: int) -> bool:
    _, hard = resource.getrlimit(kind)
    ceiling = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(kind, (ceiling, ceiling))
    except (OSError, ValueError):
        return False
    return True


def _no_network() -> bool:
    """An own network namespace: without privileges by way of an own user namespace."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))


def _drop_capabilities() -> bool:
    """A confined root is root by name only."""
    if not sys.platform.startswith("linux"):
        return False
    header = struct.pack("@Ii", _CAPABILITY_VERSION_3, 0)
    return bool(ctypes.CDLL(None).capset(header, bytes(24)) == 0)


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    unused = ctypes.c_ulong(0)
    return bool(ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), unused, unused, unused) == 0)


def die_with(lifeline: int) -> None:
    """The kernel ends this process when the other end of the pipe is closed, however its owner died.

    Not PR_SET_PDEATHSIG: that fires when the parent's *thread* ends, and segments are cut and observed by threads
    that come and go.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | fcntl.FASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # closed before anybody listened
        raise SystemExit(1)
