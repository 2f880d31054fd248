"""Which runs make the lines of a picture: the best configuration of each optimizer, or of each value of settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from gdbench.analysis import best_configuration as chosen
from gdbench.errors import UsageError
from gdbench.results import costs
from gdbench.results.columns import asked
from gdbench.results.run_settings import distinct_texts, problem_names

__all__ = ["Lines", "choose_lines"]

MANY = 5
"""So many values of a number are drawn in an order of colours, rather than in colours that are told apart."""
BARE = ("impl", "dtype", "device", "schedule", "clip", "noise")
"""Settings whose values say what they are."""


class Lines(NamedTuple):
    """Compared runs of the configurations that are drawn; ``solver`` names their lines."""

    runs: pd.DataFrame
    solvers: tuple[str, ...]
    """The lines in the order of their legend."""
    leading: list[str]
    """The lines by their mean place, the best first."""
    chosen: bool
    """Whether the lines are those of settings."""
    places: Mapping[str, tuple[float, int]] = {}
    """Of lines of many values of one numeric setting: where from 0 to 1 each stands in their order, and the number of
    its group, which all else that tells lines apart makes."""


def choose_lines(runs: pd.DataFrame, by: Sequence[str]) -> Lines:
    """The runs of the best configuration of each optimizer on each problem, for each value of the settings ``by``.

    Problems that differ in ``by`` alone, as by a dtype, are one. Raises UsageError for what is no setting.
    """
    _check_settings(runs, by)
    told = costs.compared(runs)
    told = told.assign(solver=told["optimizer"].astype(object)) if "impl" in by else chosen.merged(told)
    columns = [name for name in by if name != "optimizer"]
    order = tuple(dict.fromkeys(told["solver"]))
    places: Mapping[str, tuple[float, int]] = {}
    if columns:
        solvers = told["solver"]
        told, order = _labelled(told, columns)
        places = _place_values(told["solver"], [solvers, *(told[name] for name in columns)])
    best = chosen.tuned(told)
    drawn = told.merge(best[["problem", "solver", "configuration"]], on=["problem", "solver", "configuration"])
    if columns:
        alike = drawn.assign(**{name: drawn[name].iloc[0] for name in columns})
        drawn = drawn.assign(problem=problem_names(alike))
    return Lines(drawn, order, chosen.leading(best), bool(columns), places)


def _check_settings(runs: pd.DataFrame, by: Sequence[str]) -> None:
    allowed = [name for name in map(str, runs) if asked(name) and name != "objective"]
    for name in by:
        if name not in allowed:
            differing = [name for name in allowed if runs[name].nunique(dropna=False) > 1]
            raise UsageError(
                f"by={name!r} is no setting of these runs. Those that differ: {', '.join(differing) or 'none'}."
            )


def _labelled(told: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Runs whose solver is named by their values in columns, and these names in the order of the values."""
    named = told["solver"].nunique() > 1
    parts = [_words(name, told[name]) for name in columns]
    words = [list(told["solver"]) if named else [""] * len(told), *parts]
    labels = [" ".join(filter(None, each)) for each in zip(*words, strict=True)]
    ranks = pd.factorize(told["solver"])[0].tolist()
    keys = zip(ranks, *(told[name] for name in columns), strict=True)
    place = {label: tuple(map(_sortable, key)) for label, key in zip(labels, keys, strict=True)}
    return told.assign(solver=pd.Series(labels, index=told.index, dtype=object)), tuple(
        sorted(place, key=place.__getitem__)
    )


def _place_values(labels: pd.Series, keys: Sequence[pd.Series]) -> dict[str, tuple[float, int]]:
    """The place of each label in the order of the numeric key, if one alone has many values, and its group by the rest.

    Empty where no key, or more than one, is numeric with many values: a colour can follow one order only.
    """
    many = [key for key in keys if key.dtype.kind in "if" and key.nunique() >= MANY]
    if len(many) != 1:
        return {}
    values = many[0].rank(method="dense") - 1
    others = pd.concat([key.astype(str) for key in keys if key is not many[0]], axis=1)
    groups = others.groupby(list(others), sort=False, dropna=False).ngroup() if len(others.columns) else values * 0
    entries = zip(labels, values / values.max(), groups, strict=True)
    return {str(label): (float(place), int(group)) for label, place, group in entries if place == place}


def _words(name: str, values: pd.Series) -> list[str]:
    """What a legend says of the values of a setting: lr 0.1, float32, condition 100."""
    word = "" if name in BARE else f"{name.rpartition('.')[2].replace('_', ' ')} "
    return [word + text if text else "" for text in distinct_texts(values)]


def _sortable(value: Any) -> tuple[str, Any]:
    """A value that can stand in one order with values of other types."""
    if value is None or value is pd.NA or value != value:
        return ("", 0)
    return ("text", value) if isinstance(value, str) else ("number", value)
