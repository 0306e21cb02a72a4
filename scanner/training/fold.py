"""Padding laid into the convolutions that follow it. The outputs stay the same to the bit.

TensorFlow's "same" padding is uneven where a stride is two, and torch says so with a Pad of its own. In an 8-bit graph
that Pad works in floats, between a dequantising and a quantising node over the widest maps: a third of the whole time.

    Pad ─▶ Conv                                              Conv(pads)
    Quantize ─▶ Dequantize ─▶ Pad ─▶ Quantize ─▶ Dequantize ─▶ Conv      Quantize ─▶ Dequantize ─▶ Conv(pads)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

_SPATIAL: Final = 2


def fold_padding(source: Path, target: Path) -> int:
    """Writes the graph with every Pad that a Conv can take over taken over; gives their number."""
    import onnx  # noqa: PLC0415 - only training brings it

    model = onnx.load(str(source))
    folded = _Folding(model).run()
    read = {name for node in model.graph.node for name in node.input}
    for one in [one for one in model.graph.initializer if one.name not in read]:
        model.graph.initializer.remove(one)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
    return folded


class _Folding:
    def __init__(self, model: Any) -> None:
        from onnx import numpy_helper  # noqa: PLC0415 - only training brings it
        from onnx.shape_inference import infer_shapes  # noqa: PLC0415 - the same
        from onnx.utils import Extractor  # noqa: PLC0415 - the same

        self._graph, self._parts = model.graph, Extractor(infer_shapes(model))
        graph = model.graph
        self._makers = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._values: dict[str, NDArray[Any]] = {one.name: numpy_helper.to_array(one) for one in graph.initializer}

    def run(self) -> int:
        pads = [node for node in self._graph.node if node.op_type == "Pad"]
        return sum(self._fold(node) for node in pads)

    def _fold(self, pad: Any) -> bool:
        from onnx.helper import make_attribute  # noqa: PLC0415 - only training brings it

        chain = self._to_conv(pad)
        sides = self._sides(pad) if chain else None
        if sides is None:
            return False
        conv = chain[-1]
        own = next((one for one in conv.attribute if one.name == "pads"), None)
        if own is None:
            conv.attribute.append(make_attribute("pads", [0] * 4))
            own = conv.attribute[-1]
        for place, more in enumerate(sides):
            own.ints[place] += more
        conv.input[0] = pad.input[0]
        for node in (pad, *chain[:-1]):
            self._graph.node.remove(node)
        return True

    def _sides(self, pad: Any) -> list[int] | None:
        """Top, left, bottom, right; None unless noughts are put around a picture and nothing else."""
        mode = next((one.s.decode() for one in pad.attribute if one.name == "mode"), "constant")
        pads = self._value(pad.input[1])
        filled = len(pad.input) < 3 or not pad.input[2] or not np.any(self._value(pad.input[2]))
        if mode != "constant" or not filled or len(pads) != 2 * (2 + _SPATIAL):
            return None
        told = [int(value) for value in pads]
        return None if any(told[:2] + told[4:6]) or min(told) < 0 else told[2:4] + told[6:8]

    def _value(self, name: str) -> NDArray[Any]:
        """A tensor that no input has a part in: torch leaves a chain of nodes where it means a constant."""
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - only training brings it

        if name not in self._values:
            told = ReferenceEvaluator(self._parts.extract_model([], [name])).run(None, {})
            self._values[name] = cast(list[Any], told)[0]
        return self._values[name]

    def _to_conv(self, pad: Any) -> list[Any]:
        """What lies between the Pad and the one Conv that reads it, and the Conv; empty where that is anything else."""
        direct = self._only_reader(pad)
        if direct is not None and direct.op_type == "Conv":
            return [direct]
        before = self._makers.get(pad.input[0])
        if before is None or before.op_type != "DequantizeLinear" or direct is None:
            return []
        again = self._only_reader(direct)
        conv = self._only_reader(again) if again is not None else None
        kinds = [node.op_type if node is not None else "" for node in (direct, again, conv)]
        if kinds != ["QuantizeLinear", "DequantizeLinear", "Conv"] or not self._same_scale(before, direct):
            return []
        return [direct, again, conv]

    def _only_reader(self, node: Any) -> Any | None:
        readers = self._readers.get(node.output[0], [])
        return readers[0] if len(readers) == 1 else None

    def _same_scale(self, one: Any, other: Any) -> bool:
        return all(
            np.array_equal(self._values[a], self._values[b])
            for a, b in zip(one.input[1:], other.input[1:], strict=True)
        )
