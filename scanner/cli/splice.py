"""`scanner evidence splice`: forged stretches in long streams of encoded video, down the real road."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.common import (
    AsJson,
    DeviceName,
    ModelName,
    SettingsFile,
    complain,
    errors,
    settings_from,
    shown,
    wants_json,
    write_line,
)
from scanner.core.errors import SettingsError

if TYPE_CHECKING:
    from scanner.assembly.scan import Assembled
    from scanner.core.types import Mode
    from scanner.evaluation.spliced import Figures, Watched
    from scanner.evaluation.splicing import Material, Plan
    from scanner.settings import Settings

COVERAGES = ("full", "auto", "inspect", "patrol")


def splice(
    folder: Annotated[Path, typer.Argument(help="Streams and scans are kept here, and gone on with.")],
    labels: Annotated[
        Path | None, typer.Option(help="CSV with file,label,person[,pair]; without: the drawn sample, forged by us.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder that its paths start from; its own by default.")] = None,
    streams: Annotated[int, typer.Option(min=1, help="Most streams, one real person each.")] = 6,
    minutes: Annotated[float, typer.Option(help="Length of each.")] = 10.0,
    coverages: Annotated[
        str, typer.Option(help="full, inspect, patrol, or auto (patrolled, inspected on suspicion), with commas.")
    ] = "full,auto",
    false_alarms: Annotated[
        float | None, typer.Option("--false-alarms", help="Per 1,000 hours of a face; unset: the settings'.")
    ] = None,
    null_bound: Annotated[
        float | None, typer.Option(min=0.01, max=0.99, help="Mean score real faces keep; unset: the card's.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a PNG.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of what goes where.")] = 0,
    device: DeviceName = None,
    model: ModelName = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Splice forgeries of 2, 5 and 20 s into long real streams, encode them, scan them, and say what was found when.

    One person's real clips are played to and fro; a forgery of one of them (`pair`) takes its place at the same moment.
    """
    from scanner.core.evidence import alarm_level
    from scanner.core.verdict import FRAMES_PER_SECOND
    from scanner.evaluation.spliced import figures
    from scanner.evaluation.spliced_plot import draw

    names = _named(coverages)
    chosen = settings_from(settings, scan_model=model, scan_device=device, policy_false_alarms_per_1000_h=false_alarms)
    folder.mkdir(parents=True, exist_ok=True)
    materials = _materials(folder, labels, root, streams, seed)
    plans = _plans(materials, minutes, seed)
    with _scanning(chosen, null_bound) as parts:
        runs: dict[str, list[tuple[Plan, Watched]]] = {name: [] for name in names}
        for material, plan in zip(materials, plans, strict=True):
            for name in names:
                runs[name].append((plan, _run(material, plan, name, folder, parts, chosen)))
        judge = parts.pipeline.judge
        level = alarm_level(judge.policy.false_alarms_per_1000_h, FRAMES_PER_SECOND / judge.clip_length)
    found = [figures(name, pairs) for name, pairs in runs.items()]
    if plot:
        draw(plot, runs, level)
    if wants_json(as_json):
        for one in found:
            write_line(json.dumps({"null_bound": judge.calibration.null_bound, "level": level, **asdict(one)}).encode())
    else:
        _print(found, judge.calibration.null_bound, level)


def _named(coverages: str) -> list[str]:
    names = [name.strip() for name in coverages.split(",")]
    if not names or set(names) - set(COVERAGES):
        raise SettingsError(f"--coverages: some of {', '.join(COVERAGES)}, got {coverages!r}")
    return names


def _plans(materials: list[Material], minutes: float, seed: int) -> list[Plan]:
    import numpy as np

    from scanner.evaluation.splicing import planned

    rng = np.random.default_rng(seed)
    try:
        return [planned(material, minutes, rng) for material in materials]
    except ValueError as error:
        raise SettingsError(f"--minutes: {error}") from error


def _materials(folder: Path, labels: Path | None, root: Path | None, streams: int, seed: int) -> list[Material]:
    from scanner.evaluation.labels import read_labels
    from scanner.evaluation.splicing import drawn_material, material_of

    if labels is None:
        return drawn_material(folder, streams, seed)
    start = root or labels.parent
    made = material_of(read_labels(labels, start), start, streams, seed)
    if not made:
        raise SettingsError(f"{labels} has no real person, or no fake, to splice")
    return made


@contextmanager
def _scanning(settings: Settings, null_bound: float | None) -> Iterator[Assembled]:
    from scanner.assembly.scan import assembled
    from scanner.evaluation.spliced import with_bound

    with assembled(settings) as parts:
        yield with_bound(parts, null_bound)


def _run(material: Material, plan: Plan, coverage: str, folder: Path, parts: Assembled, settings: Settings) -> Watched:
    """A scan that was made before, of the same stream by the same model and rules, is taken as it is."""
    import hashlib
    import time

    from scanner.core.types import Mode
    from scanner.evaluation.spliced import read_watched, watched, write_watched
    from scanner.evaluation.splicing import spliced

    judge = parts.pipeline.judge
    rules = (judge.model.sha256, judge.policy.sha256, judge.calibration.null_bound)
    digest = hashlib.sha256(repr((asdict(plan), coverage, rules)).encode()).hexdigest()[:12]
    kept = folder / f"{plan.name}.{coverage}.{digest}.json"
    if (seen := read_watched(kept)) is not None:
        if seen.version != judge.version:
            complain(f"{kept} was made by another version, {seen.version}; remove it to scan again")
        return seen
    path = spliced(material, plan, folder)
    mode: Mode | None = None if coverage == "auto" else Mode(coverage)
    began = time.monotonic()
    seen = watched(path, plan.name, parts, mode, settings)
    write_watched(kept, seen)
    speed = plan.seconds / (time.monotonic() - began)
    told = f"{plan.name} ({plan.kind}), {coverage}: {len(seen.alarms_s)} alarms, {speed:.1f}× real time"
    errors.print(shown(told), style="dim", markup=False)
    return seen


def _print(found: list[Figures], null_bound: float, level: float) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    first = found[0]
    console.print(
        f"{first.streams} streams with a forged stretch of each length, {first.real_hours:.2f} h of real video; "
        f"null bound {null_bound:.2f}, alarm at evidence {level:.1f}"
    )
    forged = Table("coverage", "forged", "found", "median", "90 %", box=None, pad_edge=False)
    real = Table("coverage", "alarms", "an hour (95 %)", "decoded", "scored", box=None, pad_edge=False)
    for one in found:
        for row in one.forged:
            waits = ["never" if wait is None else f"{wait:.1f} s" for wait in (row.median_s, row.p90_s)]
            forged.add_row(one.coverage, f"{row.length_s:g} s", f"{row.found} of {row.stretches}", *waits)
        low, high = one.interval
        rate = f"{one.per_hour:.2f} ({low:.2f}–{high:.2f})"
        real.add_row(one.coverage, str(one.false_alarms), rate, f"{one.frames_decoded:.0%}", f"{one.frames_scored:.0%}")
    console.print(forged)
    console.print(real)
