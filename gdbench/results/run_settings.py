"""Settings that differ between runs, and the names of problems and configurations made from them.

Used by terminal, report, tune, compare and the index.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.results.columns import SETTING_GROUPS, SETTINGS, is_setting
from gdbench.results.values import is_null

__all__ = [
    *("PROBLEM_SETTINGS", "find_differing_settings", "format_among", "format_distinct", "name_configurations"),
    *("name_objectives", "name_problems"),
]

PROBLEM_SETTINGS = (
    *("dtype", "device", "threads", "start_noise", "steps"),
    *("target", "target_loss", "target_metric", "judge_every", "exact", "selection_metric"),
)
"""Columns that distinguish problems on one objective, in addition to the objective's parameters."""
WRAPPER_GROUPS = ("schedule", "clip", "noise", "average")
"""Groups of settings that wrap a method; part of its configuration."""
SETTING_ORDER = {name: place for place, name in enumerate(SETTINGS)}


def find_differing_settings(runs: pd.DataFrame) -> list[str]:
    """Settings that differ between runs, in column order, parameters after their group.

    A parameter, such as ``schedule.over``, is compared only among the runs of one option; null is a value. A seed
    without effect does not differ.
    """
    names = sorted((name for name in map(str, runs) if is_setting(name)), key=_make_sort_key)
    return [name for name in names if _is_differing(runs, name)]


def name_objectives(runs: pd.DataFrame) -> pd.Series:
    """Objective of each run with its differing parameters: ``quadratic condition=100``."""
    return _add_parameters(runs, runs["objective"].astype(object), "objective", "=")


def name_problems(runs: pd.DataFrame) -> pd.Series:
    """Problem of each run: its objective, and those of PROBLEM_SETTINGS that differ among its runs."""
    names = name_objectives(runs)
    for column in PROBLEM_SETTINGS:
        if _is_varying(runs, column):
            word = "" if column in ("dtype", "device") else f"{column.replace('_', ' ')} "
            differs = _is_varying_within(runs, column, "objective")
            names = names + (f" {word}" + _format_column(runs[column])).where(differs & runs[column].notna(), "")
    return names


def name_configurations(runs: pd.DataFrame) -> pd.Series:
    """Configuration of each run: lr, and differing hyper-parameters, schedule, clip, noise and average."""
    names = ("lr " + _format_column(runs["lr"])).where(runs["lr"].notna(), "no lr") + _name_lr_scales(runs)
    names = _add_parameters(runs, names, "optimizer", " ")
    for group in WRAPPER_GROUPS:
        if _is_varying(runs, group):
            differs = _is_varying_within(runs, group, "optimizer")
            names = names.where(~differs, names + f" {group} " + _format_column(runs[group]))
        names = _add_parameters(runs, names, group, " ")
    return names


def _name_lr_scales(runs: pd.DataFrame) -> pd.Series:
    """Suffix with a swept lr_scale; empty where a run of the same optimizer was given an lr."""
    names = pd.Series("", index=runs.index, dtype=object)
    if "lr_scale" not in runs or not runs["lr_scale"].notna().any():
        return names
    scaled = runs.groupby("optimizer", observed=True)["lr_scale"].transform(lambda scales: scales.notna().all())
    for column in ("lr_scale", "lr_scale_of"):
        shown = scaled & _is_varying_within(runs, column, "optimizer")
        names = names.where(~shown, names + f" {column} " + _format_column(runs[column]))
    return names


def format_distinct(values: pd.Series, most: int = 17) -> list[str]:
    """Short texts of values; floats with the fewest digits, at least four, that keep them distinct."""
    different = values.dropna().unique()
    floats = [value for value in different if isinstance(value, float)]
    enough = next((n for n in range(4, most) if len({f"{value:.{n}g}" for value in floats}) == len(floats)), most)
    return [_format_short(value, enough) for value in values]


def format_among(value: object, values: pd.Series) -> str:
    """Short text of a value that no other of ``values`` has; only its neighbours are compared."""
    if is_null(value) or not isinstance(value, float):
        return _format_short(value, 0)
    numbers = np.unique(values.dropna().to_numpy(float))
    place = int(np.searchsorted(numbers, value))
    return format_distinct(pd.Series([value, *numbers[max(0, place - 1) : place + 2]]))[0]


def _format_short(value: object, digits: int) -> str:
    if is_null(value):
        return ""
    if not isinstance(value, float):
        return str(value)
    return _shorten_exponent(f"{value:.{digits}g}")


def _make_sort_key(name: str) -> tuple[int, str]:
    group, _, parameter = name.partition(".")
    return SETTING_ORDER[group], parameter


def _is_differing(runs: pd.DataFrame, name: str) -> bool:
    if not _is_varying(runs, name):
        return False
    group, _, parameter = name.partition(".")
    if parameter and group in SETTING_GROUPS:
        values = runs.groupby(group, observed=True, dropna=False)[name].nunique(dropna=False)
        return bool((values > 1).any())
    return name != "seed" or bool(runs["seed_used"].fillna(False).any())


def _is_varying(runs: pd.DataFrame, name: str) -> bool:
    """Whether a column has several values, null included: of a million runs most settings have one."""
    return name in runs and bool(runs[name].nunique(dropna=False) > 1)


def _is_varying_within(runs: pd.DataFrame, name: str, group: str) -> pd.Series:
    """Per run, whether a column has several values, null included, among the runs of its group's option."""
    groups, values = (pd.factorize(runs[column], use_na_sentinel=False)[0] for column in (group, name))
    first = values[np.unique(groups, return_index=True)[1]]
    varying = np.isin(groups, groups[values != first[groups]])
    return pd.Series(varying, index=runs.index)


def _add_parameters(runs: pd.DataFrame, names: pd.Series, group: str, sign: str) -> pd.Series:
    """Names with the parameters of their group's option that differ among the runs of that option."""
    for column in (name for name in map(str, runs) if name.startswith(f"{group}.") and _is_varying(runs, name)):
        differs = _is_varying_within(runs, column, group)
        if differs.any():
            names = names.where(~differs, names + f" {column.partition('.')[2]}{sign}" + _format_column(runs[column]))
    return names


def _format_column(values: pd.Series) -> pd.Series:
    """Texts that distinguish any two values."""
    codes, different = pd.factorize(values, use_na_sentinel=False)
    texts = [_format_exact(value) for value in different]
    return pd.Series(np.array(texts, dtype=object)[codes], index=values.index, dtype=object)


def _format_exact(value: object) -> str:
    """Value with all its digits: twelve suffice for a typed number."""
    if is_null(value):
        return "none"
    if not isinstance(value, float):
        return str(value)
    typed = f"{value:.12g}"
    return _shorten_exponent(typed if float(typed) == value else repr(float(value)))


def _shorten_exponent(text: str) -> str:
    """1e-6 for 1e-06."""
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa
