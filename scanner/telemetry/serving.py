"""Metrics and probes over HTTP."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from scanner.telemetry.pulse import Pulse


def serve_metrics(port: int, pulse: Pulse | None = None, registry: CollectorRegistry = REGISTRY) -> int:
    """Serves /metrics, /livez and /readyz on all addresses until the process ends; the port it took."""
    server = ThreadingHTTPServer(("", port), _handler(pulse, registry))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server.server_port


def _handler(pulse: Pulse | None, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    def answer(path: str) -> tuple[int, bytes]:
        if path == "/metrics":
            return 200, generate_latest(registry)
        if path == "/livez":
            return 200 if pulse is None or pulse.alive else 503, b""
        if path == "/readyz":
            return 200 if pulse is None or pulse.ready else 503, b""
        return 404, b""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE_LATEST)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A scrape every few seconds is no news."""

    return Handler
