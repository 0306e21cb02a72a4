"""What a confined process may ask of the kernel, by name; and what only an intruder would ask.

Numbers: asm/unistd_64.h (x86-64) and asm-generic/unistd.h (arm64) of the Linux headers; None where a call is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

Numbers = tuple[int | None, int | None]
"""on x86-64 and on arm64"""

ALLOWED: dict[str, Numbers] = {
    # bytes over descriptors that are open already
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "lseek": (8, 62),
    "close": (3, 57), "fstat": (5, 80), "recvfrom": (45, 207),
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    # memory
    "munmap": (11, 215), "mremap": (25, 216), "brk": (12, 214), "madvise": (28, 233),
    # threads, which may wait for each other
    "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293), "set_tid_address": (218, 96),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "membarrier": (324, 283), "getcpu": (309, 168),
    "restart_syscall": (219, 128), "exit": (60, 93), "exit_group": (231, 94),
    # own signals
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    # clocks, dice and who am I
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "getrandom": (318, 278),
    "getpid": (39, 172), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
    "getegid": (108, 177), "uname": (63, 160), "sysinfo": (99, 179), "getrusage": (98, 165),
}  # fmt: skip

NETWORKED: dict[str, Numbers] = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "getsockname": (51, 204), "getpeername": (52, 205),
    "setsockopt": (54, 208), "getsockopt": (55, 209), "shutdown": (48, 210), "sendto": (44, 206),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "sendmmsg": (307, 269), "recvmmsg": (299, 243), "eventfd2": (290, 19),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22),
    "pipe2": (293, 59), "dup": (32, 23), "mmap": (9, 222), "mprotect": (10, 226),
    "stat": (4, None), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291), "access": (21, None),
    "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None), "readlinkat": (267, 78),
    "getdents64": (217, 61), "getcwd": (79, 17), "wait4": (61, 260),
}  # fmt: skip
"""what a live source's process needs beside that: sockets, the resolver's and TLS files, libraries found on the way"""

INTRUDERS: dict[str, Numbers] = {
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "io_uring_setup": (425, 425),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219),
    "mount": (165, 40), "move_mount": (429, 429), "open_tree": (428, 428), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "setuid": (105, 146), "setgid": (106, 144), "capset": (126, 91),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104), "reboot": (169, 142),
}  # fmt: skip
"""no library asks for these between two segments: the process that does is ended on the spot"""

MMAP: Numbers = (9, 222)
MPROTECT: Numbers = (10, 226)
CLONE: Numbers = (56, 220)
CLONE3: Numbers = (435, 435)
IOCTL: Numbers = (16, 29)
FCNTL: Numbers = (72, 25)
PRCTL: Numbers = (157, 167)
OPEN: Numbers = (2, None)
OPENAT: Numbers = (257, 56)
SENDTO: Numbers = (44, 206)
TGKILL: Numbers = (234, 131)
PRLIMIT: Numbers = (302, 261)
SECCOMP: Numbers = (317, 277)


@dataclass(frozen=True, slots=True)
class Machine:
    """One instruction set that the filter knows."""

    column: int
    """of Numbers"""
    audit: int
    """AUDIT_ARCH_…, by which the kernel says whose numbers a call uses"""
    foreign: int
    """bits of a number that mark another calling convention (x32); 0 where there is none"""


MACHINES = {
    "x86_64": Machine(0, 0xC000003E, 0x40000000),
    "aarch64": Machine(1, 0xC00000B7, 0),
}
"""by what uname calls them"""
