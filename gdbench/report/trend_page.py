"""HTML page and images of the history of a gate: a figure per measure that changed along a branch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from gdbench import __version__
from gdbench.report.charts.trend import draw_trend
from gdbench.report.charts.vega_lite import Figure, image_specification, page_specification
from gdbench.report.gate import tabulate_changes
from gdbench.report.page import json_for_script, render_table, render_template
from gdbench.report.render_images import ImageRenderer, vega_bundle
from gdbench.report.report_data import ReportTable
from gdbench.report.style import vega_theme
from gdbench.results.atomic import write_text

__all__ = ["make_trend_figures", "write_trend"]

TIME = "step_time_ratio"
MEASURES = {
    TIME: ("Time of a step", "steps of the frozen loop"),
    "steps_to_target": ("Steps to the target", "steps"),
    "gradient_evals_to_target": ("Gradients to the target", "gradients"),
    "ops per step": ("Operations of a step", "operations"),
    "bytes allocated per step": ("Memory of a step", "bytes"),
    "final_loss": ("Final loss", "loss"),
}
"""Measures in the order of the page, with title and unit; exact ones are shown only where they changed."""
TIME_RULE = (
    "Time of a step over that of the frozen loop of the same run, so that machines can be compared; dashed lines:"
    " changes found by Otava (p ≤ 0.001, at least 5%)."
)
EXACT_RULE = "Exact; the series in which it changed; dashed lines: changes. A target that is not reached leaves a gap."


def write_trend(history: pd.DataFrame, changes: pd.DataFrame, folder: Path) -> Path:
    """Write trend.html and figures/ into the folder of a history; returns the page."""
    figures = list(make_trend_figures(history, changes))
    (folder / "figures").mkdir(exist_ok=True)
    with ImageRenderer() as images:
        for figure in figures:
            images.draw(image_specification(figure), folder / "figures" / figure.name)
    write_text(folder / "trend.html", _render_page(history, changes, figures))
    return folder / "trend.html"


def make_trend_figures(history: pd.DataFrame, changes: pd.DataFrame) -> Iterator[Figure]:
    """A figure of the time of a step, and one for each exact measure that changed."""
    numbers = {commit: place for place, commit in enumerate(history["commit"].unique(), 1)}
    values = history[history["value"].notna()].assign(day=history["when"].dt.strftime("%Y-%m-%d"))
    for measure, (title, unit) in MEASURES.items():
        changed = changes[changes["measure"] == measure]
        points = values[values["measure"] == measure]
        if measure != TIME:
            points = points[points["series"].isin(changed["series"])]
        if len(points):
            changed = changed[changed["series"].isin(points["series"])]
            chart = draw_trend(_number_commits(points, numbers), _number_commits(changed, numbers), unit)
            rule = TIME_RULE if measure == TIME else EXACT_RULE
            yield Figure(f"trend-{measure.replace(' ', '-')}", title, rule, points, chart)


def _number_commits(rows: pd.DataFrame, numbers: dict[str, int]) -> pd.DataFrame:
    """Rows with the number of their commit, without columns that JSON cannot hold or the chart does not use."""
    table = rows.assign(number=rows["commit"].map(numbers), commit=rows["commit"].str[:7])
    return table.drop(columns=[name for name in ("when", "text", "after", "measure") if name in table])


def _render_page(history: pd.DataFrame, changes: pd.DataFrame, figures: list[Figure]) -> str:
    specifications = {figure.name: page_specification(figure) for figure in figures}
    table = ReportTable("changes", "Changes", "", tabulate_changes(changes))
    return render_template(
        "trend.html",
        version=__version__,
        commits=history["commit"].nunique(),
        series=history["series"].nunique(),
        fingerprints=list(history["fingerprint"].unique()),
        days=[f"{day:%Y-%m-%d}" for day in (history["when"].min(), history["when"].max())],
        figures=figures,
        changes=render_table(table) if len(changes) else "",
        vega=Markup(vega_bundle()),
        data=json_for_script(
            {"figures": specifications, "themes": {"light": vega_theme(False), "dark": vega_theme(True)}}
        ),
    )
