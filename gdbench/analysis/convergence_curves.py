"""Convergence step by step: the median over seeds, with the quartiles around it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from gdbench.results.run_outcomes import to_floats

__all__ = ["QUARTILES", "compute_convergence_curves"]

QUARTILES: dict[str, tuple[float, Literal["lower", "higher"]]] = {
    "middle": (0.5, "higher"),
    "lo": (0.25, "lower"),
    "hi": (0.75, "higher"),
}
"""Which quantile, and the run on which side of it: each is a value that a run really had, and a band holds half."""


def compute_convergence_curves(compared: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """The gap of each configuration at the recorded steps: median and quartiles over its runs.

    Of compared runs and their traces. Columns: problem, solver, configuration, step, gap, lo, hi, floor (the largest
    gap_floor), runs, ended (runs that were no longer finite there; their gap is inf from then on, so that a median over
    several is that of all runs, not of the survivors), and what a step costs: gradients and seconds (medians; seconds
    are null where nothing was timed). Where the minimum is unknown the gap is null, and ``loss``, the median loss,
    speaks; lo and hi are then the quartiles of the loss.
    """
    keys = ["problem", "solver", "configuration"]
    lines = traces[["run_id", "step", "loss", "gap"]].merge(compared[["run_id", *keys]], on="run_id")
    table = _fill_missing_steps(lines, keys)
    groups = table.groupby([*keys, "step"], sort=False, observed=True)
    gaps, losses = (_compute_quartiles(groups[name]) for name in ("gap", "loss"))
    counted = groups.agg(runs=("run_id", "size"), ended=("ended", "sum"))
    middles = {"gap": gaps["middle"], "loss": losses["middle"]}
    sides = gaps[["lo", "hi"]].where(gaps["middle"].notna(), losses[["lo", "hi"]])
    curves = pd.DataFrame(middles).join(sides).join(counted).reset_index()
    return curves.merge(_compute_step_costs(compared, keys), on=keys, how="left")


def _compute_quartiles(values: Any) -> pd.DataFrame:
    """The QUARTILES of the values of each group."""
    return pd.DataFrame({name: values.quantile(q, interpolation=side) for name, (q, side) in QUARTILES.items()})


def _fill_missing_steps(lines: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Every run of a configuration at every step that one of them recorded; inf after a run's end."""
    steps = lines[[*keys, "step"]].drop_duplicates()
    runs = lines[[*keys, "run_id"]].drop_duplicates()
    whole = runs.merge(steps, on=keys).merge(
        lines[["run_id", "step", "loss", "gap"]], on=["run_id", "step"], how="left"
    )
    has_gap = whole["run_id"].isin(lines.loc[lines["gap"].notna(), "run_id"])
    ended = ~np.isfinite(whole["loss"])
    whole["loss"] = whole["loss"].where(~ended, np.inf)
    whole["gap"] = whole["gap"].where(~ended, np.inf).where(has_gap)
    return whole.assign(ended=ended).sort_values([*keys, "step"], kind="stable")


def _compute_step_costs(compared: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """What a step costs in gradients and seconds, and the resolution, of each configuration."""
    ended = to_floats(compared, "status_step").clip(lower=1.0).where(compared["status"] == "nonfinite")
    costs = compared[keys].assign(
        gradients=to_floats(compared, "gradient_evals") / ended.fillna(to_floats(compared, "steps")),
        seconds=to_floats(compared, "step_s"),
        floor=to_floats(compared, "gap_floor"),
    )
    groups = costs.groupby(keys, sort=False, observed=True)
    return groups.agg(
        gradients=("gradients", "median"), seconds=("seconds", "median"), floor=("floor", "max")
    ).reset_index()
