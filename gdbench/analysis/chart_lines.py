"""Selection of the runs drawn as lines of a chart: the best configuration per optimizer, or per value of settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from gdbench.analysis import best_configuration as chosen
from gdbench.errors import UsageError
from gdbench.results import costs
from gdbench.results.columns import is_setting
from gdbench.results.run_settings import format_distinct, name_problems

__all__ = ["ChartLines", "select_chart_lines"]

MIN_ORDERED = 5
"""Number of numeric values from which a sequential colour scale is used instead of distinct colours."""
SELF_EXPLANATORY = ("impl", "dtype", "device", "schedule", "clip", "noise", "average")
"""Settings whose values need no name in a legend."""


class ChartLines(NamedTuple):
    """Comparable runs of the configurations that are drawn; ``solver`` is the name of their line."""

    runs: pd.DataFrame
    solvers: tuple[str, ...]
    """Lines in legend order."""
    leading: list[str]
    """Lines by mean rank, best first."""
    chosen: bool
    """Whether lines stand for values of settings."""
    places: Mapping[str, tuple[float, int]] = {}
    """For many values of one numeric setting: position of each line in [0, 1] in their order, and the number of its
    group by all other settings."""


def select_chart_lines(runs: pd.DataFrame, by: Sequence[str]) -> ChartLines:
    """Runs of the best configuration of each optimizer on each problem, for each value of the settings ``by``.

    Problems that differ in ``by`` only, such as in dtype, are merged. Raises UsageError for a name that is no setting.
    """
    _check_settings(runs, by)
    compared = costs.select_comparable(runs)
    compared = (
        compared.assign(solver=compared["optimizer"].astype(object))
        if "impl" in by
        else chosen.select_best_impls(compared)
    )
    columns = [name for name in by if name != "optimizer"]
    order = tuple(dict.fromkeys(compared["solver"]))
    places: Mapping[str, tuple[float, int]] = {}
    if columns:
        solvers = compared["solver"]
        compared, order = _label_by_settings(compared, columns)
        places = _place_values(compared["solver"], [solvers, *(compared[name] for name in columns)])
    best = chosen.select_best_configurations(compared)
    drawn = compared.merge(best[["problem", "solver", "configuration"]], on=["problem", "solver", "configuration"])
    if columns:
        alike = drawn.assign(**{name: drawn[name].iloc[0] for name in columns})
        drawn = drawn.assign(problem=name_problems(alike))
    return ChartLines(drawn, order, chosen.rank_solvers(best), bool(columns), places)


def _check_settings(runs: pd.DataFrame, by: Sequence[str]) -> None:
    allowed = [name for name in map(str, runs) if is_setting(name) and name != "objective"]
    for name in by:
        if name not in allowed:
            differing = [name for name in allowed if runs[name].nunique(dropna=False) > 1]
            raise UsageError(
                f"by={name!r} is no setting of these runs. Those that differ: {', '.join(differing) or 'none'}."
            )


def _label_by_settings(compared: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Runs with ``solver`` named by their values in ``columns``, and these names in the order of the values."""
    named = compared["solver"].nunique() > 1
    parts = [_format_setting(name, compared[name]) for name in columns]
    words = [list(compared["solver"]) if named else [""] * len(compared), *parts]
    labels = [" ".join(filter(None, words_of_run)) for words_of_run in zip(*words, strict=True)]
    ranks = pd.factorize(compared["solver"])[0].tolist()
    keys = zip(ranks, *(compared[name] for name in columns), strict=True)
    place = {label: tuple(map(_make_sort_key, key)) for label, key in zip(labels, keys, strict=True)}
    return compared.assign(solver=pd.Series(labels, index=compared.index, dtype=object)), tuple(
        sorted(place, key=place.__getitem__)
    )


def _place_values(labels: pd.Series, keys: Sequence[pd.Series]) -> dict[str, tuple[float, int]]:
    """Position in [0, 1] of each label by the one numeric key with many values, and its group by the other keys.

    Empty where no key, or more than one, is numeric with MIN_ORDERED values: a colour scale can show one order only.
    """
    many = [key for key in keys if key.dtype.kind in "if" and key.nunique() >= MIN_ORDERED]
    if len(many) != 1:
        return {}
    values = many[0].rank(method="dense") - 1
    others = pd.concat([key.astype(str) for key in keys if key is not many[0]], axis=1)
    groups = others.groupby(list(others), sort=False, dropna=False).ngroup() if len(others.columns) else values * 0
    entries = zip(labels, values / values.max(), groups, strict=True)
    return {str(label): (float(place), int(group)) for label, place, group in entries if place == place}


def _format_setting(name: str, values: pd.Series) -> list[str]:
    """Legend texts of a setting's values: lr 0.1, float32, condition 100."""
    word = "" if name in SELF_EXPLANATORY else f"{name.rpartition('.')[2].replace('_', ' ')} "
    return [word + text if text else "" for text in format_distinct(values)]


def _make_sort_key(value: Any) -> tuple[str, Any]:
    """Sort key of a value that can be compared with values of other types."""
    if value is None or value is pd.NA or value != value:
        return ("", 0)
    return ("text", value) if isinstance(value, str) else ("number", value)
