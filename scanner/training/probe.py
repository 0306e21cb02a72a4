"""Backbones compared before any is trained: what a linear probe reads in ImageNet's features, and what they cost.

python -m scanner.training.probe CORPUS TABLE VIDEOS OUT --labels CSV [--backbones lite0 lite1 lite2] [--sizes 128 160]

The probe learns true generator outputs against real people through the wear that training uses, and is asked about
generators and people held out, and about labelled videos cut by the production cutter. A mean over a clip of the pooled
features, standardised; logistic regression, its decay chosen by leaving training generators out.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanner.core.types import ClipSpec
from scanner.evaluation.crops import Store, cut_files
from scanner.evaluation.files import file_scores, thinned
from scanner.evaluation.labels import read_labels
from scanner.evaluation.metrics import auc, bootstrap
from scanner.training.cut import GEOMETRY
from scanner.training.data import Kind, Role
from scanner.training.export import write_onnx
from scanner.training.frontier import session_of, times
from scanner.training.gpu.gallery import Gallery, open_gallery
from scanner.training.gpu.steps import Draw
from scanner.training.gpu.table import LENGTH, read_entries, read_table
from scanner.training.gpu.wear import Way, aged, cut
from scanner.training.model import TempoNet, Variant, normalised

PAIRS: Final = 8
"A group; all of it goes one way."
MOST_OUTPUTS: Final = 10
"Sources of one generator."
MOST_CLIPS: Final = 4
"… and of one person."
SHOWN: Final = (1, 6)
"Frames of a clip that are looked at."
DECAYS: Final = (3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Clips as a camera and a platform would leave them."""

    clips: dict[int, NDArray[np.uint8]]
    "size → (n, len(SHOWN), size, size, 3)"
    fake: NDArray[np.bool_]
    "(n,)"
    method: NDArray[np.str_]
    "(n,) empty where real"


