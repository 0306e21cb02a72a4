"""Writes the page: templates, style and script into one file that asks nothing of any network."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scanner.core.text import visible
from scanner.report import words
from scanner.report.model import ModelFacts, PathReport, Thresholds
from scanner.report.odds import CROWD, lines
from scanner.report.view import view_of

TEMPLATES = "templates"


def write_report(
    path: Path,
    reports: Sequence[PathReport],
    *,
    model_facts: ModelFacts,
    thresholds: Thresholds,
    written_at: datetime | None = None,
    failures: Sequence[tuple[str, str]] = (),
) -> None:
    """One HTML file about all paths, the most suspicious first. `written_at` is printed as it is handed in.

    Args:
        failures: paths that could not be scanned, each with the reason.
    """
    path.write_text(render(reports, model_facts, thresholds, written_at, failures), encoding="utf-8")


def render(
    reports: Sequence[PathReport],
    facts: ModelFacts,
    thresholds: Thresholds,
    written_at: datetime | None = None,
    failures: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as text."""
    script = asset("page.js")
    return (
        environment()
        .get_template("page.html")
        .render(
            view=view_of(reports, thresholds),
            facts=facts,
            thresholds=thresholds,
            lines=lines(facts),
            crowd=CROWD,
            written_at=written_at,
            failures=failures,
            style=Markup(asset("page.css")),  # noqa: S704 - our own file, no input
            script=Markup(script),  # noqa: S704 - the same
            policy=_policy(script),
        )
    )


def _policy(script: str) -> str:
    """Content security policy: nothing is fetched, and only our own script runs."""
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def environment() -> Environment:
    """The templates with our filters; everything that is put into them is escaped."""
    environment = Environment(
        loader=PackageLoader("scanner.report", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clock=words.clock,
        moment=words.moment,
        duration=words.duration,
        percent=words.percent,
        visible=visible,
        number=words.thousands,
        data_uri=_data_uri,
        score=lambda value: f"{value:.2f}",
    )
    environment.globals["count"] = words.count
    return environment


def _data_uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"


@cache
def asset(name: str) -> str:
    """A file beside the templates, as text."""
    return resources.files("scanner.report").joinpath(TEMPLATES, name).read_text(encoding="utf-8")
