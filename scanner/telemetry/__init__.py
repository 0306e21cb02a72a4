"""What runs tell: metrics, probes and logs.

worker.py, ingest.py, replay.py    a class of metrics for each, one verb a metric
pulse.py                           whether a worker moves and may be given work
serving.py                         /metrics, /livez and /readyz
logs.py                            events to stderr
"""

from scanner.telemetry.ingest import IngestMetrics
from scanner.telemetry.logs import set_up_logs
from scanner.telemetry.pulse import Pulse
from scanner.telemetry.replay import ReplayMetrics
from scanner.telemetry.serving import serve_metrics
from scanner.telemetry.worker import Metrics

__all__ = ["IngestMetrics", "Metrics", "Pulse", "ReplayMetrics", "serve_metrics", "set_up_logs"]
