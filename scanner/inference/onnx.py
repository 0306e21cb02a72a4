"""ONNX Runtime behind the ClipModel port. ONNX Runtime lives in this file alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from scanner.core.errors import DeviceUnavailableError, InferenceError, ModelMismatchError, SettingsError
from scanner.core.types import ClipSpec, ModelRef
from scanner.inference.card import Card, read_card
from scanner.meter import ONNX_RUNTIME
from scanner.ports import Scores

OUTPUTS = ("clip_logit", "frame_logits", "map")


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model runs, and why there."""

    kind: str
    """"cpu" or "cuda" """
    index: int = 0
    reason: str = ""

    def __str__(self) -> str:
        return "cpu" if self.kind == "cpu" else f"cuda:{self.index}"


def resolve_device(wish: str) -> Device:
    """`cpu`, `cuda:N`, or `auto`: the first GPU if there is one. Raises DeviceUnavailableError or SettingsError.

    A GPU that was asked for by name and is not there is an error, never a silent fall back.
    """
    if wish == "cpu":
        return Device("cpu", reason="asked for")
    if wish == "auto":
        missing = _why_no_cuda(0)
        return Device("cpu", reason=missing) if missing else Device("cuda", 0, reason="found")
    kind, _, number = wish.partition(":")
    if kind != "cuda" or not (number or "0").isdigit():
        raise SettingsError(f"device must be auto, cpu or cuda:N, got {wish!r}")
    if missing := _why_no_cuda(int(number or 0)):
        raise DeviceUnavailableError(f"{wish} was asked for and is not there: {missing}")
    return Device("cuda", int(number or 0), reason="asked for")


def _why_no_cuda(index: int) -> str:
    """Empty when CUDA device `index` can be used, else the reason."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "this ONNX Runtime was built without CUDA"
    if not Path(f"/dev/nvidia{index}").exists():
        return f"no NVIDIA device /dev/nvidia{index}"
    return ""


class OnnxModel:
    """A clip model on one device: checked against its card, warmed up, safe for several threads at once."""

    def __init__(self, folder: Path, device: Device, *, threads: int = 1, warm_batch: int = 1) -> None:
        """Raises ModelMismatchError when the file breaks the card's promise, DeviceUnavailableError without its device.

        Args:
            threads: ONNX Runtime threads for one batch on the CPU.
            warm_batch: clips in the batch that is run once so that the first real one is not slow.
        """
        self.card: Card = read_card(folder)
        self.ref: ModelRef = self.card.ref
        self.spec: ClipSpec = self.card.spec
        self.device = device
        self._session = _session(folder / "model.onnx", device, threads)
        self._check()
        spec = self.spec
        self.score(np.zeros((warm_batch, spec.length, spec.size, spec.size, 3), np.uint8))

    def score(self, clips: NDArray[np.uint8]) -> Scores:
        """(N, T, S, S, 3) RGB to scores. Raises InferenceError."""
        try:
            with ONNX_RUNTIME.running():
                logits, frame_logits, maps = self._session.run(OUTPUTS, {self._input: clips})
        except Exception as error:  # ONNX Runtime raises its own and plain RuntimeErrors alike
            raise InferenceError(f"{self.ref.name} failed on {clips.shape}: {error}") from error
        if not (np.isfinite(logits).all() and np.isfinite(frame_logits).all()):
            raise InferenceError(f"{self.ref.name} gave a score that is not finite on {clips.shape}")
        return Scores(logits, frame_logits, maps)

    def _check(self) -> None:
        spec = self.spec
        (only,) = self._session.get_inputs() if len(self._session.get_inputs()) == 1 else (None,)
        want = [spec.length, spec.size, spec.size, 3]
        if only is None or only.type != "tensor(uint8)" or list(only.shape[1:]) != want:
            seen = [(i.name, i.type, i.shape) for i in self._session.get_inputs()]
            raise ModelMismatchError(f"{self.ref.name}: input must be uint8 [N, {want}], got {seen}")
        names = tuple(output.name for output in self._session.get_outputs())
        if missing := set(OUTPUTS) - set(names):
            raise ModelMismatchError(
                f"{self.ref.name}: outputs must hold {OUTPUTS}, missing {sorted(missing)} of {names}"
            )
        self._input = only.name


def _session(path: Path, device: Device, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning starves the decode cells
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.kind == "cuda":
        ort.preload_dlls()
        providers = [("CUDAExecutionProvider", {"device_id": device.index}), *providers]
    try:
        session = ort.InferenceSession(path, options, providers=providers)
    except Exception as error:  # ONNX Runtime raises its own and plain RuntimeErrors alike
        raise ModelMismatchError(f"{path} cannot be loaded: {error}") from error
    if device.kind == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise DeviceUnavailableError(f"ONNX Runtime could not start CUDA on {device}; see its message above")
    return session
