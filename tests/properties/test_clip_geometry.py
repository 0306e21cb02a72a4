"""Whatever the stream and whatever the faces: bursts, squares and boxes keep their promises."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scanner.core.clips import LEAST_NEW, as_box, between, bursts, clip_square, probes
from scanner.core.tracking import Tracker, iou, match
from scanner.core.types import Detections, Mode
from scanner.vision import Picture, rgb_matrix

lengths = st.integers(1, 20)
modes = st.sampled_from(Mode)
fraction = st.floats(-0.5, 1.5, width=32)


@st.composite
def boxes(draw: st.DrawFn, least: int = 1, most: int = 6) -> np.ndarray:
    rows = draw(
        st.lists(st.tuples(fraction, fraction, st.floats(0, 1), st.floats(0, 1)), min_size=least, max_size=most)
    )
    return np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32).reshape(-1, 4)


@given(count=st.integers(0, 120), length=lengths, mode=modes, cuts=st.sets(st.integers(0, 120), max_size=8))
def test_bursts_keep_their_promises(count: int, length: int, mode: Mode, cuts: set[int]) -> None:
    scene = np.cumsum([number in cuts for number in range(count)])
    found = list(bursts(range(count), length, mode, lambda frame: frame in cuts))
    shown: set[int] = set()
    for burst in found:
        first, last = burst.frames[0], burst.frames[-1]
        assert burst.frames == tuple(range(first, first + length)), "consecutive, and of the length asked for"
        assert scene[first] == scene[last], "never across a cut"
        assert set(burst.frames[: burst.repeats]) <= shown, "what it says is repeated was shown"
        assert not set(burst.frames[burst.repeats :]) & shown, "nothing else was"
        assert (length - burst.repeats) * LEAST_NEW >= length, "worth its price"
        shown |= set(burst.frames)
    if mode is Mode.PATROL:
        assert len(found) <= 1
    if mode is not Mode.FULL:
        assert all(burst.repeats == 0 for burst in found)


@given(count=st.integers(1, 120), length=lengths, cuts=st.sets(st.integers(1, 119), max_size=8))
def test_a_full_pass_leaves_out_only_what_is_too_short(count: int, length: int, cuts: set[int]) -> None:
    """Of a scene that holds a burst, all frames are shown, but for a rest of less than a quarter of one."""
    found = bursts(range(count), length, Mode.FULL, lambda frame: frame in cuts)
    shown = {frame for burst in found for frame in burst.frames}
    edges = [0, *sorted(cut for cut in cuts if cut < count), count]
    for start, end in pairwise(edges):
        missed = set(range(start, end)) - shown
        if end - start < length:
            assert len(missed) == end - start
        else:
            assert len(missed) * LEAST_NEW < length


@given(count=st.integers(0, 60), length=lengths, mode=modes)
def test_bursts_take_frames_one_at_a_time(count: int, length: int, mode: Mode) -> None:
    """Nothing is taken ahead of the burst it completes: at most one burst of pictures is waited for."""
    taken = 0

    def frames():
        nonlocal taken
        for number in range(count):
            taken += 1
            yield number

    for burst in bursts(frames(), length, mode, lambda frame: False):
        assert taken == burst.frames[-1] + 1


@given(length=st.integers(1, 64), every=st.integers(1, 20))
def test_probes_hold_both_ends_and_never_leave_a_wide_gap(length: int, every: int) -> None:
    places = probes(length, every)
    assert places[0] == 0
    assert places[-1] == length - 1
    assert list(places) == sorted(set(places))
    assert all(b - a <= max(every * 2, every + 2) for a, b in pairwise(places))


@given(every=st.integers(1, 10), rows=boxes(2, 8), extra=st.integers(0, 5))
def test_boxes_between_probes_stay_between_them(every: int, rows: np.ndarray, extra: int) -> None:
    places = tuple(range(0, len(rows) * every, every))
    length = places[-1] + 1 + extra
    found = between(places, rows, length)
    assert found.shape == (length, 4)
    np.testing.assert_allclose(found[list(places)], rows, atol=1e-5)
    assert (found >= rows.min(axis=0) - 1e-5).all()
    assert (found <= rows.max(axis=0) + 1e-5).all()


@given(rows=boxes(), scale=st.floats(1, 3), width=st.integers(2, 4000), height=st.integers(2, 4000))
def test_a_square_is_even_and_centred_and_can_always_be_cut(
    rows: np.ndarray, scale: float, width: int, height: int
) -> None:
    x0, y0, side = clip_square(rows, scale, width, height)
    assert side >= 2
    assert (x0 % 2, y0 % 2, side % 2) == (0, 0, 0)
    mean = (rows * np.array([width, height, width, height], np.float32)).mean(axis=0)
    assert abs(x0 + side / 2 - (mean[0] + mean[2]) / 2) <= 2.01
    assert abs(y0 + side / 2 - (mean[1] + mean[3]) / 2) <= 2.01
    longer = max(mean[2] - mean[0], mean[3] - mean[1])
    assert abs(side - scale * longer) <= 2.01 or side == 2


@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    x0=st.integers(-40, 60),
    y0=st.integers(-40, 60),
    side=st.integers(1, 40),
    size=st.sampled_from([16, 32]),
)
def test_any_square_of_any_picture_gives_pixels(
    width: int, height: int, x0: int, y0: int, side: int, size: int
) -> None:
    half = np.full((-(-height // 2), -(-width // 2)), 128, np.uint8)
    picture = Picture(np.full((height, width), 90, np.uint8), half, half, rgb_matrix("bt601", full_range=True))
    pixels = picture.square((x0 * 2, y0 * 2, side * 2), size)
    assert pixels.shape == (size, size, 3)
    assert (pixels == 90).all(), "an even picture has no other colour anywhere, nor beyond its edge"


@given(row=st.lists(st.floats(-2, 3, width=32), min_size=4, max_size=4))
def test_a_told_box_lies_in_the_picture(row: list[float]) -> None:
    assert all(0 <= value <= 1 for value in as_box(np.array(row, np.float32)))


@given(left=boxes(0), right=boxes(0))
def test_overlap_is_bounded_and_mutual(left: np.ndarray, right: np.ndarray) -> None:
    shared = iou(left, right)
    assert shared.shape == (len(left), len(right))
    assert (shared >= 0).all()
    assert (shared <= 1.0001).all()
    np.testing.assert_allclose(shared, iou(right, left).T)


@given(known=boxes(0), seen=boxes(0))
def test_nobody_is_two_people(known: np.ndarray, seen: np.ndarray) -> None:
    pairs = match(known, seen)
    assert len({place for place, _ in pairs}) == len(pairs) == len({found for _, found in pairs})
    assert all(iou(known, seen)[place, found] >= 0.2 for place, found in pairs)


@given(probes_seen=st.lists(boxes(0, 4), max_size=8))
def test_every_face_found_belongs_to_exactly_one_track(probes_seen: list[np.ndarray]) -> None:
    tracker = Tracker()
    for number, rows in enumerate(probes_seen):
        keypoints = np.zeros((len(rows), 6, 2), np.float32)
        tracker.update(number, Detections(rows, np.full(len(rows), 0.9, np.float32), keypoints))
    for number, rows in enumerate(probes_seen):
        seen = [track.seen[number][0] for track in tracker.tracks if number in track.seen]
        assert sorted(map(tuple, seen)) == sorted(map(tuple, rows))
    assert [track.index for track in tracker.tracks] == list(range(len(tracker.tracks)))
