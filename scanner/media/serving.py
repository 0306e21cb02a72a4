"""The work of a decode cell: segments come in by the socket, clips go out by the arena, one segment after the other."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from importlib import import_module

from scanner.core.clips import Pace
from scanner.core.errors import MediaError
from scanner.core.types import Clip, ClipSpec, Mode
from scanner.media.arena import Arena
from scanner.media.demux import Limits
from scanner.media.hardware import try_decoder
from scanner.media.observe import SegmentObserver
from scanner.media.protocol import Channel, ClosedError, Message
from scanner.media.rehearsal import Everywhere, black_picture, black_video, load_all_of_av
from scanner.media.sandbox import Confinement, Layer, allow_processor_time, confine
from scanner.media.sighted import clip_to, observation_to
from scanner.meter import of_cells
from scanner.ports import FaceDetector
from scanner.vision import single_threaded

Confine = Callable[[Confinement, frozenset[Layer]], frozenset[Layer]]


def serve(sock: socket.socket, arena: int, layers: frozenset[Layer], shut: Confine = confine) -> None:
    """Sets up as the first message says, then observes until the parent hangs up.

    Args:
        layers: that confine the process already.
        shut: shuts the other doors.
    """
    channel = Channel(sock)
    orders = channel.hear()
    spec = ClipSpec(**orders["spec"])
    single_threaded()
    _rehearse(orders["detectors"], spec)
    layers = shut(Confinement(**orders["confinement"]), layers)
    near, far = _detectors(orders["detectors"])
    try_decoder(orders["decoder"])
    observe = partial(
        SegmentObserver,
        spec=spec,
        near=near,
        far=far,
        limits=Limits(**orders["limits"]),
        pace=Pace(**orders["pace"]),
        decoder=orders["decoder"],
    )
    cell = Cell(channel, Arena(arena, spec, writable=True), observe)
    try:
        channel.tell({"ready": sorted(layers)})
        while True:
            order = channel.hear()
            allow_processor_time(orders["processor_s"])
            cell.answer(order)
    except ClosedError:
        pass  # the parent wants no more
    finally:
        near.close()
        far.close()


def _rehearse(detectors: str, spec: ClipSpec) -> None:
    """All that a segment goes through, once, in a pixel format that has to be converted and in one that has not.

    With detectors of its own: those that see hostile pictures, and their threads, begin confined.
    """
    load_all_of_av()
    everywhere = Everywhere()
    for pixel_format in ("yuv420p", "yuv444p"):
        payload = black_video(2 * spec.length, pixel_format)
        sighting = SegmentObserver(payload, Mode.FULL, spec, near=everywhere, far=everywhere, limits=Limits())
        if not list(sighting.clips()):
            raise AssertionError("the rehearsal cut no clip")
        observation_to(sighting.observation())
    for detector in _detectors(detectors):
        detector.detect(black_picture())
        detector.close()


def _detectors(name: str) -> tuple[FaceDetector, FaceDetector]:
    """The near and the far detector from a factory named "module:function"."""
    module, function = name.split(":")
    near, far = getattr(import_module(module), function)()
    return near, far


class Cell:
    """Observes segments; keeps nothing between two of them but the detectors."""

    def __init__(self, channel: Channel, arena: Arena, observe: Callable[[bytes, Mode], SegmentObserver]) -> None:
        self._channel = channel
        self._arena = arena
        self._observe = observe
        self._free: list[int] = []

    def answer(self, order: Message) -> None:
        """One order of the parent: a segment, or a slot that comes back late."""
        if "release" in order:
            return
        payload = self._channel.take(order["size"])
        self._free = list(range(order["slots"]))
        sighting = self._observe(payload, Mode(order["mode"]))
        before = of_cells()
        try:
            for clip in sighting.clips():
                self._show(clip)
            spent = {name: seconds - before[name] for name, seconds in of_cells().items()}
            self._channel.tell({"done": observation_to(sighting.observation()), "spent": spent})
        except MediaError as error:
            self._channel.tell({"rejected": str(error)})
        except MemoryError:
            self._channel.tell({"rejected": "takes more memory than a decode cell may have"})

    def _show(self, clip: Clip) -> None:
        while not self._free:
            self._free.append(self._channel.hear()["release"])
        slot = self._free.pop()
        self._arena.slot(slot)[:] = clip.pixels
        self._channel.tell({"clip": clip_to(clip), "slot": slot})
