"""The trend of what a gate saw along a branch: a page and pictures, a figure for each measure that moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from gdbench import __version__
from gdbench.report.charts import trend
from gdbench.report.charts.vega_lite import Figure, picture, specification
from gdbench.report.gate import tabulate_changes
from gdbench.report.page import HERE, as_json, html_table
from gdbench.report.render_images import Images, bundle
from gdbench.report.report_data import Shown
from gdbench.report.style import theme
from gdbench.results.atomic import write_text

__all__ = ["figures", "write_trend"]

TIME = "step_time_ratio"
MEASURES = {
    TIME: ("Time of a step", "steps of the frozen loop"),
    "steps_to_target": ("Steps to the target", "steps"),
    "gradient_evals_to_target": ("Gradients to the target", "gradients"),
    "ops per step": ("Operations of a step", "operations"),
    "bytes allocated per step": ("Memory of a step", "bytes"),
    "final_loss": ("Final loss", "loss"),
}
"""What is drawn, in this order, with its title and unit; of exact measures only what changed."""
RULES = {
    True: "The time of a step over that of the frozen loop of the same run, so that hours and machines compare; a"
    " dashed line where Otava finds a change (p ≤ 0.001, 5% or more).",
    False: "Exact, of the series in which it changed; a dashed line where it did. What is not reached leaves a gap.",
}


def write_trend(history: pd.DataFrame, changes: pd.DataFrame, folder: Path) -> Path:
    """Write trend.html and figures/ into the folder of a history; returns the page."""
    made = list(figures(history, changes))
    (folder / "figures").mkdir(exist_ok=True)
    with Images() as images:
        for each in made:
            images.draw(picture(each), folder / "figures" / each.name)
    write_text(folder / "trend.html", _page(history, changes, made))
    return folder / "trend.html"


def figures(history: pd.DataFrame, changes: pd.DataFrame) -> Iterator[Figure]:
    """A figure for the time of a step, and one for each exact measure that changed."""
    numbers = {commit: place for place, commit in enumerate(history["commit"].unique(), 1)}
    points = history[history["value"].notna()].assign(day=history["when"].dt.strftime("%Y-%m-%d"))
    for measure, (title, unit) in MEASURES.items():
        moved = changes[changes["measure"] == measure]
        shown = points[points["measure"] == measure]
        if measure != TIME:
            shown = shown[shown["series"].isin(moved["series"])]
        if len(shown):
            moved = moved[moved["series"].isin(shown["series"])]
            drawn = trend.chart(_numbered(shown, numbers), _numbered(moved, numbers), unit)
            yield Figure(f"trend-{measure.replace(' ', '-')}", title, RULES[measure == TIME], shown, drawn)


def _numbered(rows: pd.DataFrame, numbers: dict[str, int]) -> pd.DataFrame:
    """Rows with the place of their commit, and without what JSON cannot hold or nobody asks for."""
    told = rows.assign(number=rows["commit"].map(numbers), commit=rows["commit"].str[:7])
    return told.drop(columns=[name for name in ("when", "text", "after", "measure") if name in told])


def _page(history: pd.DataFrame, changes: pd.DataFrame, made: list[Figure]) -> str:
    loader = jinja2.FileSystemLoader(HERE)
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "trend.html"
    )
    specs = {each.name: specification(each) for each in made}
    return template.render(
        version=__version__,
        commits=history["commit"].nunique(),
        series=history["series"].nunique(),
        fingerprints=list(history["fingerprint"].unique()),
        days=[f"{day:%Y-%m-%d}" for day in (history["when"].min(), history["when"].max())],
        figures=made,
        changes=html_table(Shown("changes", "Changes", "", tabulate_changes(changes))) if len(changes) else "",
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        print_style=Markup((HERE / "print.css").read_text(encoding="utf-8")),
        vega=Markup(bundle()),
        data=as_json({"figures": specs, "themes": {"light": theme(False), "dark": theme(True)}}),
    )
