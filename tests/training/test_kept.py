"""Generators that were kept, as the forgeries of the bank call them."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from drawn_faces import drawn_clip
from torch import nn

from scanner.training.forge import forge
from scanner.training.forge.layers import Generators
from scanner.training.forge.masks import region
from scanner.training.gpu.denoiser import DENOISERS, Denoiser
from scanner.training.gpu.nets import PAINTERS, RENDERERS, Painter, Renderer, Swapper
from scanner.training.kept import Redrawer, Renewer, open_generators
from scanner.training.zoo import RECIPES, Generator

pytestmark = pytest.mark.training


@pytest.fixture
def folder(tmp_path):
    """One generator of each kind, two of them of one recipe's name."""
    kept = (
        ("painter", Painter(PAINTERS[0]), asdict(PAINTERS[0])),
        ("renderer", Renderer(RENDERERS[0]), asdict(RENDERERS[0])),
        ("denoiser", Denoiser(DENOISERS[0]), asdict(DENOISERS[0])),
        ("swapper", Swapper(2), {}),
    )
    for kind, net, recipe in kept:
        torch.save({"kind": kind, "recipe": recipe, "state": net.state_dict()}, tmp_path / f"gpu-{kind}.pt")
    torch.save(Generator(RECIPES[0]).state_dict(), tmp_path / f"{RECIPES[0].name}.pt")
    return tmp_path


class _Texture(nn.Module):
    """Shows the warped still: what a renderer begins from."""

    def forward(self, asked):
        return asked[:, :3]


class _White:
    def __call__(self, still, own, frames, points, *, lower):
        return np.full_like(frames, 255)


def test_everything_kept_forges_but_swappers(folder):
    made = open_generators(folder)
    assert len(made.nets) == 3
    assert len(made.redraws) == 1


def test_a_net_of_either_kind_gives_the_same_pixels_for_the_same_seed(folder):
    patches = np.random.default_rng(0).integers(0, 256, (2, 50, 50, 3), np.uint8)
    for net in open_generators(folder).nets:
        first, again = net(patches, 3), net(patches, 3)
        assert first.shape == patches.shape
        assert first.dtype == np.uint8
        assert np.array_equal(first, again)


def test_held_noise_renews_equal_frames_alike_and_fresh_noise_does_not(folder):
    net = next(net for net in open_generators(folder).nets if isinstance(net, Renewer))
    still = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 48, 48, 3), np.uint8), 2, axis=0)
    held, drawn = net(still, 1), net(still, 2)
    assert np.array_equal(held[0], held[1])
    assert not np.array_equal(drawn[0], drawn[1])


def test_a_still_drawn_at_its_own_landmarks_comes_back_where_it_was():
    frames, points = drawn_clip(0)
    frames = np.repeat(np.repeat(frames[:, :32, :32], 4, axis=1), 4, axis=2)  # nothing finer than the canvas
    made = Redrawer(_Texture())(frames[5], points[5], frames[5:6], points[5:6], lower=False)
    assert np.abs(made[0].astype(int) - frames[5]).mean() < 8
    assert np.abs(made[0].astype(int) - np.roll(frames[5], 6, axis=1)).mean() > 20


def test_a_still_follows_the_landmarks_it_is_given():
    frames, points = drawn_clip(0)
    frames = np.repeat(np.repeat(frames[:, :32, :32], 4, axis=1), 4, axis=2)
    moved = points[5:6] + np.array([6, 0], np.float32)
    made = Redrawer(_Texture())(frames[5], points[5], frames[5:6], moved, lower=False)[0, 40:90, 44:84].astype(int)
    expected = np.roll(frames[5], 6, axis=1)[40:90, 44:84]
    assert np.abs(made - expected).mean() < np.abs(made - frames[5, 40:90, 44:84]).mean() / 2


def test_a_spoken_mouth_leaves_the_upper_face_alone(scene):
    with_net = replace(scene, generators=Generators(redraws=(_White(),)))
    mouth = region("mouth", scene.track, scene.clip.shape[1:3]) > 0
    made = next(made for made in (forge("I", with_net, seed) for seed in range(20)) if not made.mask[:, :40].any())
    assert np.array_equal(made.clip[:, :40], scene.clip[:, :40])
    assert made.mask[mouth].min() > 0.8


def test_without_a_renderer_a_talking_head_is_bent_from_a_still(scene):
    made = forge("R", scene, 4)
    assert not np.array_equal(made.clip, scene.clip)
    drawn = forge("R", replace(scene, generators=Generators(redraws=(_White(),))), 4)
    assert not np.array_equal(drawn.clip, made.clip)
