"""From a checkpoint to a model folder: model.onnx, card.toml, golden.npz. Fails unless ONNX and torch agree.

python -m scanner.training.export RUN/last.pt MODEL --held-out STORE --data DATA.toml --forged PACK [--int8 PACK]
python -m scanner.training.export RUN/last.pt MODEL --held-out STORE --data DATA.toml --like OTHER --fp16

Thresholds are fitted on what the shipped graph says, after quantisation.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from scanner.core.types import ClipSpec
from scanner.evaluation.crops import Store, open_store
from scanner.inference.card import read_card
from scanner.training.calibrate import Fit, Real, fit, platt, real_people
from scanner.training.cards import Material, card_text, read_material
from scanner.training.cut import GEOMETRY
from scanner.training.fold import fold_padding
from scanner.training.halve import halve
from scanner.training.model import Exported, TempoNet, Variant
from scanner.training.pack import read_geometry
from scanner.training.quantise import quantise, sample_of

PARITY: Final = 1e-4
OPSET: Final = 18
GOLDEN_CLIPS: Final = 2


def load_net(checkpoint: Path) -> TempoNet:
    """The averaged weights of a run, ready to be read out."""
    state = torch.load(checkpoint, weights_only=True)
    config = state["config"]
    net = TempoNet(
        Variant(config.get("backbone", Variant.LITE0)),
        temporal=config["stage"] == "clip",
        shift=config.get("shift", False),
    )
    net.load_state_dict(state["ema"])
    net.eval()
    return net


def write_onnx(net: TempoNet, path: Path, spec: ClipSpec) -> None:
    """The network as a graph with a free number of clips; everything else is fixed."""
    sample = torch.zeros((2, spec.length, spec.size, spec.size, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of every size that is meant to be fixed
        torch.onnx.export(
            Exported(net).eval(),
            (sample,),
            str(path),
            input_names=["clips"],
            output_names=["clip_logit", "frame_logits", "map"],
            opset_version=OPSET,
            dynamic_axes={name: {0: "n"} for name in ("clips", "clip_logit", "frame_logits", "map")},
            dynamo=False,
        )
    fold_padding(path, path)


def golden_clips(spec: ClipSpec) -> NDArray[np.uint8]:
    """Drawn clips (n, T, S, S, 3): nobody is in them, and a model can be checked against its own past."""
    ys, xs = np.mgrid[: spec.size, : spec.size] / spec.size
    out = np.zeros((GOLDEN_CLIPS, spec.length, spec.size, spec.size, 3))
    for n in range(GOLDEN_CLIPS):
        for t in range(spec.length):
            disc = (xs - 0.5 - 0.02 * t * n) ** 2 + (ys - 0.5) ** 2 < 0.1
            for c in range(3):
                out[n, t, ..., c] = 90 + 60 * disc + 40 * np.sin((6 + 3 * c) * xs + (4 + n) * ys + 0.3 * t)
    return out.clip(0, 255).astype(np.uint8)


def parity(net: TempoNet, path: Path, clips: NDArray[np.uint8]) -> tuple[float, dict[str, NDArray[np.float32]]]:
    """Largest difference between torch and ONNX Runtime over all outputs, and what ONNX Runtime gave."""
    with torch.inference_mode():
        ours = [part.numpy() for part in Exported(net).eval()(torch.from_numpy(clips))]
    session = _session(path)
    names = [output.name for output in session.get_outputs()]
    theirs = session.run(names, {"clips": clips})
    worst = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
    return worst, dict(zip(names, theirs, strict=True))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Logits of people who were never trained on."""

    real: Real
    of_pairs: NDArray[np.float64]
    fake: NDArray[np.float64]
    length: int
    "frames a clip"


def _fitted(graph: Path, spec: ClipSpec, store: Path, pack: Path | None, like: Path | None) -> Fit:
    same_square(spec, open_store(store).asked.get("spec"), store)
    if pack:
        same_square(spec, read_geometry(pack), pack)
    held = measure_held_out(graph, store, pack)
    if like is None:
        return fit(held.real, *platt(held.of_pairs, held.fake), held.length)
    kept = read_card(like).calibration
    return fit(held.real, kept.slope, kept.bias, held.length)


def same_square(spec: ClipSpec, cut: dict[str, Any] | None, folder: Path) -> None:
    """ValueError where `folder` is known to hold crops of another square than the model's."""
    if cut is not None and (cut["size"], cut["box_scale"]) != (spec.size, spec.box_scale):
        raise ValueError(
            f"{folder} has crops of {cut['size']} px and {cut['box_scale']} boxes, the model wants {spec.size} px and "
            f"{spec.box_scale}"
        )


