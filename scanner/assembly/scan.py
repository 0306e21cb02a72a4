"""Settings to a running pipeline and worker, and the library's front door."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from scanner.assembly.bus import largest_record, media_store, topics_of
from scanner.assembly.cores import core_count
from scanner.core.clips import Pace
from scanner.core.errors import SettingsError
from scanner.core.policy import Policy
from scanner.core.types import ClipSpec, Mode, Verdict
from scanner.core.verdict import Judge
from scanner.credentials import lifting
from scanner.inference.batcher import Batcher
from scanner.inference.card import Card, find_model, read_card
from scanner.inference.golden import GOLDEN, verify_golden
from scanner.inference.onnx import Device, OnnxModel, resolve_device
from scanner.local import Answered, Refused, answers
from scanner.media.cell import CellPlan
from scanner.media.cutter import Cut, cut
from scanner.media.demux import Limits
from scanner.media.hardware import check_decoder
from scanner.media.inputs import STDIN, Input, inputs
from scanner.media.pool import CellPool
from scanner.media.sandbox import Confinement
from scanner.meter import KAFKA, ONNX_RUNTIME
from scanner.pipeline import Pipeline, Witness
from scanner.ports import Bus
from scanner.settings import Settings, load
from scanner.shadow import Shadow
from scanner.telemetry import Metrics
from scanner.version import code_version
from scanner.worker import Rules, Worker, told_shadow
from scanner.worker.faces import picture
from scanner.worker.rules import Tracing

GPU_BATCH = 16
INSPECTED_A_CELL = 2  # 720p30 streams, at a quarter of a core each, leave half of the machine to the patrol
SHADOW_AHEAD = 64  # batches that may wait for a shadow: on the CPU a segment or two of full coverage, 40 MB at most
SHADOW_LEAVE_S = 5.0  # one that hangs is left behind at the end
RECORD_OVERHEAD_BYTES = 4096  # what Kafka's batch format adds to a record, generously

Progress = Callable[[Cut, Answered | Refused], None]
"""told of every answer, with what is known of the file so far"""


@dataclass(frozen=True, slots=True)
class Assembled:
    """Everything that scans, running."""

    pipeline: Pipeline
    cells: CellPool
    model: OnnxModel
    device: Device
    cell_count: int


@contextmanager
def assembled(settings: Settings, witness: Witness | None = None, shadow: str | None = None) -> Iterator[Assembled]:
    """Starts cells and model; ends them with the block. Raises ScannerError of disposition HALT.

    Args:
        shadow: a second model, by name or folder, that scores the same clips for comparison.
    """
    device = resolve_device(settings.scan.device)
    cores = core_count()
    threads = settings.scan.score_threads or (cores if device.kind == "cpu" else 2)
    size = settings.scan.batch_size or (1 if device.kind == "cpu" else GPU_BATCH)
    count = settings.scan.cells or cores
    folder = find_model(settings.scan.model)
    with CellPool(count, cell_plan(settings, read_card(folder).spec)) as cells:  # they warm up while the model does
        model = _model(folder, device, size, threads)
        second = _like(model, _model(find_model(shadow), device, size, threads)) if shadow else None
        shape: dict[str, Any] = {"size": size, "wait_ms": settings.scan.batch_wait_ms, "threads": threads}
        with ExitStack() as stack:
            batcher = stack.enter_context(Batcher(model, buffer=model.buffer, **shape))
            beside = None
            if second is not None:
                ahead = Batcher(second, ahead=SHADOW_AHEAD, leave_s=SHADOW_LEAVE_S, buffer=second.buffer, **shape)
                beside = Shadow(stack.enter_context(ahead), judge_of(settings, second))
            pipeline = Pipeline(
                cells, batcher, judge_of(settings, model), witness, shadow=beside, stepwise=cells.stepwise()
            )
            yield Assembled(pipeline, cells, model, device, count)


def _model(folder: Path, device: Device, batch: int, threads: int) -> OnnxModel:
    model = OnnxModel(folder, device, most=batch, lanes=threads)
    if (folder / GOLDEN).exists():
        verify_golden(model, folder)  # a machine that computes something else must not answer
    return model


def _like(first: OnnxModel, second: OnnxModel) -> OnnxModel:
    """The second, whose clips are the first one's. Raises SettingsError."""
    if first.spec != second.spec:
        raise SettingsError(
            f"worker.shadow_model {second.ref.name} cannot share the clips of {first.ref.name}:"
            f" its card says {second.spec}, not {first.spec}"
        )
    return second


def judge_of(settings: Settings, model: OnnxModel) -> Judge:
    card = model.card
    return Judge(policy_of(settings, card), card.calibrated, model.ref, code_version(), card.geometry.length)


def policy_of(settings: Settings, card: Card) -> Policy:
    """The operator's rules, with the card's numbers where the operator set none. Raises SettingsError."""
    wishes = settings.policy.model_dump()
    promised = {
        "suspected_from": card.calibration.suspected_from,
        "manipulated_from": card.calibration.manipulated_from,
        **card.quality.model_dump(),
    }
    rules = {name: promised[name] if value is None else value for name, value in wishes.items()}
    try:
        return Policy(**rules, calibration=card.calibrated.sha256, caution=card.caution, measured=card.measured_faces)
    except ValueError as error:
        raise SettingsError(f"policy, with {card.name}'s numbers where it sets none: {error}") from error


