"""Selection of comparable runs, names of problems, solvers and configurations, and the cost of each run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gdbench.errors import UsageError, list_few
from gdbench.results.columns import LADDER
from gdbench.results.run_outcomes import compute_shortfalls, has_settled, is_eligible
from gdbench.results.run_settings import name_configurations, name_problems
from gdbench.results.values import to_floats

__all__ = [
    *("COST_COLUMNS", "IMPL_ORDER", "REQUIRED_COLUMNS", "add_configuration_names", "compute_costs"),
    *("compute_ladder_costs", "select_comparable"),
]

COST_COLUMNS = {"steps": "steps_to_target", "gradients": "gradient_evals_to_target", "seconds": "time_to_target_s"}
MIN_COSTS = {"steps": 1.0, "gradients": 1.0, "seconds": 1e-9}
"""Lower bounds of costs, so that ratios exist: one step, one gradient, the resolution of the clock."""
IMPL_ORDER = ("manual", "torch", "foreach", "fused", "compiled")
REQUIRED_COLUMNS = ("objective", "optimizer", "impl", "status")
"""Columns without which a run cannot be compared."""


def select_comparable(runs: pd.DataFrame, apart: Sequence[str] = ()) -> pd.DataFrame:
    """Comparable runs, with ``problem``, ``solver`` and ``configuration``.

    A problem is an objective with its parameters, dtype, device, threads, start noise, steps and target; a solver is an
    optimizer and its implementation; a configuration is lr, the other hyper-parameters, schedule, clipping, noise
    and averaging
    (``gdbench.results.run_settings``). Names show only what differs in these runs. Of runs with equal settings the
    latest counts, and of runs whose seed changes nothing, one. Excluded are unavailable runs and those whose weight
    decay shifts the minimum. Runs that differ in the columns ``apart`` are never merged. Raises UsageError where a run
    lacks one of REQUIRED_COLUMNS.
    """
    _check_required_columns(runs)
    moved = runs["shifted_minimum"].fillna(False).astype(bool)
    return add_configuration_names(runs[~moved & (runs["status"] != "unavailable")], apart)


def add_configuration_names(runs: pd.DataFrame, apart: Sequence[str] = ()) -> pd.DataFrame:
    """Runs with ``problem``, ``solver`` and ``configuration``, duplicates removed, but none excluded."""
    compared = _copy_choices(runs).sort_values("started_at", kind="stable")
    compared = compared.drop_duplicates(["run_id", *apart], keep="last").sort_index()
    compared = compared.assign(
        problem=name_problems(compared),
        solver=(compared["optimizer"].astype(str) + " " + compared["impl"].astype(str)).astype(object),
        configuration=name_configurations(compared),
    )
    idle = ~compared["seed_used"].fillna(True).astype(bool)
    again = compared.duplicated(["problem", "solver", "configuration", *apart])
    return compared[~(idle & again)]


def _copy_choices(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs in which duplicates of a run_id share tune's choice: the run may have been repeated since."""
    if "tuned_place" not in runs or not runs["tuned_place"].notna().any():
        return runs
    chosen = runs[runs["tuned_place"].notna()].drop_duplicates("run_id").set_index("run_id")
    return runs.assign(**{name: runs["run_id"].map(chosen[name]) for name in ("tuned_place", "tuned_for")})


def _check_required_columns(runs: pd.DataFrame) -> None:
    for name in REQUIRED_COLUMNS:
        is_lacking = runs[name].isna() if name in runs else pd.Series(True, runs.index)
        if is_lacking.any():
            lacking = runs[is_lacking]
            sweeps = lacking["sweep"].dropna().astype(str).unique() if "sweep" in lacking else ()
            where = list_few(sweeps) if len(sweeps) else runs.attrs.get("folder", "the table")
            raise UsageError(
                f"{where}: {len(lacking)} of {len(runs)} runs have no {name} (columns {', '.join(REQUIRED_COLUMNS)}"
                " must be filled): their table is not gdbench's, or of a version before its first release."
                " Leave its folder out."
            )


def compute_costs(compared: pd.DataFrame, cost: str = "gradients") -> pd.DataFrame:
    """Cost of each comparable run to its target, in steps, gradients or seconds; inf if it did not solve.

    A run solves if it reaches its target and ends at or below it. Columns: problem, solver, configuration, lr, seed,
    seed_matters, cost, spent (cost of the whole run) and shortfall (what ranks a run that missed; inf if ineligible).
    """
    paid = to_floats(compared, COST_COLUMNS[cost]).clip(lower=MIN_COSTS[cost])
    sound = is_eligible(compared)
    return pd.DataFrame(
        {
            **{name: compared[name] for name in ("problem", "solver", "configuration", "lr", "seed")},
            "seed_matters": compared["seed_used"].fillna(True).astype(bool),
            "cost": paid.where(sound & paid.notna() & has_settled(compared), np.inf),
            "spent": _compute_spent(compared, cost),
            "shortfall": compute_shortfalls(compared),
        }
    )


def compute_ladder_costs(compared: pd.DataFrame, cost: str = "gradients") -> pd.DataFrame:
    """``compute_costs`` for every target of the ladder above gap_floor: one row per run and ``target``.

    A first hit counts, whether or not the run stays. Steps are exact; gradients and seconds are those of the whole run
    divided evenly among its steps.
    """
    base = compute_costs(compared, cost)
    per_step = base["spent"] / to_floats(compared, "steps") if cost != "steps" else 1.0
    sound, floor = is_eligible(compared), to_floats(compared, "gap_floor")
    rungs = []
    for name, target in LADDER.items():
        hit = to_floats(compared, name)
        paid = (hit * per_step).clip(lower=MIN_COSTS[cost]).where(sound & hit.notna(), np.inf)
        rungs.append(base.assign(target=target, cost=paid)[floor.le(target)])
    return pd.concat(rungs)


def _compute_spent(compared: pd.DataFrame, cost: str) -> pd.Series:
    if cost == "seconds":
        return to_floats(compared, "steps") * to_floats(compared, "step_s")
    return to_floats(compared, "steps" if cost == "steps" else "gradient_evals")
