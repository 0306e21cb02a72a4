"""Batches through memory that stays where it is: ONNX Runtime's IO binding, one set of buffers a batch size.

    clips (pinned memory) ──copy──▶ device input ──graph of that size──▶ device outputs ──copy──▶ scores

CUDA graphs replay what was captured, so inputs and outputs keep their addresses, and a batch is filled up to the next
size that was captured. While one lane computes, another one copies.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Outputs = list[NDArray[np.float32]]
_CAPTURES_AFTER = 3  # runs of a size: the first ones allocate and choose algorithms, a later one is captured


def buckets(most: int) -> tuple[int, ...]:
    """Batch sizes that are prepared: powers of two below `most`, and `most`.

    >>> buckets(12)
    (1, 2, 4, 8, 12)
    """
    if most < 1:
        raise ValueError(f"a batch holds at least one clip, got {most}")
    return (*(size for size in (2**n for n in range(most.bit_length())) if size < most), most)


def bucket_for(count: int, sizes: Sequence[int]) -> int:
    """The smallest prepared size that holds `count` clips.

    >>> bucket_for(3, (1, 2, 4, 8))
    4
    """
    return next(size for size in sizes if size >= count)


class BoundSession:
    """A session that is run through bound buffers only. For several threads: as many at once as there are lanes."""

    def __init__(
        self, session: Any, outputs: Sequence[str], *, memory: str, index: int, most: int, lanes: int = 1
    ) -> None:
        """
        Args:
            session: of one input [N, …] of uint8, its outputs [N, …] of float32 with every other dimension fixed.
            memory: "cpu" or "cuda", where the buffers lie.
            index: of the device.
            most: clips in the largest batch.
            lanes: sets of buffers.
        """
        self.sizes = buckets(most)
        self._running = threading.Lock()  # a captured graph is replayed by one thread at a time
        self._lanes: SimpleQueue[dict[int, _Bound]] = SimpleQueue()
        graph = 0
        for _ in range(lanes):
            lane = {}
            for size in self.sizes:
                graph += 1
                lane[size] = _Bound(session, outputs, (memory, index), size, graph, self._running)
            self._lanes.put(lane)

    def run(self, clips: NDArray[np.uint8]) -> Outputs:
        """(N, …), any N ≥ 1, to the outputs (N, …)."""
        lane = self._lanes.get()
        try:
            parts = [self._part(lane, clips[at : at + self.sizes[-1]]) for at in range(0, len(clips), self.sizes[-1])]
        finally:
            self._lanes.put(lane)
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _part(self, lane: Mapping[int, _Bound], clips: NDArray[np.uint8]) -> Outputs:
        return lane[bucket_for(len(clips), self.sizes)].run(clips)


class _Bound:
    """One batch size of one lane."""

    def __init__(
        self,
        session: Any,
        outputs: Sequence[str],
        device: tuple[str, int],
        size: int,
        graph: int,
        running: threading.Lock,
    ) -> None:
        self._session = session
        self._running = running
        (only,) = session.get_inputs()
        shapes = {value.name: (size, *value.shape[1:]) for value in session.get_outputs()}
        self._full = np.zeros((size, *only.shape[1:]), np.uint8)
        self._input = ort.OrtValue.ortvalue_from_shape_and_type(self._full.shape, np.uint8, *device)
        self._outputs = [
            ort.OrtValue.ortvalue_from_shape_and_type(shapes[name], np.float32, *device) for name in outputs
        ]
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(only.name, self._input)
        for name, value in zip(outputs, self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, value)
        self._options = ort.RunOptions()
        self._options.add_run_config_entry("gpu_graph_id", str(graph))
        for _ in range(_CAPTURES_AFTER):
            self.run(self._full)

    def run(self, clips: NDArray[np.uint8]) -> Outputs:
        count = len(clips)
        if count < len(self._full):
            self._full[:count] = clips
            clips = self._full
        self._input.update_inplace(clips)
        with self._running:
            self._session.run_with_iobinding(self._binding, self._options)
        return [np.array(value.numpy()[:count]) for value in self._outputs]


def pinned(shape: Sequence[int]) -> NDArray[np.uint8] | None:
    """Memory that a GPU copies from without a detour; None where ONNX Runtime offers none."""
    for device in ort.get_ep_devices():
        if device.ep_name == "CUDAExecutionProvider":
            memory = device.memory_info(ort.OrtDeviceMemoryType.HOST_ACCESSIBLE)
            value = ort.OrtValue.ortvalue_from_shape_and_type(list(shape), np.uint8, memory_info=memory)
            lent: _Lent = value.numpy().view(_Lent)
            lent.owner = value
            return lent
    return None


class _Lent(np.ndarray):
    """An array that keeps the memory it shows alive."""

    owner: Any = None
