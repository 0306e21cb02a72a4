"""What decides a run, and how the command line says it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

from scanner.training.bank import TRUE_SHARE
from scanner.training.cut import GEOMETRY


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides what a run computes; saved with every checkpoint."""

    packs: tuple[str, ...]
    bank: str = ""
    "bank of faces from which the frame stage forges afresh"
    fresh_pairs: int = 10
    "pairs of a batch that come from the bank"
    only: str = ""
    "letters of the families that are forged from the bank, without true generator outputs; all of them when empty"
    true_share: float = TRUE_SHARE
    "of the fresh pairs: true generator outputs beside other people; none with `only`"
    zoo: str = ""
    "trained generators that forge from the bank"
    stage: str = "frame"
    "frame looks at single pictures; clip at windows in time"
    steps: int = 2000
    pairs: int = 12
    "pairs a batch: twice as many clips"
    length: int = 1
    "frames a clip; the clip stage wants several"
    size: int = GEOMETRY.size
    "pixels a side of what is forged from the bank; packs have their own, and both must agree"
    box_scale: float = GEOMETRY.box_scale
    "side of the square over the longer side of the face box, in the same"
    lr: float = 4e-4
    weight_decay: float = 0.02
    warmup: int = 100
    shift: bool = False
    "whether residual blocks read an eighth of their input from each neighbouring frame"
    freeze: int = 0
    "leading backbone blocks, stem included, that stay as they are; batch statistics stay with them"
    still_norms: bool = False
    "whether every batch norm keeps its statistics"
    ema: float = 0.998
    seed: int = 0
    device: str = "cpu"
    "cpu or cuda:N; on a GPU the forward pass runs in bfloat16"
    workers: int = 1
    "processes that make batches ahead: one a spare core"
    save_every: int = 100
    look_every: int = 500
    "steps between looks at the dev store"
    start: str = ""
    "checkpoint whose fitting weights the run starts from; ImageNet when empty"
    dev: str = ""
    "store of production crops that is looked at, never trained on"

    def __post_init__(self) -> None:
        if self.stage not in ("frame", "clip"):
            raise ValueError(f"stage must be frame or clip, got {self.stage}")
        if (self.stage == "clip") != (self.length > 1):
            raise ValueError(f"the frame stage has a length of 1, the clip stage more; got {self.stage}, {self.length}")
        if self.bank and self.stage == "clip":
            raise ValueError("a bank has single frames; the clip stage learns from packs alone")
        if self.bank and not self.packs and self.fresh_pairs != self.pairs:
            raise ValueError(f"without a pack all {self.pairs} pairs are fresh, got --fresh-pairs {self.fresh_pairs}")


def read_config(argv: list[str], about: str = "") -> tuple[Path, TrainConfig]:
    """Run folder and config from the command line; a field is an option of the same name; `about` is the help."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("packs", nargs="*")
    for field in fields(TrainConfig):
        if field.name == "packs":
            continue
        flag = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=type(field.default), default=field.default)
    values = vars(parser.parse_args(argv))
    run = values.pop("run")
    try:
        return run, TrainConfig(**{**values, "packs": tuple(values["packs"])})
    except ValueError as error:
        parser.error(str(error))
