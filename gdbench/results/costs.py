"""What is compared with what: problems, solvers, their configurations, and what each run cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gdbench.errors import UsageError
from gdbench.results.ranking import may_win, numbers, runs_that_stay
from gdbench.results.run_settings import configuration_names, problem_names

__all__ = [
    "COSTS",
    "IMPL_ORDER",
    "NAMED",
    "compared",
    "costs",
    "name_questions",
    "numbers",
    "rung_costs",
]

COSTS = {"steps": "steps_to_target", "gradients": "gradient_evals_to_target", "seconds": "time_to_target_s"}
LEAST = {"steps": 1.0, "gradients": 1.0, "seconds": 1e-9}
"""What a solution costs at least, so that ratios of costs exist: one step, one gradient, the clock's resolution."""
IMPL_ORDER = ("manual", "torch", "foreach", "fused", "compiled")
NAMED = ("objective", "optimizer", "impl", "status")
"""What a run must say of itself to be compared."""
RUNGS = {f"hit_1e-{power:02d}": 10.0**-power for power in range(1, 13)}


def compared(runs: pd.DataFrame, apart: Sequence[str] = ()) -> pd.DataFrame:
    """The runs that a comparison is made of, with ``problem``, ``solver`` and ``configuration``.

    A problem is an objective with its numbers, dtype, device, threads, start noise, steps and target; a solver is an
    optimizer and its impl; a configuration is its lr, its other numbers, and the schedule, clipping and noise around it
    (``gdbench.results.run_settings``). The names show what differs in these runs. Of
    runs that are the same question, the latest counts; where the seed changes nothing, one of them. Left out are runs
    that were unavailable, and those whose weight decay moves the minimum. Runs that differ in the columns
    ``apart`` are never the same question. Raises UsageError where a run does not say what it is of.
    """
    _check_named(runs)
    moved = runs["shifted_minimum"].fillna(False).astype(bool)
    return name_questions(runs[~moved & (runs["status"] != "unavailable")], apart)


def name_questions(runs: pd.DataFrame, apart: Sequence[str] = ()) -> pd.DataFrame:
    """Runs with ``problem``, ``solver`` and ``configuration``, each question once: ``compared``, and none left out."""
    told = _keep_choices(runs).sort_values("started_at", kind="stable")
    told = told.drop_duplicates(["run_id", *apart], keep="last").sort_index()
    told = told.assign(
        problem=problem_names(told),
        solver=(told["optimizer"] + " " + told["impl"]).astype(object),
        configuration=configuration_names(told),
    )
    idle = ~told["seed_used"].fillna(True).astype(bool)
    again = told.duplicated(["problem", "solver", "configuration", *apart])
    return told[~(idle & again)]


def _keep_choices(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs of which all that are one question say what tune said of any of them: it may be asked again later."""
    if "tuned_place" not in runs or not runs["tuned_place"].notna().any():
        return runs
    chosen = runs[runs["tuned_place"].notna()].drop_duplicates("run_id").set_index("run_id")
    return runs.assign(**{name: runs["run_id"].map(chosen[name]) for name in ("tuned_place", "tuned_for")})


def _check_named(runs: pd.DataFrame) -> None:
    lacking = [name for name in NAMED if name not in runs or runs[name].isna().any()]
    if lacking:
        count = int(runs[lacking[0]].isna().sum()) if lacking[0] in runs else len(runs)
        raise UsageError(
            f"{count} of {len(runs)} runs have no {lacking[0]} (columns {', '.join(NAMED)} must be filled): their table"
            " is not gdbench's, or of a version before its first release. Leave its folder out."
        )


def costs(told: pd.DataFrame, cost: str = "gradients") -> pd.DataFrame:
    """What each compared run paid to its target, in steps, gradients or seconds; inf where it did not solve.

    A run solves if it reaches its target and ends at or below it: one that left again did not.

    Columns: problem, solver, configuration, lr, seed, seed_matters, cost, spent (what a run paid in all) and shortfall
    (its final gap, else final loss; inf where it may not win), which orders the runs that did not solve.
    """
    paid = numbers(told, COSTS[cost]).clip(lower=LEAST[cost])
    sound = may_win(told)
    gap = numbers(told, "final_gap").clip(lower=numbers(told, "gap_floor").fillna(0.0))
    return pd.DataFrame(
        {
            **{name: told[name] for name in ("problem", "solver", "configuration", "lr", "seed")},
            "seed_matters": told["seed_used"].fillna(True).astype(bool),
            "cost": paid.where(sound & paid.notna() & runs_that_stay(told), np.inf),
            "spent": _spent(told, cost),
            "shortfall": gap.fillna(numbers(told, "final_loss")).where(sound, np.inf).fillna(np.inf),
        }
    )


def rung_costs(told: pd.DataFrame, cost: str = "gradients") -> pd.DataFrame:
    """``costs`` for every rung of the ladder that the dtype can tell: one row a run and ``target``.

    Here a first hit counts, whether a run stays or leaves again. Steps to a rung are exact. Gradients and seconds are
    those of the whole run, divided evenly among its steps.
    """
    base = costs(told, cost)
    per_step = base["spent"] / numbers(told, "steps") if cost != "steps" else 1.0
    sound, floor = may_win(told), numbers(told, "gap_floor")
    rungs = []
    for name, target in RUNGS.items():
        hit = numbers(told, name)
        paid = (hit * per_step).clip(lower=LEAST[cost]).where(sound & hit.notna(), np.inf)
        rungs.append(base.assign(target=target, cost=paid)[floor.le(target)])
    return pd.concat(rungs)


def _spent(told: pd.DataFrame, cost: str) -> pd.Series:
    if cost == "seconds":
        return numbers(told, "steps") * numbers(told, "step_s")
    return numbers(told, "steps" if cost == "steps" else "gradient_evals")
