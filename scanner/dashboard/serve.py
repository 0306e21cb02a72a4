"""Settings to a running dashboard."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import structlog
import uvicorn
from prometheus_client import CollectorRegistry

from scanner.assembly.bus import media_store, topics_of
from scanner.core.errors import SettingsError
from scanner.dashboard.accounts import Accounts
from scanner.dashboard.app import create_app
from scanner.dashboard.clips import Clips
from scanner.dashboard.feed import Feed
from scanner.dashboard.gauges import DashboardMetrics
from scanner.dashboard.lag import Lag
from scanner.dashboard.redriver import Redriver
from scanner.dashboard.runs import Archives
from scanner.dashboard.site import Site
from scanner.dashboard.view import Limits, View
from scanner.ports import Bus
from scanner.settings import Settings
from scanner.telemetry import serve_metrics

if TYPE_CHECKING:
    from scanner.dashboard.oidc import Oidc

log = structlog.get_logger()

LEAVE_S = 2  # readers of events never hang up by themselves


def site_for(settings: Settings, bus: Bus, accounts: Accounts | None = None) -> Site:
    """A dashboard over a bus. Raises SettingsError when the users file cannot be read."""
    ours = settings.dashboard
    accounts = accounts or Accounts(ours.users_file)
    accounts.prepare()
    if not (accounts.users() or settings.oidc.issuer):
        log.warning("nobody_may_sign_in_yet", users_file=str(ours.users_file), add="scanner dashboard users add NAME")
    topics = topics_of(settings)
    limits = Limits(ours.streams, ours.points, round(settings.faces.kept_min * 60_000))
    feed = Feed(bus, View(topics, limits, ours.group_by), ours.lookback_min * 60)
    return Site(
        bus=bus,
        topics=topics,
        feed=feed,
        clips=Clips(bus, media_store(settings)),
        accounts=accounts,
        lag=Lag(bus, topics.segments, settings.kafka.group),
        redriver=Redriver(bus, topics),
        archives=Archives(ours.runs) if ours.runs else None,
        oidc=_provider(settings),
        issuer=settings.oidc.issuer or "",
        reviewers=ours.reviewers,
        https=ours.https or ours.tls_cert is not None,
        session_s=round(ours.session_hours * 3600),
    )


def _provider(settings: Settings) -> Oidc | None:
    if not settings.oidc.issuer:
        return None
    try:
        provider: type[Oidc] = import_module("scanner.dashboard.oidc").Oidc
    except ImportError as error:
        raise SettingsError(f"oidc.issuer needs {error.name}: pip install 'scanner[oidc]'") from error
    return provider(settings.oidc)


@contextmanager
def serving(settings: Settings, site: Site) -> Iterator[str]:
    """Serves on a thread; the address it listens on. Raises SettingsError when that is taken."""
    ours = settings.dashboard
    listening = _bound(ours.host, ours.port)
    app = create_app(site)
    if ours.metrics_port is not None:
        registry = CollectorRegistry()
        registry.register(DashboardMetrics(site, lambda: app.state.bell.readers))
        serve_metrics(ours.metrics_port, registry=registry)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=ours.https,
        timeout_graceful_shutdown=LEAVE_S,
        ssl_certfile=ours.tls_cert,
        ssl_keyfile=ours.tls_key,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="dashboard", daemon=True)
    site.feed.start()
    thread.start()
    try:
        host, port = listening.getsockname()[:2]
        scheme = "https" if ours.tls_cert else "http"
        yield f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        server.should_exit = True
        thread.join()
        site.feed.stop()
        listening.close()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise SettingsError(f"dashboard.port: cannot listen on {host}:{port}: {error.strerror}") from error
    return listening