@dataclass(frozen=True, slots=True)
class Result:
    """What one backbone at one size came to."""

    backbone: str
    size: int
    ms: float
    "A face-frame of the whole network in floats, one thread, median of turns."
    held_out: float
    "AUC of generators and people held out."
    auc: float
    "AUC of the labelled videos, by file."
    low: float
    high: float
    "Of 95 % of bootstrap rounds over sources."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("corpus", "table", "videos", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--backbones", type=Variant, nargs="+", default=list(Variant))
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 160])
    parser.add_argument("--groups", type=int, default=60, help=f"of {PAIRS} pairs, to learn from")
    parser.add_argument("--box-scale", type=float, default=GEOMETRY.box_scale)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    learnt, asked = [
        drawn(gallery, args.groups // (1 + n), args.sizes, args.box_scale)
        for n, gallery in enumerate(galleries(args.corpus, args.table))
    ]
    items = read_labels(args.labels, args.videos)
    spec = replace(GEOMETRY, length=LENGTH, box_scale=args.box_scale)
    stores = {
        size: cut_files(args.videos, items, args.out / f"crops-{size}", replace(spec, size=size)) for size in args.sizes
    }
    costs = cost(args.backbones, args.sizes, args.out)
    found = [
        probed(backbone, size, learnt, asked, stores[size], costs[backbone, size])
        for backbone in args.backbones
        for size in args.sizes
    ]
    (args.out / "probe.json").write_text(json.dumps([asdict(one) for one in found], indent=1))
    (args.out / "probe.md").write_text(markdown(found))
    print(markdown(found))


# -----------------------------------------------------------------------------
# Clips


def galleries(corpus: Path, table: Path) -> tuple[Gallery, Gallery]:
    """Filmed people and generators to learn from, and those held out."""
    seen: Counter[str] = Counter()
    rows = []
    for row in read_table(table):
        seen[row.method or row.person] += 1
        if row.kind != Kind.STILL and seen[row.method or row.person] <= (MOST_OUTPUTS if row.method else MOST_CLIPS):
            rows.append(row)
    found = read_entries(corpus, rows)
    parts = [one for one in found if one[1].role == Role.TRAIN], [one for one in found if one[1].role != Role.TRAIN]
    learnt, asked = (open_gallery(part, torch.device("cpu")) for part in parts)
    return learnt, asked


@torch.no_grad()
def drawn(gallery: Gallery, groups: int, sizes: Sequence[int], box_scale: float, seed: int = 5) -> Drawn:
    """Groups of generated clips and as many real ones, each group worn one way."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    clips: dict[int, list[NDArray[np.uint8]]] = {size: [] for size in sizes}
    methods: list[str] = []
    for _ in range(groups):
        real, fake = [gallery.clip(rng, 0.25) for _ in range(PAIRS)], [gallery.generated(rng) for _ in range(PAIRS)]
        way = Way.drawn(rng, PAIRS, box_scale)
        both = torch.stack([gallery.look(real, rng).clips, gallery.look(fake, rng).clips])
        shown = aged(both, way, Draw(rng, gallery.device), last=True)
        for size in sizes:
            clips[size].append(cut(shown, way, size)[:, list(SHOWN)].numpy())
        methods += [""] * PAIRS + [place.entry.row.method for place in fake]
    method = np.array(methods)
    return Drawn({size: np.concatenate(some) for size, some in clips.items()}, method != "", method)


# -----------------------------------------------------------------------------
# Features and the probe


@torch.inference_mode()
def features(net: TempoNet, clips: NDArray[np.uint8], batch: int = 16) -> Floats:
    """(n, T, S, S, 3) to (n, 1280): pooled over places and frames."""
    out: list[Tensor] = []
    for k in range(0, len(clips), batch):
        some = torch.from_numpy(np.ascontiguousarray(clips[k : k + batch]))
        last = net.backbone(normalised(some), some.shape[1])[2]
        out.append(last.mean(dim=(2, 3)).unflatten(0, (-1, some.shape[1])).mean(dim=1))
    return torch.cat(out).double().numpy()


def fitted(x: Floats, fake: NDArray[np.bool_], decay: float) -> tuple[Floats, float]:
    """Weights (d,) and offset of a logistic regression with `decay` on the weights."""
    rows, truth = torch.from_numpy(x), torch.from_numpy(fake).double()
    weight = torch.zeros(rows.shape[1], dtype=torch.double, requires_grad=True)
    offset = torch.zeros((), dtype=torch.double, requires_grad=True)
    opt = torch.optim.LBFGS([weight, offset], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        opt.zero_grad()
        value = nn.functional.binary_cross_entropy_with_logits(rows @ weight + offset, truth)
        value = value + decay * (weight**2).sum()
        value.backward()
        return value

    opt.step(loss)
    return weight.detach().numpy(), float(offset.detach())


def decay_for(x: Floats, drawn_: Drawn, folds: int = 5) -> float:
    """The decay under which generators left out are told best from real clips left out."""
    names = sorted(set(drawn_.method) - {""})
    real = np.flatnonzero(~drawn_.fake)
    told = []
    for decay in DECAYS:
        each = []
        for fold in range(folds):
            out = np.isin(drawn_.method, names[fold::folds])
            out[real[fold::folds]] = True
            weight, offset = fitted(x[~out], drawn_.fake[~out], decay)
            each.append(auc(x[out] @ weight + offset, drawn_.fake[out].astype(int)))
        told.append(float(np.mean(each)))
    return DECAYS[int(np.argmax(told))]


def probed(
    backbone: Variant, size: int, learnt: Drawn, asked: Drawn, store: Store, ms: float, per_file: int = 3
) -> Result:
    """One backbone at one size: features of everything, a probe, and what it says of what it has not seen."""
    net = TempoNet(backbone, temporal=False).eval()
    net.backbone.load_imagenet()
    x = features(net, learnt.clips[size])
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    weight, offset = fitted((x - middle) / spread, learnt.fake, decay_for((x - middle) / spread, learnt))

    def scores(clips: NDArray[np.uint8]) -> Floats:
        return ((features(net, clips) - middle) / spread) @ weight + offset

    held_out = auc(scores(asked.clips[size]), asked.fake.astype(int))
    places = thinned(store, per_file)
    by_file = file_scores([store.cuts[k] for k in places], scores(store.pixels[places][:, list(SHOWN)]))
    items = [item for item in store.items if item.file in by_file]
    labels = np.array([int(item.fake) for item in items])
    values = np.array([by_file[item.file] for item in items])
    low, high = bootstrap(auc, values, labels, [item.source for item in items])
    return Result(backbone, size, ms, held_out, auc(values, labels), low, high)


def cost(backbones: Sequence[Variant], sizes: Sequence[int], out: Path) -> dict[tuple[Variant, int], float]:
    """Milliseconds a face-frame of the whole network, all of them turn by turn."""
    graphs = {}
    for backbone in backbones:
        for size in sizes:
            graph = out / f"{backbone}-{size}.onnx"
            write_onnx(TempoNet(backbone).eval(), graph, ClipSpec(length=LENGTH, size=size))
            graphs[backbone, size] = session_of(graph)
    return times(graphs)


def markdown(found: Sequence[Result]) -> str:
    """A table, cheapest first."""
    lines = [
        "| backbone | ms a face-frame | AUC, generators held out | AUC, labelled videos (95 %) |",
        "|---|---|---|---|",
    ]
    for one in sorted(found, key=lambda each: each.ms):
        interval = f"{one.auc:.3f} ({one.low:.2f}–{one.high:.2f})"
        lines.append(f"| {one.backbone}, {one.size} px | {one.ms:.1f} | {one.held_out:.3f} | {interval} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