def mode_of(settings: Settings, *, live: bool) -> Mode | None:
    """The mode that settings fix, or None where the evidence decides."""
    if settings.scan.coverage == "auto":
        return None if live else Mode.FULL
    return Mode(settings.scan.coverage)


def scan(
    path: str | Path,
    *,
    model: str | None = None,
    device: str | None = None,
    coverage: str | None = None,
    settings: Settings | None = None,
) -> Iterator[Verdict]:
    """The verdicts on one video, segment by segment, as they are reached.

    Args:
        path: a file, or a folder or pattern of files.
        model: a model's name or folder.
        device: "auto", "cpu" or "cuda:N".
        coverage: "full" (default), "inspect" or "patrol".
        settings: instead of those of the environment.

    Raises:
        MediaError: a file, or one of its segments, cannot be read as video.
        DeviceUnavailableError: the device asked for is not there.
    """
    flags = {"scan.model": model, "scan.device": device, "scan.coverage": coverage}
    chosen = settings or load(flags=flags)
    with assembled(chosen) as parts:
        for item in inputs([str(path)]):
            for answer in scan_input(parts, item, chosen):
                if isinstance(answer, Refused):
                    raise answer.error
                yield answer.conclusion.verdict


def scan_input(
    parts: Assembled, item: Input, settings: Settings, progress: Progress | None = None
) -> Iterator[Answered | Refused]:
    """One answer a segment of one file, in order. Raises MediaError when the file cannot be cut."""
    mode = mode_of(settings, live=False)
    source = "-" if item.path == STDIN else item.path
    origin = settings.provenance
    c2pa = None if item.path == STDIN else lifting(origin.c2pa_trust, origin.c2pa_wait_s)(item.path)
    with cut(
        source, stream_id=item.stream_id, target_s=settings.scan.segment_s, limits=limits_of(settings), c2pa=c2pa
    ) as pieces:
        for answer in answers(parts.pipeline, iter(pieces), mode=mode, ahead=parts.cell_count + 1):
            if progress is not None:
                progress(pieces, answer)
            yield answer


def limits_of(settings: Settings) -> Limits:
    cell = settings.cell
    return Limits(
        max_pixels=cell.max_pixels,
        max_frames=cell.max_frames,
        max_duration_s=cell.max_duration_s,
        max_faces=cell.max_faces,
    )


def cell_plan(settings: Settings, spec: ClipSpec) -> CellPlan:
    return CellPlan(
        spec=spec,
        limits=limits_of(settings),
        pace=Pace(settings.policy.patrol_clips, settings.policy.patrol_every_s),
        confinement=Confinement(address_space_bytes=settings.cell.memory_mib * 1024 * 1024),
        decoder=check_decoder(settings.scan.decode),
        patience_s=settings.cell.wall_clock_s,
    )


def library_seconds(parts: Assembled) -> dict[str, float]:
    """Processor seconds in each library since the start, here and in the decode cells."""
    return {**parts.cells.spent_s, "onnxruntime": ONNX_RUNTIME.seconds, "kafka": KAFKA.seconds}


@contextmanager
def tracing_of(settings: Settings) -> Iterator[Tracing | None]:
    """What the settings say of traces; without an endpoint nothing is even imported. Raises SettingsError."""
    if settings.otel.endpoint is None:
        yield None
        return
    try:
        exporting = import_module("scanner.tracing").exporting
    except ImportError as error:
        raise SettingsError(f"otel.endpoint needs {error.name}: pip install 'scanner[otel]'") from error
    with exporting(settings.otel.endpoint, settings.otel.share, worker_name(settings)) as tracing:
        yield tracing


def worker_name(settings: Settings) -> str:
    return settings.kafka.instance or f"{socket.gethostname()}-{os.getpid()}"


def worker_of(
    settings: Settings, bus: Bus, parts: Assembled, metrics: Metrics, tracing: Tracing | None = None
) -> Worker:
    """A worker that is not yet running."""
    worker = settings.worker
    rules = Rules(
        topics=topics_of(settings),
        group=settings.kafka.group,
        mode=mode_of(settings, live=True),
        archive_mode=mode_of(settings, live=False) or Mode.FULL,
        lookers=parts.cell_count + 1,
        name=worker_name(settings),
        tracing=tracing,
        cells_restarted=lambda: parts.cells.restarts,
        commit_interval_s=worker.commit_interval_ms / 1000,
        pending_bytes=worker.pending_mib * 1024 * 1024,
        drain_s=worker.drain_s,
        faces_every_s=settings.faces.every_s if settings.faces.kept_min else None,
        patrol_after_s=worker.patrol_after_s,
        shed_after_s=worker.shed_after_s,
        inspect_at_once=worker.inspect_at_once or INSPECTED_A_CELL * parts.cell_count,
        claim_wait_s=settings.claims.wait_s,
        forget_after_s=worker.forget_after_s,
        stuck_after_s=worker.stuck_after_s,
        largest_record_bytes=largest_record(settings) - RECORD_OVERHEAD_BYTES,
    )
    pipeline = parts.pipeline if rules.faces_every_s is None else replace(parts.pipeline, picture=picture)
    metrics.model(parts.model.ref.name, parts.model.ref.sha256)
    metrics.cells(lambda: parts.cells.restarts)
    metrics.libraries(lambda: library_seconds(parts))
    if parts.pipeline.shadow is not None:
        parts.pipeline.shadow.told = told_shadow(metrics)
    return Worker(bus, pipeline, media_store(settings), metrics, rules)