def measure_held_out(graph: Path, store_path: Path, pack: Path | None, limit: int = 5) -> HeldOut:
    """Logits of the store's real files, and of real and forged clips of a pack made from the same people."""
    store, session = open_store(store_path), _session(graph)
    known = {item.file: item for item in store.items}
    places = [place for place, cut in enumerate(store.cuts) if not known[cut.file].fake]
    some = Store(store.pixels[places], tuple(store.cuts[place] for place in places), store.items, store.about)
    real, fake = [], []
    for table in sorted(pack.glob("*.npz"))[:limit] if pack else ():
        pixels = np.load(table.with_suffix(".npy"), mmap_mode="r")
        every, length = range(len(pixels)), store.pixels.shape[1]
        real.extend(_clip_logits(session, pixels[:, 0, :length], every).tolist())
        fake.extend(_clip_logits(session, pixels[:, 1, :length], every).tolist())
    logits = _clip_logits(session, some.pixels, range(len(places)))
    return HeldOut(real_people(some, logits), np.array(real), np.array(fake), store.pixels.shape[1])


def _session(graph: Path) -> Any:
    import onnxruntime as ort  # noqa: PLC0415  # the graph is checked before it has a card

    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def _clip_logits(session: Any, pixels: NDArray[np.uint8], places: Iterable[int]) -> NDArray[np.float64]:
    """(n,) for the clips at `places`, one at a time: at 160 px a batch gains nothing on a CPU."""
    out = [session.run(["clip_logit"], {"clips": np.ascontiguousarray(pixels[k : k + 1])})[0] for k in places]
    return np.concatenate(out).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to make of a checkpoint."""

    material: Material
    "What it was trained on, for the card."
    length: int = 16
    "T: frames a clip; a clip network takes any."
    size: int = GEOMETRY.size
    "S: side of a crop in pixels; a convolutional network takes any multiple of 32."
    int8_from: Path | None = None
    "Pack or store whose clips give the ranges of an int8 graph; fp32 when None."
    version: str = "0.1.0"
    fp16: bool = False
    "16-bit floats, for GPUs."
    box_scale: float = GEOMETRY.box_scale
    "What the checkpoint was trained with."
    like: Path | None = None
    "Model folder of the same checkpoint in another precision, whose slope and bias are kept; fitted when None."

    @property
    def precision(self) -> str:
        return "int8" if self.int8_from else "fp16" if self.fp16 else "fp32"


def export(checkpoint: Path, out: Path, store: Path, pack: Path | None, measured: dict[str, Any], wish: Wish) -> float:
    """Writes the folder `out`; gives the parity of the fp32 graph. Raises ValueError when torch and ONNX disagree."""
    spec = replace(GEOMETRY, length=wish.length, size=wish.size, box_scale=wish.box_scale)
    net = load_net(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "model.onnx"
        write_onnx(net, fresh, spec)
        worst, outputs = parity(net, fresh, golden_clips(spec))
        if worst > PARITY:
            raise ValueError(f"torch and ONNX differ by {worst:.2e}, more than {PARITY}")
        if wish.int8_from:
            floats, fresh = fresh, Path(scratch) / "int8.onnx"
            quantise(floats, fresh, sample_of(wish.int8_from, spec.length, spec.size))
            _, outputs = parity(net, fresh, golden_clips(spec))
        elif wish.fp16:
            floats, fresh = fresh, Path(scratch) / "fp16.onnx"
            halve(floats, fresh)
            _, outputs = parity(net, fresh, golden_clips(spec))
        found = _fitted(fresh, spec, store, pack, wish.like)
        content = fresh.read_bytes()
    config = torch.load(checkpoint, weights_only=True)
    trained = {
        "parity": float(f"{worst:.1e}"),
        "stage": config["config"]["stage"],
        "steps": config["step"],
        "backbone": net.backbone.variant.value,
    }
    (out / "model.onnx").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    card = card_text(out.name, wish.version, digest, spec, found, measured, trained, wish.material, wish.precision)
    (out / "card.toml").write_text(card)
    np.savez_compressed(out / "golden.npz", clips=golden_clips(spec), **outputs)  # type: ignore[arg-type]  # numpy's stub takes a keyword for a flag
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--held-out", type=Path, required=True, help="store of crops with held-out real people")
    slope = parser.add_mutually_exclusive_group(required=True)
    slope.add_argument("--forged", type=Path, help="pack of pairs made from the same people: slope and bias are fitted")
    slope.add_argument("--like", type=Path, help="model of the same checkpoint whose slope and bias are kept")
    parser.add_argument("--box-scale", type=float, default=GEOMETRY.box_scale, help="of the clips it was trained on")
    parser.add_argument(
        "--data", type=Path, required=True, help="TOML with a table [data] (statement, licences): another card will do"
    )
    parser.add_argument("--measured", type=Path, help="JSON written by evaluate, to be put on the card")
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--length", type=int, default=16, help="frames a clip")
    parser.add_argument("--size", type=int, default=GEOMETRY.size, help="side of a crop in pixels")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--int8", type=Path, help="quantise for CPUs; pack or store whose clips give the ranges")
    precision.add_argument("--fp16", action="store_true", help="16-bit floats for GPUs")
    args = parser.parse_args()
    measured = json.loads(args.measured.read_text())["card"] if args.measured else {}
    try:
        material = read_material(args.data)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    wish = Wish(material, args.length, args.size, args.int8, args.version, args.fp16, args.box_scale, args.like)
    try:
        worst = export(args.checkpoint, args.out, args.held_out, args.forged, measured, wish)
    except ValueError as error:
        parser.error(str(error))
    print(f"{args.out}: parity {worst:.1e}")


if __name__ == "__main__":
    main()
