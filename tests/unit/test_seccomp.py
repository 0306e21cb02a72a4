"""The filter of system calls, run step by step for both instruction sets, also for the one this machine has not."""

from __future__ import annotations

import os
import struct

import pytest

from scanner.media import seccomp, syscalls
from scanner.media.syscalls import MACHINES, Machine, Numbers

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
UNKNOWN: Numbers = (499, 499)


def answer(machine: Machine, call: Numbers, *arguments: int, audit: int | None = None, networked: bool = False) -> int:
    """What the kernel's interpreter would return (linux/filter.h)."""
    number = call[machine.column]
    assert number is not None
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, machine.audit if audit is None else audit, 0, *padded)
    steps = [struct.unpack("=HBBI", step) for step in seccomp.program(machine, networked=networked)]
    at = accumulator = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += yes if accumulator == value else no
            case 0x45:
                at += yes if accumulator & value else no
            case 0x06:
                return value
            case _:
                raise AssertionError(f"no such instruction: {code:#x}")


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Machine:
    return MACHINES[request.param]


def known(calls: dict[str, Numbers], machine: Machine) -> list[Numbers]:
    return [numbers for numbers in calls.values() if numbers[machine.column] is not None]


def test_every_call_gets_its_answer(machine: Machine) -> None:
    assert {answer(machine, call) for call in known(syscalls.ALLOWED, machine)} == {ALLOW}
    assert {answer(machine, call) for call in known(syscalls.INTRUDERS, machine)} == {KILL}
    assert answer(machine, UNKNOWN) == answer(machine, syscalls.OPENAT) == EPERM
    assert answer(machine, syscalls.CLONE3) == ENOSYS


def test_another_convention_of_calls_is_fatal(machine: Machine) -> None:
    assert answer(machine, syscalls.ALLOWED["read"], audit=0x40000003) == KILL
    (other,) = (one for one in MACHINES.values() if one is not machine)
    assert answer(machine, syscalls.ALLOWED["read"], audit=other.audit) == KILL
    if machine.foreign:
        x32 = (machine.foreign | 0, machine.foreign | 0)
        assert answer(machine, x32) == KILL


@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        (syscalls.MMAP, (0, 4096, 3), ALLOW),
        (syscalls.MMAP, (0, 4096, 7), EPERM),
        (syscalls.MPROTECT, (0, 4096, 5), EPERM),
        (syscalls.MPROTECT, (0, 4096, 1), ALLOW),
        (syscalls.CLONE, (0x3D0F00,), ALLOW),
        (syscalls.CLONE, (17,), KILL),
        (syscalls.IOCTL, (3, 0x5421), ALLOW),
        (syscalls.IOCTL, (3, 0x5412), EPERM),
        (syscalls.FCNTL, (3, 3), ALLOW),
        (syscalls.FCNTL, (3, 8), EPERM),
        (syscalls.FCNTL, (3, 4), EPERM),
        (syscalls.SENDTO, (3, 1, 1, 0, 0), ALLOW),
        (syscalls.SENDTO, (3, 1, 1, 0, 1), EPERM),
        (syscalls.SENDTO, (3, 1, 1, 0, 1 << 32), EPERM),
        (syscalls.TGKILL, (os.getpid(), 1, 6), ALLOW),
        (syscalls.TGKILL, (os.getppid(), 1, 6), EPERM),
        (syscalls.PRLIMIT, (0, 7), ALLOW),
        (syscalls.PRLIMIT, (1, 7), EPERM),
    ],
)
def test_arguments_are_looked_at(machine: Machine, call: Numbers, arguments: tuple[int, ...], expected: int) -> None:
    assert answer(machine, call, *arguments) == expected


def test_a_live_sources_process_gets_sockets_and_reads_but_runs_nothing(machine: Machine) -> None:
    def told(call: Numbers, *arguments: int) -> int:
        return answer(machine, call, *arguments, networked=True)

    fatal = {name: call for name, call in syscalls.INTRUDERS.items() if name not in syscalls.NETWORKED}
    assert {told(call) for call in known(fatal, machine)} == {KILL}
    assert {told(call) for call in known(syscalls.NETWORKED, machine)} == {ALLOW}
    assert told(syscalls.OPENAT, 0, 0, os.O_RDONLY | os.O_CLOEXEC) == ALLOW
    for flag in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_APPEND):
        assert told(syscalls.OPENAT, 0, 0, flag) == EPERM
    assert told(syscalls.FCNTL, 3, 4) == ALLOW
    assert told(syscalls.FCNTL, 3, 8) == EPERM
