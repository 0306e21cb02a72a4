"""The label written into real files: read back by us and by FFmpeg, every packet and tag as it was."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_files import FIELDS, TEXT, avi, box, info
from typer.testing import CliRunner

from scanner.cli.app import app
from scanner.provenance import Propagator, decide, propagation, read_label
from scanner.provenance.writing import UnwritableError, label_copy

FRESH = propagation(decide(traces=True), None, Propagator("platform", "item-1"))
KINDS = {
    "index-behind.mp4": ("mp4", "mpeg4", {}),
    "index-before.mp4": ("mp4", "mpeg4", {"movflags": "faststart"}),
    "fragments.mp4": ("mp4", "mpeg4", {"movflags": "frag_keyframe+empty_moov"}),
    "offsets.mp4": ("mp4", "mpeg4", {"movflags": "frag_keyframe"}),
    "dash.mp4": ("mp4", "mpeg4", {"movflags": "dash+frag_keyframe+global_sidx"}),
    "keys.mp4": ("mp4", "mpeg4", {"movflags": "use_metadata_tags"}),
    "index-before.mov": ("mov", "mpeg4", {"movflags": "faststart"}),
    "plain.mkv": ("matroska", "mpeg4", {}),
    "plain.webm": ("webm", "libvpx", {}),
    "plain.flv": ("flv", "flv1", {}),
    "index.flv": ("flv", "flv1", {"flvflags": "add_keyframe_index"}),
    "plain.avi": ("avi", "mpeg4", {}),
}


@cache
def video(name: str, label: str = "") -> bytes:
    container, codec, options = KINDS[name]
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        with av.open(str(path), "w", format=container, options=options) as output:
            output.metadata["title"] = "a title"
            if label:
                output.metadata["AIGC"] = label
            stream = output.add_stream(codec, rate=10)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            stream.gop_size = 5
            for step in range(30):
                noise = np.random.default_rng(step).integers(0, 255, (96, 64), np.uint8)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "yuv420p")))
            output.mux(stream.encode())
        return path.read_bytes()


def packets(data: bytes):
    with av.open(io.BytesIO(data)) as container:
        return [(p.pts, p.dts, p.is_keyframe, bytes(p)) for p in container.demux() if p.size]


def tags(data: bytes):
    with av.open(io.BytesIO(data)) as container:
        return dict(container.metadata)


def picture_at(data: bytes, second: float):
    with av.open(io.BytesIO(data)) as container:
        container.seek(int(second * 1_000_000))
        frame = next(container.decode(video=0))
        return frame.pts, frame.to_ndarray().tobytes()


def labelled(data: bytes, folder: Path, fields=FRESH) -> bytes:
    source, target = folder / "in", folder / "out"
    source.write_bytes(data)
    label_copy(source, target, fields)
    return target.read_bytes()


@pytest.mark.parametrize("name", KINDS)
def test_a_label_is_added_and_everything_else_stays(name, tmp_path) -> None:
    before = video(name)
    after = labelled(before, tmp_path)
    (label,) = read_label(after).labels
    assert label.fields() == FRESH
    assert packets(after) == packets(before)
    assert picture_at(after, 2.0) == picture_at(before, 2.0)
    assert json.loads(tags(after).pop("AIGC")) == FRESH
    assert {key: value for key, value in tags(after).items() if key != "AIGC"} == tags(before)


@pytest.mark.parametrize("name", ["keys.mp4", "plain.mkv", "plain.webm", "plain.flv", "index.flv"])
def test_a_label_that_is_there_gets_the_propagator_and_stays_the_only_one(name, tmp_path) -> None:
    before = video(name, TEXT)
    known = read_label(before).labels[0]
    fields = propagation(decide([known]), known, Propagator("platform", "item-1"))
    after = labelled(before, tmp_path, fields)
    reading = read_label(after)
    assert reading.valid
    assert reading.labels[0].fields() == FIELDS | {"ContentPropagator": "platform", "PropagateID": "item-1"}
    assert packets(after) == packets(before)
    assert json.loads(tags(after)["AIGC"]) == fields
    again = propagation(decide(reading.labels), reading.labels[0], Propagator("another", "item-2"))
    assert again is None


def test_a_label_in_an_avi_is_said_anew_and_the_old_one_is_junk(tmp_path) -> None:
    before = avi(info(TEXT.encode()))
    after = labelled(before, tmp_path, FIELDS | {"ContentPropagator": "platform", "PropagateID": "1"})
    assert read_label(after).valid
    assert after[8:].startswith(before[8 : before.index(b"AIGC")])


def test_room_behind_the_index_is_used_so_that_nothing_moves(tmp_path) -> None:
    data = video("index-before.mp4")
    moov = data.index(b"moov") - 4
    end = moov + int.from_bytes(data[moov : moov + 4], "big")
    before = labelled(data, tmp_path)  # grows: everything behind it has moved
    roomy = before.replace(data[end:], box(b"free", bytes(600)) + data[end:])  # (offsets wrong, bytes not looked at)
    after = labelled(roomy, tmp_path, FRESH | {"PropagateID": "a longer number"})
    assert len(after) == len(roomy)
    assert after[-len(data[end:]) :] == data[end:]


def test_what_would_be_harmed_is_refused_and_leaves_nothing_behind(tmp_path) -> None:
    two = avi(info(TEXT.encode()), info(TEXT.encode()))
    broken = video("index-behind.mp4")[:-40]
    for data, says in ((two, "holds 2 labels"), (broken, "says"), (b"G" * 400, "cannot be written into")):
        with pytest.raises(UnwritableError, match=says):
            labelled(data, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(KINDS)), data=st.data())
def test_a_damaged_file_is_labelled_or_refused_never_worse(name, data, tmp_path_factory) -> None:
    content = bytearray(video(name))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    try:
        after = labelled(bytes(content), folder)
    except UnwritableError:
        return
    assert read_label(after).labels[0].fields() == FRESH


def test_the_verb_writes_the_record_and_warns_of_a_manifest_it_breaks(tmp_path) -> None:
    manifest = box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481"), b"\0" * 40)
    (tmp_path / "in.mp4").write_bytes(video("index-behind.mp4") + manifest)
    names = [str(tmp_path / name) for name in ("in.mp4", "out.mp4")]
    who = ["--propagator", "platform", "--item-id", "item-1"]
    nothing = CliRunner().invoke(app, ["provenance", "label", *names, *who])
    assert "has no label to pass on" in str(nothing.exception)
    done = CliRunner().invoke(app, ["provenance", "label", *names, *who, "--found"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["written"], said["tier"], said["fields"]["Label"]) == (True, "suspected", "3")
    assert said["c2pa_broken"]
    assert "no longer matches" in done.stderr
    read = CliRunner().invoke(app, ["provenance", names[1]])
    assert json.loads(read.stdout)["labels"][0]["fields"] == said["fields"]
    again = CliRunner().invoke(app, ["provenance", "label", names[1], names[1], *who, "--found"])
    assert json.loads(again.stdout)["written"] is False
