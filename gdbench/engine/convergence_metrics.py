"""From what was watched to the exact columns of a row: status, hits, gaps, rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.engine.cell import Cell
from gdbench.engine.convergence_pass import Story
from gdbench.engine.targets import Ladder
from gdbench.results.columns import LADDER
from gdbench.results.constant_column import make_constant

__all__ = ["judged"]

Array = npt.NDArray[Any]
Columns = dict[str, Array]

LEAST_HITS = 4
"""A rate is told from at least this many rungs of the ladder."""


def judged(cell: Cell, story: Story) -> Columns:
    """The exact columns of all runs, each a masked array where a value may be missing."""
    seen, steps = story.told, cell.steps
    final, best = seen.last.astype(np.float64), seen.best.astype(np.float64)
    rungs = Ladder(cell.f_star, np.empty(0), story.floor)
    nonfinite = seen.lived <= steps
    diverged = ~nonfinite & (seen.above_since >= 0)
    hit = seen.missed <= steps
    below = _below_minimum(cell, story, final)
    return {
        "status": _status(nonfinite, diverged, hit[-1], seen.best_step, steps, below),
        "error": _errors(cell, story, final, below),
        "status_step": _maybe(np.where(nonfinite, seen.lived, seen.above_since), (nonfinite | diverged) & ~below),
        "start_loss": story.start,
        "final_loss": final,
        "best_loss": _maybe(best, seen.lived > 0),
        "best_step": _maybe(seen.best_step, seen.lived > 0),
        "final_gap": _known(rungs.gap(final, story.start)),
        "best_gap": _known(rungs.gap(best, story.start), seen.lived > 0),
        "final_suboptimality": _known(final - (np.nan if cell.f_star is None else cell.f_star)),
        "gap_floor": _known(story.floor),
        "steps_to_target": _maybe(seen.missed[-1], hit[-1]),
        "steps_to_settle": _maybe(seen.settled_since, seen.settled_since >= 0),
        "gradient_evals_to_target": _maybe(seen.gradient_evals_to_target, hit[-1]),
        "function_evals_to_target": _maybe(seen.function_evals_to_target, hit[-1]),
        **{name: _maybe(seen.missed[i], hit[i]) for i, name in enumerate(LADDER)},
        "grad_norm": _known(story.grad_norm.astype(np.float64), ~nonfinite),
        "distance": _known(story.distance.astype(np.float64), ~nonfinite),
        "linear_rate": _known(_rate(seen.missed[: len(LADDER)], hit[: len(LADDER)]), ~nonfinite & ~diverged),
        "gradient_evals": seen.gradients,
        "function_evals": seen.evaluations,
        "denormals": _maybe(story.denormals, ~nonfinite),
    }


def _status(nonfinite: Array, diverged: Array, hit: Array, best_step: Array, steps: int, failed: Array) -> Array:
    """The first that applies: failed, nonfinite, diverged, target, plateau, budget."""
    cases = [failed, nonfinite, diverged, hit, 2 * best_step <= steps]
    codes = np.select(cases, list(range(len(cases))), len(cases))
    names: Array = np.array(["failed", "nonfinite", "diverged", "target", "plateau", "budget"], dtype=object)
    told: Array = names[codes]
    return told


def _below_minimum(cell: Cell, story: Story, final: Array) -> Array:
    """Runs that show the stated minimum to be wrong: at or below it at the start, or in float64 below its rounding."""
    if cell.f_star is None:
        return np.zeros(len(final), dtype=bool)
    at_start = np.isfinite(story.start) & (story.start <= cell.f_star)
    if story.told.best.dtype != np.dtype(np.float64):
        return at_start
    with np.errstate(invalid="ignore"):
        depth = cell.f_star - story.told.best
        return at_start | (depth > story.floor * (story.start - cell.f_star))


def _errors(cell: Cell, story: Story, final: Array, below: Array) -> Array:
    if not below.any():
        return make_constant(None, len(final))
    errors = np.full(len(final), None, dtype=object)
    for run in np.flatnonzero(below):
        if story.start[run] <= cell.f_star:
            start = float(story.start[run])
            errors[run] = f"the start's loss {start!r} is not above the stated minimum {cell.f_star!r}"
        else:
            best = float(story.told.best[run])
            errors[run] = f"loss {best!r} is below the stated minimum {cell.f_star!r}: the minimum is wrong"
    return errors


def _rate(first_hits: Array, hit: Array) -> Array:
    """exp of the least-squares slope of ln(target) against first-hit step; NaN where too few rungs were hit."""
    rates = np.full(hit.shape[1], np.nan)
    enough = np.flatnonzero(hit.sum(0) >= LEAST_HITS)
    hit, logs = hit[:, enough], np.log(np.array([*LADDER.values()]))[:, None]
    steps = np.where(hit, first_hits[:, enough], 0.0)
    centred = np.where(hit, steps - steps.sum(0) / hit.sum(0), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):  # all rungs hit in one step have no slope
        rates[enough] = np.exp((centred * logs).sum(0) / (centred**2).sum(0))
    return rates


def _maybe(values: Array, there: Array) -> Array:
    """Values where they are there, else null."""
    return np.ma.masked_array(values, mask=~there)


def _known(values: Array, there: Array | bool = True) -> Array:
    """Values that are there, NaN meaning null."""
    return np.ma.masked_array(values, mask=np.isnan(values) | ~np.broadcast_to(there, values.shape))
