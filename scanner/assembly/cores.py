"""How many cores this process may use: those it may run on, or its share of them where a control group has a quota."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
V2 = ("cpu.max",)
V1 = ("cpu.cfs_quota_us", "cpu.cfs_period_us")


def core_count() -> int:
    """At least one. A quota of a core and a half counts as two: a share that nobody uses is dearer than a wait."""
    near = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = MEMBERSHIP.read_text("utf-8") if MEMBERSHIP.exists() else ""
    return max(1, min([near, *map(math.ceil, quotas(told, GROUPS))]))


def quotas(told: str, groups: Path) -> Iterator[float]:
    """The cores that each control group of a process grants, those around it included; none where none is limited.

    Args:
        told: /proc/PID/cgroup, a line a hierarchy: `0::/path` (v2), `4:cpu,cpuacct:/path` (v1).
        groups: where the hierarchies are mounted.
    """
    files: tuple[str, ...]
    for line in told.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top, files = groups, V2
        elif "cpu" in controllers.split(","):
            top, files = groups / "cpu", V1
        else:
            continue
        inner = top / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if all((folder / file).is_file() for file in files):
                cores = granted(" ".join((folder / file).read_text("utf-8") for file in files))
                if cores is not None:
                    yield cores
            if folder == top:
                break


def granted(text: str) -> float | None:
    """Cores in `QUOTA PERIOD`, microseconds each; None where the quota is `max` (v2) or -1 (v1)."""
    quota, period = text.split()
    return None if quota in {"max", "-1"} else int(quota) / int(period)
