"""What a confined process can no longer do; and what a cell that was taken over cannot make its parent believe."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scanner.core.calibration import Calibration
from scanner.core.errors import CellLostError
from scanner.core.policy import Policy
from scanner.core.types import ClipSpec, Mode, ModelRef, StreamState
from scanner.core.verdict import Judge, conclude
from scanner.media import syscalls
from scanner.media.cell import CellPlan
from scanner.media.child import Child
from scanner.media.cutter import cut
from scanner.media.pool import CellPool
from scanner.media.sandbox import Layer
from scanner.testing import draw_video, segment_of

sys.path.insert(0, str(Path(__file__).parent))
import deeds
from liars import REFUSED

PROBE = """
import json, os, resource, signal, sys
import deeds
from scanner.media import landlock, sandbox, seccomp
how = json.loads(sys.argv[1])
for layer in how["without"]:
    if layer == "landlock":
        landlock.only_read = landlock.open_nothing = lambda: False
    if layer == "seccomp":
        seccomp.install = lambda: False
    if layer == "rlimit":
        sandbox._bounded = lambda limits: False
if how["nobody"]:
    os.setgid(65534)
    os.setuid(65534)
layers = sandbox.seclude_networked() if how["networked"] else sandbox.seclude()
limits = sandbox.Confinement(address_space_bytes=400 * 2**20, open_files=20)
status = open("/proc/self/status")
if how["confined"]:
    layers = (sandbox.confine_networked if how["networked"] else sandbox.confine)(limits, layers)

def outcome(what):
    try:
        what()
    except deeds.ERRORS as error:
        return type(error).__name__
    return "done"

