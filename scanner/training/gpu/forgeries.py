"""The forgery families on the card: pure functions of windows, generators and one stream of draws.

Each gives the forged clips and a mask of what was forged; the caller lays the forgery over its own source through the
mask. One call forges a batch with one family; what varies inside the batch is drawn per clip and holds for all its
frames, unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from scanner.training.gpu.geometry import (
    BROW,
    CONTROL,
    EYES,
    MOUTH,
    NOSES,
    STABLE,
    bend,
    depth,
    eye_distance,
    laid,
    pixel_grid,
    similarity,
    spline,
    with_frame,
)
from scanner.training.gpu.nets import aligned, hole, order
from scanner.training.gpu.steps import (
    Bench,
    Forged,
    blended,
    fitted,
    forged,
    machined,
    matched,
    painted,
    renewed,
    sharpened,
    smoothed,
    soft_mask,
    spread,
    tinted,
)
from scanner.training.gpu.table import CANVAS, LENGTH

SHARES: Final = {
    "self_blend": 0.14, "drift": 0.09, "kinematic": 0.06, "borrow": 0.10, "swap": 0.12, "repaint": 0.10,
    "denoise": 0.07, "reanimate": 0.08, "render": 0.10, "inpaint": 0.07, "deepfake": 0.07,
}  # fmt: skip
LETTERS: Final = {
    "self_blend": "A", "drift": "B", "kinematic": "C", "borrow": "D", "swap": "E", "repaint": "F", "denoise": "N",
    "reanimate": "G", "render": "R", "inpaint": "I", "deepfake": "S", "true": "X",
}  # fmt: skip
MOVING: Final = frozenset({"kinematic", "borrow", "reanimate", "render"})
"""Families that need a source that moves."""


def self_blend(bench: Bench) -> Forged:
    """A: a changed copy of the same faces, laid over them (SBI, SBV; with FIA-USA's re-synthesis and regions)."""
    draw, count, base = bench.draw, bench.count, bench.window.flat
    angle, scale = draw.normal(0.02, count), draw.normal(0.02, count).exp()
    cos, sin = angle.cos() * scale, angle.sin() * scale
    matrix = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], 1)
    middle = bench.window.points.mean(dim=(1, 2))
    move = draw.normal(0.018, count, 2) * 128
    shift = middle - torch.einsum("nij,nj->ni", matrix, middle) + move
    source = laid(base, spread(matrix), spread(shift)) if draw.chance(0.85) else base
    source = machined(bench, tinted(bench, source), 0.6)
    if draw.chance(0.3):
        source = sharpened(bench, source)
    mask = soft_mask(
        bench, bench.window.marks, ("face", "face", "inner", "lower", "mouth", "eyes", "eyes_mouth", "box")
    )
    return blended(bench, source, mask)


