"""One cell to columns: an untimed pass that watches, a timed pass that records nothing."""

from __future__ import annotations

import contextlib
import math
import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gdbench.cell import Cell
from gdbench.constant import constant, take
from gdbench.gap import Ladder
from gdbench.judge import judged
from gdbench.lanes import carrier
from gdbench.params import size
from gdbench.proof import Watched
from gdbench.schema import Unavailable, UsageError
from gdbench.stopwatch import Timings, clocked, timing_columns
from gdbench.story import Halt, Story, join, tell, traced_runs
from gdbench.timing import WALL, Clock

__all__ = ["Answer", "Pulse", "explained", "no_pulse", "run_cell"]

Pulse = Callable[[int], None]
"""Hears how many lanes have made a step, each time some have."""
Array = npt.NDArray[Any]
Columns = dict[str, Array]

CACHED_NUMBERS = 2**18
"""x and its like hold at most so many numbers in a chunk of lanes; a quarter where a graph holds the watch too."""
LEAST_LANES = 16
SMALLER = 4
OUT_OF_MEMORY = re.compile(r"^MemoryError|OutOfMemoryError|can't allocate memory|not enough memory|out of memory")
"""What Python, CUDA, the CPU's allocator on Linux and on Windows, and MPS say, in turn."""


@dataclass(frozen=True)
class Answer:
    """The columns of a cell's runs; its traces and timing blocks name their run by its number, ``row``."""

    columns: Columns
    traces: Columns
    blocks: Columns


def no_pulse(lane_steps: int) -> None:
    """Hear nothing."""


def run_cell(cell: Cell, clock: Clock | None = None, pulse: Pulse = no_pulse) -> Answer:
    """Watch every run, then time what the budget allows; where the seed changes nothing, its copies run once."""
    distinct, back = _distinct(cell)
    laned, how = carrier(distinct)
    started = time.perf_counter()
    story, rows, errors = _watch(distinct, laned, pulse)
    watched = time.perf_counter() - started
    columns = _spread(judged(distinct, story), rows, distinct.size) if story else _all_failed(distinct.size)
    marks = dict(zip(rows.tolist(), story.marks, strict=True)) if story and story.marks else {}
    timings = clocked(distinct, Watched(columns, marks), clock or _clock(distinct.device))
    _fail(columns, errors)
    columns.update(timing_columns(timings, columns["steps_to_target"]))
    shared: dict[str, Any] = {"cold_s": cell.maker.compile_s} if cell.maker.compiled else {}
    shared |= {
        "watched_s": watched,
        "lanes": distinct.size if laned else 1,
        "resolved": f"{cell.maker.resolved}, {how}",
        "seed_effective": cell.seed_matters(),
    }
    columns.update({name: constant(value, distinct.size) for name, value in shared.items()})
    return Answer(
        columns if distinct is cell else {name: take(column, back) for name, column in columns.items()},
        _traces(distinct, story, rows, back) if story else {},
        _blocks(timings, back) if timings else {},
    )


def _fail(columns: Columns, errors: dict[int, str]) -> None:
    """Say of some rows that they failed, and why."""
    if errors:
        columns.update({name: columns[name].copy() for name in ("status", "error")})
    for row, error in errors.items():
        columns["status"][row], columns["error"][row] = "failed", error


def explained(error: Exception) -> str:
    """An exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def _clock(device: torch.device) -> Clock:
    """Wall time, waiting for the device where there is one to wait for."""
    if device.type == "cuda":
        return Clock(WALL.now, lambda: torch.cuda.synchronize(device))
    return Clock(WALL.now, torch.mps.synchronize) if device.type == "mps" else WALL


def _distinct(cell: Cell) -> tuple[Cell, Array]:
    """The cell without runs that differ in an ineffective seed only, and for each run its row there."""
    every = np.arange(cell.size)
    if cell.seed_matters() or (cell.seeds == cell.seeds[0]).all():
        return cell, every
    table = np.column_stack(list(cell.hyper.values()))
    _, first, back = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return cell.take(first), back.reshape(-1)


def _watch(cell: Cell, laned: bool, pulse: Pulse) -> tuple[Story | None, Array, dict[int, str]]:
    """The story of all runs that could be made, their rows, and what went wrong with the others."""
    chunks, traced = _chunks(cell, laned), traced_runs(cell)
    with contextlib.suppress(Exception):  # what raises here will raise, and be told, in every run
        # Made once, before the chunks share them.
        _ = cell.objective, cell.one_seed, cell.oracle(laned), cell.rounding, cell.varied, cell.fused
    attempts = _side_by_side(
        lambda rows, halt: _attempt(cell.take(rows), laned, _within(traced, rows), halt), chunks, cell, pulse
    )
    stories = [story for story in attempts if isinstance(story, Story)]
    rows = [chunk for chunk, story in zip(chunks, attempts, strict=True) if isinstance(story, Story)]
    errors = {
        int(row): story
        for chunk, story in zip(chunks, attempts, strict=True)
        if isinstance(story, str)
        for row in chunk
    }
    return join(stories) if stories else None, np.concatenate([np.empty(0, np.int64), *rows]), errors


def _within(traced: Array, rows: Array) -> Array:
    """Which of a chunk's runs are traced, counted from its first."""
    here: Array = traced[(traced >= rows[0]) & (traced <= rows[-1])] - rows[0]
    return here


