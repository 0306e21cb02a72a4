"""A graph in 16-bit floats for GPUs: half the memory traffic, tensor cores. What goes in and out stays as it was."""

from __future__ import annotations

from pathlib import Path


def halve(graph: Path, out: Path) -> None:
    """Writes `graph` with weights and arithmetic in fp16 to `out`."""
    import onnx  # noqa: PLC0415 - only training brings it
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 - it wants onnx

    onnx.save(convert_float_to_float16(onnx.load(str(graph)), keep_io_types=True), str(out))
