"""Convergence step by step: the median over seeds, with the quartiles around it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from gdbench.results.ranking import numbers

__all__ = ["QUARTILES", "convergence"]

QUARTILES: dict[str, tuple[float, Literal["lower", "higher"]]] = {
    "middle": (0.5, "higher"),
    "lo": (0.25, "lower"),
    "hi": (0.75, "higher"),
}
"""Which quantile, and the run on which side of it: each is a value that a run really had, and a band holds half."""


def convergence(told: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """The gap of each configuration at the recorded steps: median and quartiles over its runs.

    Of compared runs and their traces. Columns: problem, solver, configuration, step, gap, lo, hi, floor (the largest
    gap_floor), runs, ended (runs that were no longer finite there; their gap is inf from then on, so that a median over
    several is that of all runs, not of the survivors), and what a step costs: gradients and seconds (medians; seconds
    are null where nothing was timed). Where the minimum is unknown the gap is null, and ``loss``, the median loss,
    speaks; lo and hi are then the quartiles of the loss.
    """
    keys = ["problem", "solver", "configuration"]
    lines = traces[["run_id", "step", "loss", "gap"]].merge(told[["run_id", *keys]], on="run_id")
    table = _full(lines, keys)
    groups = table.groupby([*keys, "step"], sort=False, observed=True)
    gaps, losses = (_quartiles(groups[name]) for name in ("gap", "loss"))
    counted = groups.agg(runs=("run_id", "size"), ended=("ended", "sum"))
    middles = {"gap": gaps["middle"], "loss": losses["middle"]}
    sides = gaps[["lo", "hi"]].where(gaps["middle"].notna(), losses[["lo", "hi"]])
    curves = pd.DataFrame(middles).join(sides).join(counted).reset_index()
    return curves.merge(_prices(told, keys), on=keys, how="left")


def _quartiles(values: Any) -> pd.DataFrame:
    """The QUARTILES of the values of each group."""
    return pd.DataFrame({name: values.quantile(q, interpolation=side) for name, (q, side) in QUARTILES.items()})


def _full(lines: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
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


def _prices(told: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """What a step costs in gradients and seconds, and the resolution, of each configuration."""
    ended = numbers(told, "status_step").clip(lower=1.0).where(told["status"] == "nonfinite")
    each = told[keys].assign(
        gradients=numbers(told, "gradient_evals") / ended.fillna(numbers(told, "steps")),
        seconds=numbers(told, "step_s"),
        floor=numbers(told, "gap_floor"),
    )
    groups = each.groupby(keys, sort=False, observed=True)
    return groups.agg(
        gradients=("gradients", "median"), seconds=("seconds", "median"), floor=("floor", "max")
    ).reset_index()