def drift(bench: Bench) -> Forged:
    """B: eyes, brows, nose and mouth wander on their own (after VB, Yan et al. 2025)."""
    draw, window, count = bench.draw, bench.window, bench.count
    unit = eye_distance(window.marks)
    grid = pixel_grid(CANVAS, window.clips.device, 4)
    field = torch.zeros(len(unit), *grid.shape, device=grid.device)
    touched = torch.zeros(len(unit), 1, CANVAS // 2, CANVAS // 2, device=grid.device)
    parts = ((EYES, "eyes"), (BROW, "brows"), (NOSES, "nose"), (MOUTH, "mouth"))
    chosen = [part for part in parts if draw.chance(0.65)] or [parts[draw.rng.integers(len(parts))]]
    for part, name in chosen:
        law = draw.law(count, 4).flatten(0, 1)
        size = spread(draw.uniform(0.3, 1.0, count))[:, None]
        law = law * size * torch.tensor([0.045, 0.025, 0.022, 0.022], device=grid.device)
        middle = window.marks[:, part].mean(dim=1)
        away = grid[None] - middle[:, None, None]
        angle, zoom = law[:, 0, None, None], law[:, 1, None, None]
        turned = torch.stack(
            [away[..., 0] * zoom - away[..., 1] * angle, away[..., 0] * angle + away[..., 1] * zoom], -1
        )
        moved = turned + (law[:, 2:] * unit[:, None])[:, None, None]
        near = torch.sigmoid((depth(name, window.marks, CANVAS)[:, None] + 0.06) / 0.06)
        field = field + moved * F.interpolate(near, size=grid.shape[:2], mode="area").permute(0, 2, 3, 1)
        touched = torch.maximum(touched, near)
    made = machined(bench, bend(window.flat, field), 0.25)
    mask = F.interpolate(touched, scale_factor=2.0, mode="bilinear", align_corners=False)
    return forged(bench, made, mask)


def kinematic(bench: Bench) -> Forged:
    """C: parts of the face lag, overdo or hold still against the others (after KiMoI)."""
    draw, window, count = bench.draw, bench.window, bench.count
    points = window.points
    stable = points[:, :, STABLE]
    anchor = stable[:, :1].expand_as(stable).flatten(0, 1)
    matrix, shift = similarity(stable.flatten(0, 1), anchor)
    still = torch.einsum("nij,nkj->nki", matrix, window.marks) + shift[:, None]
    still = still.unflatten(0, (count, LENGTH))  # the face with the head's motion taken out
    moved = still.clone()
    for part in (MOUTH, EYES, BROW):
        kind = draw.rng.random()
        own = still[:, :, part]
        middle = own.mean(dim=1, keepdim=True)
        if kind < 0.3:
            own = middle + (own - middle) * draw.uniform(0.0, 2.2, count).view(-1, 1, 1, 1)
        elif kind < 0.6:
            lag = int(draw.rng.integers(1, 5))
            own = torch.cat([own[:, :1].expand(-1, lag, -1, -1), own[:, :-lag]], dim=1)
        elif kind < 0.8:
            own = own + (draw.law(count, 1) * 0.05)[..., None] * (own - own.mean(dim=2, keepdim=True)) * 2
        moved[:, :, part] = own
    limit = eye_distance(points)[..., None, None] * 0.09
    change = (moved - still).clamp(-limit, limit)
    back = torch.linalg.inv(matrix)
    change = torch.einsum("nij,nkj->nki", back, change.flatten(0, 1))
    marks = window.marks
    field = spline(with_frame(marks[:, CONTROL], CANVAS), with_frame((marks + change)[:, CONTROL], CANVAS), CANVAS)
    made = machined(bench, bend(window.flat, field), 0.25)
    mask = torch.sigmoid((depth("face", marks, CANVAS)[:, None] + 0.05) / 0.05)
    return forged(bench, made, F.interpolate(mask, scale_factor=2.0, mode="bilinear", align_corners=False))


def borrow(bench: Bench) -> Forged:
    """D: the mouth or lower face of another moment of the same clip, through a generator more often than not."""
    draw, window = bench.draw, bench.window
    other = bench.gallery.look([bench.gallery.elsewhere(place, draw.rng) for place in bench.places], draw.rng)
    matrix, shift = similarity(other.marks[:, STABLE], window.marks[:, STABLE])
    made = machined(bench, laid(other.flat, matrix, shift), 0.6)
    mask = soft_mask(bench, window.marks, ("lower", "lower", "mouth"))
    made = matched(made, window.flat, mask) if draw.chance(0.6) else tinted(bench, made, 0.4)
    return blended(bench, made, mask)


def swap(bench: Bench) -> Forged:
    """E: another person's face, bent to these landmarks."""
    draw, window = bench.draw, bench.window
    donor = bench.gallery.look([bench.gallery.donor(place, draw.rng) for place in bench.places], draw.rng)
    pictures, own = donor.flat, donor.marks
    if draw.chance(0.4):  # one still, its texture frozen
        pictures = spread(donor.clips[:, 0])
        own = spread(donor.points[:, 0])
    made = machined(bench, fitted(window, pictures, own), 0.6)
    mask = soft_mask(bench, window.marks, ("face", "face", "inner"))
    made = matched(made, window.flat, mask) if draw.chance(0.85) else made
    return blended(bench, made, mask, least=0.75)


def repaint(bench: Bench) -> Forged:
    """F: the face or the whole picture through a generator."""
    draw, window = bench.draw, bench.window
    made = painted(bench, window.flat)
    if draw.chance(0.25):
        made = painted(bench, made)
    if draw.chance(0.3):
        made = sharpened(bench, made)
    if draw.chance(0.5):
        return forged(bench, made, torch.ones_like(made[:, :1]))
    return blended(bench, made, soft_mask(bench, window.marks, ("face", "inner", "box", "lower")), least=0.7)


def denoise(bench: Bench) -> Forged:
    """N: the face, the lower face or the whole picture renewed by a denoiser, as models of the diffusion kind do."""
    draw, window = bench.draw, bench.window
    if not bench.zoo.denoisers:
        return repaint(bench)
    made = renewed(bench, window.flat)
    if draw.chance(0.2):
        made = sharpened(bench, made)
    if draw.chance(0.35):
        return forged(bench, made, torch.ones_like(made[:, :1]))
    return blended(bench, made, soft_mask(bench, window.marks, ("face", "inner", "lower", "lower")), least=0.7)


def reanimate(bench: Bench) -> Forged:
    """G: one picture bent to the motion of the clip; the whole picture is made of it."""
    window, which = bench.window, int(bench.draw.rng.integers(LENGTH))
    pictures, own = spread(window.clips[:, which]), spread(window.points[:, which])
    made = machined(bench, fitted(window, pictures, own), 0.75)
    if bench.draw.chance(0.3):
        return blended(bench, made, soft_mask(bench, window.marks, ("face", "inner")), least=0.9)
    return forged(bench, made, torch.ones_like(made[:, :1]))


def render(bench: Bench) -> Forged:
    """R: a renderer makes every frame from one picture and the landmarks, as talking heads are made."""
    window, draw = bench.window, bench.draw
    if not bench.zoo.renderers:
        return reanimate(bench)
    if draw.chance(0.5):
        source = bench.gallery.look([bench.gallery.elsewhere(place, draw.rng) for place in bench.places], draw.rng)
    else:
        source = window
    still, own = spread(source.clips[:, 0]), spread(source.points[:, 0])
    whole = draw.chance(0.6)
    mask = torch.ones_like(still[:, :1]) if whole else hole(window.marks, CANVAS, lower=False)
    made = _rendered(bench, still, own, mask)
    if draw.chance(0.3):
        made = sharpened(bench, made)
    return forged(bench, machined(bench, made, 0.3), mask)


def inpaint(bench: Bench) -> Forged:
    """I: a renderer fills the lower face, with landmarks of another moment where there is one, as lip-sync does."""
    window, draw = bench.window, bench.draw
    if not bench.zoo.renderers:
        return borrow(bench)
    still, own = spread(window.clips[:, 0]), spread(window.points[:, 0])
    other = bench.gallery.look([bench.gallery.elsewhere(place, draw.rng) for place in bench.places], draw.rng)
    matrix, shift = similarity(other.marks[:, STABLE], window.marks[:, STABLE])
    spoken = torch.einsum("nij,nkj->nki", matrix, other.marks) + shift[:, None]
    marks = window.marks.clone()
    if draw.chance(0.7):
        marks[:, MOUTH] = spoken[:, MOUTH]
    mask = hole(marks, CANVAS, lower=True)
    made = _rendered(bench, still, own, mask, marks)
    if draw.chance(0.3):
        made = sharpened(bench, made)
    if draw.chance(0.5):
        mask = soft_mask(bench, window.marks, ("lower", "mouth"))
    return blended(bench, made, mask, least=0.9)


def deepfake(bench: Bench) -> Forged:
    """S: another person's decoder says what the face shows; laid back with a mask and matched colours."""
    window, draw, zoo = bench.window, bench.draw, bench.zoo
    if zoo.swapper is None:
        return swap(bench)
    face, matrix, shift = aligned(window.flat, window.marks)
    who = torch.from_numpy(draw.rng.integers(0, len(zoo.people), bench.count)).to(face.device)
    with torch.inference_mode(), torch.autocast(face.device.type, torch.bfloat16):
        made = zoo.swapper(face, spread(who))
    made = made.clone()
    if draw.chance(0.4):
        made = made + draw.uniform(0.3, 1.2, 1) * (made - smoothed(made, torch.ones(len(made), device=made.device)))
    wide = F.pad(made.clamp(0, 1), (0, CANVAS - made.shape[-1], 0, CANVAS - made.shape[-2]), mode="replicate")
    back = torch.linalg.inv(matrix)
    made = laid(wide, back, -torch.einsum("nij,nj->ni", back, shift))
    mask = soft_mask(bench, window.marks, ("inner", "inner", "face"))
    edge = F.pad(torch.ones_like(face[:, :1]), (0, CANVAS - face.shape[-1], 0, CANVAS - face.shape[-2]))
    mask = mask * laid(edge, back, -torch.einsum("nij,nj->ni", back, shift), "bilinear").clamp(0, 1)
    made = matched(made, window.flat, mask) if draw.chance(0.9) else made
    return blended(bench, made, mask, least=0.85)


def _rendered(bench: Bench, still: Tensor, own: Tensor, mask: Tensor, marks: Tensor | None = None) -> Tensor:
    window, zoo = bench.window, bench.zoo
    net = zoo.renderers[bench.draw.rng.integers(len(zoo.renderers))]
    asked = order(still, own, window.flat, window.marks if marks is None else marks, mask)
    with torch.inference_mode(), torch.autocast(still.device.type, torch.bfloat16):
        made = net(asked.contiguous(memory_format=torch.channels_last))
    return made.clone().clamp(0, 1)


FAMILIES: Final[dict[str, Callable[[Bench], Forged]]] = {
    "self_blend": self_blend, "drift": drift, "kinematic": kinematic, "borrow": borrow, "swap": swap,
    "repaint": repaint, "denoise": denoise, "reanimate": reanimate, "render": render,
    "inpaint": inpaint, "deepfake": deepfake,
}  # fmt: skip
