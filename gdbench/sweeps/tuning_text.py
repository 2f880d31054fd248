"""The columns that tuning adds to the winner of a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gdbench.analysis.plateau import compute_near_bound
from gdbench.analysis.tuning_score import MISS, find_cost_class, is_cost_metric
from gdbench.config.axis import LIMITS
from gdbench.sweeps.adaptive import write_run_command
from gdbench.sweeps.search_axes import Point, Span

if TYPE_CHECKING:
    import pandas as pd
from gdbench.sweeps.tuning_row import Row

__all__ = ["describe_winner"]


def describe_winner(row: Row) -> pd.DataFrame:
    """A row's best run with all its columns and those of the search (``analysis.tuning_table.FOUND``)."""
    point = row.choice
    table, index = row.seen[point or next(iter(row.seen))]
    facts = {
        "metric": row.metric,
        "value": math.inf,
        **dict.fromkeys(("plateau_decades", "within_2x_decades", "spike_lr", "spike_value", "spike_command")),
        "edges": "",
        "trials": len(row.search.tried),
        "budget": row.search.trials,
        "telling": row.search.fewest_for_plateau,
        "rounds": row.search.rounds,
        "runs": row.runs,
        "seeds": len(set(row.job.spec.lanes()["seed"])),
        "axes": ", ".join(row.names),
        "command": None,
    }
    none = {name: math.nan for name in row.names if name in table}  # no value of an axis is the best
    return table.iloc[[index]].assign(**facts | (_describe_point(row, point) if point else none))


def _describe_point(row: Row, point: Point) -> dict[str, Any]:
    """The columns of a point that won."""
    score, (table, index) = row.search.tried[point], row.seen[point]
    near = compute_near_bound(score, find_cost_class) if is_cost_metric(row.metric) else 2 * score
    ends = [f"{name} {way}" for name, way in row.search.at_ends() if _has_more(row, name, way)]
    return {
        "value": math.inf if row.is_timed and not row.winner else float(table["value"].iloc[index]),
        "plateau_decades": _count_decades(row, point, score) if score < MISS else None,
        "within_2x_decades": _count_decades(row, point, near) if 0 < score < MISS else None,
        **_describe_spike(row),
        "edges": ", ".join(ends),
        "command": write_run_command(row.job, dict(zip(row.names, point, strict=True))),
    }


def _describe_spike(row: Row) -> dict[str, Any]:
    """The columns of an isolated lower point that was not chosen; empty without one. It is not timed."""
    point = row.search.spike()
    if point is None or row.is_timed:
        return {}
    numbers, (table, index) = dict(zip(row.names, point, strict=True)), row.seen[point]
    return {
        "spike_lr": float(table["lr"].iloc[index]),
        "spike_value": float(table["value"].iloc[index]),
        "spike_command": write_run_command(row.job, numbers),
    }


def _count_decades(row: Row, point: Point, within: float) -> float | None:
    """The decades of lr around a point, as far as tried, in which the score stays within a bound."""
    if row.search.plateau_axis is None or row.search.trials < row.search.fewest_for_plateau:
        return None
    low, high = row.search.along(row.names[row.search.plateau_axis], point, within)
    return math.log10(high / low)


def _has_more(row: Row, name: str, way: str) -> bool:
    """Whether an axis has values beyond the end that was reached."""
    axis = next(axis for axis in row.search.axes if axis.name == name)
    low, _, _ = LIMITS.get(name.removeprefix("optimizer."), (-math.inf, math.inf, ""))
    return not (isinstance(axis, Span) and way == "smaller" and axis.low <= low)
