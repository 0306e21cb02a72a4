"""Places in pictures: reading a picture at given places, thin-plate splines, similarities, soft regions of a face.

A place is (x, y) in pixels; pixel (0, 0) has its middle at (0, 0). Fields of displacements live on a coarse grid.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from scanner.training.landmarks import BROW_A, BROW_B, EYE_A, EYE_B, JAW, LIPS, LIPS_INNER, NOSE, OVAL

COARSE: Final = 4
"""Pixels between the places at which a field of displacements is known."""
KEPT: Final = tuple(
    sorted({*OVAL, *LIPS, *LIPS_INNER, *EYE_A, *EYE_B, *BROW_A, *BROW_B, *NOSE, *JAW, 2, 98, 327, 129, 358, 33, 263})
)
"""Landmarks of the 468 that travel to the card; every index below counts in this list."""
_AT: Final = {mark: place for place, mark in enumerate(KEPT)}


def at(*marks: int) -> list[int]:
    """Places in KEPT of landmarks as the mesh numbers them."""
    return [_AT[mark] for mark in marks]


STABLE: Final = at(33, 133, 362, 263, 168, 6, 4, 2)
MOUTH: Final = at(*LIPS, *LIPS_INNER)
EYES: Final = at(*EYE_A, *EYE_B)
BROW: Final = at(*BROW_A, *BROW_B)
NOSES: Final = at(*NOSE)
JAWLINE: Final = at(*OVAL)
CONTROL: Final = at(
    *OVAL[::3], *LIPS[::2], *LIPS_INNER[::4], *EYE_A[::4], *EYE_B[::4], *BROW_A[::3], *BROW_B[::3], *NOSE[::3]
)


@lru_cache(maxsize=32)
def pixel_grid(size: int, device: torch.device, step: int = 1) -> Tensor:
    """(size / step, size / step, 2): places of the middles of cells of `step` pixels."""
    line = (torch.arange(size // step, device=device, dtype=torch.float32) + 0.5) * step - 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], dim=-1)


def sample(pictures: Tensor, places: Tensor, mode: str = "bicubic") -> Tensor:
    """(N, C, H, W) read at places (N, h, w, 2); edges repeat."""
    size = torch.tensor([pictures.shape[3], pictures.shape[2]], device=pictures.device, dtype=torch.float32)
    return F.grid_sample(pictures, (2 * places + 1) / size - 1, mode=mode, padding_mode="border", align_corners=False)


def bend(pictures: Tensor, field: Tensor, mode: str = "bicubic") -> Tensor:
    """(N, C, S, S) with displacements (N, S / COARSE, S / COARSE, 2): where each place is read from, minus itself."""
    size = pictures.shape[-1]
    fine = F.interpolate(field.permute(0, 3, 1, 2), size=(size, size), mode="bilinear", align_corners=False)
    return sample(pictures, pixel_grid(size, pictures.device) + fine.permute(0, 2, 3, 1), mode)


def spline(source: Tensor, target: Tensor, size: int, stiffness: float = 0.02) -> Tensor:
    """The thin-plate field (N, S / COARSE, S / COARSE, 2) that brings points `source` (N, K, 2) to `target`."""
    unit = 100.0
    a, move = target / unit, (source - target) / unit
    count, points = a.shape[:2]
    ones = a.new_ones(count, points, 1)
    kernel = _bump(torch.cdist(a, a)) + stiffness * torch.eye(points, device=a.device)
    flat = torch.cat([ones, a], dim=2)
    top = torch.cat([kernel, flat], dim=2)
    bottom = torch.cat([flat.transpose(1, 2), a.new_zeros(count, 3, 3)], dim=2)
    weights = torch.linalg.solve(torch.cat([top, bottom], dim=1), torch.cat([move, a.new_zeros(count, 3, 2)], dim=1))
    where = pixel_grid(size, a.device, COARSE).reshape(1, -1, 2).expand(count, -1, -1) / unit
    basis = torch.cat([_bump(torch.cdist(where, a)), where.new_ones(count, where.shape[1], 1), where], dim=2)
    side = size // COARSE
    return (basis @ weights).reshape(count, side, side, 2) * unit


def _bump(distance: Tensor) -> Tensor:
    square = distance.square()
    return square * torch.log(square + 1e-6)


def with_frame(points: Tensor, size: int) -> Tensor:
    """Points (N, K, 2) and eight at the picture's border, so that a spline leaves the border in place."""
    low, mid, high = 0.0, (size - 1) / 2, size - 1.0
    border = [(low, low), (mid, low), (high, low), (low, mid), (high, mid), (low, high), (mid, high), (high, high)]
    return torch.cat([points, points.new_tensor(border).expand(len(points), 8, 2)], dim=1)


