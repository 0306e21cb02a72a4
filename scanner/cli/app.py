"""`scanner`: one file a verb, each imported with the program but heavy only when it runs."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer

from scanner.cli import (
    audit,
    bench,
    bench_archive,
    config,
    dashboard,
    deadletters,
    demo,
    doctor,
    evaluate,
    evidence,
    ingest,
    kafka,
    models,
    plan,
    provenance,
    publish,
    replay,
    reviews,
    scan,
    tail,
    top,
    topics,
    train,
    worker,
)
from scanner.cli.common import Exit, complain, quit_quietly
from scanner.core.errors import ScannerError, SettingsError
from scanner.memory import keep_freed

app = typer.Typer(
    name="scanner",
    help="A calibrated, explainable verdict for every face in every stream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(scan.scan)
app.command()(demo.demo)
app.command()(worker.worker)
app.command()(publish.publish)
app.command()(ingest.ingest)
app.add_typer(replay.app, name="replay")
app.command()(tail.tail)
app.command()(top.top)
app.add_typer(dashboard.app, name="dashboard")
app.add_typer(topics.app, name="topics")
app.add_typer(deadletters.app, name="deadletters")
app.add_typer(kafka.app, name="kafka")
app.add_typer(models.app, name="models")
app.add_typer(config.app, name="config")
app.add_typer(provenance.app, name="provenance")
app.add_typer(audit.app, name="audit")
app.add_typer(reviews.app, name="reviews")
app.add_typer(evidence.app, name="evidence")
app.add_typer(train.app, name="train")
app.command(context_settings=train.FORWARDED)(train.export)
app.command()(evaluate.evaluate)
for _command in (bench_archive.archive, bench_archive.priorities):
    bench.app.command()(_command)
app.add_typer(bench.app, name="bench")
app.command()(plan.plan)
app.command()(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("scanner"))
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """A calibrated, explainable verdict for every face in every stream."""


def main() -> None:
    """Runs a verb; our errors become one line and an exit code, others keep their traceback."""
    keep_freed()
    try:
        app()
    except SettingsError as error:
        complain(str(error))
        sys.exit(Exit.USAGE)
    except ScannerError as error:
        complain(str(error))
        sys.exit(Exit.WORLD)
    except BrokenPipeError:
        quit_quietly()
        sys.exit(Exit.DONE)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:  # noqa: BLE001 - 1 means that --fail-on was met: a defect must not look like that
        traceback.print_exc()
        sys.exit(Exit.WORLD)
