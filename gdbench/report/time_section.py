"""Report section on the time of a step."""

from __future__ import annotations

import numpy as np

from gdbench.analysis import best_configuration, step_times
from gdbench.errors import format_count
from gdbench.report.charts.step_times import draw_step_times, draw_time_split, format_round_time
from gdbench.report.charts.vega_lite import Figure
from gdbench.report.report_data import CONFIGURATION, ReportData, ReportTable
from gdbench.results.values import to_floats

__all__ = ["make_time_figures", "make_time_tables"]

COLUMNS = [
    *("problem", "optimizer", "impl", "step_s", "vs_manual", "step_time_ratio", "step_time_ratio_lo"),
    *("step_time_ratio_hi", "update_s", "first_step_s", "warmup_s", "compile_s", "noise", "overhead_bound", "runs"),
]


def make_time_figures(data: ReportData) -> list[Figure]:
    """Step times; and steps against step time, if all runs were timed in one process."""
    table = data.step_times
    if table.empty:
        return []
    noisy = int((table["noise"] > step_times.NOISY).sum())
    rule = (
        "Median time of a step over blocks that record nothing, with the quartiles of the blocks;"
        f" {format_count(int(table['runs'].sum()), 'run was', 'runs were')} timed. In {noisy} of {len(table)} rows the"
        f" quartiles are more than {step_times.NOISY:.0%} apart: the machine was not quiet."
    )
    figure = Figure("step-time", "Time of a step", rule, table, draw_step_times(table, data.style))
    return [figure] if step_times.count_processes(data.compared) > 1 else [figure, *_time_split_figures(data)]


def _time_split_figures(data: ReportData) -> list[Figure]:
    best = best_configuration.select_best_configurations(data.compared, "seconds")
    runs = data.compared.merge(best.loc[np.isfinite(best["cost"]), CONFIGURATION], on=CONFIGURATION)
    split = runs.assign(
        steps=to_floats(runs, "steps_to_target"),
        step_us=to_floats(runs, "step_s") * 1e6,
        time=[format_round_time(value * 1e6) for value in to_floats(runs, "time_to_target_s")],
    )
    names = [*CONFIGURATION, "optimizer", "impl"]
    split = split.groupby(names, sort=False, observed=True).first().reset_index()
    split = split.loc[(split["steps"] > 0) & (split["step_us"] > 0), [*names, "steps", "step_us", "time"]]
    if split.empty:
        return []
    rule = (
        "Time to target is the number of steps times the time of a step: equal along a dotted line, less towards the"
        f" lower left. Each solver at its fastest configuration; {len(split)} of {len(best)} reached the target."
    )
    return [Figure("time-split", "Number of steps and time of a step", rule, split, draw_time_split(split, data.style))]


def make_time_tables(data: ReportData) -> list[ReportTable]:
    """The table of step times."""
    if data.step_times.empty:
        return []
    rule = (
        "vs reference: step time over that of the frozen reference loop, measured alternately, with its 95% interval"
        " within this process; meaningful only if a step is limited by overhead. vs manual: step time over that of"
        " impl=manual. first step: creates the optimizer's state, after warm-up. Differences below 10% within one"
        " process are not significant."
    )
    return [ReportTable("time", "Time of a step", rule, data.step_times[COLUMNS])]
