"""Convergence curves: median and quartiles of the gap over seeds at each recorded step."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from gdbench.results.values import to_floats

__all__ = ["QUARTILES", "compute_convergence_curves"]

QUARTILES: dict[str, tuple[float, Literal["lower", "higher"]]] = {
    "middle": (0.5, "higher"),
    "lo": (0.25, "lower"),
    "hi": (0.75, "higher"),
}
"""Quantile and interpolation side: each value is attained by a run, and the band contains half of the runs."""


def compute_convergence_curves(compared: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles of the gap of each configuration at the recorded steps.

    Input: comparable runs and their traces. Columns: problem, solver, configuration, step, gap, lo, hi, floor (largest
    gap_floor), runs, ended (runs that became nonfinite by then; their gap is inf from there on, so that the median is
    over all runs and not over the survivors), and the cost of a step: gradients and seconds (medians; seconds are null
    without timing). Where the minimum is unknown, gap is null and ``loss``, lo and hi are the median and quartiles of
    the loss.
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
    return pd.DataFrame({name: values.quantile(q, interpolation=side) for name, (q, side) in QUARTILES.items()})


def _fill_missing_steps(lines: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Every run of a configuration at every step recorded for any of them; inf after a run became nonfinite."""
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
    """Gradients and seconds per step, and the largest gap_floor, of each configuration."""
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
