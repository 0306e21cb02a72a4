"""`scanner evaluate`: what a model is worth on labelled files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from scanner.cli.common import AsJson, errors, wants_json, write_line


def evaluate(
    root: Annotated[Path, typer.Argument(metavar="PATH", help="Folder that the label file's paths start from.")],
    labels: Annotated[Path, typer.Option(help="CSV with file,label and family,method,person,pair,source if known.")],
    model: Annotated[str, typer.Option(help="Model name or folder.")] = "tempo-s",
    out: Annotated[Path, typer.Option(help="Folder for report, scores, plots and the clips that were cut.")] = Path(
        "evaluation"
    ),
    controls: Annotated[bool, typer.Option("--controls", help="Also score without face, order, detail.")] = False,
    robustness: Annotated[
        int, typer.Option(help="Files for the table of 40 perturbations; 0 leaves it out.", min=0)
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure a model on labelled files: AUC, EER, AP, TPR, ECE, pairs, per method and family, with intervals."""
    from scanner.evaluation import robustness as rough
    from scanner.evaluation.crops import cut_files
    from scanner.evaluation.evaluate import evaluate as measure
    from scanner.evaluation.evaluate import for_card
    from scanner.evaluation.labels import read_labels
    from scanner.evaluation.report import as_json as as_told
    from scanner.evaluation.report import markdown, write_report
    from scanner.inference.card import find_model, read_card

    items = read_labels(labels, root)
    folder = find_model(model)
    card = read_card(folder)
    with _bar("cutting", len(items)) as done:
        store = cut_files(root, items, out / f"clips-{card.spec.length}x{card.spec.size}", card.spec, done=done)
    with _bar("scoring", 1) as done:
        found, scored = measure(folder, store, controls=controls)
    if robustness:
        with _bar("perturbing", rough.CELLS) as done:
            some = rough.some_of(items, robustness)
            found["robustness"] = rough.table(folder, root, some, out / "robustness", done)
    found["card"] = for_card(found, f"scanner evaluate {root.name} --labels {labels.name} --model {card.name}")
    write_report(found, scored, card, out)
    if wants_json(as_json):
        write_line(as_told(found).encode())
    else:
        typer.echo(markdown(found))
        typer.echo(f"{out}: report.md, report.json, scores.json, plots.png", err=True)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar on stderr when that is a terminal; what it gives is called with the name of each thing done."""
    from rich.progress import Progress

    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bars:
        task = bars.add_task(what, total=total)
        yield lambda name: bars.update(task, advance=1, description=f"{what} {name}")
