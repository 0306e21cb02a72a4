"""Forging and wearing in batches: what a GPU run does, on the CPU."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from drawn_faces import drawn_clip
from torch.utils.flop_counter import FlopCounterMode

from scanner.evaluation.video import encode
from scanner.training.gpu import denoiser, generators, geometry
from scanner.training.gpu.config import GpuConfig
from scanner.training.gpu.denoiser import DENOISERS, LEARNT, RENEWED, Denoiser, DenoiserRecipe, renew
from scanner.training.gpu.forgeries import FAMILIES, SHARES
from scanner.training.gpu.gallery import open_gallery
from scanner.training.gpu.generators import Keeper, plan
from scanner.training.gpu.geometry import KEPT
from scanner.training.gpu.nets import PAINTERS, RENDERERS, Painter, Renderer, Swapper, Zoo, open_zoo
from scanner.training.gpu.run import train
from scanner.training.gpu.steps import Bench, Draw
from scanner.training.gpu.table import CANVAS, LENGTH, Row, read_table
from scanner.training.gpu.wear import Encoder, Slots, Way, aged, coded, coded_pairs, cut, cut_mask
from scanner.training.gpu.workshop import forge

pytestmark = pytest.mark.training
CPU = torch.device("cpu")
CONFIG = GpuConfig(device="cpu", pairs=2, true_share=0.0, still_share=0.0)


def read(seed, person, method=""):
    frames, points = drawn_clip(seed)
    boxes = np.tile(np.array([34, 26, 94, 106], np.float32), (len(frames), 1))
    kind = "generated" if method else "clips"
    known = points[:, :0] if method else points[:, list(KEPT)].astype(np.float32)
    return frames, Row(f"{kind}/{seed}.mkv", kind, person, method, "train", 0, len(frames), boxes, known)


@pytest.fixture(scope="module")
def gallery():
    return open_gallery([read(1, "a"), read(2, "b"), read(3, "c"), read(4, "x", "toon")], CPU)


@pytest.fixture(scope="module")
def zoo(gallery):
    torch.manual_seed(0)
    people = sorted(gallery.people)
    nets = [Painter(PAINTERS[2]).eval()], [Renderer(RENDERERS[0]).eval()], Swapper(len(people)).eval()
    return Zoo(*nets, people, [Denoiser(DENOISERS[0]).eval()])


def forged(gallery, zoo, family, seed=0):
    torch.manual_seed(seed)
    return forge(gallery, zoo, replace(CONFIG, only=family), np.random.default_rng(seed))


def test_every_family_has_a_share():
    assert SHARES.keys() == FAMILIES.keys()
    assert sum(SHARES.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_forgery_is_the_same_for_the_same_draw_and_differs_from_its_source_only_inside_its_mask(gallery, zoo, family):
    (_, _, made, frames), (_, _, again, _) = (forged(gallery, zoo, family, seed=5) for _ in range(2))
    assert torch.equal(made.clips, again.clips)
    assert made.clips.shape == (2, LENGTH, 3, CANVAS, CANVAS)
    assert frames.shape == (2, LENGTH)
    assert float(made.clips.min()) >= 0
    assert float(made.clips.max()) <= 1
    _, real, made, _ = max(
        (forged(gallery, zoo, family, seed) for seed in range(2)), key=lambda one: one[2].mask.mean()
    )
    assert float((real - made.clips).abs().max()) > 0.02


def test_a_true_output_is_forged_whole_and_has_no_mask(gallery, zoo):
    family, real, made, frames = forge(gallery, zoo, replace(CONFIG, true_share=1.0), np.random.default_rng(0))
    assert family == "true"
    assert float(made.mask.max()) == 0
    assert float(frames.min()) == 1
    assert real.shape == made.clips.shape


def bench(gallery, zoo, seed):
    rng = np.random.default_rng(seed)
    places = [gallery.clip(rng) for _ in range(2)]
    torch.manual_seed(seed)
    return Bench(gallery, zoo, Draw(rng, CPU), places, gallery.look(places, rng))


def test_denoising_leaves_all_outside_its_mask_as_it_was_and_changes_what_is_inside(gallery, zoo):
    parts = 0
    for seed in range(6):
        work = bench(gallery, zoo, seed)
        made = FAMILIES["denoise"](work)
        away = (made.clips - work.window.clips).abs()
        outside = made.mask < 1e-3
        parts += bool(outside.any())
        assert float((away * outside).max()) < 2e-3
        assert float((away * (made.mask > 0.6)).max()) > 0.1
    assert parts > 1


def test_denoising_is_repainting_where_there_is_no_denoiser(gallery, zoo):
    bare = replace(zoo, denoisers=[])
    made, repainted = (FAMILIES[family](bench(gallery, bare, 1)) for family in ("denoise", "repaint"))
    assert torch.equal(made.clips, repainted.clips)
    assert not torch.equal(FAMILIES["denoise"](bench(gallery, zoo, 1)).clips, repainted.clips)


class Knowing(Denoiser):
    """A denoiser that knows the answer."""

    answer: torch.Tensor

    def forward(self, x, level):
        return self.answer * 2 - 1


@pytest.mark.parametrize("recipe", DENOISERS, ids=lambda recipe: recipe.name)
def test_a_renewed_picture_is_in_range_the_same_for_the_same_noise_and_the_answer_of_a_denoiser_that_knows_it(recipe):
    torch.manual_seed(1)
    net, knowing = Denoiser(recipe).eval(), Knowing(recipe)
    torch.nn.init.normal_(net.leave.weight, std=0.1)
    pictures, noise, level = torch.rand(2, 3, 32, 48), torch.randn(2, 3, 32, 48), torch.tensor(RENEWED)
    with torch.inference_mode():
        made, again = (renew(net, pictures, noise, level) for _ in range(2))
        other = renew(net, pictures, noise.flip(0), level)
    assert made.shape == pictures.shape
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1
    assert torch.equal(made, again)
    assert not torch.allclose(made, other, atol=0.02)
    knowing.answer = pictures.flip(0)
    assert torch.allclose(renew(knowing, pictures, noise, level), knowing.answer, atol=1e-5)


def test_more_steps_and_steps_of_second_order_come_nearer_to_the_way_that_is_known_for_noise_alone():
    """Untrained, a denoiser takes pictures for noise of the deviation of its data, whose way back has a formula."""
    noise, level = torch.randn(1, 3, 32, 32), torch.tensor([0.7])
    grey = torch.full_like(noise, 0.5)
    exact = (noise * level * 0.5 / (0.25 + level**2).sqrt() / 2 + 0.5).clamp(0, 1)

    def away(steps, heun):
        net = Denoiser(DenoiserRecipe("d8", 8, "nearest", steps=steps, loss="l2", heun=heun))
        return float((renew(net, grey, noise, level) - exact).abs().mean().detach())

    assert away(4, heun=False) < 0.7 * away(2, heun=False) < 0.7 * away(1, heun=False)
    assert away(4, heun=True) < 0.5 * away(4, heun=False)


@pytest.mark.parametrize("recipe", DENOISERS, ids=lambda recipe: recipe.name)
def test_more_noise_changes_a_picture_more(gallery, recipe):
    window = gallery.look([gallery.clip(np.random.default_rng(0))], np.random.default_rng(0))
    face = window.flat[:1, :, 64:-64, 64:-64]
    torch.manual_seed(2)
    net, noise = Denoiser(recipe).eval(), torch.randn_like(face)
    with torch.inference_mode():
        away = [float((renew(net, face, noise, torch.tensor([s])) - face).abs().mean()) for s in (0.1, 0.3, 0.7)]
    assert 0 < away[0] < 0.8 * away[1] < 0.8 * 0.8 * away[2]


def test_a_field_of_noise_holds_for_a_clip_where_asked_and_is_fresh_in_each_frame_elsewhere():
    noise = denoiser.fields(torch.tensor([True, False]), LENGTH, 40).unflatten(0, (2, LENGTH))
    held, fresh = noise
    assert torch.equal(held, held[:1].expand_as(held))
    assert float((fresh[1:] - fresh[:-1]).std()) == pytest.approx(2**0.5, abs=0.05)
    assert float(noise.std()) == pytest.approx(1, abs=0.05)


def test_levels_of_a_batch_reach_over_all_that_is_learnt():
    levels = denoiser.drawn_levels(16, CPU)
    assert LEARNT[0] <= float(levels.min()) < 1.5 * LEARNT[0]
    assert LEARNT[1] / 1.5 < float(levels.max()) <= LEARNT[1]


@torch.inference_mode()
def test_one_evaluation_of_a_denoiser_costs_no_more_than_a_renderers():
    def cost(net, *given):
        with FlopCounterMode(display=False) as counter:
            net(*given)
        return counter.get_total_flops()

    cheapest = min(cost(Renderer(recipe), torch.rand(1, Renderer.INPUTS, 224, 224)) for recipe in RENDERERS)
    for recipe in DENOISERS:
        assert cost(Denoiser(recipe), torch.rand(1, 3, 224, 224), torch.ones(1)) <= cheapest


def test_a_keeper_trains_a_denoiser_and_leaves_it_to_be_opened_unless_it_is_too_far(gallery, tmp_path, monkeypatch):
    assert set(DENOISERS) <= {recipe for recipe in plan() if recipe}
    recipe = DenoiserRecipe("d8-nearest-edge", 8, "nearest", steps=2, loss="edge", seed=1)
    keeper = Keeper(gallery, tmp_path, 3, 0, lambda text: None, batch=2)
    monkeypatch.setattr(generators, "FARTHEST", 0.1)
    keeper.work([recipe])
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(generators, "FARTHEST", 2.0)
    keeper.work([recipe])
    (net,) = open_zoo(tmp_path, [], CPU).denoisers
    told = torch.load(tmp_path / "d8-nearest-edge.pt", weights_only=True)["state"]
    assert net.recipe == recipe
    assert float(net.leave.weight.abs().max()) > 0
    assert all(torch.equal(value, told[name]) for name, value in net.state_dict().items())


def test_a_spline_brings_points_where_they_belong_and_leaves_the_border():
    points = torch.rand(2, 12, 2) * 100 + 60
    goal = points + torch.randn_like(points) * 3
    field = geometry.spline(geometry.with_frame(points, CANVAS), geometry.with_frame(goal, CANVAS), CANVAS, 0.0)
    at = ((goal + 0.5) / geometry.COARSE - 0.5).round().long()
    found = torch.stack([field[n, at[n, :, 1], at[n, :, 0]] for n in range(2)])
    assert float((found - (points - goal)).abs().mean()) < 0.5
    assert float(field[:, 0, 0].abs().max()) < 1.0


def test_a_similarity_is_found_again():
    points = torch.rand(1, 8, 2) * 100
    turn = torch.tensor([[[0.8, -0.6], [0.6, 0.8]]]) * 1.3
    matrix, shift = geometry.similarity(points, points @ turn.transpose(1, 2) + torch.tensor([5.0, -7.0]))
    assert torch.allclose(matrix, turn, atol=1e-4)
    assert torch.allclose(shift, torch.tensor([[5.0, -7.0]]), atol=1e-2)


def test_a_regions_depth_is_positive_inside_it_and_negative_outside(gallery):
    window = gallery.look([gallery.clip(np.random.default_rng(0)) for _ in range(2)], np.random.default_rng(0))
    for name in geometry.REGIONS:
        inside = geometry.depth(name, window.marks, CANVAS)
        assert float(inside[:, 2, 2].max()) < 0
        assert float(inside.flatten(1).amax(dim=1).min()) > 0


@pytest.mark.parametrize(("size", "box_scale"), [(160, 1.3), (128, 1.5)])
def test_both_members_go_the_same_way_and_come_back_in_the_models_size(size, box_scale):
    rng = np.random.default_rng(3)
    clip = torch.rand(1, 2, LENGTH, 3, CANVAS, CANVAS).expand(2, -1, -1, -1, -1, -1)
    way = Way.drawn(rng, 2, box_scale)
    shown = aged(clip, way, Draw(rng, CPU), last=False).numpy()
    coded_pairs(shown, [0, 1], [Encoder.drawn(rng, 120) for _ in range(2)])
    crops = cut(torch.from_numpy(shown), way, size)
    assert crops.shape == (4, LENGTH, size, size, 3)
    real, fake = crops.float().chunk(2)
    assert float((real - fake).abs().mean()) < 3  # grain is drawn for each; all else is shared
    assert cut_mask(torch.ones(2, LENGTH, 1, CANVAS, CANVAS), way, size // 8).min() == 1


@pytest.mark.parametrize(
    "how", [Encoder("libx264", {"crf": "30"}, 0, Fraction(25)), Encoder("mpeg4", {}, 300, Fraction(25))]
)
def test_an_encoder_gives_back_every_frame_in_order(how):
    clip = np.repeat(np.arange(LENGTH, dtype=np.uint8)[:, None, None, None] * 25 + 20, 64, 1).repeat(64, 2).repeat(3, 3)
    assert np.allclose(coded(clip, how).mean(axis=(1, 2, 3)), clip.mean(axis=(1, 2, 3)), atol=4)


def test_a_run_learns_from_what_its_processes_forge_and_leaves_a_checkpoint(tmp_path):
    heads, spans, boxes, points = [], [], [], []
    for seed, (person, method, role) in enumerate(
        [("a", "", "train"), ("b", "", "train"), ("c", "toon", "train"), ("d", "", "calibrate"), ("e", "new", "dev")]
    ):
        frames, row = read(seed, person, method)
        path = tmp_path / "corpus" / row.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(frames, codec="libx264", options={}, rate=Fraction(25), kbps=None))
        whole = np.zeros((len(frames), len(KEPT), 2)) if method else row.points
        places = np.round(whole * 16).astype(np.int16)
        places[1:] -= places[:-1].copy()
        heads.append((row.path, row.kind, person, method, role))
        spans.append((0, len(frames)))
        boxes.append(row.boxes)
        points.append(places)
    table = tmp_path / "table.npz"
    np.savez(table, heads=heads, spans=spans, boxes=np.concatenate(boxes), points=np.concatenate(points))
    assert np.allclose(read_table(table)[0].points, read(0, "a")[1].points, atol=0.05)
    config = replace(
        CONFIG, seconds=6, zoo_steps=0, groups=1, makers=1, coders=1, ahead=2, note_every=1, true_share=0.3
    )
    train(tmp_path / "corpus", table, tmp_path / "run", config)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any("pair" in line for line in lines)
    assert "auc_new" in lines[-1]
    assert (tmp_path / "run" / "last.pt").exists()


def test_people_with_many_clips_come_up_as_often_as_asked():
    many = open_gallery([read(1, "a")] * 10 + [read(2, "b"), read(3, "c"), read(5, "d")], CPU)
    rng = np.random.default_rng(0)
    drawn = [many.clip(rng, crowded=0.3).entry.row.person == "a" for _ in range(600)]
    assert np.mean(drawn) == pytest.approx(0.3, abs=0.06)


def test_features_that_wander_always_leave_a_trace(gallery):
    bare = Zoo(people=sorted(gallery.people))
    for seed in range(12):
        _, real, made, _ = forged(gallery, bare, "drift", seed)
        assert float(made.mask.amax()) > 0.5
        assert not torch.equal(real, made.clips)


def test_a_group_that_no_slot_has_room_for_is_refused():
    slots = Slots(2, 1)
    group = (2, 1, LENGTH, Slots.LARGEST_PX, Slots.LARGEST_PX, 3)
    slots.view(0, group)[:] = 1
    slots.view(1, group)[:] = 2
    assert slots.view(0, group).max() == 1
    with pytest.raises(ValueError, match="a slot has"):
        slots.view(0, (2, 2, *group[2:]))
