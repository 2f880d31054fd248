"""The report's section on the time of a step."""

from __future__ import annotations

import numpy as np

from gdbench.analysis import (
    best_configuration,
    step_times,
)
from gdbench.errors import format_count
from gdbench.report.charts import step_times as times_chart
from gdbench.report.charts.vega_lite import Figure
from gdbench.report.report_data import ReportData, ReportTable
from gdbench.results import costs

__all__ = ["make_time_figures", "make_time_tables"]


def make_time_figures(data: ReportData) -> list[Figure]:
    """The figures of step times."""
    table = data.step_times
    if table.empty:
        return []
    noisy = int((table["noise"] > step_times.NOISY).sum())
    rule = (
        "Median time of a step over blocks that record nothing, with the blocks' quartiles;"
        f" {format_count(int(table['runs'].sum()), 'run was', 'runs were')} timed."
        f" {noisy} of {len(table)} have quartiles more than {step_times.NOISY:.0%} apart: the"
        " machine was not quiet."
    )
    figures = [
        Figure(
            "step-time",
            "Time of a step",
            rule + data.describe_panels(table),
            table,
            times_chart.draw_step_times(table, data.style),
        )
    ]
    if step_times.count_processes(data.compared) > 1:
        return figures
    best = best_configuration.tuned(data.compared, "seconds")
    keys = ["problem", "solver", "configuration"]
    runs = data.compared.merge(best.loc[np.isfinite(best["cost"]), keys], on=keys)
    split = runs.assign(steps=costs.numbers(runs, "steps_to_target"), step_us=costs.numbers(runs, "step_s") * 1e6)
    split = split.assign(
        time=[times_chart.format_round_time(value * 1e6) for value in costs.numbers(runs, "time_to_target_s")]
    )
    split = split.groupby([*keys, "optimizer", "impl"], sort=False, observed=True).first().reset_index()
    split = split.loc[
        (split["steps"] > 0) & (split["step_us"] > 0), [*keys, "optimizer", "impl", "steps", "step_us", "time"]
    ]
    rule = (
        f"Time to target is steps times the time of a step: on a dotted line it is equal, to the lower left it is less."
        f" Each solver at its fastest configuration; {len(split)} of {len(best)} reached the target."
    )
    if len(split):
        chart = times_chart.draw_steps_and_step_times(split, data.style)
        figures.append(
            Figure("time-split", "Few steps, or cheap ones", rule + data.describe_panels(split), split, chart)
        )
    return figures


def make_time_tables(data: ReportData) -> list[ReportTable]:
    """Their table."""
    table = data.step_times
    if table.empty:
        return []
    rule = (
        "vs reference: over the notebook's loop, timed in turn, with its 95% interval within this process; it compares"
        " where steps are bound by overhead. vs manual: over impl=manual. First step: making the state, after warm-up."
        " Times of one process that differ by less than 10% are not called different."
    )
    names = ["problem", "optimizer", "impl", "step_s", "vs_manual", "step_time_ratio", "step_time_ratio_lo"]
    names += [
        "step_time_ratio_hi",
        "update_s",
        "first_step_s",
        "warmup_s",
        "compile_s",
        "noise",
        "overhead_bound",
        "runs",
    ]
    return [ReportTable("time", "Time of a step", rule, table[names])]
