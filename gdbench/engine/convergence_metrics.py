"""Convergence metrics: the deterministic columns of a row (status, first hits, gaps, rate) from the observations."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.engine.cell import Cell
from gdbench.engine.convergence_pass import PassResult
from gdbench.engine.observations import Observations
from gdbench.engine.targets import Ladder
from gdbench.engine.training.metric_columns import make_metric_columns, replace_target
from gdbench.results.columns import LADDER
from gdbench.results.constant_column import make_constant

__all__ = ["convergence_columns", "mask_nan"]

Array = npt.NDArray[Any]
Columns = dict[str, Array]

LEAST_HITS = 4
"""A linear rate is fitted to the first hits of at least this many targets."""


def convergence_columns(cell: Cell, result: PassResult) -> Columns:
    """The deterministic columns of all runs, each a masked array where a value may be missing."""
    seen, steps, training = result.observations, cell.steps, cell.objective.training
    if result.metrics is not None and cell.target_metric is not None:
        seen = replace_target(seen, result.metrics, cell.target_metric, steps)
    seen = _replace_hits(seen, result.exact_hits)
    final, best = seen.last.astype(np.float64), seen.best.astype(np.float64)
    rungs = Ladder(cell.f_star, np.empty(0), result.floor)
    nonfinite = seen.finite_points <= steps
    diverged = ~nonfinite & (seen.diverged_since >= 0)
    hit = seen.first_hits <= steps
    below = _is_below_minimum(cell, result)
    status_step = np.where(nonfinite, seen.finite_points, seen.diverged_since)
    return {
        "status": _decide_status(nonfinite, diverged, hit[-1], seen.best_step, steps, below),
        "error": _describe_errors(cell, result, below),
        "status_step": _mask(status_step, (nonfinite | diverged) & ~below),
        "start_loss": result.start,
        "final_loss": final,
        "best_loss": _mask(best, seen.finite_points > 0),
        "best_step": _mask(seen.best_step, seen.finite_points > 0),
        "final_gap": mask_nan(rungs.gap(final, result.start)),
        "best_gap": mask_nan(rungs.gap(best, result.start), seen.finite_points > 0),
        "final_suboptimality": mask_nan(final - (np.nan if cell.f_star is None else cell.f_star)),
        "gap_floor": mask_nan(result.floor),
        "steps_to_target": _mask(seen.first_hits[-1], hit[-1]),
        "steps_to_settle": _mask(seen.settled_since, seen.settled_since >= 0),
        "gradient_evals_to_target": _mask(seen.gradient_evals_to_target, hit[-1]),
        "function_evals_to_target": _mask(seen.function_evals_to_target, hit[-1]),
        **{name: _mask(seen.first_hits[i], hit[i]) for i, name in enumerate(LADDER)},
        "grad_norm": mask_nan(result.grad_norm.astype(np.float64), ~nonfinite),
        "distance": mask_nan(result.distance.astype(np.float64), ~nonfinite),
        "linear_rate": mask_nan(_fit_rate(seen.first_hits[: len(LADDER)], hit[: len(LADDER)]), ~nonfinite & ~diverged),
        "gradient_evals": seen.gradients,
        "function_evals": seen.evaluations,
        "denormals": _mask(result.denormals, ~nonfinite),
        **(make_metric_columns(result.metrics, training, cell.target_metric) if result.metrics and training else {}),
    }


def _replace_hits(seen: Observations[Array], exact: Array) -> Observations[Array]:
    """The observations with the exact first hits of the run's own target, and the work before them, where known."""
    known, hits = exact[0] >= 0, seen.first_hits.copy()
    hits[-1] = np.where(known, exact[0], hits[-1])
    return seen._replace(
        first_hits=hits,
        gradient_evals_to_target=np.where(known, exact[1], seen.gradient_evals_to_target),
        function_evals_to_target=np.where(known, exact[2], seen.function_evals_to_target),
    )


def _decide_status(nonfinite: Array, diverged: Array, hit: Array, best_step: Array, steps: int, failed: Array) -> Array:
    """The first status that applies: failed, nonfinite, diverged, target, plateau, budget."""
    cases = [failed, nonfinite, diverged, hit, 2 * best_step <= steps]
    names: Array = np.array(["failed", "nonfinite", "diverged", "target", "plateau", "budget"], dtype=object)
    status: Array = names[np.select(cases, list(range(len(cases))), len(cases))]
    return status


def _is_below_minimum(cell: Cell, result: PassResult) -> Array:
    """Which runs refute the stated minimum: at or below it at the start, or in float64 below its rounding."""
    if cell.f_star is None:
        return np.zeros(len(result.start), dtype=bool)
    best = result.observations.best
    at_start = np.isfinite(result.start) & (result.start <= cell.f_star)
    if best.dtype != np.dtype(np.float64):
        return at_start
    with np.errstate(invalid="ignore"):
        return at_start | (cell.f_star - best > result.floor * (result.start - cell.f_star))


def _describe_errors(cell: Cell, result: PassResult, below: Array) -> Array:
    """The error of each run that refutes the stated minimum, None for all others."""
    if not below.any():
        return make_constant(None, len(below))
    errors = np.full(len(below), None, dtype=object)
    for run in np.flatnonzero(below):
        if result.start[run] <= cell.f_star:
            start = float(result.start[run])
            errors[run] = f"the start's loss {start!r} is not above the stated minimum {cell.f_star!r}"
        else:
            best = float(result.observations.best[run])
            errors[run] = f"loss {best!r} is below the stated minimum {cell.f_star!r}: the minimum is wrong"
    return errors


def _fit_rate(first_hits: Array, hit: Array) -> Array:
    """exp of the least-squares slope of ln(target) against first-hit step; NaN where too few targets were hit."""
    rates = np.full(hit.shape[1], np.nan)
    enough = np.flatnonzero(hit.sum(0) >= LEAST_HITS)
    hit, logs = hit[:, enough], np.log(np.array([*LADDER.values()]))[:, None]
    steps = np.where(hit, first_hits[:, enough], 0.0)
    centred = np.where(hit, steps - steps.sum(0) / hit.sum(0), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):  # targets that are all hit in one step have no slope
        rates[enough] = np.exp((centred * logs).sum(0) / (centred**2).sum(0))
    return rates


def _mask(values: Array, present: Array) -> Array:
    """Values where they are present, null elsewhere."""
    return np.ma.masked_array(values, mask=~present)


def mask_nan(values: Array, present: Array | bool = True) -> Array:
    """Values where they are present and not NaN, null elsewhere."""
    return np.ma.masked_array(values, mask=np.isnan(values) | ~np.broadcast_to(present, values.shape))
