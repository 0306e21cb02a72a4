"""C2PA manifests of signed files: believed as far as they hold, carried with segments, weighed with what was found."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_files import FIELDS, muxed
from signing import authority, signed
from typer.testing import CliRunner

from scanner.cli.app import app
from scanner.core.errors import SettingsError
from scanner.core.types import Label, Provenance, Tier
from scanner.credentials import lifting, read_manifest
from scanner.media.cutter import cut
from scanner.provenance import (
    Basis,
    Duty,
    Propagator,
    State,
    article50,
    decide,
    parse_label,
    parse_manifest,
    propagation,
    weighed,
)
from scanner.provenance.writing import label_copy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("c2pa")
    (folder / "plain.mp4").write_bytes(muxed("mp4", "mpeg4"))
    (folder / "plain.avi").write_bytes(muxed("avi", "mpeg4"))
    (folder / "fragments.mp4").write_bytes(muxed("mp4", "mpeg4", "frag_keyframe+empty_moov"))
    (folder / "trust.pem").write_bytes(authority()[0])
    signed(folder / "plain.mp4", folder / "camera.mp4", "digitalCapture")
    signed(folder / "plain.mp4", folder / "model.mp4", "trainedAlgorithmicMedia")
    signed(folder / "plain.avi", folder / "camera.avi", "digitalCapture", "video/avi")
    signed(folder / "fragments.mp4", folder / "camera-fragments.mp4", "digitalCapture")
    changed = bytearray((folder / "camera.mp4").read_bytes())
    changed[changed.index(b"mdat") + 30] ^= 1
    (folder / "changed.mp4").write_bytes(changed)
    return folder


def manifest(path, trust=None):
    with path.open("rb") as file:
        return read_manifest(file, trust)


@pytest.mark.parametrize("name", ["camera.mp4", "camera.avi", "camera-fragments.mp4"])
def test_a_whole_manifest_is_trusted_under_a_known_authority_and_valid_without(folder, name) -> None:
    trusted = manifest(folder / name, folder / "trust.pem")
    assert (trusted.state, trusted.signer, trusted.generator) == (State.TRUSTED, "Tests: Test Camera", "a test 1")
    assert [(a.action, a.source_type) for a in trusted.actions] == [("c2pa.created", "digitalCapture")]
    assert trusted.captured
    assert not trusted.generated
    alone = manifest(folder / name)
    assert alone.state is State.VALID
    assert "signingCredential.untrusted" in alone.faults
    assert parse_manifest(trusted.text) == trusted


def test_a_file_that_was_changed_after_signing_is_believed_nothing(folder) -> None:
    found = manifest(folder / "changed.mp4", folder / "trust.pem")
    assert found.state is State.INVALID
    assert "assertion.bmffHash.mismatch" in found.faults
    assert not found.captured


def test_no_manifest_is_none_and_a_bad_list_of_authorities_is_told(folder, tmp_path) -> None:
    assert manifest(folder / "plain.mp4") is None
    (tmp_path / "junk.mp4").write_bytes(b"\0\0\0\x10ftypisom" + b"junk" * 50)
    assert manifest(tmp_path / "junk.mp4") is None
    with pytest.raises(SettingsError, match="c2pa_trust"):
        manifest(folder / "camera.mp4", tmp_path / "missing.pem")


def test_segments_carry_what_the_bytes_no_longer_can(folder) -> None:
    path = folder / "camera.mp4"
    with cut(path, c2pa=lifting(folder / "trust.pem")(path)) as pieces:
        (segment,) = pieces
    assert parse_manifest(segment.declared.c2pa).captured
    assert lifting(None)(folder / "plain.mp4") is None
    assert lifting(None)(folder / "missing.mp4") is None


def test_writing_the_label_into_a_signed_file_tells_that_the_signature_no_longer_holds(folder, tmp_path) -> None:
    fields = propagation(decide(traces=True), None, Propagator("platform", "1"))
    assert label_copy(folder / "camera.mp4", tmp_path / "out.mp4", fields).c2pa_broken
    assert manifest(tmp_path / "out.mp4", folder / "trust.pem").state is State.INVALID
    assert not label_copy(folder / "plain.mp4", tmp_path / "out.mp4", fields).c2pa_broken


def test_declared_and_found_contradict_each_other_both_ways(folder) -> None:
    camera, model = (Provenance(c2pa=manifest(folder / name).text) for name in ("camera.mp4", "model.mp4"))
    told = {
        (what, label): (weighed(provenance, label).tier, weighed(provenance, label).conflict)
        for what, provenance in (("camera", camera), ("model", model), ("nothing", Provenance()))
        for label in Label
    }
    assert told["camera", Label.MANIPULATED] == (Tier.SUSPECTED, True)
    assert told["camera", Label.NO_MANIPULATION_FOUND] == (Tier.NONE, False)
    assert told["model", Label.NO_MANIPULATION_FOUND] == (Tier.MAY_BE, True)
    assert told["model", Label.MANIPULATED] == (Tier.MAY_BE, False)
    assert not any(clash for (what, label), (_, clash) in told.items() if "insufficient" in label or what == "nothing")
    labelled = Provenance(aigc=json.dumps(FIELDS))
    assert weighed(labelled, Label.NO_MANIPULATION_FOUND).conflict
    assert weighed(labelled, Label.SUSPECTED).tier is Tier.IS
    forged = replace(camera, c2pa=camera.c2pa.replace('"valid"', '"invalid"'))
    assert not weighed(forged, Label.MANIPULATED).conflict


def test_a_manifest_is_a_declaration_to_article_6_and_a_mark_to_article_50(folder) -> None:
    model = manifest(folder / "model.mp4")
    assert decide(generated=model.generated).basis is Basis.MANIFEST
    assert article50((), model).duty is Duty.DISCLOSE
    assert article50((), model).marks == ("c2pa",)
    assert article50([parse_label(json.dumps(FIELDS))], None).marks == ("gb45438",)
    assert article50((), manifest(folder / "camera.mp4"), traces=True).duty is Duty.LOOK
    assert article50((), None).duty is Duty.NONE


def test_the_verb_shows_state_signer_and_source_type(folder) -> None:
    done = CliRunner().invoke(app, ["provenance", str(folder / "model.mp4"), "--trust", str(folder / "trust.pem")])
    said = json.loads(done.stdout)
    assert (said["tier"], said["basis"]) == ("may_be", "manifest")
    assert (said["c2pa"]["state"], said["c2pa"]["actions"][0]["source_type"]) == ("trusted", "trainedAlgorithmicMedia")
    assert said["article50"] == {"duty": "disclose", "marks": ["c2pa"]}


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_a_header_of_a_stranger_says_nothing_and_breaks_nothing(text) -> None:
    assert parse_manifest(text) is None
    assert weighed(Provenance(c2pa=text), Label.MANIPULATED).tier is Tier.SUSPECTED
