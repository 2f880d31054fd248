"""Charts, one per module: a table of ``gdbench.analysis`` in, a chart out; here how their tables are prepared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

__all__ = ["NO_CONTOURS", "NO_MINIMISERS", "bounding_box", "select_paths", "stack_views"]

VIEWS = ("learning rate tuned per problem", "one learning rate for all problems")
NO_CONTOURS = pd.DataFrame(columns=["line", "point", "x", "y"])
NO_MINIMISERS = pd.DataFrame(columns=["x", "y"])


def stack_views(
    tuned: pd.DataFrame, one_lr: pd.DataFrame, compute: Callable[[pd.DataFrame], pd.DataFrame]
) -> pd.DataFrame:
    """A profile in both VIEWS, distinguished by the column ``view``."""
    tables = [compute(table).assign(view=view) for view, table in zip(VIEWS, (tuned, one_lr), strict=True)]
    return pd.concat(tables, ignore_index=True).assign(optimizer=lambda table: table["solver"])


def select_paths(runs: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """The finite recorded points of runs with two coordinates, of the first seed of each problem and solver."""
    points = traces[traces["x"].map(lambda x: x is not None and np.size(x) == 2)]
    first = runs.sort_values("seed", kind="stable").drop_duplicates(["problem", "solver"])
    table = points.merge(first[["run_id", "problem", "solver", "configuration"]], on="run_id")
    x = np.stack(table["x"].to_list()) if len(table) else np.empty((0, 2))
    table = table.assign(x=x[:, 0], y=x[:, 1], optimizer=table["solver"])
    finite = np.isfinite(table[["x", "y", "loss"]].to_numpy(float)).all(axis=1)
    paths: pd.DataFrame = table.loc[finite, ["problem", "optimizer", "configuration", "step", "x", "y", "loss"]]
    return paths


def bounding_box(paths: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """The range of x and of y: the middle 96% of the points and the start, with a margin of a quarter."""
    box = {}
    for name in ("x", "y"):
        low, high = paths[name].quantile([0.02, 0.98])
        start = paths.loc[paths["step"] == 0, name]
        low, high = min(low, start.min()), max(high, start.max())
        margin = 0.25 * (high - low) or 1.0
        box[name] = (float(low - margin), float(high + margin))
    return box
