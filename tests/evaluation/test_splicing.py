"""Forged stretches in long streams: where they are put, that they are there, and what is counted."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from typer.testing import CliRunner

from scanner.assembly.scan import Assembled
from scanner.cli.app import app
from scanner.core.calibration import Calibration
from scanner.core.policy import Policy
from scanner.core.types import ClipSpec, Mode
from scanner.core.verdict import Judge
from scanner.evaluation.crops import Item
from scanner.evaluation.sequential import garwood
from scanner.evaluation.spliced import Figures, Found, Point, Watched, figures, read_watched, watched, write_watched
from scanner.evaluation.spliced_plot import draw
from scanner.evaluation.splicing import Clip, Material, Plan, Reel, Stretch, material_of, planned, spliced
from scanner.inference.batcher import Batcher
from scanner.media.inprocess import InProcessObserver
from scanner.pipeline import Pipeline
from scanner.settings import Settings
from scanner.testing import FakeDetector, FakeModel, draw_video


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A drawn face, and one that flickers: what the fake model takes for a forgery."""
    folder = tmp_path_factory.mktemp("clips")
    real, forged = folder / "real.mp4", folder / "forged.mp4"
    real.write_bytes(draw_video(frames=50, size=(160, 120), rate=25))
    forged.write_bytes(draw_video(frames=50, size=(160, 120), rate=25, flicker=True))
    return Material("stream-00", (real,), forged, "drawn/flicker")


def item(file, *, fake=False, person="", pair="", family="real"):
    return Item(file, fake=fake, family=family, method="m", person=person, source="", pair=pair)


#       0        60       120      180 s
#       |  ▒▒    |    ▒▒  |   ▒▒   |        one stretch a third, real video around each
def test_every_length_has_a_third_of_its_own_with_real_video_around(material) -> None:
    for seed in range(50):
        plan = planned(material, 3.0, np.random.default_rng(seed))
        assert sorted(stretch.length_s for stretch in plan.stretches) == [2.0, 5.0, 20.0]
        for place, stretch in enumerate(plan.stretches):
            assert place * 60 + 9 <= stretch.start_s
            assert stretch.end_s <= place * 60 + 50
    with pytest.raises(ValueError, match=r"at least 3 minutes long, got 2\.5"):
        planned(material, 2.5, np.random.default_rng(0))


def test_a_forgery_is_put_where_its_original_is_and_families_take_turns(tmp_path) -> None:
    items = [
        item("a1", person="ann", pair="p"), item("a0", person="ann"), item("b", person="ben"), item("c", person="cy"),
        item("f1", fake=True, pair="p", family="swap"), item("f2", fake=True, family="lips"),
        item("f3", fake=True, family="swap"), item("f4", fake=True, family="lips"),
    ]  # fmt: skip
    made = material_of(items, tmp_path, 9, seed=0)
    assert [path.name for path in made[0].real] == ["a1", "a0"]  # the original of the pair comes first
    assert made[0].forged.name == "f1"
    assert sorted(one.kind.partition("/")[0] for one in made[1:]) == ["lips", "swap"]
    assert len({one.real for one in made}) == 3  # a person has one stream
    assert material_of(items, tmp_path, 1, seed=0) == made[:1]


def test_clips_go_to_and_fro_without_a_jump(material) -> None:
    clip = Clip(material.real[0])
    last = len(clip.frames) - 1
    shown = [clip.at((number + 0.5) / clip.rate, (160, 120)) for number in range(2 * last + 2)]
    assert np.array_equal(shown[last - 1], shown[last + 1])
    assert np.array_equal(shown[0], shown[2 * last])
    steps = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(shown)]
    assert max(steps) < 3 * np.median(steps)


def test_pictures_of_another_shape_are_fitted_whole(material) -> None:
    fitted = Clip(material.real[0]).at(0.0, (160, 200))
    assert fitted.shape == (200, 160, 3)
    assert not fitted[:40].any()
    assert fitted[40:160].any()


def test_the_forgery_is_shown_in_its_stretch_alone(material) -> None:
    reel = Reel(material, (Stretch(4.0, 2.0),))
    forged, real = Clip(material.forged), Clip(material.real[0])
    for t, source in ((3.98, real), (4.0, forged), (5.96, forged), (6.0, real)):
        assert np.array_equal(reel.picture(t), source.at(t, reel.size)), t


