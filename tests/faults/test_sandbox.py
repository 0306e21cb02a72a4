"""What a confined process can no longer do; and what a cell that was taken over cannot make its parent believe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.core.errors import CellLostError
from scanner.core.types import ClipSpec, Mode
from scanner.media.cell import CellPlan
from scanner.media.child import Child
from scanner.media.pool import CellPool
from scanner.media.sandbox import Layer
from scanner.testing import draw_video, segment_of

sys.path.insert(0, str(Path(__file__).parent))

PROBE = """
import json, os, resource, signal, socket, sys
from scanner.media.sandbox import Confinement, confine, seclude
layers = seclude()
if sys.argv[1] == "before":
    pass
else:
    layers |= confine(Confinement(address_space_bytes=400 * 2**20, open_files=20))

def attempt(what):
    try:
        what()
    except (OSError, MemoryError, ValueError) as error:
        return type(error).__name__
    return "done"

def write():
    with open(sys.argv[2], "wb") as file:
        file.write(b"x" * 100)

def connect():
    with socket.socket() as sock:
        sock.settimeout(2)
        sock.connect(("127.0.0.1", int(sys.argv[3])))

status = dict(line.split(":", 1) for line in open("/proc/self/status"))
found = {
    "write": attempt(write),
    "connect": attempt(connect),
    "allocate": attempt(lambda: bytearray(500 * 2**20)),
    "open": attempt(lambda: [open("/dev/null") for _ in range(40)]),
    "no_new_privs": status["NoNewPrivs"].strip(),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
    "interrupt": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
}
print(json.dumps({"layers": sorted(layers), **found}))
"""


@pytest.fixture
def port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def probe(when: str, path: Path, port: int) -> dict[str, object]:
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE, when, str(path), str(port)], capture_output=True, check=True
    )
    return json.loads(said.stdout)


def test_a_confined_process_can_do_nothing_that_its_layers_deny(tmp_path: Path, port: int) -> None:
    found = probe("after", tmp_path / "written", port)
    assert Layer.RLIMIT in found["layers"]
    assert Layer.NO_NEW_PRIVS in found["layers"]
    assert found["write"] == "OSError"
    assert found["allocate"] == "MemoryError"
    assert found["open"] == "OSError"
    assert found["no_new_privs"] == "1"
    assert found["core"] == 0
    assert found["interrupt"] is True
    assert (Layer.NO_NETWORK in found["layers"]) == (found["connect"] == "OSError")


def test_the_limits_are_what_denies_it(tmp_path: Path, port: int) -> None:
    """The same probe without limits: it can, so the test above means something."""
    found = probe("before", tmp_path / "written", port)
    assert found["write"] == found["allocate"] == found["open"] == "done"


def test_the_network_is_away_where_the_machine_can_take_it_away(tmp_path: Path, port: int) -> None:
    may = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0
    if not may:
        pytest.skip("this machine allows no network namespace of one's own")
    assert Layer.NO_NETWORK in probe("after", tmp_path / "written", port)["layers"]  # type: ignore[operator]


def test_a_verdict_tells_the_layers_of_its_cell() -> None:
    with CellPool(1, CellPlan(ClipSpec(8, 32), detectors="scanner.testing:fake_detectors")) as pool:
        layers = pool.ready()
        sighting = pool.observe(segment_of(draw_video()), Mode.FULL)
        list(sighting.clips())
        assert sighting.observation().sandbox == layers
        assert {"rlimit", "no_new_privs"} <= set(layers)


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
