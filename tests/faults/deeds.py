"""What an intruder would try. Each deed raises one of ERRORS where it is refused."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from scanner.media.sandbox import allow_processor_time
from scanner.media.syscalls import MACHINES, Numbers

ERRORS = (OSError, MemoryError, ValueError)
WRITTEN = Path("/tmp/written-by-a-cell")
NOTHING: Numbers = (0x3FFF, 0x3FFF)
CLONE_PROCESS = signal.SIGCHLD


def call(numbers: Numbers, *arguments: int | bytes | None) -> int:
    """A system call by its number, past whatever the C library would do instead."""
    number = numbers[MACHINES[os.uname().machine].column]
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def connect_to(port: int) -> None:
    with socket.socket() as sock:
        sock.settimeout(2)
        sock.connect(("127.0.0.1", port))


def write_to(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"x" * 100)


def read_passwords() -> None:
    Path("/etc/passwd").read_bytes()


def read_the_parents_secrets() -> None:
    Path(f"/proc/{os.getppid()}/environ").read_bytes()


def list_the_root() -> None:
    list(Path("/").iterdir())


def write_a_file() -> None:
    write_to(WRITTEN)


def make_a_folder() -> None:
    Path("/tmp/made-by-a-cell").mkdir(exist_ok=True)


def run_a_program() -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606 - an intruder would


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def clone_a_process() -> None:
    if call((56, 220), CLONE_PROCESS, None, None, None, None) == 0:
        os._exit(0)


def trace_the_parent() -> None:
    call((101, 117), 16, os.getppid(), None, None)  # PTRACE_ATTACH


def trace_oneself() -> None:
    call((101, 117), 0, 0, None, None)  # PTRACE_TRACEME


def open_a_socket() -> None:
    socket.socket().close()


def resolve_a_name() -> None:
    socket.getaddrinfo("localhost", 80)


def connect_to_loopback() -> None:
    connect_to(9)


def kill_the_parent() -> None:
    os.kill(os.getppid(), signal.SIGTERM)


def have_the_kernel_signal_the_parent() -> None:
    fcntl.fcntl(sys.stderr, fcntl.F_SETOWN, os.getppid())


def make_memory_into_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def load_a_library() -> None:
    ctypes.CDLL("libanl.so.1")


def raise_a_limit() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))


def take_too_much_memory() -> None:
    bytearray(4 * 2**30)


def compute_without_end() -> None:
    allow_processor_time(0.1)
    while True:
        pass


def make_a_namespace() -> None:
    call((272, 97), 0x10000000)  # unshare(CLONE_NEWUSER)


def call_what_does_not_exist() -> None:
    call(NOTHING)


REFUSED: dict[str, Callable[[], None]] = {
    deed.__name__: deed
    for deed in (
        read_passwords, read_the_parents_secrets, list_the_root, write_a_file, make_a_folder, kill_the_parent,
        have_the_kernel_signal_the_parent, make_memory_into_code, load_a_library, raise_a_limit, take_too_much_memory,
        call_what_does_not_exist,
    )
}  # fmt: skip
"""the cell goes on without"""
FATAL: dict[str, Callable[[], None]] = {
    deed.__name__: deed
    for deed in (
        run_a_program, fork, clone_a_process, trace_the_parent, trace_oneself, open_a_socket, connect_to_loopback,
        make_a_namespace,
    )
}  # fmt: skip
"""the cell is ended on the spot, where the filter of system calls is on"""
