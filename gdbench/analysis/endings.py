"""Where runs that diverge leave a picture: lines are drawn to there, so that what converged fills the rest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

__all__ = ["DIVERGING", "add_nonfinite_ends", "cut_curves", "cut_paths", "diverging_solvers"]

DIVERGING = ("nonfinite", "diverged")
"""Statuses of runs that left."""
ROOM = 100.0
"""How many times its start value a curve may rise on a log axis, before it leaves the picture."""
KEYS = ["problem", "solver", "configuration"]
Box = Mapping[str, tuple[float, float]]


def add_nonfinite_ends(told: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """The traces with a row of infinite loss at the step at which a run ceased to be finite, where none was recorded.

    A run that leaves between two recorded steps ends at the first of them; one that leaves in its first step has no
    other row. The row is added where all runs of a configuration had ended.
    """
    last = traces.groupby("run_id", sort=False)["step"].max().rename("last")
    table = told[[*KEYS, "run_id", "status", "status_step"]].merge(last, on="run_id")
    table = table.assign(event=table["status_step"].astype("Float64").where(table["status"] == "nonfinite"))
    groups = table.groupby(KEYS, sort=False, observed=True)
    step, recorded = groups["event"].transform("max"), groups["last"].transform("max")
    ended = table.assign(step=step)[table["event"].notna() & (step > recorded).fillna(False)]
    if ended.empty:
        return traces
    known = set(traces.loc[traces["gap"].notna(), "run_id"])
    gaps = [np.inf if run in known else np.nan for run in ended["run_id"]]
    rows = pd.DataFrame({"run_id": ended["run_id"], "step": ended["step"].astype("int64"), "loss": np.inf, "gap": gaps})
    return pd.concat([traces[["run_id", "step", "loss", "gap"]], rows], ignore_index=True)


def diverging_solvers(told: pd.DataFrame) -> pd.DataFrame:
    """Each problem, solver and configuration, and ``diverging``: whether a run of it diverged."""
    table = told.assign(diverging=told["status"].isin(DIVERGING))
    return table.groupby(KEYS, sort=False, observed=True)["diverging"].any().reset_index()


def cut_curves(curves: pd.DataFrame, diverging: pd.DataFrame) -> pd.DataFrame:
    """Curves of ``convergence_curves``, those that diverge up to where they first leave what the others fill.

    ``left`` marks the point at which one does, which lies at an edge of the picture.
    """
    table = curves.merge(diverging, on=KEYS, how="left").sort_values([*KEYS, "step"], kind="stable")
    known = table["gap"].notna()
    value = table["gap"].where(known, table["loss"])
    problems = table.groupby("problem", sort=False, observed=True)
    edges = {name: _edges(part, value[part.index]) for name, part in problems}
    low, high = (table["problem"].map({name: edge[side] for name, edge in edges.items()}) for side in (0, 1))
    outside = table["diverging"] & ~value.between(low, high)
    times = outside.groupby([table[name] for name in KEYS], observed=True).cumsum()
    shown = table[times.eq(0) | (outside & times.eq(1))].assign(left=outside)
    for name in ("gap", "loss", "lo", "hi"):
        shown[name] = shown[name].clip(low, high)
    return shown.drop(columns="diverging")


def _edges(part: pd.DataFrame, value: pd.Series) -> tuple[float, float]:
    """The lower and upper edge of a problem's picture: about the starts, and all that converges."""
    finite = value[np.isfinite(value)]
    if finite.empty:
        return -np.inf, np.inf
    starts, calm = finite[part["step"] == 0], finite[~part["diverging"]]
    start = finite.iloc[0] if starts.empty else starts.max()
    if (finite > 0).all():
        return -np.inf, float(max(ROOM * start, calm.max() if len(calm) else start))
    low = calm.min() if len(calm) else start - ROOM * max(abs(start), 1.0)
    return float(low), float(max(start + 0.25 * (start - low), calm.max() if len(calm) else start))


def cut_paths(paths: pd.DataFrame, box: Box, diverging: set[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The paths, those of ``diverging`` optimizers up to where they leave the box for good; and these last points."""
    parts, ends = [], []
    for name, path in paths.groupby("optimizer", sort=False, observed=True):
        part = _cut_path(path.sort_values("step"), box) if name in diverging else path
        parts.append(part)
        if name in diverging:
            ends.append(part.tail(1))
    return pd.concat(parts), pd.concat(ends) if ends else paths.head(0)


def _cut_path(path: pd.DataFrame, box: Box) -> pd.DataFrame:
    """A path up to the edge of the box that it crosses last."""
    points = path[["x", "y"]].to_numpy(float).clip(-1e300, 1e300)  # differences of more overflow
    low, high = (np.array([box[name][side] for name in ("x", "y")]) for side in (0, 1))
    inside = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
    if not len(inside) or inside[-1] == len(points) - 1:
        return path
    last = int(inside[-1])
    here, step = points[last], points[last + 1] - points[last]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shares = np.where(step > 0, (high - here) / step, (low - here) / step)
    edge = here + np.nanmin(np.where(step == 0, np.inf, shares)) * step
    cut = path.iloc[: last + 2].copy()
    cut.loc[cut.index[-1], ["x", "y"]] = np.clip(edge, low, high)
    return cut
