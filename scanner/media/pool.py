"""Lends decode cells to whoever has a segment to observe, and keeps fresh ones warm behind them.

keeper thread: start ─▶ idle ─lend─▶ lent ─come back at rest─▶ idle
                                        └─ dead, overdue, abandoned ─▶ closed, replaced from the idle spare
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from time import monotonic
from types import TracebackType
from typing import Self

from scanner.core.errors import CellLostError, Disposition, ScannerError, Stage
from scanner.core.types import Clip, ClipSpec, Mode, Observation, Segment
from scanner.media.arena import SLOTS, STEPWISE
from scanner.media.cell import Cell, CellPlan
from scanner.media.protocol import OverdueError, ProtocolError
from scanner.meter import of_cells
from scanner.ports import Observer

SPARES = 1  # started ahead: a lost cell is replaced at once, not after the 2 s that a start takes
STARTUP_S = 60.0  # 2 s on an idle machine; many times that on a loaded one with cold disks
CLOSING_S = 5.0
_FAILED_STARTS = 3  # one after the other, before the machine is held to be at fault
_PAUSE_S = 2.0  # between failed starts


class CellsUnavailableError(ScannerError):
    """No decode cell can be started: a fault of this machine or its installation, not of a segment."""

    disposition = Disposition.HALT
    stage = Stage.DECODE


class CellPool:
    """An Observer over `count` cells. For use by many threads; each takes its own sightings."""

    def __init__(self, count: int, plan: CellPlan | ClipSpec, *, wait_s: float = 600.0) -> None:
        """`wait_s` bounds how long a sighting waits for a free cell."""
        if count < 1:
            raise ValueError(f"a pool needs at least one cell, got {count}")
        self._plan = CellPlan(plan) if isinstance(plan, ClipSpec) else plan
        self._count = count
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._cells: set[Cell] = set()
        self._idle: list[Cell] = []
        self._lent: set[Cell] = set()
        self._closed = False
        self._failures = 0
        self._failure = ""
        self._lost = 0
        self._spent = dict.fromkeys(of_cells(), 0.0)
        self._keeper = threading.Thread(target=self._keep, name="cell keeper", daemon=True)
        self._keeper.start()

    @property
    def restarts(self) -> int:
        """Cells lost and replaced since the pool was made."""
        return self._lost

    @property
    def spent_s(self) -> dict[str, float]:
        """Processor seconds that segments took in each library, inside the cells, since the pool was made."""
        return dict(self._spent)

    def observe(self, segment: Segment, mode: Mode) -> CellSighting:
        """Nothing happens before the first clip is asked for."""
        return CellSighting(self, segment, mode)

    def stepwise(self) -> Observer:
        """The same cells, but at most one clip ahead of their reader: where it stands still, so do they."""
        return _Stepwise(self)

    def ready(self) -> tuple[str, ...]:
        """Waits for a cell to be ready; the layers that confine it. Raises CellsUnavailableError."""
        cell = self.take()
        self.give_back(cell)
        return cell.layers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends every cell, also those that observe just now: their readers get CellLostError."""
        with self._changed:
            self._closed = True
            for cell in self._cells:
                cell.child.kill()
            self._changed.notify_all()
        self._keeper.join()
        with self._changed:
            self._changed.wait_for(lambda: not self._lent, CLOSING_S)
            cells, self._idle = list(self._cells), []
            self._cells.clear()
        for cell in cells:
            cell.close()

    # For sightings.

    def take(self) -> Cell:
        """A cell at rest, alive when looked at. Raises CellLostError or CellsUnavailableError."""
        deadline = monotonic() + self._wait_s
        while True:
            cell = self._lend(deadline)
            if cell.child.alive:
                return cell
            self.give_back(cell)

    def give_back(self, cell: Cell) -> None:
        """Also when it is not fit for another segment: then it is closed and the keeper replaces it."""
        fit = cell.at_rest and cell.child.alive
        if not fit:
            cell.close()
        with self._changed:
            self._lent.discard(cell)
            for name, seconds in cell.spent.items():
                self._spent[name] += seconds
            cell.spent = {}
            if fit and not self._closed:
                self._idle.append(cell)
            elif not fit:
                self._forget(cell)
            self._changed.notify_all()

    def loss(self, cell: Cell, segment: Segment, cause: ProtocolError, seconds: float) -> CellLostError:
        """What to raise about a segment whose cell failed; the cell has ended then."""
        who = f"segment {segment.sequence} of {segment.stream_id}"
        if self._closed:
            return CellLostError(f"{who}: the pool of decode cells was closed")
        if isinstance(cause, OverdueError):
            cell.child.close()
            return CellLostError(f"{who}: the decode cell was stopped, it took more than {self._plan.patience_s:g} s")
        return CellLostError(f"{who}: the decode cell {cell.child.obituary(cause)} after {seconds:.1f} s")

    # The keeper.

    def _lend(self, deadline: float) -> Cell:
        with self._changed:
            while True:
                self._refuse_if_hopeless()
                if self._idle and len(self._lent) < self._count:
                    cell = self._idle.pop()
                    self._lent.add(cell)
                    return cell
                if not self._changed.wait(deadline - monotonic()):
                    raise CellLostError(f"no decode cell became free within {self._wait_s:g} s")

    def _refuse_if_hopeless(self) -> None:
        if self._closed:
            raise CellLostError("the pool of decode cells is closed")
        if self._failures >= _FAILED_STARTS and not self._cells - self._starting():
            raise CellsUnavailableError(f"no decode cell can be started: {self._failure}")

    def _starting(self) -> set[Cell]:
        return {cell for cell in self._cells if not cell.layers and cell not in self._lent}

    def _forget(self, cell: Cell) -> None:
        if cell in self._cells:
            self._cells.discard(cell)
            self._lost += 1
        self._changed.notify_all()

    def _keep(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._cells) < self._count + SPARES)
                if self._closed:
                    return
                missing = self._count + SPARES - len(self._cells)
            fresh = [cell for cell in (self._begun() for _ in range(missing)) if cell]  # they start side by side
            for cell in fresh:
                self._welcome(cell)
            with self._changed:
                if self._failures:
                    self._changed.wait_for(lambda: self._closed, _PAUSE_S)

    def _begun(self) -> Cell | None:
        try:
            cell = Cell(self._plan)
        except OSError as error:
            self._failed(f"the last one was refused by the system: {error}")
            return None
        with self._changed:
            self._cells.add(cell)
            if self._closed:
                cell.child.kill()
        return cell

    def _failed(self, failure: str) -> None:
        with self._changed:
            self._failures += 1
            self._failure = failure
            self._changed.notify_all()

    def _welcome(self, cell: Cell) -> None:
        try:
            cell.start(STARTUP_S)
        except ProtocolError as error:
            fate = cell.child.obituary(error)
            cell.close()
            with self._changed:
                self._cells.discard(cell)
            self._failed(f"the last one {fate}")
            return
        with self._changed:
            self._failures = 0
            self._idle.append(cell)
            self._changed.notify_all()