facts = dict(line.split(":", 1) for line in status)
found = {
    **{name: outcome(getattr(deeds, name)) for name in how["deeds"]},
    "no_new_privs": facts["NoNewPrivs"].strip(),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1] if not how["confined"] else 0,
    "capabilities": int(facts["CapEff"], 16),
    "interrupt": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
    "layers": sorted(layers),
}
print(json.dumps(found))
"""
LINUX = sys.platform.startswith("linux")
ROOT = LINUX and os.geteuid() == 0
OF_FILES = ("read_passwords", "list_the_root", "write_a_file", "make_a_folder")


def probed(
    *deeds: str,
    without: Sequence[str] = (),
    confined: bool = True,
    nobody: bool = False,
    networked: bool = False,
) -> subprocess.CompletedProcess[str]:
    how = {"deeds": deeds, "without": without, "confined": confined, "nobody": nobody, "networked": networked}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE, json.dumps(how)],
        capture_output=True,
        check=False,
        text=True,
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )


def found(*deeds: str, **how: Any) -> dict[str, Any]:
    said = probed(*deeds, **how)
    assert said.returncode == 0, said.stderr
    return dict(json.loads(said.stdout))


def expected_layers() -> set[Layer]:
    """What this machine has, found out without our code."""
    layers = {Layer.RLIMIT}
    if LINUX:
        layers |= {Layer.NO_NEW_PRIVS, Layer.NO_CAPABILITIES}
    actions = Path("/proc/sys/kernel/seccomp/actions_avail")
    if actions.exists() and "kill_process" in actions.read_text() and platform.machine() in {"x86_64", "aarch64"}:
        layers.add(Layer.SECCOMP)
    if LINUX and ctypes.CDLL(None).syscall(444, None, 0, 1) > 0:
        layers.add(Layer.LANDLOCK)
    namespaces = [subprocess.run(["unshare", *flags, "true"], check=False, capture_output=True) for flags in NAMESPACES]
    if any(made.returncode == 0 for made in namespaces):
        layers.add(Layer.NO_NETWORK)
    return layers


NAMESPACES = (["--net"], ["--user", "--net"])


@pytest.mark.parametrize("nobody", [False, pytest.param(True, marks=pytest.mark.skipif(not ROOT, reason="root only"))])
def test_every_layer_that_this_machine_has_is_on(nobody: bool) -> None:
    told = found(nobody=nobody)
    assert {*told["layers"], Layer.NO_NETWORK} == {*expected_layers(), Layer.NO_NETWORK}
    if not nobody:
        assert set(told["layers"]) == expected_layers()
    assert told["no_new_privs"] == "1"
    assert told["interrupt"] is True


@pytest.mark.parametrize("nobody", [False, pytest.param(True, marks=pytest.mark.skipif(not ROOT, reason="root only"))])
def test_a_confined_process_is_refused_what_an_intruder_would_try(nobody: bool) -> None:
    told = found(*deeds.REFUSED, nobody=nobody)
    assert {name: told[name] for name in deeds.REFUSED if told[name] == "done"} == {}
    assert told["capabilities"] == 0


@pytest.mark.parametrize("deed", deeds.FATAL)
def test_what_only_an_intruder_does_ends_the_process(deed: str) -> None:
    said = probed(deed)
    if Layer.SECCOMP not in expected_layers():
        pytest.skip("this machine has no filter of system calls")
    assert said.returncode == -signal.SIGSYS, said


IN_LIVE_SOURCES = ("read_passwords", "read_the_parents_secrets", "list_the_root", "write_a_file", "make_a_folder",
                   "kill_the_parent", "have_the_kernel_signal_the_parent", "take_too_much_memory")  # fmt: skip


def test_a_live_sources_process_has_the_network_and_little_else() -> None:
    told = found(*IN_LIVE_SOURCES, "open_a_socket", "resolve_a_name", networked=True)
    assert {name for name in IN_LIVE_SOURCES if told[name] == "done"} == set()
    assert told["open_a_socket"] == told["resolve_a_name"] == "done"
    assert set(told["layers"]) == expected_layers() - {Layer.NO_NETWORK}


@pytest.mark.parametrize("deed", ["run_a_program", "fork", "clone_a_process", "trace_the_parent", "make_a_namespace"])
def test_a_live_sources_process_that_tries_worse_is_ended(deed: str) -> None:
    if Layer.SECCOMP not in expected_layers():
        pytest.skip("this machine has no filter of system calls")
    assert probed(deed, networked=True).returncode == -signal.SIGSYS


def test_a_process_that_computes_without_end_is_ended_by_the_kernel() -> None:
    """Also when its parent does not look."""
    assert probed("compute_without_end").returncode == -signal.SIGXCPU


def test_the_probe_can_do_all_this_before_it_is_confined() -> None:
    """So the refusals above mean something."""
    may = ("read_passwords", "list_the_root", "make_memory_into_code", "raise_a_limit", "open_a_socket", "fork")
    told = found(*may, confined=False, without=["landlock"])
    assert {name: told[name] for name in may} == dict.fromkeys(may, "done")


@pytest.mark.parametrize("alone", ["landlock", "seccomp"])
def test_files_are_out_of_reach_by_either_layer_alone(alone: str) -> None:
    if alone not in expected_layers():
        pytest.skip(f"this machine has no {alone}")
    others = [layer for layer in ("landlock", "seccomp") if layer != alone]
    told = found(*OF_FILES, without=[*others, "rlimit"])
    assert {name: told[name] for name in OF_FILES} == dict.fromkeys(OF_FILES, "PermissionError")


def test_limits_hold_without_the_other_layers() -> None:
    told = found("take_too_much_memory", "write_a_file", without=["landlock", "seccomp"])
    assert told["take_too_much_memory"] == "MemoryError"
    assert told["write_a_file"] == "OSError"
    deeds.WRITTEN.unlink(missing_ok=True)  # it was made, but nothing could be written into it
    assert not {Layer.LANDLOCK, Layer.SECCOMP} & set(told["layers"])


@pytest.mark.parametrize("deed", ["read_passwords", "write_a_file", "kill_the_parent", "make_memory_into_code"])
def test_a_cell_that_tries_is_refused(deed: str) -> None:
    with (
        CellPool(1, CellPlan(ClipSpec(8, 32), detectors=f"liars:{deed}", patience_s=20)) as pool,
        pytest.raises(CellLostError, match=f"ended with status {REFUSED}"),
    ):
        list(pool.observe(segment_of(draw_video()), Mode.FULL).clips())


@pytest.mark.parametrize("deed", ["run_a_program", "fork", "connect_to_loopback", "trace_the_parent"])
def test_a_cell_that_tries_worse_is_ended(deed: str) -> None:
    if Layer.SECCOMP not in expected_layers():
        pytest.skip("this machine has no filter of system calls")
    with (
        CellPool(1, CellPlan(ClipSpec(8, 32), detectors=f"liars:{deed}", patience_s=20)) as pool,
        pytest.raises(CellLostError, match="was ended by SIGSYS"),
    ):
        list(pool.observe(segment_of(draw_video()), Mode.FULL).clips())


LOOKED_AT = ("mmap", "mprotect", "clone", "clone3", "ioctl", "fcntl", "prctl", "open", "openat", "sendto", "tgkill",
             "seccomp")  # fmt: skip
KNOWN = {
    **syscalls.ALLOWED,
    **syscalls.NETWORKED,
    **syscalls.INTRUDERS,
    **{name: getattr(syscalls, name.upper()) for name in LOOKED_AT},
    "prlimit64": syscalls.PRLIMIT,
}


def test_the_filter_knows_the_kernels_numbers() -> None:
    """Against the headers of the machine it runs on, where they are installed."""
    headers = [*Path("/usr/include").glob("*/asm/unistd_64.h"), Path("/usr/include/asm-generic/unistd.h")]
    checked = 0
    for header in headers:
        if not header.exists():
            continue
        column = 1 if "generic" in header.parts[-2] else 0
        pattern = r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$"
        told = {name: int(number) for name, number in re.findall(pattern, header.read_text(), re.MULTILINE)}
        for name, numbers in KNOWN.items():
            assert numbers[column] == told.get(name, numbers[column]), (name, header)
            checked += name in told
    if not checked:
        pytest.skip("no headers of the kernel are installed")


def test_cells_and_the_cutter_have_every_layer(tmp_path: Path) -> None:
    """The real ones, with the real detectors."""
    path = tmp_path / "a.mp4"
    path.write_bytes(draw_video())
    with cut(path) as cutting:
        next(cutting)
        assert set(cutting.sandbox) == expected_layers()
    with CellPool(1, CellPlan(ClipSpec(8, 32))) as pool:
        assert set(pool.ready()) == expected_layers()
        cell = pool.take()
        for task in Path(f"/proc/{cell.child.pid}/task").iterdir():
            status = (task / "status").read_text()
            assert ("Seccomp:\t2" in status) == (Layer.SECCOMP in expected_layers())
        pool.give_back(cell)


def test_a_verdict_tells_the_layers_of_its_cell() -> None:
    with CellPool(1, CellPlan(ClipSpec(8, 32), detectors="scanner.testing:fake_detectors")) as pool:
        segment = segment_of(draw_video())
        sighting = pool.observe(segment, Mode.FULL)
        list(sighting.clips())
        judge = Judge(Policy(), Calibration(null_bound=0.3), ModelRef("fake", "0" * 64))
        said = conclude(StreamState(segment.stream_id), segment, sighting.observation(), [], judge).verdict
    assert set(said.sandbox) == expected_layers()


def test_secrets_of_the_environment_do_not_reach_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANNER_KAFKA__PASSWORD", "hunter2")
    with CellPool(1, CellPlan(ClipSpec(8, 32), detectors="scanner.testing:fake_detectors")) as pool:
        pool.ready()
        (cell, *_) = pool._cells
        assert b"hunter2" not in Path(f"/proc/{cell.child.pid}/environ").read_bytes()


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("rubbish", "broke the protocol"),
        ("longest", "broke the protocol"),
        ("flood", "broke the protocol"),
        ("slot", r"slot must be an integer in \[0, 3\], got 4"),
        ("done", "broke the protocol"),
        ("terminal", "rejected must be text of at most"),
        ("leave", "ended with status 0"),
        ("shrink", "ended with status 77"),
    ],
)
def test_a_cell_that_was_taken_over_is_ended(deed: str, words: str) -> None:
    plan = CellPlan(ClipSpec(8, 32), detectors=f"liars:{deed}", patience_s=20)
    with CellPool(1, plan) as pool:
        with pytest.raises(CellLostError, match=words) as lost:
            list(pool.observe(segment_of(draw_video()), Mode.FULL).clips())
        assert str(lost.value).isprintable()
        assert pool.restarts == 1
        assert pool.ready()


def test_a_child_keeps_its_last_words_only() -> None:
    child = Child("scanner.media.nothing_of_that_name")
    child._process.wait()
    child._listener.join()
    child.close()
    assert b"No module named" in bytes(child._last_words)
    assert len(child._last_words) <= 4096
