"""HTML page of a report: one file with its script and style inside, which needs no network."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from gdbench import __version__
from gdbench.report.build import Report
from gdbench.report.caveats import list_caveats
from gdbench.report.charts.vega_lite import MAX_PANELS, Figure, page_specification
from gdbench.report.json_format import to_json_column
from gdbench.report.number_format import format_number
from gdbench.report.report_data import ReportTable, Section
from gdbench.report.repro_command import repro_command
from gdbench.report.result_text import count_statuses
from gdbench.report.setting_labels import metric_header, metric_headers
from gdbench.report.style import vega_theme
from gdbench.report.table_cells import column_headers, column_kind, format_cells, is_text_column, shorten_numbers

__all__ = ["json_for_script", "render_page", "render_table", "render_template"]

HERE = Path(__file__).parent
FIRST_ROWS = 50
"""Runs in the table without JavaScript."""
COLUMNS = {
    "problem": "problem",
    "optimizer": "optimizer",
    "impl": "impl",
    "configuration": "configuration",
    "seed": "seed",
    "status": "status",
    "status_step": "at step",
    "steps_to_target": "steps",
    "gradient_evals_to_target": "gradients",
    "final_gap": "final gap",
    "final_loss": "final loss",
    "step_s": "step",
    "step_time_ratio": "vs reference",
    "time_to_target_s": "to target",
}
"""Columns of the table of all runs with their headers, in its order, metrics of training runs before times."""
OMITTED_IF_CONSTANT = ("impl", "seed")
EXPONENTS = re.compile(r"\b\d+(?:\.\d+)?e-\d+\b")


def render_page(report: Report, script: str, place: Path) -> str:
    """The HTML of a report; ``script`` is Vega's bundle, ``place`` the page's own path, to which links are relative."""
    inputs, data = report.inputs, report.data
    style = data.style
    table = _run_table(inputs.runs, data.compared)
    return render_template(
        "page.html",
        version=__version__,
        places=report.places,
        runs=len(inputs.runs),
        counted=count_statuses(inputs.runs["status"]),
        partial=inputs.partial,
        title=report.title,
        sentences=[escape_unbroken(shorten_numbers(sentence)) for sentence in report.sentences],
        verdict=render_table(report.summary),
        rule=report.summary.rule,
        caveats=list_caveats(inputs.runs, data.compared),
        machines=describe_machines(inputs.environments),
        environments={
            name: json.dumps(environment, indent=1, ensure_ascii=False)
            for name, environment in inputs.environments.items()
        },
        sections=[_section_context(section) for section in report.sections],
        optimizers=[_legend_entry(report, name) for name in style.leaders],
        others=[_legend_entry(report, name) for name in style.optimizers[style.coloured :]],
        choices=_filter_choices(data.compared),
        first=_render_first_runs(table),
        own_script=Markup(_read_file("page.js")),
        vega=Markup(script),
        data=json_for_script(_page_data(report, table, place)),
    )


def render_template(name: str, **context: Any) -> str:
    """A template of this folder with its style sheets and some context."""
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    styles = {"style": Markup(_read_file("page.css")), "print_style": Markup(_read_file("print.css"))}
    return environment.get_template(name).render(**styles, **context)


def _read_file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def json_for_script(value: Any) -> Markup:
    """JSON that is safe inside a script element, whatever its texts contain."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


# ----------------------------------------------------------------------------------------------------------- parts


def describe_machines(environments: dict[str, dict[str, Any]]) -> list[str]:
    """A line per machine and set of versions, with its sweeps if there are several."""
    sweeps: dict[str, list[str]] = {}
    for name, environment in environments.items():
        packages = environment.get("packages", {})
        words = [str(environment.get("cpu")), f"{environment.get('cpu_count')} cores"]
        words += [*environment.get("accelerators", []), f"torch {packages.get('torch')}"]
        words += [f"gdbench {packages.get('gdbench')}", f"Python {environment.get('python')}"]
        sweeps.setdefault(", ".join(words), []).append(name)
    return [machine if len(sweeps) == 1 else f"{machine}: {', '.join(names)}" for machine, names in sweeps.items()]


def _section_context(section: Section) -> dict[str, Any]:
    groups: dict[str, list[Figure]] = {}
    for figure in section.figures:
        groups.setdefault(figure.group or figure.name, []).append(figure)
    tables = [(table.title, table.name, render_table(table), table.rule) for table in section.tables]
    return {"name": section.name, "title": section.title, "groups": list(groups.values()), "tables": tables}


def render_table(table: ReportTable, headers: Sequence[str] = ()) -> Markup:
    """Head and body of an HTML table without empty columns; ``headers`` replace the usual ones.

    Numbers carry the value by which they are sorted.
    """
    texts = list(zip(*format_cells(table.table), strict=True))  # a column each
    names = headers or column_headers(table.table)
    head, columns = [], []
    for name, header, cells in zip(table.table, names, texts, strict=False):  # a table without rows has no texts
        if any(cells):
            side = "l" if is_text_column(table.table, str(name)) else "r"
            button = f'<button type="button">{html.escape(header)}</button>'
            head.append(f'<th scope="col" class="{side}">{button}</th>')
            flags = table.bold.get(str(name), [False] * len(cells))
            values = zip(cells, table.table[name].tolist(), flags, strict=True)
            columns.append([_render_cell(side, *parts) for parts in values])
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    return Markup(f"<thead><tr>{''.join(head)}</tr></thead><tbody>{body}</tbody>")