class _Stepwise:
    """See CellPool.stepwise; whose cells they are closes them."""

    def __init__(self, pool: CellPool) -> None:
        self._pool = pool

    def observe(self, segment: Segment, mode: Mode) -> CellSighting:
        return CellSighting(self._pool, segment, mode, STEPWISE)

    def close(self) -> None: ...


class CellSighting:
    """A segment in a cell of the pool, from the first clip asked for to the last one taken."""

    def __init__(self, pool: CellPool, segment: Segment, mode: Mode, slots: int = SLOTS) -> None:
        self._pool = pool
        self._segment = segment
        self._mode = mode
        self._slots = slots
        self._observation: Observation | None = None

    def clips(self) -> Iterator[Clip]:
        """Clips whose pixels are valid until the next one is asked for. Raises MediaError or CellLostError."""
        cell = self._pool.take()
        since = monotonic()
        try:
            yield from cell.clips(self._segment, self._mode, self._slots)
            self._observation = cell.observation
        except ProtocolError as cause:
            raise self._pool.loss(cell, self._segment, cause, monotonic() - since) from cause
        finally:
            self._pool.give_back(cell)

    def observation(self) -> Observation:
        if self._observation is None:
            raise RuntimeError("observation asked for before the last clip was taken")
        return self._observation