def similarity(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix (N, 2, 2) and shift (N, 2) of the similarity that brings `source` (N, K, 2) nearest to `target`."""
    a, b = source.mean(dim=1, keepdim=True), target.mean(dim=1, keepdim=True)
    s, t = source - a, target - b
    power = s.square().sum(dim=(1, 2)).clamp(min=1e-3)
    dot = (s * t).sum(dim=(1, 2)) / power
    cross = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(dim=1) / power
    matrix = torch.stack([torch.stack([dot, -cross], -1), torch.stack([cross, dot], -1)], dim=1)
    return matrix, b[:, 0] - torch.einsum("nij,nj->ni", matrix, a[:, 0])


def laid(pictures: Tensor, matrix: Tensor, shift: Tensor, mode: str = "bicubic") -> Tensor:
    """(N, C, S, S) moved by x ↦ matrix x + shift."""
    grid = pixel_grid(pictures.shape[-1], pictures.device)
    back = torch.linalg.inv(matrix)
    places = torch.einsum("nij,nhwj->nhwi", back, grid[None] - shift[:, None, None])
    return sample(pictures, places, mode)


def eye_distance(points: Tensor) -> Tensor:
    """(...,) distance between the outer eye corners, from (..., K, 2)."""
    a, b = at(33, 263)
    return (points[..., a, :] - points[..., b, :]).norm(dim=-1).clamp(min=4.0)


REGIONS: Final = ("face", "inner", "lower", "mouth", "eyes", "eyes_mouth", "nose", "brows", "box")
_PARTS: Final = {
    "inner": [at(*BROW_A, *BROW_B, *LIPS, *EYE_A, *EYE_B, *NOSE)],
    "mouth": [at(*LIPS)],
    "eyes": [at(*EYE_A, *BROW_A), at(*EYE_B, *BROW_B)],
    "eyes_mouth": [at(*EYE_A, *BROW_A), at(*EYE_B, *BROW_B), at(*LIPS)],
    "nose": [at(*NOSE)],
    "brows": [at(*BROW_A), at(*BROW_B)],
}


def depth(name: str, points: Tensor, size: int) -> Tensor:
    """How far inside region `name` each place lies, in eye distances; (N, size / 2, size / 2), negative outside.

    Args:
        points: (N, K, 2) in pixels of a picture of `size`.
    """
    grid = pixel_grid(size, points.device, 2)
    unit = eye_distance(points)[:, None, None]
    if name in ("face", "lower"):
        inside = _polygon(points[:, at(*OVAL)], grid)
        if name == "lower":
            inside = torch.minimum(inside, _below(points, grid))
        return inside / unit
    if name == "box":
        inner = points[:, _PARTS["inner"][0]]
        low, high = inner.amin(dim=1), inner.amax(dim=1)
        x = torch.minimum(grid[..., 0] - low[:, None, None, 0], high[:, None, None, 0] - grid[..., 0])
        y = torch.minimum(grid[..., 1] - low[:, None, None, 1], high[:, None, None, 1] - grid[..., 1])
        return torch.minimum(x, y) / unit
    return torch.stack([_ellipse(points[:, part], grid) for part in _PARTS[name]]).amax(dim=0) / unit


def _polygon(ring: Tensor, grid: Tensor) -> Tensor:
    """Distance in pixels to the nearest edge of a convex ring (N, K, 2) in order, positive inside."""
    edge = ring.roll(-1, dims=1) - ring
    normal = torch.stack([-edge[..., 1], edge[..., 0]], dim=-1) / edge.norm(dim=-1, keepdim=True).clamp(min=1e-3)
    offset = (normal * ring).sum(dim=-1)
    flat = grid.reshape(-1, 2)
    away = flat @ normal.transpose(1, 2) - offset[:, None]  # Shape: (N, h·w, K)
    return away.amin(dim=2).reshape(len(ring), *grid.shape[:2])


def _below(points: Tensor, grid: Tensor) -> Tensor:
    """Distance in pixels below the base of the nose, along the face's own vertical."""
    eyes = points[:, at(33, 263)].mean(dim=1)
    base = points[:, at(2)[0]]
    down = F.normalize(points[:, at(152)[0]] - eyes, dim=-1)
    return torch.einsum("nhwi,ni->nhw", grid[None] - base[:, None, None], down)


def _ellipse(part: Tensor, grid: Tensor) -> Tensor:
    """About the distance in pixels to the ellipse through points (N, K, 2), positive inside."""
    middle = part.mean(dim=1, keepdim=True)
    spread = part - middle
    cov = spread.transpose(1, 2) @ spread / part.shape[1] * 2.6 + 0.5 * torch.eye(2, device=part.device)
    away = grid[None] - middle[:, :, None]
    length = torch.einsum("nhwi,nij,nhwj->nhw", away, torch.linalg.inv(cov), away).clamp(min=1e-6).sqrt()
    radius = torch.linalg.det(cov).clamp(min=1.0).pow(0.25)
    return (1 - length) * radius[:, None, None]