def _render_cell(side: str, text: str, value: Any, is_bold: bool) -> str:
    shown = f"<strong>{escape_unbroken(text)}</strong>" if is_bold else escape_unbroken(text)
    return f'<td class="{side}"{_sort_attribute(value)}>{shown}</td>'


def escape_unbroken(text: str) -> Markup:
    """The escaped text in which numbers are not wrapped: a browser breaks an exponent after its minus."""
    return Markup(EXPONENTS.sub(r'<span class="number">\g<0></span>', html.escape(text)))


def _sort_attribute(value: Any) -> str:
    if isinstance(value, float) and not np.isnan(value):
        return f' data-v="{1e308 if np.isinf(value) else repr(value)}"'
    return f' data-v="{value}"' if isinstance(value, int) else ""


def _legend_entry(report: Report, name: str) -> dict[str, str]:
    colour, dash = report.data.style.colour_and_dash(name)
    return {"name": name, "colour": colour, "dash": ",".join(map(str, dash))}


def _filter_choices(compared: pd.DataFrame) -> dict[str, list[str]]:
    """The values of each filter that has several."""
    choices = {name: sorted(compared[name].dropna().astype(str).unique()) for name in ("objective", "dtype")}
    return {name: values for name, values in choices.items() if len(values) > 1}


# ------------------------------------------------------------------------------------------------------------ data


def _page_data(report: Report, table: pd.DataFrame, place: Path) -> dict[str, Any]:
    """The data that page.js reads."""
    compared = report.data.compared
    problems = compared.drop_duplicates("problem")[["problem", "objective", "dtype"]].astype(str)
    return {
        "panels": MAX_PANELS,
        "themes": {"light": vega_theme(False), "dark": vega_theme(True)},
        "problems": {row["problem"]: [row["objective"], row["dtype"]] for row in problems.to_dict(orient="records")},
        "figures": {figure.name: _figure_data(figure) for figure in report.figures},
        "runs": _run_data(report, table, place),
    }


def _figure_data(figure: Figure) -> dict[str, Any]:
    spec = page_specification(figure)
    del spec["config"]
    return {"spec": spec, "title": figure.title}


def _run_table(runs: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """All runs, excluded ones too, with the columns of the table."""
    names = compared[["problem", "configuration"]].reindex(runs.index)
    excluded = runs.loc[names["configuration"].isna(), "lr"]
    configurations = names["configuration"].fillna({row: f"lr {format_number(lr)}" for row, lr in excluded.items()})
    shown = {text: shorten_numbers(text) for text in configurations.dropna().unique()}
    table = runs.assign(problem=names["problem"].fillna(runs["objective"]), configuration=configurations.map(shown))
    ends = ["final_gap", "final_loss"]  # infinite or missing for a diverged run, as its status says
    table[ends] = table[ends].where(np.isfinite(table[ends].astype(float)))
    columns = list(COLUMNS)
    place = columns.index("step_s")
    return table[
        [
            name
            for name in (*columns[:place], *metric_headers(table), *columns[place:])
            if table[name].notna().any() and (name not in OMITTED_IF_CONSTANT or table[name].nunique() > 1)
        ]
    ]


def _list_headers(table: pd.DataFrame) -> list[str]:
    return [COLUMNS[name] if name in COLUMNS else metric_header(name) for name in map(str, table)]


def _render_first_runs(runs: pd.DataFrame) -> Markup:
    return render_table(ReportTable("runs", "", "", runs.head(FIRST_ROWS)), _list_headers(runs))


def _run_data(report: Report, table: pd.DataFrame, place: Path) -> dict[str, Any]:
    runs = report.inputs.runs
    links = {
        f"{folder.parent.name}/{folder.name}": _relative_link(folder / ".hydra", place.parent)
        for folder in report.inputs.folders
    }
    files = [
        f"{links.get(sweep, '.hydra')}/cell-{cell:05d}.yaml"
        for sweep, cell in zip(runs["sweep"], runs["cell"], strict=True)
    ]
    names = [name for name in map(str, runs) if name in ("overrides", "lr", "seed") or name.startswith("optimizer.")]
    return {
        "columns": _list_headers(table),
        "kinds": [column_kind(table, str(name)) for name in table],
        "values": [_encode_column(table[name]) for name in table],
        "run_id": runs["run_id"].tolist(),
        **{name: _encode_column(runs[name]) for name in ("objective", "dtype", "optimizer", "error")},
        "file": _encode_column(pd.Series(files)),
        "command": [repro_command(row) for row in runs[names].to_dict(orient="records")],
    }


def _relative_link(target: Path, start: Path) -> str:
    """The URL of a file relative to a folder; never one with a scheme, however the folder is called."""
    return f"./{quote(os.path.relpath(target, start).replace(os.sep, '/'))}"


def _encode_column(values: pd.Series) -> Any:
    """Numbers with six digits; texts as codes and the distinct texts, which are far fewer."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return to_json_column(values)
    codes, names = pd.factorize(values.astype(object))
    return {"names": [str(name) for name in names], "codes": codes.tolist()}
