"""Accuracy over cost: one network at other sizes, lengths and precisions, on labelled videos; a table and a plot.

python -m scanner.training.frontier CHECKPOINT VIDEOS OUT --labels CSV [--sizes 128 160 192] [--lengths 8 16]
    [--int8 PACK] [--box-scale 1.3]

Every point is a graph as it would ship, with clips cut by the production cutter at its own size; a shorter clip is the
beginning of a longer one, so that all points see the same moments. Times are of one thread, all graphs turn by turn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np

from scanner.core.types import ClipSpec
from scanner.evaluation.crops import Item, Store, cut_files
from scanner.evaluation.evaluate import Scored, pairs_of
from scanner.evaluation.files import file_scores, thinned
from scanner.evaluation.labels import read_labels
from scanner.evaluation.metrics import auc, bootstrap, pair_accuracy
from scanner.plotting import pyplot
from scanner.training.cut import GEOMETRY
from scanner.training.export import load_net, write_onnx
from scanner.training.model import TempoNet
from scanner.training.quantise import quantise, sample_of

ROUNDS: Final = 15
"Turns in which each graph scores one clip to be timed."
Precision = Literal["fp32", "int8"]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Design:
    """What is varied."""

    size: int
    "Side of a crop in pixels."
    length: int
    "Frames a clip."
    precision: Precision

    @property
    def name(self) -> str:
        return f"{self.length} × {self.size} px {self.precision}"


@dataclass(frozen=True, slots=True)
class Point:
    """A design and what it came to."""

    design: Design
    ms: float
    "A face-frame, one thread, median."
    auc: float
    low: float
    high: float
    "Of 95 % of bootstrap rounds over sources."
    pairs: float
    "Share of fakes above their own original."


def designs(sizes: Sequence[int], lengths: Sequence[int], precisions: Sequence[Precision]) -> list[Design]:
    """Every combination."""
    return [Design(size, length, kind) for size in sizes for length in lengths for kind in precisions]


def knee(points: Sequence[Point]) -> list[Point]:
    """Those that nothing cheaper is at least as good as, cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda one: (one.ms, -one.auc)):
        if not best or point.auc > best[-1].auc:
            best.append(point)
    return best


# -----------------------------------------------------------------------------
# Graphs


def build(net: TempoNet, design: Design, spec: ClipSpec, ranges: Path | None, out: Path) -> Path:
    """The graph of a design.

    Args:
        ranges: pack or store whose clips give the ranges of the 8-bit ones.
    """
    graph = out / f"{design.size}-{design.length}-{design.precision}.onnx"
    own = replace(spec, size=design.size, length=design.length)
    floats = graph.with_suffix(".part")
    write_onnx(net, floats, own)
    if design.precision == "fp32":
        return floats.replace(graph)
    if ranges is None:
        raise ValueError("8-bit designs need clips to take ranges from")
    quantise(floats, graph, sample_of(ranges, design.length, design.size))
    floats.unlink()
    return graph


def session_of(graph: Path) -> Any:
    """One thread, on the CPU."""
    import onnxruntime as ort  # noqa: PLC0415 - graphs are measured before they have a card

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def times(sessions: dict[Key, Any], rounds: int = ROUNDS) -> dict[Key, float]:
    """Milliseconds a face-frame, the median of `rounds` turns in which each graph scores one clip of its own shape."""
    rng = np.random.default_rng(0)
    shapes = {key: tuple(session.get_inputs()[0].shape[1:]) for key, session in sessions.items()}
    clips = {key: rng.integers(0, 256, (1, *shape), np.uint8) for key, shape in shapes.items()}
    spent: dict[Key, list[float]] = {key: [] for key in sessions}
    for turn in range(rounds + 1):
        for key, session in sessions.items():
            began = time.perf_counter()
            session.run(["clip_logit"], {"clips": clips[key]})
            if turn:
                spent[key].append((time.perf_counter() - began) * 1000 / shapes[key][0])
    return {key: float(np.median(values)) for key, values in spent.items()}


# -----------------------------------------------------------------------------
# Accuracy


