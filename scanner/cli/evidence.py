"""`scanner evidence simulate|measure|splice|abstain|compare`: what verdicts are worth."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.common import AsJson, ModelName, SettingsFile, settings_from, wants_json, write_line
from scanner.cli.splice import splice
from scanner.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from scanner.cli.verdicts import Line
    from scanner.evaluation.sequential import Alarms, Delays, Floats, Patrol, Rule
    from scanner.settings import Settings

app = typer.Typer(help="What verdicts are worth: in time, under abstention, at less coverage.", no_args_is_help=True)
app.command()(splice)

Streams = Annotated[int, typer.Option(min=10, help="Streams of ten minutes.")]
Rate = Annotated[float | None, typer.Option("--false-alarms", help="Per 1,000 hours of a face; unset: the settings'.")]
Bound = Annotated[float | None, typer.Option("--null-bound", help="Mean score real faces keep; unset: the card's.")]
Plot = Annotated[Path | None, typer.Option("--plot", help="Write a PNG.", show_default=False)]
AtOnce = Annotated[
    int | None, typer.Option("--at-once", min=0, help="Patrolled streams of all that may be inspected at once.")
]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn.")]


@app.command()
def simulate(
    real_mean: Annotated[float, typer.Option(min=0.01, max=0.99, help="Mean score of real people.")] = 0.1,
    spread: Annotated[float, typer.Option(min=0, max=0.4, help="Standard deviation of people's means.")] = 0.1,
    forged_mean: Annotated[float, typer.Option(min=0.01, max=0.99, help="Mean score of forged clips.")] = 0.7,
    streams: Streams = 500,
    false_alarms: Rate = None,
    null_bound: Bound = None,
    plot: Plot = None,
    at_once: AtOnce = None,
    seed: Seed = 0,
    model: ModelName = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Forgeries of 2, 5 and 20 s inside ten minutes of a real stream, scores drawn from beta distributions."""
    import numpy as np

    from scanner.evaluation.sequential import LENGTHS_S, STREAM_S, Population

    rng = np.random.default_rng(seed)
    rule, patrol = _test(settings, model, false_alarms, null_bound, at_once)
    try:
        people = Population(real_mean, spread, forged_mean)
        real = people.real(streams, rule.clips(STREAM_S), rng)
        forged = people.forged(200, rule.clips(max(LENGTHS_S)), rng)
    except ValueError as error:
        raise SettingsError(f"no beta distribution has mean {real_mean} and standard deviation {spread}") from error
    _tell(rule, patrol, real, forged, rng, plot, as_json)


