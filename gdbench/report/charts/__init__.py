"""One chart a module: a table as ``gdbench.analysis`` makes it in, an Altair chart out; here what goes before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

__all__ = ["NO_LINES", "NO_STARS", "VIEWS", "both_views", "box", "paths"]

VIEWS = ("learning rate tuned per problem", "one learning rate for all problems")
NO_LINES = pd.DataFrame(columns=["line", "point", "x", "y"])
NO_STARS = pd.DataFrame(columns=["x", "y"])


def both_views(tuned: pd.DataFrame, one_lr: pd.DataFrame, make: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """A profile in both VIEWS, named by ``view``; what is drawn is by ``optimizer``."""
    tables = zip(VIEWS, (tuned, one_lr), strict=True)
    told = pd.concat([make(each).assign(view=name) for name, each in tables], ignore_index=True)
    return told.assign(optimizer=told["solver"])


def paths(runs: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """The recorded points of runs with two coordinates, finite ones, the first seed of each problem and solver."""
    points = traces[traces["x"].map(lambda each: each is not None and np.size(each) == 2)]
    first = runs.sort_values("seed", kind="stable").drop_duplicates(["problem", "solver"])
    told = points.merge(first[["run_id", "problem", "solver", "configuration"]], on="run_id")
    x = np.stack(told["x"].to_list()) if len(told) else np.empty((0, 2))
    told = told.assign(x=x[:, 0], y=x[:, 1], optimizer=told["solver"])
    finite = np.isfinite(told[["x", "y", "loss"]].to_numpy(float)).all(axis=1)
    told = told[["problem", "optimizer", "configuration", "step", "x", "y", "loss"]]
    shown: pd.DataFrame = told[finite]
    return shown


def box(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Where paths go: the middle 96% of their points and the start, and a margin."""
    found = {}
    for name in ("x", "y"):
        low, high = table[name].quantile([0.02, 0.98])
        start = table.loc[table["step"] == 0, name]
        low, high = min(low, start.min()), max(high, start.max())
        margin = 0.25 * (high - low) or 1.0
        found[name] = (float(low - margin), float(high + margin))
    return found
