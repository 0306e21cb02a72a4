"""`scanner train STEP …` and `scanner export …`: the steps of scanner.training, each with its own --help."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

import typer

from scanner.core.errors import SettingsError

STEPS = {
    "deepfakebench": "Make a corpus, and labels to evaluate with, of a list in DeepfakeBench's layout.",
    "survey": "Find faces and landmarks in every source, once.",
    "zoo": "Train small generators of our own, which forge.",
    "bank": "Gather frames to forge from afresh.",
    "pack": "Forge clips and send them through real encoders.",
    "sheet": "Draw forgeries beside their sources, to look at.",
    "run": "Train: the frame stage, then the clip stage; goes on where it was stopped.",
    "table": "Gather what the survey found, small enough to travel to a machine with a GPU.",
    "gpu": "Train on one GPU, in minutes: generators, forgeries, wear and encoders beside the learning.",
    "gpusheet": "Draw what `gpu` forges beside its sources, to look at.",
    "heldout": "Cut the people and generators that are never trained on.",
    "calibrate": "Fit thresholds and buckets of quality to held-out real people, and write them on a card.",
    "frontier": "Measure accuracy over cost at several sizes, lengths and precisions.",
    "probe": "Compare backbones by what a linear probe reads in their features, and by cost.",
    "reopen": "Make a checkpoint of a model that ships, to train on from.",
}
MODULES = {"run": "train", "table": "gpu.table", "gpu": "gpu.run", "gpusheet": "gpu.sheet"}
"""Where a step's module is called otherwise than the step."""
FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Arguments are the step's own, `--help` too."""

app = typer.Typer(
    help="Make a model of your own, step by step; `scanner.training` draws the way. Needs the extra `train`.",
    no_args_is_help=True,
)


def forward(module: str, name: str, arguments: list[str]) -> None:
    """Runs the main function of scanner.training.MODULE as the program NAME.

    Raises:
        SettingsError: when a library of the extra `train` is missing.
    """
    sys.argv = [name, *arguments]
    try:
        found = importlib.import_module(f"scanner.training.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("scanner"):
            raise
        raise SettingsError(f"{name} needs {error.name}: pip install 'scanner[train]'") from error
    found.main()


def _step(name: str) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        forward(MODULES.get(name, name), f"scanner train {name}", context.args)

    return run


for _name, _about in STEPS.items():
    app.command(_name, help=_about, context_settings=FORWARDED)(_step(_name))


def export(context: typer.Context) -> None:
    """Make a model folder of a checkpoint: graph, card, golden scores. Needs the extra `train`."""
    forward("export", "scanner export", context.args)
