"""A chain and a case hold as they were signed, and every change is found and named."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from scanner.audit import CaseFile, Ledger, PublicKey, check_ledger, generate, ledger_lines, parse_ledger, verify_case
from scanner.audit.case import LEDGER, MANIFEST, SIGNATURE, VERDICTS, write_case
from scanner.audit.merkle import merkle_root
from scanner.cli.app import app
from scanner.core.errors import SettingsError
from scanner.core.policy import Policy
from scanner.core.types import Label, Mode, ModelRef, Provenance, Tally, Verdict
from scanner.wire import json_of

POLICY = Policy()
CLIP = b"the very bytes " * 40


def verdict(sequence, stream="cam"):
    return Verdict(
        f"{stream}-{sequence}", stream, sequence, sequence * 2000, sequence * 2000 + 2000, Label.SUSPECTED, 0.6, (), (),
        Provenance(), Tally(50, 50, 32, 0, Mode.FULL), ModelRef("m", "ab" * 32), POLICY.sha256,
        payload_sha256=sha256(CLIP).hexdigest() if sequence == 1 else "0" * 64,
    )  # fmt: skip


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("keys") / "operator")[0]


def chained(key, verdicts, *, sealed=True):
    ledger = Ledger()
    links = [ledger.chained(each, json_of(each)) for each in verdicts]
    return [*links, *(ledger.sealed(key, 1_000) if sealed else [])]


def faults_of(content, key):
    return check_ledger(parse_ledger(content, "ledger"), "ledger", key.public)


def case_files(key):
    verdicts = [verdict(n) for n in range(4)]
    return [
        CaseFile(VERDICTS, b"".join(json_of(each) + b"\n" for each in verdicts)),
        CaseFile(LEDGER, ledger_lines(chained(key, verdicts))),
        CaseFile("clips/000001.mp4", CLIP, 1),
        CaseFile("policy.json", POLICY.text.encode()),
    ]


@pytest.fixture
def case(key, tmp_path):
    folder = tmp_path / "case"
    write_case(folder, case_files(key), {"stream_id": "cam", "sequences": [0, 3]}, key)
    return folder


@pytest.mark.parametrize(
    ("leaves", "root"),
    [  # RFC 6962's tree over the well-known test inputs of certificate-transparency-go
        ([""], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (["", "00"], "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (["", "00", "10"], "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (["", "00", "10", "2021", "3031"], "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
    ],
)
def test_the_merkle_root_is_that_of_certificate_transparency(leaves, root) -> None:
    assert merkle_root([bytes.fromhex(leaf) for leaf in leaves]).hex() == root


def test_a_chain_holds_goes_on_and_passes_over_repeats(key) -> None:
    content = ledger_lines(chained(key, [verdict(0), verdict(0, "other"), verdict(1)]))
    ledger = parse_ledger(content, "ledger").ledger
    assert ledger.chained(verdict(1), b"again") is None
    link = ledger.chained(verdict(2), json_of(verdict(2)))
    assert link.place == 2
    content += ledger_lines([link, *ledger.sealed(key, 2_000)])
    assert faults_of(content, key) == ()
    assert [(seal.first, seal.last) for seal in parse_ledger(content, "").ledger.seals] == [(0, 1), (0, 0), (2, 2)]


def test_whatever_is_done_to_a_ledger_is_found(key) -> None:
    lines = ledger_lines(chained(key, [verdict(n) for n in range(4)])).splitlines(keepends=True)
    swapped = [lines[0], lines[2], lines[1], *lines[3:]]
    forged = ledger_lines(chained(key, [verdict(n) for n in (0, 2, 3)], sealed=False)).splitlines(keepends=True)
    twice = [*lines[:2], lines[1], *lines[2:]]
    for changed in (swapped, lines[:1] + lines[2:], lines[1:], [*forged, lines[-1]], twice):
        assert faults_of(b"".join(changed), key)


def test_a_seal_of_another_key_does_not_hold(key, tmp_path) -> None:
    other, _ = generate(tmp_path / "other")
    (fault,) = faults_of(ledger_lines(chained(other, [verdict(0)])), key)
    assert "is not signed by the key" in fault.says


@given(st.data())
def test_one_flipped_bit_in_a_ledger_is_found_at_its_line(key, data) -> None:
    content = bytearray(ledger_lines(chained(key, [verdict(n) for n in range(3)])))
    place = data.draw(st.integers(0, len(content) - 1))
    line = content[:place].count(b"\n") + 1
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    faults = faults_of(bytes(content), key)
    assert any(fault.place == f"ledger, line {line}" or "seal over" in fault.says for fault in faults)


def test_a_whole_case_holds_as_a_folder_and_as_a_zip(key, case, tmp_path) -> None:
    write_case(tmp_path / "case.zip", case_files(key), {"stream_id": "cam", "sequences": [0, 3]}, key)
    for path in (case, tmp_path / "case.zip"):
        checked = verify_case(path, key.public)
        assert checked.faults == ()
        assert (checked.verdicts, checked.files) == (4, 7)
        assert verify_case(path, None).key_id == key.public.key_id


def test_one_flipped_byte_names_the_file_and_the_verdict(key, case) -> None:
    flip(case / VERDICTS, (case / VERDICTS).read_bytes().index(b'"sequence":2') + 11)
    places = {fault.place: fault.says for fault in verify_case(case, key.public).faults}
    assert set(places) == {VERDICTS, f"{VERDICTS}, line 3"}
    assert f"cam segment 2 (verdict {verdict(2).verdict_id})" in places[f"{VERDICTS}, line 3"]


def test_every_byte_of_every_file_counts(key, case) -> None:
    for path in sorted(file for file in case.rglob("*") if file.is_file()):
        name = path.relative_to(case).as_posix()
        original = path.read_bytes()
        for place in range(0, len(original), max(1, len(original) // 25)):
            flip(path, place)
            try:
                faults = verify_case(case, key.public).faults
            except SettingsError:
                assert name in {MANIFEST, SIGNATURE}
            else:
                told = {fault.place.split(",")[0] for fault in faults}
                assert told & ({MANIFEST, SIGNATURE} if name == SIGNATURE else {name}), (name, place, faults)
            path.write_bytes(original)


def test_every_byte_of_a_file_in_a_zip_counts(key, tmp_path) -> None:
    path = tmp_path / "case.zip"
    write_case(path, case_files(key), {"stream_id": "cam"}, key)
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("clips/000001.mp4").header_offset + 30 + len("clips/000001.mp4") + 7
    flip(path, at)
    assert [fault.place for fault in verify_case(path, key.public).faults] == ["clips/000001.mp4"]


def test_a_file_taken_out_or_put_in_is_named(key, case) -> None:
    (case / "clips" / "000001.mp4").unlink()
    (case / "extra.txt").write_text("x")
    told = {(fault.place, fault.says.split(":")[0]) for fault in verify_case(case, key.public).faults}
    assert told == {("clips/000001.mp4", "is missing"), ("extra.txt", "does not belong to the case")}


def test_a_case_signed_anew_by_somebody_else_is_not_the_operators(key, case, tmp_path) -> None:
    other, _ = generate(tmp_path / "other")
    files = [replace(f, content=f.content.replace(b"0.6", b"0.1")) for f in case_files(key)]
    write_case(tmp_path / "forged", files, {"stream_id": "cam"}, other)
    places = {fault.place for fault in verify_case(tmp_path / "forged", key.public).faults}
    assert {MANIFEST, SIGNATURE, f"{VERDICTS}, line 1"} <= places


def test_another_clip_than_the_one_that_was_judged_is_found_though_signed(key, tmp_path) -> None:
    files = [replace(f, content=b"another") if f.sequence == 1 else f for f in case_files(key)]
    write_case(tmp_path / "case", files, {"stream_id": "cam"}, key)
    (fault,) = verify_case(tmp_path / "case", key.public).faults
    assert fault.place == "clips/000001.mp4"
    assert "is not the video that verdict" in fault.says


def test_keys_are_private_never_overwritten_and_checked(tmp_path) -> None:
    _, public_path = generate(tmp_path / "k")
    assert (tmp_path / "k").stat().st_mode & 0o077 == 0
    with pytest.raises(SettingsError, match="never overwritten"):
        generate(tmp_path / "k")
    with pytest.raises(SettingsError, match="no public key"):
        PublicKey.parse(public_path.read_bytes()[:40], "it")


def test_the_verbs_chain_export_and_find_a_changed_byte(key, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    call = CliRunner().invoke
    lines = [json_of(verdict(n)) for n in range(3)] + [b'{"type": "summary"}', json_of(verdict(0, "other"))]
    Path("v.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert call(app, ["audit", "keygen", "op"]).exit_code == 0
    chain = ["audit", "chain", "--ledger", "l.jsonl", "--key", "op", "v.jsonl"]
    assert "4 verdicts chained, 2 seals set" in call(app, chain).stderr
    with Path("l.jsonl").open("ab") as file:
        file.write(b'{"place":3,"prev')  # as a crash in the middle of a write leaves it
    assert "0 verdicts chained, 0 seals set" in call(app, chain).stderr
    assert call(app, ["audit", "verify", "l.jsonl", "--key", "op.pub"]).exit_code == 0
    export = ["audit", "export", "case", "--key", "op", "--ledger", "l.jsonl", "--clips", "0", "v.jsonl"]
    several = call(app, export)
    assert isinstance(several.exception, SettingsError)
    assert "cam, other" in str(several.exception)
    assert call(app, [*export, "--stream", "cam"]).exit_code == 0
    assert call(app, ["audit", "verify", "case", "--key", "op.pub"]).exit_code == 0
    assert Path("case", "case.pdf").read_bytes().startswith(b"%PDF-")
    shutil.copytree("case", "changed")
    flip(Path("changed", "index.html"), 500)
    found = call(app, ["audit", "verify", "changed", "--key", "op.pub"])
    assert found.exit_code == 1
    assert json.loads(found.stdout.splitlines()[0])["place"] == "index.html"


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
