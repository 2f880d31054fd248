"""Report section on training workloads: curves on train and held-out data, and the best metric of k trials."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis import training_metrics, training_results, training_trials
from gdbench.analysis.step_times import count_processes
from gdbench.analysis.training_results import LOSS
from gdbench.errors import format_count
from gdbench.report.charts.metric_tuning import draw_best_metric, draw_metric_by_lr
from gdbench.report.charts.training_curves import CURVE_AXES, draw_training_curves, list_banded_splits
from gdbench.report.charts.vega_lite import Figure, has_bands, name_figure
from gdbench.report.report_data import ReportData

__all__ = ["make_metric_lr_figures", "make_training_figures"]

SPLITS = {"train": "train", "held-out": "held_out"}
"""Data on which curves are measured, and the prefix of their columns."""
MIN_LOG_RATIO = 3.0
"""Ratio of the largest to the smallest number from which on a log axis has several labels."""
MIN_TRIALS = 3
"""Configurations of a method from which on the best of k of them is drawn."""


def make_training_figures(data: ReportData) -> list[Figure]:
    """The loss and each metric against each axis, on train and held-out data; then the best metric of k trials."""
    runs = training_results.select_training_runs(data.best_runs)
    names = training_results.list_metrics(runs)
    curves = [] if data.traces.empty else [figure for name in names for figure in _curve_figures(data, runs, name)]
    return [*curves, *_best_of_k_figures(data, names)]


# --------------------------------------------------------------------------------------------------------- curves


def _curve_figures(data: ReportData, runs: pd.DataFrame, metric: str) -> list[Figure]:
    """A metric against each axis that says something else than the others; none where no trace has it."""
    names = {split: f"{prefix}.{metric}" for split, prefix in SPLITS.items()}
    columns = {split: name for split, name in names.items() if name in data.traces and data.traces[name].notna().any()}
    if not columns:
        return []
    curves = data.sort_by_problem(_compute_curves(data, runs, metric, columns))
    return [_curve_figure(data, runs, curves, metric, against) for against in _list_axes(runs, curves)]


def _list_axes(runs: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    """Steps; epochs where known; gradients where a step is not one; seconds where one process timed all runs."""
    has_axis = {
        "step": True,
        "epochs": curves["epochs"].notna().any(),
        "gradients": (curves["gradients"] - 1).abs().max() > 1e-9,
        "seconds": curves["seconds"].notna().any() and count_processes(runs) == 1,
    }
    return [name for name in CURVE_AXES if has_axis[name]]


def _compute_curves(data: ReportData, runs: pd.DataFrame, metric: str, columns: dict[str, str]) -> pd.DataFrame:
    """The curves of a metric by ``optimizer`` and ``split``, from these columns of traces, with what a step costs."""
    directions = training_results.find_directions(data.compared, metric)
    parts = [
        training_metrics.compute_metric_curves(runs, data.traces, column, directions).assign(split=split)
        for split, column in columns.items()
    ]
    return pd.concat(parts, ignore_index=True).rename(columns={"solver": "optimizer"})


def _curve_figure(data: ReportData, runs: pd.DataFrame, curves: pd.DataFrame, metric: str, against: str) -> Figure:
    words, noun = _format_metric(metric), {"step": "steps"}.get(against, against)
    table = curves.assign(x=curves["step"] * (1 if against == "step" else curves[against]))
    table = table[np.isfinite(table["value"]) & table["x"].notna()].drop(columns=["epochs", "gradients", "seconds"])
    group = name_figure("training", metric)
    name = group if against == "step" else f"{group}-{against}"
    title = f"{words[0].upper()}{words[1:]} on {_join_splits(curves)} data against {noun}"
    if table.empty:
        return Figure(name, title, "0 finite points: nothing can be drawn.", table, None, noun, group)
    is_log = _is_logarithmic(metric, table, "lo")
    rule = _describe_curves(data, runs, curves, metric)
    return Figure(
        name, title, rule, table, draw_training_curves(table, data.style, against, words, is_log), noun, group
    )


def _is_logarithmic(metric: str, table: pd.DataFrame, lowest: str) -> bool:
    """Whether an axis is logarithmic: that of positive losses which a log axis can label in some panel."""
    if metric != LOSS or not (table[lowest].fillna(np.inf) > 0).all():
        return False
    values = table.groupby("problem")[lowest]
    return bool((values.max() > MIN_LOG_RATIO * values.min()).any())


def _format_metric(metric: str) -> str:
    return metric.replace("_", " ")


def _join_splits(table: pd.DataFrame) -> str:
    return " and ".join(split for split in SPLITS if split in set(table["split"]))


def _describe_curves(data: ReportData, runs: pd.DataFrame, table: pd.DataFrame, metric: str) -> str:
    """The caption of a figure: what a line is, the runs that it covers, and those that ended."""
    splits = _join_splits(table)
    where = "train (solid) and held-out data (dashed)" if " and " in splits else f"{splits} data"
    rule = (
        f"On {where} at the recorded steps, in evaluation mode; each optimizer at its best configuration, that of"
        f" the verdict ({len(runs)} of {len(data.compared)} runs)."
    )
    if (count := int(table["runs"].max())) > 1:
        rule += f" Line: median over up to {count} seeds{_describe_bands(table)}."
    if rings := [name for name in data.style.select_present(table["optimizer"]) if data.style.is_hollow(name)]:
        rule += f" Rings: {', '.join(rings)}."
    if metric == LOSS and "held-out" in splits:
        rule += " Overfitting: the held-out loss rises while the train loss falls."
    if ended := int(table.groupby(["problem", "optimizer"])["ended"].max().sum()):
        rule += f" {format_count(ended, 'run')} became nonfinite and count as the worst from then on."
    return rule


def _describe_bands(table: pd.DataFrame) -> str:
    drawn = list_banded_splits(table)
    if not drawn:
        return "; bands (quartiles) are in the data, not drawn"
    return "; band: quartiles" + ("" if len(drawn) == table["split"].nunique() else f", of {drawn[0]} data only")


# --------------------------------------------------------------------------------------------------------- tuning


def make_metric_lr_figures(data: ReportData) -> list[Figure]:
    """The best value of each metric at each lr, on workloads of which several lrs were tried."""
    runs = training_results.select_training_runs(data.merged_runs)
    figures = [_metric_lr_figure(data, runs, metric) for metric in training_results.list_metrics(runs)]
    return [figure for figure in figures if len(figure.table)]


def _metric_lr_figure(data: ReportData, runs: pd.DataFrame, metric: str) -> Figure:
    trials = training_trials.summarise_trials(runs, metric, training_results.find_directions(runs, metric))
    table = training_trials.select_best_by_lr(trials)
    table = data.sort_by_problem(table[table.groupby("problem")["lr"].transform("nunique") > 1])
    table = table.assign(optimizer=table["solver"]).drop(columns=["solver", "cost"])
    words = f"{_join_splits(table)} {_format_metric(metric)}"
    name, title = name_figure("training-lr", metric), f"Best {words} against learning rate"
    if table.empty:
        return Figure(name, title, "", table)
    band = "; band: lowest to highest seed" if has_bands(table["optimizer"], table["seeds"] > 1) else ""
    rule = (
        f"Best {words} of a judged step at each learning rate, best over other settings, median over seeds{band}; a"
        " run without a finite value counts as the worst."
    )
    lost = int((~np.isfinite(trials["cost"])).sum())
    rule += f" {lost} of {len(trials)} configurations have no finite median and are not drawn." if lost else ""
    chart = draw_metric_by_lr(table, data.style, words, _is_logarithmic(metric, table, "lo"))
    return Figure(name, title, rule, table, chart, words, "sensitivity")


def _best_of_k_figures(data: ReportData, names: list[str]) -> list[Figure]:
    """The best value of each metric of k trials, where some method has several."""
    runs = training_results.select_training_runs(data.merged_runs)
    figures = [_best_of_k_figure(data, runs, metric) for metric in names]
    return [figure for figure in figures if len(figure.table) and figure.table["k"].max() >= MIN_TRIALS]


def _best_of_k_figure(data: ReportData, runs: pd.DataFrame, metric: str) -> Figure:
    directions = training_results.find_directions(runs, metric)
    trials = training_trials.summarise_trials(runs, metric, directions)
    table = training_trials.compute_best_of_trials(trials, directions)
    table = data.sort_by_problem(table[np.isfinite(table["median"])])
    table = table.assign(optimizer=table["solver"]).drop(columns="solver")
    words = f"{_join_splits(trials)} {_format_metric(metric)}"
    rule = (
        f"Cost of tuning: median best {words} of k tried configurations, drawn at random without replacement; a"
        " configuration counts with the median of its seeds."
    )
    is_log = _is_logarithmic(metric, table, "median")
    chart = draw_best_metric(table, data.style, words, is_log) if len(table) else None
    title = f"Best {words} of k trials"
    return Figure(name_figure("training-trials", metric), title, rule, table, chart, words, "training-trials")