@pytest.fixture(scope="module")
def seen(material, tmp_path_factory):
    """A stream of 20 s with 6 s of forgery, encoded, and scanned in full by a model that sees flicker."""
    folder = tmp_path_factory.mktemp("streams")
    plan = Plan("stream-00", "drawn", ("real.mp4",), "forged.mp4", 20.0, (Stretch(7.3, 6.0),))
    path = spliced(material, plan, folder)
    spec = ClipSpec(length=8, size=32)
    model = FakeModel(spec)
    policy = Policy(min_sharpness=0.0, min_face_px=8, false_alarms_per_1000_h=10_000)
    judge = Judge(policy, Calibration(null_bound=0.3), model.ref, "1", spec.length)
    observer = InProcessObserver(spec, near=FakeDetector(), far=FakeDetector())
    with Batcher(model) as batcher:
        parts = Assembled(Pipeline(observer, batcher, judge), None, model, None, 1)
        runs = [watched(path, plan.name, parts, mode, Settings()) for mode in (Mode.FULL, None)]
    return plan, path, runs


def test_an_encoded_forgery_alarms_in_its_stretch_and_real_video_does_not(seen) -> None:
    _, _, (full, auto) = seen
    (alarm,) = full.alarms_s
    assert 7.3 < alarm <= 13.3 + 2
    rising = [point for point in full.points if point.evidence > 1]
    assert rising[0].at_s > 7.3
    assert full.frames_decoded == full.frames_total == 500
    assert auto.frames_decoded < full.frames_decoded
    assert {point.mode for point in auto.points} == {"patrol", "inspect"}


def test_a_stream_that_was_made_is_taken_as_it_is_and_another_plan_is_not(seen, material) -> None:
    plan, path, _ = seen
    before = path.stat().st_mtime_ns
    assert spliced(material, plan, path.parent) == path
    assert path.stat().st_mtime_ns == before
    spliced(material, Plan(plan.name, plan.kind, plan.real, plan.forged, 2.0, ()), path.parent)
    assert path.stat().st_mtime_ns != before


def test_a_scan_is_kept_as_it_was(seen, tmp_path) -> None:
    full = seen[2][0]
    assert read_watched(tmp_path / "none.json") is None
    write_watched(tmp_path / "seen.json", full)
    assert read_watched(tmp_path / "seen.json") == full


#      100   105                300                 real, forged from 100 to 105
#    ✕    ✓      ✕      ✓ none                      alarms at 50, 103 and 200
def watch(*alarms_s):
    return Watched("s", alarms_s, (Point(600.0, 1.0, "full"),), 100, 40, 30, "1")


def test_alarms_outside_a_stretch_count_against_real_hours_and_unfound_stretches_as_longest() -> None:
    plan = Plan("s", "k", (), "", 600.0, (Stretch(100.0, 5.0), Stretch(300.0, 20.0)))
    told: Figures = figures("full", [(plan, watch(50.0, 103.0, 200.0)), (plan, watch(109.0, 110.0)), (plan, watch())])
    assert told.forged == (
        Found(2.0, 0, 0, None, None),
        Found(5.0, 3, 2, 9.0, None),  # 3 s, 9 s (within the grace), never
        Found(20.0, 3, 0, None, None),
    )
    hours = 3 * (600 - 25 - 2 * 4) / 3600
    assert (told.false_alarms, told.real_hours) == (3, hours)
    assert told.interval == tuple(bound / hours for bound in garwood(3))
    assert (told.frames_decoded, told.frames_scored) == (0.4, 0.3)


def test_the_picture_is_drawn(seen, tmp_path) -> None:
    plan, _, (full, auto) = seen
    draw(tmp_path / "plot.png", {"full": [(plan, full)], "auto": [(plan, auto)]}, 14.0)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("flags", "says"),
    [(["--coverages", "some"], "--coverages"), (["--minutes", "1"], "--minutes"), (["--labels", "no.csv"], "no.csv")],
)
def test_what_cannot_be_spliced_is_told(flags, says, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("scanner.evaluation.splicing.draw_sample", lambda path, **_: path.touch())
    done = CliRunner().invoke(app, ["evidence", "splice", str(tmp_path / "out"), *flags])
    assert done.exit_code != 0
    assert says in str(done.exception) + done.output
