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
from gdbench.report.report_data import Facts, Shown
from gdbench.results.values import to_floats

__all__ = ["draw_times", "tabulate_times"]


def draw_times(facts: Facts) -> list[Figure]:
    """The figures of step times."""
    table = facts.step_times
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
            "step-time", "Time of a step", rule + facts.panels(table), table, times_chart.step_chart(table, facts.look)
        )
    ]
    if step_times.count_processes(facts.told) > 1:
        return figures
    best = best_configuration.select_best_configurations(facts.told, "seconds")
    keys = ["problem", "solver", "configuration"]
    runs = facts.told.merge(best.loc[np.isfinite(best["cost"]), keys], on=keys)
    split = runs.assign(steps=to_floats(runs, "steps_to_target"), step_us=to_floats(runs, "step_s") * 1e6)
    split = split.assign(time=[times_chart.spoken(value * 1e6) for value in to_floats(runs, "time_to_target_s")])
    split = split.groupby([*keys, "optimizer", "impl"], sort=False, observed=True).first().reset_index()
    split = split.loc[
        (split["steps"] > 0) & (split["step_us"] > 0), [*keys, "optimizer", "impl", "steps", "step_us", "time"]
    ]
    rule = (
        f"Time to target is steps times the time of a step: on a dotted line it is equal, to the lower left it is less."
        f" Each solver at its fastest configuration; {len(split)} of {len(best)} reached the target."
    )
    if len(split):
        chart = times_chart.split_chart(split, facts.look)
        figures.append(Figure("time-split", "Few steps, or cheap ones", rule + facts.panels(split), split, chart))
    return figures


def tabulate_times(facts: Facts) -> list[Shown]:
    """Their table."""
    table = facts.step_times
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
    return [Shown("time", "Time of a step", rule, table[names])]
