"""`scanner worker`: a member of the group that answers every segment on the topic."""

from __future__ import annotations

from typing import Annotated

import typer

from scanner.cli.common import (
    Bootstrap,
    Coverage,
    DeviceName,
    ModelName,
    PatrolClips,
    PatrolEvery,
    SettingsFile,
    settings_from,
)


def worker(
    device: DeviceName = None,
    model: ModelName = None,
    group: Annotated[str | None, typer.Option(help="Consumer group.", show_default=False)] = None,
    coverage: Coverage = None,
    patrol_clips: PatrolClips = None,
    patrol_every: PatrolEvery = None,
    bootstrap: Bootstrap = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve /metrics, /livez and /readyz there.", show_default=False)
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Answer segments until SIGTERM or Ctrl-C; then finish what was begun, commit and leave."""
    import signal
    import threading

    import structlog

    from scanner.assembly.bus import kafka_bus
    from scanner.assembly.scan import assembled, tracing_of, worker_of
    from scanner.cli.leaving import leave_unheard
    from scanner.telemetry import Metrics, serve_metrics

    chosen = settings_from(
        settings,
        scan_device=device,
        scan_model=model,
        scan_coverage=coverage,
        policy_patrol_clips=patrol_clips,
        policy_patrol_every_s=patrol_every,
        kafka_group=group,
        kafka_bootstrap_servers=bootstrap,
        worker_metrics_port=metrics_port,
    )
    stop = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    metrics = Metrics()
    leave_unheard(stop, metrics.pulse, chosen.kafka.bootstrap_servers)
    with tracing_of(chosen) as tracing, assembled(chosen, shadow=chosen.worker.shadow_model) as parts:
        structlog.get_logger().info(
            "worker_started",
            model=parts.model.ref.name,
            shadow=parts.pipeline.shadow.judge.model.name if parts.pipeline.shadow else None,
            device=str(parts.device),
            why=parts.device.reason,
            cells=parts.cell_count,
            sandbox=parts.cells.ready(),
        )
        if chosen.worker.metrics_port is not None:
            serve_metrics(chosen.worker.metrics_port, metrics.pulse)
        worker_of(chosen, kafka_bus(chosen), parts, metrics, tracing).run(stop)
