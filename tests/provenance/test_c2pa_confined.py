"""C2PA is read where nothing can be reached: what goes wrong there costs the manifest, and nothing else."""

from __future__ import annotations

import io
import json
import random
import time

import pytest
from labelled_files import muxed
from signing import authority, signed
from typer.testing import CliRunner

from scanner.cli.app import app
from scanner.core.types import Label, Provenance, Tier
from scanner.credentials import lifting, read_manifest
from scanner.media.cutter import cut
from scanner.provenance import State, parse_manifest, weighed
from scanner.provenance.embedded import C2PA_BOX, manifest_kind

WAIT_S = 20.0  # starting the process takes a second, and ten on a busy machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("confined")
    (folder / "plain.mp4").write_bytes(muxed("mp4", "mpeg4"))
    (folder / "trust.pem").write_bytes(authority()[0])
    signed(folder / "plain.mp4", folder / "camera.mp4", "digitalCapture")
    return folder


def asked(path, parser, wait_s=WAIT_S):
    with path.open("rb") as file:
        return read_manifest(file, wait_s=wait_s, parser=f"parsers:{parser}")


@pytest.mark.parametrize(
    ("parser", "says"),
    [
        ("crash", "was ended by SIGABRT"),
        ("hoard", "takes more memory than its process may have"),
        ("babble", "is no manifest"),
        ("flood", "text of at most"),
        ("connect", "was ended by SIGSYS"),
        ("fork", "was ended by SIGSYS"),
    ],
)
def test_what_a_hostile_manifest_does_to_its_parser_costs_the_manifest_alone(folder, parser, says) -> None:
    found = asked(folder / "camera.mp4", parser)
    assert found.state is State.UNREADABLE
    assert says in found.faults[0]
    assert not found.kinds


def test_a_parser_that_never_ends_is_ended_in_time(folder) -> None:
    began = time.monotonic()
    found = asked(folder / "camera.mp4", "hang", wait_s=6.0)
    assert (found.state, found.faults) == (State.UNREADABLE, ("the process that read it was stopped",))
    assert time.monotonic() - began < 12


def test_a_parser_reaches_no_file_no_folder_and_no_process(folder) -> None:
    assert json.loads(asked(folder / "camera.mp4", "snoop").faults[0]) == []


def test_a_file_without_a_manifest_starts_no_process(folder, monkeypatch) -> None:
    monkeypatch.setattr("scanner.credentials.reading.Child", lambda *_: pytest.fail("a process was started"))
    with (folder / "plain.mp4").open("rb") as file:
        assert read_manifest(file) is None


#    ftyp │ uuid C2PA ▒▒▒▒▒▒▒▒▒ │ moov │ mdat            each time other bytes of the manifest are broken
def test_a_broken_manifest_is_told_and_never_believed_or_raised(folder, tmp_path) -> None:
    whole = (folder / "camera.mp4").read_bytes()
    start = whole.index(C2PA_BOX)
    end = start + int.from_bytes(whole[start - 8 : start - 4], "big") - 8
    states = set()
    for seed in range(8):
        chance = random.Random(seed)
        broken = bytearray(whole)
        for _ in range(1 + seed * 8):
            broken[chance.randrange(start + 40, end)] = chance.randrange(256)
        (tmp_path / "broken.mp4").write_bytes(broken)
        with (tmp_path / "broken.mp4").open("rb") as file:
            states.add(read_manifest(file, folder / "trust.pem", wait_s=WAIT_S).state)
    assert State.UNREADABLE in states
    assert State.TRUSTED not in states


def test_segments_of_a_file_with_an_unreadable_manifest_are_cut_and_say_so(folder, tmp_path) -> None:
    whole = bytearray((folder / "camera.mp4").read_bytes())
    start = whole.index(C2PA_BOX)
    whole[start + 40 : start + 400] = bytes(360)
    path = tmp_path / "broken.mp4"
    path.write_bytes(whole)
    with cut(path, c2pa=lifting(None)(path)) as pieces:
        (segment,) = pieces
    manifest = parse_manifest(segment.declared.c2pa)
    assert (manifest.state, manifest.generated, manifest.captured) == (State.UNREADABLE, False, False)
    said = weighed(Provenance(c2pa=segment.declared.c2pa), Label.MANIPULATED)
    assert (said.tier, said.conflict) == (Tier.SUSPECTED, False)
    done = CliRunner().invoke(app, ["provenance", str(path)])
    assert json.loads(done.stdout)["c2pa"]["state"] == "unreadable"


def test_a_manifest_is_looked_for_where_c2pa_puts_it_and_nowhere_else(folder) -> None:
    whole = (folder / "camera.mp4").read_bytes()
    assert manifest_kind(whole) == "video/mp4"
    assert manifest_kind((folder / "plain.mp4").read_bytes()) is None
    inside = (folder / "plain.mp4").read_bytes() + b"\0\0\0\x20free" + C2PA_BOX + bytes(8)
    assert manifest_kind(inside) is None
    assert manifest_kind(io.BytesIO(b"not a video")) is None
    many = whole[:28] + b"\0\0\0\x08free" * 30_000 + whole[28:]
    assert manifest_kind(many) == "video/mp4"  # too many boxes to say no