@app.command()
def measure(
    scans: Annotated[list[Path], typer.Argument(metavar="SCANS…", help="JSON lines of `scanner scan --json`.")],
    labels: Annotated[Path, typer.Option(help="CSV with file,label and, where known, person.")],
    root: Annotated[Path | None, typer.Option(help="Folder that its paths start from; its own by default.")] = None,
    streams: Streams = 500,
    false_alarms: Rate = None,
    null_bound: Bound = None,
    plot: Plot = None,
    at_once: AtOnce = None,
    seed: Seed = 0,
    model: ModelName = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """The same with the scores of labelled files: each stream is one real person, forged files are spliced in."""
    import numpy as np

    from scanner.evaluation.labels import read_labels
    from scanner.evaluation.scans import file_scores, people_of
    from scanner.evaluation.sequential import STREAM_S, streams_of

    items = read_labels(labels, root or labels.parent)
    files = file_scores((verdict for _, verdict in _verdicts(scans, settings_from(settings))), items)
    people, forged = people_of(files), [file.scores for file in files if file.item.fake]
    if not people or not forged:
        raise SettingsError(f"of {len(items)} files {len(people)} real people and {len(forged)} fakes have scores")
    rng = np.random.default_rng(seed)
    typer.echo(f"{len(people)} real people, {len(forged)} forged files", err=True)
    rule, patrol = _test(settings, model, false_alarms, null_bound, at_once)
    _tell(rule, patrol, streams_of(people, streams, rule.clips(STREAM_S), rng), forged, rng, plot, as_json)


@app.command()
def abstain(
    scans: Annotated[list[Path], typer.Argument(metavar="SCANS…", help="JSON lines of `scanner scan --json`.")],
    labels: Annotated[Path, typer.Option(help="CSV with file,label.")],
    root: Annotated[Path | None, typer.Option(help="Folder that its paths start from; its own by default.")] = None,
    plot: Plot = None,
    model: ModelName = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Risk against coverage: does giving up files of poor measured quality make the rest more reliable?"""
    import numpy as np

    from scanner.assembly.scan import policy_of
    from scanner.evaluation import abstention
    from scanner.evaluation.abstention_report import draw, facts_of, print_table
    from scanner.evaluation.labels import read_labels
    from scanner.inference.card import find_model, read_card

    chosen = settings_from(settings, scan_model=model)
    items = read_labels(labels, root or labels.parent)
    files = abstention.judged_files((verdict for _, verdict in _verdicts(scans, chosen)), items)
    if len({file.item.fake for file in files}) < 2 or len(files) < abstention.LEAST_FILES:
        raise SettingsError(
            f"{len(files)} labelled files were scored; at least {abstention.LEAST_FILES}, real and fake, are needed"
        )
    line = policy_of(chosen, read_card(find_model(chosen.scan.model))).suspected_from
    found, lots = abstention.curves(files, line), abstention.chance(files, line, np.random.default_rng(0))
    if plot:
        draw(plot, found, lots)
    if wants_json(as_json):
        write_line(json.dumps(facts_of(found, files, line, lots)).encode())
    else:
        print_table(found, files, line, lots)


@app.command()
def compare(
    scans: Annotated[list[Path], typer.Argument(metavar="SCANS…", help="JSON lines of `scan --json`, one a coverage.")],
    labels: Annotated[Path, typer.Option(help="CSV with file,label.")],
    root: Annotated[Path | None, typer.Option(help="Folder that its paths start from; its own by default.")] = None,
    model: ModelName = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """What looking at less saves and loses: the same labelled files scanned with several coverages, side by side."""
    from scanner.assembly.scan import policy_of
    from scanner.evaluation.coverage import looked
    from scanner.evaluation.labels import read_labels
    from scanner.inference.card import find_model, read_card

    chosen = settings_from(settings, scan_model=model)
    items = read_labels(labels, root or labels.parent)
    policy = policy_of(chosen, read_card(find_model(chosen.scan.model)))
    rows = []
    for path in scans:
        try:
            rows.append(looked([verdict for _, verdict in _verdicts([path], chosen)], items, policy))
        except ValueError as error:
            raise SettingsError(f"{path}: {error}") from error
    if wants_json(as_json):
        for path, row in zip(scans, rows, strict=True):
            write_line(json.dumps({"scan": str(path), **asdict(row)}).encode())
        return
    from rich.console import Console
    from rich.table import Table

    names = ("coverage", "files", "decoded", "scored", "ms a second", "AUC", "fakes flagged", "real flagged")
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        shares = (f"{row.frames_decoded:.0%}", f"{row.frames_scored:.0%}", f"{row.ms_per_s:.0f}", f"{row.auc:.3f}")
        table.add_row("+".join(row.modes), str(row.files), *shares, f"{row.recall:.1%}", f"{row.real_flagged:.1%}")
    Console().print(table)


def _verdicts(scans: list[Path], settings: Settings) -> Iterator[Line]:
    from scanner.cli.verdicts import verdicts_from

    return verdicts_from(scans, settings)


def _test(
    settings: Path | None, model: str | None, rate: float | None, bound: float | None, at_once: int | None
) -> tuple[Rule, Patrol]:
    from scanner.assembly.scan import policy_of
    from scanner.core.verdict import FRAMES_PER_SECOND
    from scanner.evaluation.sequential import Patrol, Rule
    from scanner.inference.card import find_model, read_card

    chosen = settings_from(settings, scan_model=model, policy_false_alarms_per_1000_h=rate)
    card = read_card(find_model(chosen.scan.model))
    policy = policy_of(chosen, card)
    kept = card.calibration.null_bound if bound is None else bound
    return (
        Rule(kept, policy.false_alarms_per_1000_h, policy.clear_clips, FRAMES_PER_SECOND / card.geometry.length),
        Patrol(policy.inspect_from, policy.suspected_from, policy.calm_segments, at_once),
    )


def _tell(
    test: Rule,
    patrol: Patrol,
    real: Floats,
    forged: list[Floats],
    rng: np.random.Generator,
    plot: Path | None,
    as_json: bool,
) -> None:
    from scanner.evaluation.sequential import LENGTHS_S, delays, false_alarms
    from scanner.evaluation.sequential_plot import draw

    if not 0 < test.null_bound < 1:
        raise SettingsError(f"--null-bound must lie between 0 and 1, got {test.null_bound}")
    alarms = false_alarms(test, real)
    rows = [delays(test, real, forged, length, rng) for length in LENGTHS_S]
    saved = false_alarms(test, real, patrol)
    patrolled = [delays(test, real, forged, length, rng, patrol) for length in LENGTHS_S]
    over = float((real.mean(axis=1) > test.null_bound).mean())
    if plot:
        draw(plot, test, real, forged, rng)
    if wants_json(as_json):
        facts = {"test": {**asdict(test), "level": test.level}, "real_over_bound": over, "alarms": asdict(alarms)}
        facts |= {"forgeries": [asdict(row) for row in rows]}
        facts |= {"patrol": {"alarms": asdict(saved), "forgeries": [asdict(row) for row in patrolled]}}
        write_line(json.dumps(facts).encode())
    else:
        _table(test, over, alarms, rows)
        _patrol_table(saved, patrolled)


def _table(test: Rule, over: float, alarms: Alarms, rows: list[Delays]) -> None:
    from rich.console import Console
    from rich.table import Table

    low, high = alarms.interval
    console = Console(highlight=False)
    console.print(
        f"null bound {test.null_bound:.2f}, kept by {1 - over:.1%} of the real streams; alarm at evidence "
        f"{test.level:.1f}, at most {test.false_alarms_per_1000_h:g} false alarms in 1,000 h of a face that keeps it"
    )
    console.print(
        f"real streams: {alarms.count} alarms in {alarms.hours:.0f} h = {alarms.per_hour:.3g} an hour "
        f"(95 % {low:.3g}–{high:.3g}); {alarms.streams_alarmed:.1%} of ten-minute streams alarm"
    )
    table = Table("forged", "found", "median", "90 %", box=None, pad_edge=False)
    for share in rows[0].ppv:
        table.add_column(f"PPV at {share:.1%}", justify="right")
    for row in rows:
        waits = ["–" if wait is None else f"{wait:.1f} s" for wait in (row.median_s, row.p90_s)]
        right = [f"{value:.0%}" for value in row.ppv.values()]
        table.add_row(f"{row.length_s:g} s", f"{row.found:.0%}", *waits, *right)
    console.print(table)


def _patrol_table(saved: Alarms, rows: list[Delays]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"patrolled until something rises: {saved.clips_looked_at:.0%} of the clips of real streams are looked at; "
        f"{saved.per_hour:.3g} alarms an hour"
    )
    table = Table("forged", "found", "median", "90 %", box=None, pad_edge=False)
    for row in rows:
        waits = ["–" if wait is None else f"{wait:.1f} s" for wait in (row.median_s, row.p90_s)]
        table.add_row(f"{row.length_s:g} s", f"{row.found:.0%}", *waits)
    console.print(table)
