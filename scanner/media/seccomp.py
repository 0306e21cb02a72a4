"""The system-call filter of a confined process: a classic BPF program written here, handed to the kernel by ctypes.

A call that is not on the list fails with EPERM, so that a library that merely probes goes on without it; a call that
only an intruder makes ends the process (see syscalls.INTRUDERS). Once on, nothing takes it off.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scanner.media.syscalls import (
    ALLOWED,
    CLONE,
    CLONE3,
    FCNTL,
    INTRUDERS,
    IOCTL,
    MACHINES,
    MMAP,
    MPROTECT,
    NETWORKED,
    OPEN,
    OPENAT,
    PRCTL,
    PRLIMIT,
    SECCOMP,
    SENDTO,
    TGKILL,
    Machine,
    Numbers,
)

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06  # BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_RET|K
_IF_EQUAL, _IF_ANY_BIT = 0x15, 0x45  # BPF_JMP|JEQ|K, BPF_JMP|JSET|K
_AT_NUMBER, _AT_MACHINE, _AT_ARGUMENTS = 0, 4, 16  # of struct seccomp_data
_PROT_EXEC, _CLONE_THREAD, _FIONBIO, _PR_SET_NAME, _PR_SET_VMA = 4, 0x00010000, 0x5421, 15, 0x53564D41
_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_DUPFD_CLOEXEC = 1, 2, 3, 4, 1030
_FIONREAD = 0x541B
_WRITING = 0o3 | 0o100 | 0o1000 | 0o2000  # O_ACCMODE, O_CREAT, O_TRUNC, O_APPEND
_SET_MODE_FILTER, _EVERY_THREAD = 1, 1

Step = bytes
"""one struct sock_filter"""


@dataclass(frozen=True, slots=True)
class _Check:
    """A call that is allowed when a masked argument has one of some values."""

    call: Numbers
    argument: int
    values: Sequence[int]
    mask: int = 0xFFFFFFFF
    otherwise: int = _ERRNO | _EPERM
    high: bool = False
    """whether the upper half of the 64 bits must be zero, too: for pointers"""


def _checks() -> tuple[_Check, ...]:
    return (
        _Check(MMAP, 2, (0,), _PROT_EXEC),  # every library is loaded: no memory becomes code
        _Check(MPROTECT, 2, (0,), _PROT_EXEC),
        _Check(CLONE, 0, (_CLONE_THREAD,), _CLONE_THREAD, _KILL),  # threads, no processes
        _Check(IOCTL, 1, (_FIONBIO,)),
        # Not F_SETOWN: it makes the kernel send a signal to whomever it names, the parent too.
        _Check(FCNTL, 1, (_F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC)),
        _Check(PRCTL, 0, (_PR_SET_NAME, _PR_SET_VMA)),
        _Check(SENDTO, 4, (0,), high=True),  # to the connected parent, to no other address
        _Check(TGKILL, 0, (os.getpid(),)),  # abort()
        _Check(PRLIMIT, 0, (0,)),  # of its own processor time, below limits that it cannot raise
    )


def _networked_checks() -> tuple[_Check, ...]:
    """For a live source's process. Sockets are made non-blocking; files are opened, but not to be written."""
    return (
        _Check(OPENAT, 2, (0,), _WRITING),
        _Check(OPEN, 1, (0,), _WRITING),
        _Check(FCNTL, 1, (_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_DUPFD_CLOEXEC)),
        _Check(IOCTL, 1, (_FIONBIO, _FIONREAD)),
    )


def install(*, networked: bool = False) -> bool:
    """Filters every thread of this process from now on; False where the kernel or the machine has no filter.

    Needs no_new_privs. `networked` leaves what fetching a live source takes: sockets, and files to read.
    """
    machine = MACHINES.get(platform.machine())
    if not sys.platform.startswith("linux") or sys.maxsize < 2**32 or machine is None:
        return False
    steps = program(machine, networked=networked)
    code = ctypes.create_string_buffer(b"".join(steps))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    number = SECCOMP[machine.column]
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    return bool(syscall(number, _SET_MODE_FILTER, _EVERY_THREAD, filter_) == 0)


def program(machine: Machine, *, networked: bool = False) -> list[Step]:
    """The filter for one instruction set. The first line that a call matches decides."""
    allowed = {**ALLOWED, **(NETWORKED if networked else {})}
    checks = (*(_networked_checks() if networked else ()), *_checks())
    return [
        _step(_LOAD, _AT_MACHINE),
        _step(_IF_EQUAL, machine.audit, yes=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _AT_NUMBER),
        _step(_IF_ANY_BIT, machine.foreign, no=1),
        _step(_RETURN, _KILL),
        *_answers(allowed.values(), machine, _ALLOW),
        *(step for check in checks for step in _checked(check, machine)),
        *_answers(INTRUDERS.values(), machine, _KILL),
        *_answers([CLONE3], machine, _ERRNO | _ENOSYS),  # its flags lie in memory; clone is tried after it
        _step(_RETURN, _ERRNO | _EPERM),
    ]


def _answers(calls: Iterable[Numbers], machine: Machine, answer: int) -> Iterator[Step]:
    for numbers in calls:
        number = numbers[machine.column]
        if number is not None:
            yield _step(_IF_EQUAL, number, no=1)
            yield _step(_RETURN, answer)


def _checked(check: _Check, machine: Machine) -> Iterator[Step]:
    number = check.call[machine.column]
    at = _AT_ARGUMENTS + 8 * check.argument  # both instruction sets are little-endian
    body = []
    if check.high:
        body += [_step(_LOAD, at + 4), _step(_IF_EQUAL, 0, yes=1), _step(_RETURN, check.otherwise)]
    body += [_step(_LOAD, at), _step(_AND, check.mask)]
    for value in check.values:
        body += [_step(_IF_EQUAL, value, no=1), _step(_RETURN, _ALLOW)]
    body += [_step(_RETURN, check.otherwise)]
    if number is not None:
        yield _step(_IF_EQUAL, number, no=len(body))
        yield from body


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> Step:
    return struct.pack("=HBBI", code, yes, no, value)
