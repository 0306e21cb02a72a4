"""A container's share of a machine, as control groups tell it."""

from __future__ import annotations

import os

import pytest

from scanner.assembly import cores
from scanner.assembly.cores import core_count, granted, quotas


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2.0),
        ("150000 100000\n", 1.5),
        ("5000 10000\n", 0.5),
        ("-1\n 100000\n", None),
        ("400000\n 100000\n", 4.0),
    ],
)
def test_a_quota_is_a_share_of_its_period(text, share) -> None:
    assert granted(text) == share


def limited(folder, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_a_container_sees_its_own_group_at_the_top(tmp_path) -> None:
    limited(tmp_path, cpu__max="200000 100000\n")
    assert list(quotas("0::/\n", tmp_path)) == [2.0]
    assert list(quotas("0::/kubepods/pod7/worker\n", tmp_path)) == [2.0], "a path that is not mounted here"
    assert list(quotas("0::/../../pod7\n", tmp_path)) == [2.0], "a process of another group"


def test_groups_around_it_count_as_well(tmp_path) -> None:
    limited(tmp_path / "pod", cpu__max="300000 100000\n")
    limited(tmp_path / "pod" / "worker", cpu__max="max 100000\n")
    limited(tmp_path / "other", cpu__max="100000 100000\n")
    assert list(quotas("0::/pod/worker\n", tmp_path)) == [3.0]


def test_the_older_groups_have_two_files(tmp_path) -> None:
    limited(tmp_path / "cpu" / "docker" / "7", cpu__cfs_quota_us="400000\n", cpu__cfs_period_us="100000\n")
    limited(tmp_path / "cpu", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    assert list(quotas("9:memory:/docker/7\n4:cpu,cpuacct:/docker/7\n0::/docker/7\n", tmp_path)) == [4.0]


@pytest.mark.parametrize(("quota", "count"), [("150000", 2), ("5000", 1), ("800000", 6), ("max", 6)])
def test_the_least_of_cores_and_quota_is_used(monkeypatch, tmp_path, quota, count) -> None:
    limited(tmp_path, cgroup="0::/\n", cpu__max=f"{quota} 100000\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    monkeypatch.setattr(cores, "MEMBERSHIP", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "GROUPS", tmp_path)
    assert core_count() == count


def test_without_control_groups_all_cores_are_used(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    monkeypatch.setattr(cores, "MEMBERSHIP", tmp_path / "nowhere")
    assert core_count() == 6
