"""The timing columns of a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.engine.convergence_metrics import mask_nan
from gdbench.engine.op_counter import StepWork
from gdbench.engine.timer import Samples
from gdbench.results.constant_column import make_constant

__all__ = ["CLOCKS", "OVERHEAD_S", "RATIOS", "Timings", "make_timing_columns"]


Array = npt.NDArray[Any]


CLOCKS = ("first_step_s", "step_s", "step_s_lo", "step_s_hi", "update_s", "replay_s", "reference_s")
"""Seconds of each run."""
SHARED_CLOCKS = ("warmup_s", "memory_reference_s", "device_reference_s")
"""Seconds of the cell."""
RATIOS = ("ratio", "ratio_lo", "ratio_hi")
OVERHEAD_S = 20e-6
"""An operation that takes longer is bound by its numbers, not by the overhead of dispatching it."""


@dataclass
class Timings:
    """Measured times, one entry per run (NaN where a run was not timed), and the raw blocks."""

    first_step_s: Array
    step_s: Array
    step_s_lo: Array
    step_s_hi: Array
    update_s: Array
    ratio: Array
    ratio_lo: Array
    ratio_hi: Array
    reference_s: Array
    replay_s: Array
    verified_steps: Array
    """How many steps of the timed pass were compared with the convergence pass; 0 of a run that was not timed."""
    warmup_s: float = np.nan
    memory_reference_s: float = np.nan
    device_reference_s: float = np.nan
    work: StepWork = StepWork(None, None)
    constant_cost: bool = True
    blocks: list[tuple[int, Samples]] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)
    """Runs whose timed pass differed from the convergence pass, and how."""

    @classmethod
    def none(cls, runs: int) -> Timings:
        """Nothing timed."""
        nothing: dict[str, Any] = {name: np.full(runs, np.nan) for name in (*CLOCKS, *RATIOS)}
        return cls(**nothing, verified_steps=np.zeros(runs, np.int64))

    def forget(self, rows: list[int]) -> None:
        """Drop the times of runs whose timed pass differed from the convergence pass."""
        for name in (*CLOCKS, *RATIOS):
            getattr(self, name)[rows] = np.nan
        self.blocks = [(row, samples) for row, samples in self.blocks if row not in rows]

    @property
    def is_timed(self) -> Array:
        """Which runs were timed."""
        return ~np.isnan(self.step_s)


def make_timing_columns(timings: Timings | None, steps_to_target: Array) -> Mapping[str, Array]:
    """The columns that hold times; runs that were not timed take their cell's median and say so."""
    if timings is None:
        return {"timed": make_constant(False, len(steps_to_target))}
    timed = timings.is_timed
    runs = len(timed)
    median = float(np.median(timings.step_s[timed])) if timed.any() else np.nan
    step_s = np.where(timed, timings.step_s, median)
    step_s[list(timings.errors)] = np.nan  # a pass that did other work has no valid time
    reached = ~np.ma.getmaskarray(steps_to_target)
    modelled = np.ma.filled(steps_to_target, 0) * step_s
    to_target = np.where(reached, modelled if timings.constant_cost else timings.replay_s, np.nan)
    kind = np.full(runs, None, dtype=object)
    kind[~np.isnan(to_target)] = "modelled" if timings.constant_cost else "replayed"
    errors = np.full(runs, None, dtype=object)
    errors[list(timings.errors)] = list(timings.errors.values())
    columns = {
        "timed": timed,
        "timing_error": errors,
        "verified_steps": np.ma.masked_array(timings.verified_steps, mask=timings.verified_steps == 0),
        **{name: mask_nan(getattr(timings, name)) for name in CLOCKS if name != "replay_s"},
        "step_s": mask_nan(step_s),
        **{f"step_time_{name}": mask_nan(getattr(timings, name)) for name in RATIOS},
        **{name: mask_nan(np.full(runs, getattr(timings, name))) for name in SHARED_CLOCKS},
        "time_to_target_s": mask_nan(to_target),
        "time_to_target_kind": kind,
    }
    return {**columns, **_make_work_columns(timings, step_s)}


def _make_work_columns(timings: Timings, step_s: Array) -> Mapping[str, Array]:
    work, runs = timings.work, len(step_s)
    absent = np.ones(runs, dtype=bool)
    ops = np.ma.masked_array(np.full(runs, work.ops or 0), mask=absent if work.ops is None else ~absent)
    peak = np.ma.masked_array(np.full(runs, work.peak_bytes or 0), mask=absent if work.peak_bytes is None else ~absent)
    bound = np.ma.masked_array(
        step_s < (work.ops or 1) * OVERHEAD_S, mask=ops.mask | np.isnan(step_s) | (not timings.constant_cost)
    )
    return {"ops": ops, "peak_bytes": peak, "overhead_bound": bound}
