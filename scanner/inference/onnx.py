"""ONNX Runtime behind the ClipModel port. ONNX Runtime lives in this file and in bound.py alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from scanner.core.errors import DeviceUnavailableError, InferenceError, ModelMismatchError, SettingsError
from scanner.core.types import ClipSpec, ModelRef
from scanner.inference.bound import BoundSession, pinned
from scanner.inference.card import Card, read_card
from scanner.meter import ONNX_RUNTIME
from scanner.ports import Scores

_PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
OUTPUTS = ("clip_logit", "frame_logits", "map")


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model runs, and why there."""

    kind: str
    """"cpu", "cuda" or "tensorrt" """
    index: int = 0
    reason: str = ""

    def __str__(self) -> str:
        return "cpu" if self.kind == "cpu" else f"{self.kind}:{self.index}"


def resolve_device(wish: str) -> Device:
    """`cpu`, `cuda:N`, `tensorrt:N`, or `auto`: the first GPU by CUDA if there is one.

    Raises DeviceUnavailableError or SettingsError. A GPU that was asked for by name and is not there is an error, never
    a silent fall back.
    """
    if wish == "cpu":
        return Device("cpu", reason="asked for")
    if wish == "auto":
        missing = _why_no_gpu("cuda", 0)
        return Device("cpu", reason=missing) if missing else Device("cuda", 0, reason="found")
    kind, _, number = wish.partition(":")
    if kind not in _PROVIDERS or not (number or "0").isdigit():
        raise SettingsError(f"device must be auto, cpu, cuda:N or tensorrt:N, got {wish!r}")
    if missing := _why_no_gpu(kind, int(number or 0)):
        raise DeviceUnavailableError(f"{wish} was asked for and is not there: {missing}")
    return Device(kind, int(number or 0), reason="asked for")


def _why_no_gpu(kind: str, index: int) -> str:
    """Empty when GPU `index` can be used that way, else the reason."""
    if _PROVIDERS[kind] not in ort.get_available_providers():
        return f"this ONNX Runtime was built without {_PROVIDERS[kind]}"
    if not Path(f"/dev/nvidia{index}").exists():
        return f"no NVIDIA device /dev/nvidia{index}"
    return ""


class OnnxModel:
    """A clip model on one device: checked against its card, warmed up, safe for several threads at once."""

    def __init__(self, folder: Path, device: Device, *, threads: int = 1, most: int = 1, lanes: int = 1) -> None:
        """Raises ModelMismatchError when the file breaks the card's promise, DeviceUnavailableError without its device.

        Args:
            threads: ONNX Runtime threads for one batch on the CPU.
            most: clips in the largest batch. On a GPU every size up to it is prepared, so that no real one is slow.
            lanes: batches in flight on a GPU: one computes while the others copy.
        """
        self.card: Card = read_card(folder)
        self.ref: ModelRef = self.card.ref
        self.spec: ClipSpec = self.card.spec
        self.device = device
        self.graphs = "" if device.kind == "cuda" else "only CUDA has them"
        """why its work is not captured in CUDA graphs; empty when it is"""
        self._session = self._started(folder / "model.onnx", threads)
        self._check()
        self._bound: BoundSession | None = None
        if device.kind != "cpu":
            self._bound = BoundSession(
                self._session, OUTPUTS, memory="cuda", index=device.index, most=most, lanes=lanes
            )
        self.score(self.buffer(most))

    def score(self, clips: NDArray[np.uint8]) -> Scores:
        """(N, T, S, S, 3) RGB to scores. Raises InferenceError.

        On the CPU every clip is scored by itself: together, what ONNX Runtime adds up in another order differs in the
        last bits (by up to 2e-7 for tempo-s), and a verdict's digits would depend on which clips came at once.
        """
        if self.device.kind == "cpu" and len(clips) > 1:
            each = [self.score(clips[number : number + 1]) for number in range(len(clips))]
            return Scores(*(np.concatenate([getattr(one, name) for one in each]) for name in Scores.__slots__))
        try:
            with ONNX_RUNTIME.running():
                logits, frame_logits, maps = self._bound.run(clips) if self._bound else self._run(clips)
        except Exception as error:  # ONNX Runtime raises its own and plain RuntimeErrors alike
            raise InferenceError(f"{self.ref.name} failed on {clips.shape}: {error}") from error
        if not (np.isfinite(logits).all() and np.isfinite(frame_logits).all()):
            raise InferenceError(f"{self.ref.name} gave a score that is not finite on {clips.shape}")
        return Scores(logits, frame_logits, maps)

    def buffer(self, clips: int) -> NDArray[np.uint8]:
        """(N, T, S, S, 3) of zeros to fill and score: on a GPU in memory that it copies from without a detour."""
        shape = (clips, self.spec.length, self.spec.size, self.spec.size, 3)
        lent = pinned(shape) if self._bound else None
        if lent is None:
            return np.zeros(shape, np.uint8)
        lent[:] = 0
        return lent

    @property
    def sizes(self) -> tuple[int, ...]:
        """Batch sizes that are prepared on a GPU; none on the CPU."""
        return self._bound.sizes if self._bound else ()

    def score_unbound(self, clips: NDArray[np.uint8]) -> None:
        """What a batch takes without bound buffers and captured graphs: for benches."""
        self._run(clips)

    def _run(self, clips: NDArray[np.uint8]) -> Any:
        return self._session.run(OUTPUTS, {self._input: clips})

    def _started(self, path: Path, threads: int) -> Any:
        """With CUDA graphs where the whole model runs on the GPU; where it does not, `graphs` tells why."""
        if self.device.kind != "cuda":
            return _session(path, self.device, threads)
        try:
            return _session(path, self.device, threads, graphs=True)
        except ModelMismatchError as error:
            self.graphs = str(error)
            return _session(path, self.device, threads)

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


def _session(path: Path, device: Device, threads: int, *, graphs: bool = False) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning starves the decode cells
    if device.kind != "cpu":
        ort.preload_dlls()
    try:
        session = ort.InferenceSession(path, options, providers=providers(device, graphs=graphs))
    except Exception as error:  # ONNX Runtime raises its own and plain RuntimeErrors alike
        raise ModelMismatchError(f"{path} cannot be loaded: {error}") from error
    if device.kind != "cpu" and _PROVIDERS[device.kind] not in session.get_providers():
        raise DeviceUnavailableError(f"ONNX Runtime could not start {_PROVIDERS[device.kind]} on {device}")
    return session


def providers(device: Device, *, graphs: bool) -> list[Any]:
    """Execution providers with their options, the wanted one first."""
    cuda = ("CUDAExecutionProvider", {"device_id": device.index, "enable_cuda_graph": int(graphs)})
    tensorrt = ("TensorrtExecutionProvider", {"device_id": device.index, "trt_fp16_enable": True})
    wanted: dict[str, list[Any]] = {"cpu": [], "cuda": [cuda], "tensorrt": [tensorrt, cuda]}
    return [*wanted[device.kind], "CPUExecutionProvider"]
