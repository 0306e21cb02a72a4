"""The page beside a replay's results."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scanner.assembly.scan import mode_of, policy_of
from scanner.core.types import Mode
from scanner.inference.card import find_model, read_card
from scanner.replay.journal import JOURNAL, RESULTS
from scanner.report.archive import Row, Told, write_archive_page
from scanner.report.model import Thresholds
from scanner.settings import Settings
from scanner.version import code_version

PAGE = "summary.html"
_OUTPUTS = (RESULTS, "results.parquet", JOURNAL)


def write_summary(out: Path, rows: Iterable[Row], settings: Settings, totals: dict[str, Any]) -> dict[str, Any]:
    """Writes it; the totals with its path. Raises OSError, SettingsError."""
    card = read_card(find_model(settings.scan.model))
    policy = policy_of(settings, card)
    facts = (
        ("model", f"{card.name} {card.version}, {card.sha256}"),
        ("coverage", (mode_of(settings, live=False) or Mode.FULL).value),
        ("policy", policy.sha256),
        ("device", settings.scan.device),
        ("code", code_version()),
    )
    told = Told(
        title=str(out),
        model=f"{card.name} {card.version}",
        thresholds=Thresholds.of(policy),
        facts=facts,
        totals=totals,
        outputs=tuple(name for name in _OUTPUTS if (out / name).exists()),
        written_at=datetime.now(UTC).replace(microsecond=0),
    )
    write_archive_page(out / PAGE, rows, told)
    return {**totals, "page": str(out / PAGE)}
