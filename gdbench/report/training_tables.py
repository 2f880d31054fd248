"""Tables of training workloads: metrics of each method, one for a paper, and the time to a target metric."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis import training_metrics, training_results
from gdbench.analysis.time_to_result import summarise_time_to_result
from gdbench.analysis.training_results import LOSS, MEASURES, REPORTED
from gdbench.errors import format_range
from gdbench.report.number_format import NEVER, format_interval_parts, format_range_text, format_seconds_range
from gdbench.report.report_data import ReportData, ReportTable

__all__ = ["MEASURE_WORDS", "format_intervals", "make_training_tables"]

HEADERS = {"train": "train, final", "final": "held-out, final", "best": "held-out, best", "test": "test"}
"""Headers of the measures of a metric."""
NUMBERS = {"train": "train_final", "final": "held_out_final", "best": "held_out_best", "test": "selected_test"}
"""Their columns in the CSV."""
MEASURE_WORDS = {
    "test": "on test data at the step that held-out data select",
    "best": "best on held-out data",
    "train": "on training data at the last step",
}
"""The measures that are reported of a workload."""
ARROWS = {1.0: "↓", -1.0: "↑"}
"""Whether the lowest or the highest value of a metric is the best."""


def make_training_tables(data: ReportData) -> list[ReportTable]:
    """The metrics of each method at its best configuration over seeds, and its time to a target metric."""
    runs = training_results.select_training_runs(data.best_runs)
    names = training_results.list_metrics(runs)
    directions = {metric: training_results.find_directions(data.compared, metric) for metric in names}
    table = training_metrics.summarise_metrics(runs, directions)
    if table.empty:
        return []
    table = data.sort_by_problem(table.rename(columns={"solver": "optimizer"})).reset_index(drop=True)
    return [_paper_table(data, table, directions), *_time_tables(data, runs), _metric_table(table)]


# -------------------------------------------------------------------------------------------------------- metrics


def _metric_table(table: pd.DataFrame) -> ReportTable:
    """All measures of each metric, a row per problem, metric and method."""
    shown = [measure for measure in reversed(MEASURES) if table[measure].notna().any()]  # test first: it is never cut
    names = ["problem", "metric", "optimizer", "configuration"]
    cells = {HEADERS[measure]: format_intervals(table, measure) for measure in shown}
    bold = {HEADERS[measure]: table[f"{measure}_best"].tolist() for measure in shown}
    columns = {f"{measure}{end}": f"{NUMBERS[measure]}{end}" for measure in shown for end in ("", "_lo", "_hi")}
    numbers = table[[*names, *columns, "selected_step", "seeds"]].rename(columns=columns)
    text = table[names].assign(**cells)
    over = format_range(table["seeds"], "seed")
    rule = f"Each method at its best configuration, that of the verdict: median [lowest, highest] over {over}."
    rule += f" test: {MEASURE_WORDS['test']}, which the CSV names." if "test" in shown else ""
    return ReportTable("training", "Metrics of each method", f"{rule} {_describe_bold(table)}", text, bold, numbers)


def format_intervals(table: pd.DataFrame, measure: str) -> list[str]:
    """``0.963 [0.957, 0.970]`` of each row; empty where there is no value."""
    return [format_range_text(*format_interval_parts(*ends)) for ends in _iterate_intervals(table, measure)]


def _iterate_intervals(table: pd.DataFrame, name: str) -> Iterator[tuple[float, float, float]]:
    return zip(*(table[f"{name}{end}"] for end in ("", "_lo", "_hi")), strict=True)


def _describe_bold(table: pd.DataFrame) -> str:
    """What is bold, and the seeds that ties need."""
    rule = "Bold: the best median of a problem and metric, and equal ones"
    rule += _describe_ties(table)
    if np.isinf(table[[*MEASURES, *(f"{measure}_hi" for measure in MEASURES)]].to_numpy(float)).any():
        rule += " ∞: a run without a finite value, which counts as the worst."
    return rule


def _describe_ties(table: pd.DataFrame) -> str:
    """The end of a sentence on bold cells: which methods are tied with the best."""
    short = table[table["seeds"] < table["needed"]]
    tested = "what Wilcoxon's signed-rank test of paired seeds does not tell apart (5%, Holm)"
    if short.empty:
        return f" or {tested}."
    seeds, needed = format_range(short["seeds"], "seed"), int(short["needed"].max())
    return f"; from {needed} seeds on also {tested}: {seeds} are not enough to tell."


# ---------------------------------------------------------------------------------------------------------- paper


def _paper_table(data: ReportData, table: pd.DataFrame, directions: dict[str, dict[str, float]]) -> ReportTable:
    """A row per method and a column per problem and metric: the one number of each that a paper reports."""
    names = [name for name in data.style.optimizers if name in set(table["optimizer"])]
    cells: dict[str, Any] = {"optimizer": names}
    bold, numbers, meanings = {}, cells.copy(), {}
    for problem, group in table.groupby("problem", sort=False):
        measure = next(name for name in REPORTED if group[name].notna().any())
        meanings[str(problem)] = MEASURE_WORDS[measure]
        for metric in _list_reported(group, measure):
            rows = group[group["metric"] == metric].set_index("optimizer").reindex(names).reset_index()
            header = f"{problem}, {metric.replace('_', ' ')} {ARROWS[directions[metric][str(problem)]]}"
            cells[header] = format_intervals(rows, measure)
            bold[header] = rows[f"{measure}_best"].eq(True).tolist()
            numbers |= {f"{problem}.{metric}{end}": rows[f"{measure}{end}"] for end in ("", "_lo", "_hi")}
    rule = f"{_describe_measures(meanings)}, median [lowest, highest] over {format_range(table['seeds'], 'seed')}; ↑:"
    rule += f" higher is better, ↓: lower is better. {_describe_bold(table)}"
    text, values = pd.DataFrame(cells), pd.DataFrame(numbers)
    return ReportTable("metrics", "Methods and workloads", rule, text, bold, values)


def _list_reported(group: pd.DataFrame, measure: str) -> list[str]:
    """The metrics of a problem with values; the loss only where it is all there is."""
    names = list(dict.fromkeys(group.loc[group[measure].notna(), "metric"]))
    return [name for name in names if name != LOSS] or names


def _describe_measures(meanings: dict[str, str]) -> str:
    """Metrics on the data that are reported, with the problems if these differ."""
    texts: dict[str, list[str]] = {}
    for problem, meaning in meanings.items():
        texts.setdefault(meaning, []).append(problem)
    if len(texts) == 1:
        return f"Metrics {next(iter(texts))}"
    return "Metrics " + "; ".join(f"{meaning} ({', '.join(names)})" for meaning, names in texts.items())


# ----------------------------------------------------------------------------------------------- time to a result


def _time_tables(data: ReportData, runs: pd.DataFrame) -> list[ReportTable]:
    """The time to the target metric of each method, where a target on a metric is given."""
    table = summarise_time_to_result(runs)
    if table.empty:
        return []
    table = data.sort_by_problem(table.rename(columns={"solver": "optimizer"})).reset_index(drop=True)
    names = ["problem", "optimizer", "configuration"]
    targets = table["target_metric"].unique()
    names[1:1] = ["target_metric"] if len(targets) > 1 else []
    hits = [f"{row.hits} of {row.seeds}" for row in table.itertuples()]
    cells = {"hits": hits, "steps": _format_counts(table, "steps")}
    if table["epochs"].notna().any():
        cells["epochs"] = _format_counts(table, "epochs", decimals=2)
    if not table["gradients"].equals(table["steps"]):
        cells["gradients"] = _format_counts(table, "gradients")
    if table["seconds"].notna().any():
        cells["time"] = [format_seconds_range(*ends) for ends in _iterate_intervals(table, "seconds")]
    target = "the target" if len(targets) > 1 else targets[0]
    rule = (
        f"Time to result: the first judged step at {target}, each method at its best configuration, that of the"
        f" verdict; median [lowest, highest] over seeds, never: not reached. {_describe_resolution(table)} time:"
        f" steps × step time. Bold: the fewest steps on a problem, and equal ones{_describe_ties(table)}"
    )
    text = table[names].assign(**cells)
    bold = {"steps": table["steps_best"].tolist()}
    return [ReportTable("time-to-result", "Time to the target metric", rule, text, bold, table)]


def _format_counts(table: pd.DataFrame, name: str, decimals: int = 0) -> list[str]:
    """``120 [100, never]`` of each row."""
    parts = (format_interval_parts(*ends, decimals=decimals) for ends in _iterate_intervals(table, name))
    return [format_range_text(*texts).replace("∞", NEVER) for texts in parts]


def _describe_resolution(table: pd.DataFrame) -> str:
    """The resolution of the steps to a target: how often the runs were judged."""
    every = sorted(set(table["judge_every"]))
    if every == [1]:
        return "Every step was judged."
    return f"Runs were judged every {' or '.join(map(str, every))} steps, the resolution of all columns."
