"""Report section on training workloads: curves on train and held-out data, and each method's metrics over seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis import training_metrics
from gdbench.analysis.training_metrics import LOSS
from gdbench.errors import format_count, format_range
from gdbench.report.charts.training_curves import draw_training_curves, has_curve_bands
from gdbench.report.charts.vega_lite import Figure, name_figure
from gdbench.report.number_format import format_interval_parts, format_range_text
from gdbench.report.report_data import ReportData, ReportTable
from gdbench.results.metric_medians import MEASURES

__all__ = ["make_training_figures", "make_training_tables"]

HEADERS = {"final": "held-out, final", "best": "held-out, best", "test": "test"}
"""Headers of the measures of a metric."""
NUMBERS = {"final": "held_out_final", "best": "held_out_best", "test": "selected_test"}
"""Their columns in the CSV."""


def make_training_figures(data: ReportData) -> list[Figure]:
    """The loss on train and held-out data, and each other metric on held-out data, against steps."""
    runs = training_metrics.select_training_runs(data.best_runs)
    names = training_metrics.list_metrics(runs)
    if data.traces.empty or not names:
        return []
    return [_curve_figure(data, runs, metric) for metric in names]


def _curve_figure(data: ReportData, runs: pd.DataFrame, metric: str) -> Figure:
    curves = _compute_curves(data, runs, metric)
    table = data.sort_by_problem(curves[np.isfinite(curves["value"])])
    words = metric.replace("_", " ")
    title = f"{'Train and held-out' if metric == LOSS else 'Held-out'} {words} against steps"
    name = name_figure("training", metric)
    if table.empty:
        return Figure(name, title, "0 finite points: nothing can be drawn.", table, None, words, "training")
    is_positive = metric == LOSS and bool((table["lo"].fillna(np.inf) > 0).all())
    rule = _describe_curves(data, runs, curves, metric)
    chart = draw_training_curves(table, data.style, words if metric == LOSS else f"held-out {words}", is_positive)
    return Figure(name, title, rule, table, chart, words, "training")


def _compute_curves(data: ReportData, runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The curves of a metric on held-out data, those of the loss on train data too, by ``optimizer`` and ``split``."""
    directions = training_metrics.find_directions(data.compared, metric)
    splits = {"train": "train", "held-out": "held_out"} if metric == LOSS else {"held-out": "held_out"}
    parts = [
        training_metrics.compute_metric_curves(runs, data.traces, f"{group}.{metric}", directions).assign(split=split)
        for split, group in splits.items()
    ]
    return pd.concat(parts, ignore_index=True).rename(columns={"solver": "optimizer"})


def _describe_curves(data: ReportData, runs: pd.DataFrame, table: pd.DataFrame, metric: str) -> str:
    """The caption of a figure: what a line is, the runs that it covers, and those that ended."""
    where = "on train (solid) and held-out data (dashed)" if metric == LOSS else "on held-out data"
    rule = (
        f"{metric.replace('_', ' ').capitalize()} {where} at the recorded steps, in evaluation mode; each optimizer at"
        f" its best configuration, that of the verdict ({len(runs)} of {len(data.compared)} runs)."
    )
    if (count := int(table["runs"].max())) > 1:
        drawn = "; band: quartiles" if has_curve_bands(table) else "; bands (quartiles) are in the data, not drawn"
        rule += f" Line: median over up to {count} seeds{drawn}."
    if metric == LOSS:
        rule += " Overfitting: the held-out loss rises while the train loss falls."
    if ended := int(table.groupby(["problem", "optimizer"])["ended"].max().sum()):
        rule += f" {format_count(ended, 'run')} became nonfinite and count as the worst from then on."
    return rule


def make_training_tables(data: ReportData) -> list[ReportTable]:
    """The metrics of each method at its best configuration, median and range over seeds, the best of each in bold."""
    runs = training_metrics.select_training_runs(data.best_runs)
    names = training_metrics.list_metrics(runs)
    directions = {metric: training_metrics.find_directions(data.compared, metric) for metric in names}
    table = training_metrics.summarise_metrics(runs, directions)
    if table.empty:
        return []
    table = data.sort_by_problem(table.rename(columns={"solver": "optimizer"})).reset_index(drop=True)
    shown = [measure for measure in MEASURES if table[measure].notna().any()]
    names = ["problem", "metric", "optimizer", "configuration"]
    cells = {HEADERS[measure]: _format_intervals(table, measure) for measure in shown}
    bold = {HEADERS[measure]: table[f"{measure}_best"].tolist() for measure in shown}
    columns = {f"{measure}{end}": f"{NUMBERS[measure]}{end}" for measure in shown for end in ("", "_lo", "_hi")}
    numbers = table[[*names, *columns, "selected_step", "seeds"]].rename(columns=columns)
    text = table[names].assign(**cells, selected_step=table["selected_step"], seeds=table["seeds"])
    return [ReportTable("training", "Metrics of each method", _describe_metrics(table), text, bold, numbers)]


def _format_intervals(table: pd.DataFrame, measure: str) -> list[str]:
    """``0.963 [0.957, 0.970]`` of each row; empty where there is no value."""
    numbers = zip(*(table[name] for name in (measure, f"{measure}_lo", f"{measure}_hi")), strict=True)
    return [format_range_text(*format_interval_parts(*ends)) for ends in numbers]


def _describe_metrics(table: pd.DataFrame) -> str:
    """The caption of the table: its columns, what is bold, and the seeds that ties need."""
    rule = (
        "Each method at its best configuration, that of the verdict: median [lowest, highest] over seeds. test: at the"
        " step at which held-out data select the weights, which test data never see. Bold: the best median of a problem"
        " and metric, and equal ones"
    )
    short = table[table["seeds"] < table["needed"]]
    tested = "what Wilcoxon's signed-rank test of paired seeds does not tell apart (5%, Holm)"
    if short.empty:
        rule += f" or {tested}."
    else:
        seeds, needed = format_range(short["seeds"], "seed"), int(short["needed"].max())
        rule += f"; from {needed} seeds on also {tested}: {seeds} are not enough to tell."
    if np.isinf(table[[*MEASURES, *(f"{measure}_hi" for measure in MEASURES)]].to_numpy(float)).any():
        rule += " ∞: a run without a finite value, which counts as the worst."
    return rule