def _attempt(cell: Cell, laned: bool, traced: Array, halt: Halt) -> Story | str:
    """The story of some runs, or what they raised: a run that raises is a row that says so, and the others go on.

    Lanes that do not fit into memory are tried once more, a quarter of them at a time.
    """
    story = _told(cell, laned, traced, halt)
    if isinstance(story, str) and OUT_OF_MEMORY.search(story) and cell.size > 1:
        quarters = [rows for rows in np.array_split(np.arange(cell.size), SMALLER) if len(rows)]
        stories = [_told(cell.take(rows), laned, _within(traced, rows), halt) for rows in quarters]
        return next((each for each in stories if isinstance(each, str)), None) or join(stories)  # type: ignore[arg-type]
    return story


def _told(cell: Cell, laned: bool, traced: Array, halt: Halt) -> Story | str:
    try:
        return tell(cell, laned, traced, halt)
    except (Unavailable, UsageError):
        raise
    except Exception as error:
        return explained(error)


def _chunks(cell: Cell, laned: bool) -> list[Array]:
    """Rows that are carried together: as many as keep a tensor within a core's cache; without lanes, one by one."""
    every = np.arange(cell.size)
    if not laned:
        return list(every[:, None])
    if cell.maker.compiled and cell.device.type != "cpu":  # only a CPU has a cache to keep chunks in
        return [every]
    numbers = CACHED_NUMBERS // 4 if cell.maker.compiled else CACHED_NUMBERS
    lanes = max(LEAST_LANES, numbers // size(cell.start(int(cell.seeds[0]))))
    return np.array_split(every, math.ceil(cell.size / lanes))


def _side_by_side(
    work: Callable[[Array, Halt], Story | str], chunks: list[Array], cell: Cell, pulse: Pulse
) -> list[Story | str]:
    """Work on chunks of lanes on all cores, as nothing is timed meanwhile; runs alone and devices take their turn."""
    halted = threading.Event()

    def halt(lanes: int, steps: int) -> None:
        pulse(lanes * steps)
        if halted.is_set():
            raise KeyboardInterrupt

    # What is no plain tensor code need not bear threads: torch's functional_call swaps the weights of a shared module.
    if len(chunks) == 1 or len(chunks[0]) == 1 or cell.device.type != "cpu" or not cell.objective.laned:
        return [work(rows, partial(halt, len(rows))) for rows in chunks]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            return list(pool.map(lambda rows: work(rows, partial(halt, len(rows))), chunks))
        except BaseException:
            halted.set()  # or the threads would go on to the end of their chunks
            pool.shutdown(cancel_futures=True)
            raise


def _nulls(runs: int, dtype: Any) -> Array:
    return np.ma.masked_array(np.zeros(runs, dtype), mask=True)


def _all_failed(runs: int) -> Columns:
    return {
        "status": constant("failed", runs),
        "error": constant(None, runs),
        "steps_to_target": _nulls(runs, np.int64),
    }


def _spread(columns: Columns, rows: Array, runs: int) -> Columns:
    """Columns of the runs ``rows`` as columns of all runs, null elsewhere."""
    if len(rows) == runs:
        return columns
    spread: Columns = {}
    for name, column in columns.items():
        whole: Array = np.full(runs, None, dtype=object)
        if column.dtype != object:
            whole = _nulls(runs, column.dtype)
        whole[rows] = column
        spread[name] = whole
    spread["status"][np.setdiff1d(np.arange(runs), rows)] = "failed"
    return spread


def _traces(cell: Cell, story: Story, rows: Array, back: Array) -> Columns:
    """The story's traces, one run after the other, up to the step at which a run stopped being finite."""
    place = np.full(cell.size, -1)
    place[rows[story.traced]] = np.arange(len(story.traced))
    wanted = np.flatnonzero(place[back] >= 0)
    told = place[back[wanted]]
    ended = story.told.lived[story.traced][told]
    keep = story.steps[None, :] <= ended[:, None]
    gaps = Ladder(cell.f_star, np.empty(0), story.floor).gap(story.losses, story.start[story.traced][None, :])
    table = {"loss": story.losses.T[told], "gap": gaps.T[told], "grad_norm": story.grad_norms.T[told]}
    return {
        "row": np.repeat(wanted, keep.sum(1)),
        "step": np.broadcast_to(story.steps, keep.shape)[keep],
        **{name: values[keep] for name, values in table.items()},
        "x": story.points[told][keep],
    }


def _blocks(timings: Timings, back: Array) -> Columns:
    """The raw blocks of every run that was timed."""
    timed = [(int(np.flatnonzero(back == row)[0]), samples) for row, samples in timings.blocks]
    if not timed:
        return {}
    return {
        "row": np.concatenate([np.full(len(samples.work), row) for row, samples in timed]),
        "block": np.concatenate([np.arange(len(samples.work)) for _, samples in timed]),
        "step_s": np.concatenate([samples.work for _, samples in timed]),
        "reference_s": np.concatenate([samples.reference for _, samples in timed]),
    }
