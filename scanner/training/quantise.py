"""A graph in 8-bit integers for CPUs: about half the time of 32-bit floats where the CPU multiplies bytes (VNNI).

Weights per channel, activations per tensor, ranges from real and forged training clips. In floats stay the first
three convolutions, whose few wide maps lose most (their rounding alone moved the logit by 0.19 of 0.34), and whatever
looks across frames. x86 CPUs without VNNI may saturate: a model checks its golden scores before it works.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.evaluation.crops import open_store

_OPS: Final = ["Conv", "Add", "Clip", "Relu"]
_IN_FLOATS: Final = 3
CALIBRATION_CLIPS: Final = 48


def quantise(graph: Path, out: Path, clips: NDArray[np.uint8]) -> None:
    """Writes `graph` with quantised convolutions to `out`.

    Args:
        clips: (n, T, S, S, 3) that the ranges of activations are taken from, real and forged.
    """
    from onnxruntime import quantization as q  # noqa: PLC0415  # it wants onnx, which only training brings
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415 - the same

    with tempfile.TemporaryDirectory() as scratch:
        ready = Path(scratch) / "ready.onnx"
        quant_pre_process(graph, ready, skip_symbolic_shape=True)
        q.quantize_static(
            ready,
            out,
            _reader(q.CalibrationDataReader, clips),
            quant_format=q.QuantFormat.QDQ,
            op_types_to_quantize=_OPS,
            nodes_to_exclude=_kept_in_floats(ready),
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
            per_channel=True,
        )


def sample_of(source: Path, length: int, size: int, count: int = CALIBRATION_CLIPS) -> NDArray[np.uint8]:
    """(count, length, size, size, 3): clips of a pack, real and forged in turn, from all of its shards; or of a store.

    Clips of another size are resized; shorter ones go there and back until they are long enough.

    Raises:
        ValueError: neither a pack nor a store.
    """
    shards = [np.load(path, mmap_mode="r") for path in sorted(source.glob("*.npy"))]
    if shards:
        rng, picked = np.random.default_rng(0), []
        for number in range(count):
            shard = shards[number % len(shards)]
            picked.append(shard[rng.integers(len(shard)), number % 2])
        return fitting(np.stack(picked), length, size)
    if not source.with_suffix(".npy").is_file():
        raise ValueError(f"{source}: neither a pack nor a store")
    pixels = open_store(source).pixels
    return fitting(np.array(pixels[np.linspace(0, len(pixels) - 1, count).astype(int)]), length, size)


def fitting(clips: NDArray[np.uint8], length: int, size: int) -> NDArray[np.uint8]:
    """(n, T, S, S, 3) at another length and size."""
    there = np.concatenate([clips, clips[:, ::-1]] * -(-length // clips.shape[1]), axis=1)[:, :length]  # and back
    if size == clips.shape[2]:
        return there
    kind = cv2.INTER_AREA if size < clips.shape[2] else cv2.INTER_LINEAR
    flat = [cv2.resize(frame, (size, size), interpolation=kind) for frame in there.reshape(-1, *clips.shape[2:])]
    return np.asarray(np.stack(flat).reshape(*there.shape[:2], size, size, 3), np.uint8)


def _kept_in_floats(graph: Path) -> list[str]:
    """The backbone's first convolutions, nodes that look across frames, and those of the map, which people read."""
    import onnx  # noqa: PLC0415 - only training brings it

    nodes = [node for node in onnx.load(str(graph)).graph.node if node.op_type in _OPS]
    first = [node.name for node in nodes if node.op_type == "Conv"][:_IN_FLOATS]
    return first + [node.name for node in nodes if "/backbone/" not in node.name]


def _reader(base: Any, clips: NDArray[np.uint8]) -> Any:
    class Reader(base):
        def __init__(self) -> None:
            self._left: Iterator[NDArray[np.uint8]] = iter(clips)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            clip = next(self._left, None)
            return None if clip is None else {"clips": clip[None]}

    return Reader()