def accuracy(session: Any, store: Store, length: int, per_file: int) -> tuple[float, tuple[float, float], float]:
    """AUC by file, its interval, and the share of fakes above their own original."""
    places = thinned(store, per_file)
    logits = [
        session.run(["clip_logit"], {"clips": np.ascontiguousarray(store.pixels[k : k + 1, :length])})[0]
        for k in places
    ]
    scores = file_scores([store.cuts[k] for k in places], np.concatenate(logits).astype(np.float64))
    items: tuple[Item, ...] = tuple(item for item in store.items if item.file in scores)
    found = Scored(items, np.array([scores[item.file] for item in items]))
    interval = bootstrap(auc, found.scores, found.labels, [item.source for item in items])
    return auc(found.scores, found.labels), interval, pair_accuracy(scores, pairs_of(items))


# -----------------------------------------------------------------------------
# Report


def write(points: Sequence[Point], out: Path) -> None:
    """frontier.json, frontier.md and frontier.png in `out`."""
    (out / "frontier.json").write_text(json.dumps([asdict(point) for point in points], indent=1))
    (out / "frontier.md").write_text(markdown(points))
    _plot(points, out / "frontier.png")


def markdown(points: Sequence[Point]) -> str:
    """A table, cheapest first; what nothing cheaper reaches is bold."""
    best = knee(points)
    lines = ["| clip | ms a face-frame | AUC (95 %) | fake above its original |", "|---|---|---|---|"]
    for point in sorted(points, key=lambda one: one.ms):
        name = f"**{point.design.name}**" if point in best else point.design.name
        interval = f"{point.auc:.3f} ({point.low:.2f}–{point.high:.2f})"
        lines.append(f"| {name} | {point.ms:.1f} | {interval} | {point.pairs:.2f} |")
    return "\n".join([*lines, ""])


def _plot(points: Sequence[Point], path: Path) -> None:
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(8, 5))
    for kind, mark in (("fp32", "o"), ("int8", "s")):
        some = [point for point in points if point.design.precision == kind]
        axes.plot([p.ms for p in some], [p.auc for p in some], mark, label=kind)
    best = knee(points)
    axes.plot([p.ms for p in best], [p.auc for p in best], "-", color="grey", zorder=0, label="frontier")
    for point in points:
        text = f"{point.design.length} × {point.design.size}"
        axes.annotate(text, (point.ms, point.auc), xytext=(5, 4), textcoords="offset points", fontsize=8)
    axes.set(xlabel="ms a face-frame, one thread", ylabel="AUC by file")
    axes.set_xlim(0, 1.12 * max(point.ms for point in points))
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


@dataclass(frozen=True, slots=True)
class Material:
    """Labelled videos, and how they are cut but for size and length."""

    videos: Path
    items: list[Item]
    spec: ClipSpec
    per_file: int
    "Clips of each, spread evenly."


def explore(net: TempoNet, material: Material, wanted: Sequence[Design], ranges: Path | None, out: Path) -> list[Point]:
    """Every design measured; crops and graphs stay in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    sessions = {one: session_of(build(net, one, material.spec, ranges, out)) for one in wanted}
    spent = times(sessions)
    longest, points = max(one.length for one in wanted), []
    for one in wanted:
        own = replace(material.spec, size=one.size, length=longest)
        store = cut_files(material.videos, material.items, out / f"crops-{one.size}", own)
        told, (low, high), pairs = accuracy(sessions[one], store, one.length, material.per_file)
        points.append(Point(one, spent[one], told, low, high, pairs))
        print(f"{one.name}: {spent[one]:.1f} ms a face-frame, AUC {told:.3f}, pairs {pairs:.2f}", flush=True)
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "videos", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 160, 192, 224])
    parser.add_argument("--lengths", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--int8", type=Path, help="pack or store whose clips give the ranges; without it floats only")
    parser.add_argument("--box-scale", type=float, default=GEOMETRY.box_scale, help="of the clips it was trained on")
    parser.add_argument("--clips", type=int, default=3, help="of a file, spread evenly")
    args = parser.parse_args()
    wanted = designs(args.sizes, args.lengths, ["fp32", "int8"] if args.int8 else ["fp32"])
    spec, items = replace(GEOMETRY, box_scale=args.box_scale), read_labels(args.labels, args.videos)
    material = Material(args.videos, items, spec, args.clips)
    points = explore(load_net(args.checkpoint), material, wanted, args.int8, args.out)
    write(points, args.out)
    print(markdown(points))


if __name__ == "__main__":
    main()
