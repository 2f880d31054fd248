"""Isolate failing runs: lanes that raise are split until the runs that raise are alone."""

from __future__ import annotations

import contextlib
import re
import traceback
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.config.user_modules import USER_ERRORS
from gdbench.engine.cell import Cell
from gdbench.engine.convergence_pass import PassResult, run_observed_pass
from gdbench.engine.descent import descent
from gdbench.engine.pass_inputs import StepCallback
from gdbench.errors import TimeLimitReached, Unavailable, UsageError, describe_exception, to_one_line
from gdbench.objectives.training_objective import GENERATOR_LOCK

__all__ = ["Failure", "Isolation", "Piece", "observe_runs"]

Array = npt.NDArray[Any]
OUT_OF_MEMORY_SPLIT = 4
MAX_ISOLATED = 1000
"""At most this many runs of a cell are isolated from raising lanes."""
MAX_TRACEBACK = 20_000
"""The last characters of a traceback that are stored: they name the line that raised."""
OUT_OF_MEMORY = re.compile(r"^MemoryError|OutOfMemoryError|can't allocate memory|not enough memory|out of memory")
"""What Python, CUDA, the CPU's allocator on Linux and on Windows, and MPS say, in turn."""


@dataclass(frozen=True)
class Failure:
    """Why a run has no result: its status, one line, and where what was raised came from."""

    status: str
    error: str
    traceback: str | None = None
    is_final: bool = False
    """Whether a cell without rows of its own is not run again when its sweep is resumed."""

    @classmethod
    def from_exception(cls, error: BaseException) -> Failure:
        """The failure that an exception is: ``unavailable``, ``timeout``, else ``failed``."""
        if isinstance(error, (Unavailable, TimeLimitReached)):
            return cls("unavailable" if isinstance(error, Unavailable) else "timeout", to_one_line(error))
        text = "".join(traceback.format_exception(error))
        text = text if len(text) <= MAX_TRACEBACK else f"...\n{text[-MAX_TRACEBACK:]}"
        return cls("failed", (to_one_line if isinstance(error, UsageError) else describe_exception)(error), text)


class Isolation:
    """The runs that were taken out of raising lanes, and why; beyond ``most`` the rest fails as a group."""

    def __init__(self, most: int = MAX_ISOLATED) -> None:
        """At most ``most`` runs are isolated."""
        self.most = most
        self.reasons: dict[int, str] = {}

    @property
    def has_room(self) -> bool:
        """Whether more runs may be taken out."""
        return len(self.reasons) < self.most

    def add(self, row: int, failure: Failure) -> None:
        """Take a run out of lanes that failed."""
        self.reasons[row] = f"lanes of one program raised ({failure.error[:120]})"


Piece = tuple[Array, PassResult | Failure]
"""Some runs, and their common result or failure."""


def observe_runs(
    cell: Cell, rows: Array, laned: bool, traced: Array, before_steps: StepCallback, isolation: Isolation
) -> list[Piece]:
    """Observe some runs of a cell; lanes that raise are split until the runs that raise are alone.

    ``traced`` are the runs of the cell whose traces are recorded, in order. Lanes that do not fit into memory are tried
    once more, a quarter of them at a time.
    """

    def observe(rows: Array, laned: bool) -> PassResult | Failure:
        return _try_pass(cell.take(rows), laned, _locate_traced(traced, rows), before_steps)

    def split(rows: Array, failure: Failure) -> list[Piece]:
        if not isolation.has_room or failure.status == "timeout":
            return [(rows, failure)]
        if len(rows) == 1:
            isolation.add(int(rows[0]), failure)
            return [(rows, observe(rows, laned=False))]
        pieces: list[Piece] = []
        for half in np.array_split(rows, 2):
            outcome = observe(half, laned=True) if len(half) > 1 else failure
            pieces += [(half, outcome)] if isinstance(outcome, PassResult) else split(half, outcome)
        return pieces

    outcome = observe(rows, laned)
    if isinstance(outcome, PassResult) or len(rows) == 1:
        return [(rows, outcome)]
    if not OUT_OF_MEMORY.search(outcome.error):
        return split(rows, outcome)
    quarters = [quarter for quarter in np.array_split(rows, OUT_OF_MEMORY_SPLIT) if len(quarter)]
    outcomes = [observe(quarter, laned) for quarter in quarters]
    failed = next((part for part in outcomes if isinstance(part, Failure)), None)
    return [(rows, failed)] if failed else list(zip(quarters, outcomes, strict=True))


def _locate_traced(traced: Array, rows: Array) -> Array:
    """Which of some runs are traced, counted from their first; ``traced`` is in order and may be long."""
    place = np.minimum(np.searchsorted(traced, rows), max(len(traced) - 1, 0))
    here: Array = np.flatnonzero(traced[place] == rows) if len(traced) else np.empty(0, np.int64)
    return here


def _try_pass(cell: Cell, laned: bool, traced: Array, before_steps: StepCallback) -> PassResult | Failure:
    """The result of the convergence pass of some runs, or its failure.

    A compiler that is unavailable ends the cell, whatever its numbers; but where the step
    raises without a compiler too, that is the failure.
    """
    try:
        with contextlib.nullcontext() if laned else GENERATOR_LOCK:
            return run_observed_pass(cell, laned, traced, before_steps)
    except Unavailable as reason:
        if not cell.make_method.is_compiled:
            return Failure.from_exception(reason)
        if (error := _find_eager_error(cell)) is None:
            raise
        return Failure.from_exception(error)
    except (*USER_ERRORS, TimeLimitReached) as error:
        return Failure.from_exception(error)


def _find_eager_error(cell: Cell) -> BaseException | None:
    """What the first run's first step raises without a compiler; None if nothing."""
    try:
        descent(
            cell.make_method.eager(cell.solo_hyper(0)),
            cell.oracle(laned=False),
            cell.start(int(cell.seeds[0])),
            range(1),
        )
    except USER_ERRORS as error:
        return error
    return None
