"""Landlock: what this process, and all it starts, may open. Nothing gives it back what it gave up.

Kernel documentation: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every instruction set
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""how many kinds of access to files a version knows, from that version on"""
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER, _IOCTL_DEVICE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 15
_READ = _READ_FILE | _READ_FOLDER
_CONNECT_AND_BIND, _ABSTRACT_SOCKETS_AND_SIGNALS = 0b11, 0b11


def version() -> int:
    """The kernel's Landlock version, 0 where there is none or it is off."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, _syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION)))


def only_read() -> bool:
    """From now on nothing is written, made, renamed or run. To be called before a second thread starts."""
    return _restrict({Path("/"): _READ})


def open_nothing() -> bool:
    """From now on this thread, and those that it starts, open no file. What is open stays open.

    Kernels before version 8 leave the threads that run already what they had.
    """
    return _restrict({})


def open_only(places: Iterable[Path], run: Iterable[Path] = (), devices: Iterable[Path] = ()) -> bool:
    """As `open_nothing`, but for reading these files and what lies in these folders; TCP stays.

    Args:
        run: programs, and folders of the libraries that they are linked with.
        devices: read, written and steered.
    """
    left = {
        **dict.fromkeys(places, _READ),
        **dict.fromkeys(run, _READ | _EXECUTE),
        **dict.fromkeys(devices, _READ | _WRITE_FILE | _IOCTL_DEVICE),
    }
    return _restrict({place: rights for place, rights in left.items() if place.exists()}, network=True)


def _restrict(left: Mapping[Path, int], *, network: bool = False) -> bool:
    """Gives up what this kernel's version can take away, but some rights in some places. Needs no_new_privs."""
    known = version()
    if not known:
        return False
    rights = max(count for since, count in _FILE_RIGHTS.items() if since <= known)
    connections = 0 if network else _CONNECT_AND_BIND
    # handled_access_fs; handled_access_net since 4; scoped since 6
    asked = [(1 << rights) - 1, *[connections] * (known >= 4), *[_ABSTRACT_SOCKETS_AND_SIGNALS] * (known >= 6)]
    with _ruleset(struct.pack(f"={len(asked)}Q", *asked)) as ruleset:
        kept = all(_leave(ruleset, place, wanted & asked[0]) for place, wanted in left.items())
        return ruleset >= 0 and kept and _given_up(ruleset)


@contextmanager
def _ruleset(attributes: bytes) -> Iterator[int]:
    ruleset = _syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        yield ruleset
    finally:
        if ruleset >= 0:
            os.close(ruleset)


def _leave(ruleset: int, place: Path, rights: int) -> bool:
    descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        rights &= -1 if place.is_dir() else ~_READ_FOLDER
        return _syscall(_ADD_RULE, ruleset, _BENEATH, struct.pack("=Qi", rights, descriptor), 0) == 0
    finally:
        os.close(descriptor)


def _given_up(ruleset: int) -> bool:
    return _syscall(_RESTRICT_SELF, ruleset, 0) == 0


def _syscall(*arguments: object) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(*arguments))
