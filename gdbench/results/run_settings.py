"""The settings of runs: which of them differ in a table, and what a problem and a configuration are called.

Terminal, report, tune, compare and the best of a sweep all go by these names. A setting is whatever was asked of a run.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.results.columns import ASKED, GROUPS, asked

__all__ = [
    "PROBLEM",
    "configuration_names",
    "differing_settings",
    "distinct_texts",
    "objective_names",
    "problem_names",
    "text_among",
]

PROBLEM = ("dtype", "device", "threads", "start_noise", "steps", "target", "target_loss")
"""What makes two questions on one objective two problems, beside the objective's own numbers."""
AROUND = ("schedule", "clip", "noise")
"""What is put around a method: a part of its configuration."""
ORDER = {name: place for place, name in enumerate(ASKED)}


def differing_settings(runs: pd.DataFrame) -> list[str]:
    """The settings that tell these runs apart, in the order of the columns, parameters behind their group.

    A parameter, such as ``schedule.over``, does so only among the runs of one option; null is a value. A seed that
    changes nothing tells nothing apart.
    """
    names = sorted((name for name in map(str, runs) if asked(name)), key=_place)
    return [name for name in names if _differs(runs, name)]


def objective_names(runs: pd.DataFrame) -> pd.Series:
    """The objective of each run and, of its numbers, those that differ: ``quadratic condition=100``."""
    return _with_parameters(runs, runs["objective"].astype(object), "objective", "=")


def problem_names(runs: pd.DataFrame) -> pd.Series:
    """The problem of each run: its objective, and of PROBLEM what differs among the runs of that."""
    names = objective_names(runs)
    for column in PROBLEM:
        if _varies(runs, column):
            word = "" if column in ("dtype", "device") else f"{column.replace('_', ' ')} "
            differs = _differs_within(runs, column, "objective")
            names = names + (f" {word}" + _texts(runs[column])).where(differs & runs[column].notna(), "")
    return names


def configuration_names(runs: pd.DataFrame) -> pd.Series:
    """The configuration of each run: its lr, and what differs among its optimizer's other numbers and around it."""
    names = ("lr " + _texts(runs["lr"])).where(runs["lr"].notna(), "no lr") + _scale_names(runs)
    names = _with_parameters(runs, names, "optimizer", " ")
    for group in AROUND:
        if _varies(runs, group):
            differs = _differs_within(runs, group, "optimizer")
            names = names.where(~differs, names + f" {group} " + _texts(runs[group]))
        names = _with_parameters(runs, names, group, " ")
    return names


def _scale_names(runs: pd.DataFrame) -> pd.Series:
    """What of a swept ``lr_scale`` stands behind the lr of each run; nothing where a run of its optimizer had an lr."""
    names = pd.Series("", index=runs.index, dtype=object)
    if "lr_scale" not in runs or not runs["lr_scale"].notna().any():
        return names
    scaled = runs.groupby("optimizer", observed=True)["lr_scale"].transform(lambda scales: scales.notna().all())
    for column in ("lr_scale", "lr_scale_of"):
        shown = scaled & _differs_within(runs, column, "optimizer")
        names = names.where(~shown, names + f" {column} " + _texts(runs[column]))
    return names


def distinct_texts(values: pd.Series, most: int = 17) -> list[str]:
    """Values as short texts, floats with the fewest digits, from four on, that keep different ones apart."""
    different = values.dropna().unique()
    floats = [value for value in different if isinstance(value, float)]
    enough = next((n for n in range(4, most) if len({f"{value:.{n}g}" for value in floats}) == len(floats)), most)
    return [_short_text(value, enough) for value in values]


def text_among(value: object, values: pd.Series) -> str:
    """A value as a short text that no other of ``values`` has; of a million numbers its neighbours decide."""
    if _is_null(value) or not isinstance(value, float):
        return _short_text(value, 0)
    numbers = np.unique(values.dropna().to_numpy(float))
    place = int(np.searchsorted(numbers, value))
    return distinct_texts(pd.Series([value, *numbers[max(0, place - 1) : place + 2]]))[0]


def _short_text(value: object, digits: int) -> str:
    if _is_null(value):
        return ""
    if not isinstance(value, float):
        return str(value)
    return _plain_exponent(f"{value:.{digits}g}")


def _place(name: str) -> tuple[int, str]:
    group, _, parameter = name.partition(".")
    return ORDER[group], parameter


def _differs(runs: pd.DataFrame, name: str) -> bool:
    group, _, parameter = name.partition(".")
    if parameter and group in GROUPS:
        values = runs.groupby(group, observed=True, dropna=False)[name].nunique(dropna=False)
        return bool((values > 1).any())
    if name == "seed" and not runs["seed_used"].fillna(False).any():
        return False
    return bool(runs[name].nunique(dropna=False) > 1)


def _varies(runs: pd.DataFrame, name: str) -> bool:
    """Whether a column has several values, null among them: of a million runs most settings have one."""
    return name in runs and bool(runs[name].nunique(dropna=False) > 1)


def _differs_within(runs: pd.DataFrame, name: str, group: str) -> pd.Series:
    """Of each run whether a column has several values, null among them, in the runs of its option of a group."""
    return runs.groupby(group, observed=True, dropna=False)[name].transform("nunique", dropna=False) > 1


def _with_parameters(runs: pd.DataFrame, names: pd.Series, group: str, sign: str) -> pd.Series:
    """Names, and behind each the parameters of its option that differ among the runs of that option."""
    for column in (name for name in map(str, runs) if name.startswith(f"{group}.") and _varies(runs, name)):
        differs = _differs_within(runs, column, group)
        names = names.where(~differs, names + f" {column.partition('.')[2]}{sign}" + _texts(runs[column]))
    return names


def _texts(values: pd.Series) -> pd.Series:
    """Values as texts that tell any two of them apart."""
    codes, different = pd.factorize(values, use_na_sentinel=False)
    texts = [_whole_text(value) for value in different]
    return pd.Series(np.array(texts, dtype=object)[codes], index=values.index, dtype=object)


def _whole_text(value: object) -> str:
    """A value with all its digits: twelve do for a number that was typed."""
    if _is_null(value):
        return "none"
    if not isinstance(value, float):
        return str(value)
    typed = f"{value:.12g}"
    return _plain_exponent(typed if float(typed) == value else repr(float(value)))


def _plain_exponent(text: str) -> str:
    """1e-6 for 1e-06: as people type it."""
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def _is_null(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and bool(np.isnan(value)))
