"""Everything that decides what a run on the card computes."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class GpuConfig:
    """A field is an option of the same name."""

    seconds: float = 420.0
    "of training; generators and pauses not counted"
    size: int = 160
    "pixels a side of what the network sees; a multiple of 32"
    box_scale: float = 1.3
    "side of the square over the longer side of the face box; 1.5 at most, for the canvas holds 1.75"
    zoo_steps: int = 1000
    "of each generator; 0: no generators"
    groups: int = 3
    "groups of pairs a batch; each has one family and one way"
    pairs: int = 16
    "pairs a group"
    lr: float = 8e-4
    weight_decay: float = 0.03
    warmup: int = 150
    ema: float = 0.998
    true_share: float = 0.10
    "of the groups: true generator outputs against other people"
    still_share: float = 0.35
    coded_share: float = 0.6
    "of the groups: through real encoders; the others end with cosine blocks on the card"
    only: str = ""
    "one family instead of all"
    single: bool = False
    "a model of single frames; every frame is a clip"
    every_generator: bool = False
    "train on the generators that choose between designs, too"
    backbone: str = "lite0"
    "lite0, lite1 or lite2"
    start: str = ""
    freeze: int = 0
    "blocks of the backbone, from the first, that stay as they start; the stem with them"
    seed: int = 0
    device: str = "cuda:0"
    keepers: int = 3
    "processes that train generators, before all else"
    makers: int = 3
    "processes that forge"
    coders: int = 10
    "processes that encode"
    ahead: int = 28
    "groups on their way at a time"
    look_every: float = 60.0
    note_every: int = 50
    baseline: float = 0.0
    "seconds of training for a model of single frames and self-blending alone, to compare with"
    limit: int = 0
    "sources of each kind at most, for a trial; 0: all"

    def __post_init__(self) -> None:
        if self.size % 32 or self.size <= 0:
            raise ValueError(f"size must be a multiple of 32, got {self.size}")
        if not 1 <= self.box_scale <= 1.5:
            raise ValueError(f"box_scale must be in [1, 1.5], got {self.box_scale:g}")

    def alone(self) -> GpuConfig:
        """The model to compare with: single frames, self-blending only."""
        return replace(self, only="self_blend", single=True, seconds=self.baseline, warmup=60)
