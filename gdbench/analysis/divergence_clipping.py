"""Clipping of diverging curves and paths to the plot area, so that converging ones fill it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from gdbench.results.statuses import DIVERGING

__all__ = ["add_nonfinite_steps", "clip_curves", "clip_paths", "find_diverging"]

MAX_RISE = 100.0
"""Factor over the start value up to which a curve is drawn on a log axis."""
KEYS = ["problem", "solver", "configuration"]
Box = Mapping[str, tuple[float, float]]


def add_nonfinite_steps(compared: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """Traces with a row of infinite loss at the step where a run became nonfinite, if none was recorded there.

    A run that becomes nonfinite between two recorded steps ends at the first of them; one that does so in its first
    step has no other row. The row is added where all runs of a configuration have ended.
    """
    last = traces.groupby("run_id", sort=False)["step"].max().rename("last")
    table = compared[[*KEYS, "run_id", "status", "status_step"]].merge(last, on="run_id")
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


def find_diverging(compared: pd.DataFrame) -> pd.DataFrame:
    """Each problem, solver and configuration with ``diverging``: whether any of its runs diverged."""
    table = compared.assign(diverging=compared["status"].isin(DIVERGING))
    return table.groupby(KEYS, sort=False, observed=True)["diverging"].any().reset_index()


def clip_curves(curves: pd.DataFrame, diverging: pd.DataFrame) -> pd.DataFrame:
    """Convergence curves; the diverging ones end at their first point outside the range of the others.

    ``left`` marks that point; its values are clipped to the plot limits.
    """
    table = curves.merge(diverging, on=KEYS, how="left").sort_values([*KEYS, "step"], kind="stable")
    known = table["gap"].notna()
    value = table["gap"].where(known, table["loss"])
    problems = table.groupby("problem", sort=False, observed=True)
    edges = {name: _find_limits(part, value[part.index]) for name, part in problems}
    low, high = (table["problem"].map({name: edge[side] for name, edge in edges.items()}) for side in (0, 1))
    outside = table["diverging"] & ~value.between(low, high)
    times = outside.groupby([table[name] for name in KEYS], observed=True).cumsum()
    shown = table[times.eq(0) | (outside & times.eq(1))].assign(left=outside)
    for name in ("gap", "loss", "lo", "hi"):
        shown[name] = shown[name].clip(low, high)
    return shown.drop(columns="diverging")


def _find_limits(part: pd.DataFrame, value: pd.Series) -> tuple[float, float]:
    """Lower and upper plot limit of a problem: around the start values and everything that converges."""
    finite = value[np.isfinite(value)]
    if finite.empty:
        return -np.inf, np.inf
    starts, calm = finite[part["step"] == 0], finite[~part["diverging"]]
    start = finite.iloc[0] if starts.empty else starts.max()
    if (finite > 0).all():
        return -np.inf, float(max(MAX_RISE * start, calm.max() if len(calm) else start))
    low = calm.min() if len(calm) else start - MAX_RISE * max(abs(start), 1.0)
    return float(low), float(max(start + 0.25 * (start - low), calm.max() if len(calm) else start))


def clip_paths(paths: pd.DataFrame, box: Box, diverging: set[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Paths, those of ``diverging`` optimizers up to where they finally leave the box; and these last points."""
    parts, ends = [], []
    for name, path in paths.groupby("optimizer", sort=False, observed=True):
        part = _clip_path(path.sort_values("step"), box) if name in diverging else path
        parts.append(part)
        if name in diverging:
            ends.append(part.tail(1))
    return pd.concat(parts), pd.concat(ends) if ends else paths.head(0)


def _clip_path(path: pd.DataFrame, box: Box) -> pd.DataFrame:
    """Path up to its last crossing of the box's edge, with the crossing point interpolated linearly."""
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
