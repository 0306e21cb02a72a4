"""What a process and all below it use, read from /proc: CPU seconds and memory with shared pages counted once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process tree, at one moment."""

    cpu_s: float
    pss_mib: float
    """proportional set size: a page that n processes share counts as 1 / n in each"""
    rss_mib: float
    processes: int


@dataclass(frozen=True, slots=True)
class Role:
    """A process under a name, with all below it, or only one of the two."""

    pid: int
    itself: bool = True
    below: bool = True


def usage_of(role: Role) -> Usage:
    """Zeros when the process is gone."""
    family = _family(role.pid) if role.below else {role.pid}
    if not role.itself:
        family -= {role.pid}
    memory = [_memory_kib(pid) for pid in family]
    pss, rss = (sum(sizes[name] for sizes in memory) / 1024 for name in ("Pss", "Rss"))
    return Usage(sum(_cpu_s(pid) for pid in family), pss, rss, len(family))


def _family(root: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _fields(stat)
        if fields:
            parents[int(stat.parent.name)] = int(fields[1])
    family = {root} & parents.keys()
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return family


def _cpu_s(pid: int) -> float:
    """User and system time, that of children which were waited for included."""
    fields = _fields(Path(f"/proc/{pid}/stat"))
    return sum(int(field) for field in fields[11:15]) * _TICKS_S if fields else 0.0


def _fields(stat: Path) -> list[str]:
    """What follows the name, which may hold anything."""
    try:
        return stat.read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def _memory_kib(pid: int) -> dict[str, int]:
    """Proportional and resident set size; zeros when the process is gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        rollup = ""
    sizes = {line.partition(":")[0]: int(line.split()[1]) for line in rollup.splitlines() if line.endswith("kB")}
    return {name: sizes.get(name, 0) for name in ("Pss", "Rss")}
