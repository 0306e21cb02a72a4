"""A decode cell seen from its parent: hands over a segment, hears of clips, checks every word.

parent ──segment──▶ cell ──"clip in slot 2"──▶ parent ──"slot 2 is free"──▶ cell … ──observation──▶ parent
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from scanner.core.clips import ONE_LOOK, Pace
from scanner.core.errors import MediaError
from scanner.core.types import Clip, ClipSpec, Mode, Segment
from scanner.media.arena import SLOTS, Arena, anonymous
from scanner.media.child import Child
from scanner.media.demux import Limits
from scanner.media.hardware import CPU
from scanner.media.protocol import Fields, ProtocolError
from scanner.media.sandbox import Confinement, Layer
from scanner.media.sighted import clip_from, observation_from
from scanner.meter import of_cells

MEDIAPIPE = "scanner.faces.mediapipe:near_and_far"
_CELL, _GPU_CELL = "scanner.media.cell_main", "scanner.media.gpu_cell_main"
_REASON_LENGTH = 500
_MOST_CLIPS = 100_000
_PROCESSORS = 4  # at most as many compute at once: the decoder and the detectors' threads


@dataclass(frozen=True, slots=True)
class CellPlan:
    """What every cell of a pool is like."""

    spec: ClipSpec
    limits: Limits = field(default_factory=Limits)
    pace: Pace = ONE_LOOK
    confinement: Confinement = field(default_factory=Confinement)
    decoder: str = CPU
    """"cpu", or "cuda:N": then a driver needs what a cell is denied, and fewer layers confine it (see sandbox)"""
    detectors: str = MEDIAPIPE
    """"module:function" of a factory of the near and the far detector, called twice a cell: the second time where no
    file can be opened any more, for those that will see hostile pictures"""
    patience_s: float = 60.0
    """how long a cell may be waited for, in all, while it observes one segment"""


class Cell:
    """One confined process. Observes one segment at a time; not for two threads at once."""

    def __init__(self, plan: CellPlan) -> None:
        self.plan = plan
        self.layers: tuple[str, ...] = ()
        self.at_rest = False
        """between two segments: fit to be given the next one"""
        self.spent: dict[str, float] = {}
        """processor seconds that the last segment took in each library"""
        descriptor = anonymous(plan.spec)
        try:
            self._arena = Arena(descriptor, plan.spec, writable=False)
            self.child = Child(_CELL if plan.decoder == CPU else _GPU_CELL, [descriptor])
        finally:
            os.close(descriptor)

    def start(self, patience_s: float) -> None:
        """Waits until libraries and models are loaded and the doors are shut. Raises ProtocolError."""
        self.child.channel.allow(patience_s)
        self.child.channel.tell(
            {
                "spec": asdict(self.plan.spec),
                "limits": asdict(self.plan.limits),
                "pace": asdict(self.plan.pace),
                "confinement": asdict(self.plan.confinement),
                "detectors": self.plan.detectors,
                "decoder": self.plan.decoder,
                "processor_s": self.plan.patience_s * _PROCESSORS,
            }
        )
        layers = Fields(self.child.channel.hear()).items("ready", len(Layer))
        self.layers = tuple(Layer(layer).value for layer in layers)
        self.at_rest = True

    def clips(self, segment: Segment, mode: Mode, slots: int = SLOTS) -> Iterator[Clip]:
        """Clips as they are cut, one less than `slots` of them ahead; then returns the observation.

        A generator's value cannot be typed through `yield from` and a Protocol, so the observation is left in
        `observation`. Raises MediaError or ProtocolError.
        """
        if len(segment.payload) > self.plan.limits.max_bytes:
            raise MediaError(f"{len(segment.payload)} bytes exceed the limit of {self.plan.limits.max_bytes}")
        channel = self.child.channel
        self.at_rest, self.spent = False, {}
        channel.allow(self.plan.patience_s)
        channel.tell({"mode": mode.value, "size": len(segment.payload), "slots": slots}, segment.payload)
        shown: set[int] = set()
        for _ in range(_MOST_CLIPS):
            said = Fields(channel.hear())
            if not said.has("clip"):
                self._conclude(said, mode, shown)
                return
            slot = said.integer("slot", 0, SLOTS - 1)
            clip = clip_from(said.inner("clip"), self.plan.spec, self._arena.slot(slot))
            shown.add(clip.tracklet)
            yield clip
            channel.tell({"release": slot})
        raise ProtocolError(f"more than {_MOST_CLIPS} clips")

    def _conclude(self, said: Fields, mode: Mode, shown: set[int]) -> None:
        if said.has("rejected"):
            self.at_rest = True
            raise MediaError(said.text("rejected", _REASON_LENGTH))
        observation = observation_from(said.inner("done"), mode, self.layers)
        unknown = shown - {tracklet.index for tracklet in observation.tracklets}
        if unknown:
            raise ProtocolError(f"clips of tracklets that were never described: {sorted(unknown)[:5]}")
        spent = said.inner("spent")
        most = self.plan.patience_s * _PROCESSORS
        self.spent = {name: spent.number(name, 0, most) for name in of_cells()}
        self.at_rest = True
        self.observation = observation

    def close(self) -> None:
        self.at_rest = False
        self.child.close()
        self._arena.close()
