"""The page: one HTML file that needs no network, with its script and its style inside."""

from __future__ import annotations

import html
import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from gdbench import __version__
from gdbench.report.build import Report
from gdbench.report.caveats import caveats
from gdbench.report.charts.vega_lite import PANELS, Figure, specification
from gdbench.report.number_format import number
from gdbench.report.report_data import Shown
from gdbench.report.repro_command import command
from gdbench.report.style import theme
from gdbench.report.summary_text import counted
from gdbench.report.table_cells import headers, is_text, kind_of, short, shown

__all__ = ["HERE", "as_json", "html_table", "page"]

HERE = Path(__file__).parent
FIRST_ROWS = 50
"""Runs that are there without JavaScript too."""
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
"""Columns of the table of all runs, in its order; a run's details have the rest."""

EXPONENTS = re.compile(r"\b\d+(?:\.\d+)?e-\d+\b")
ALIKE = ("impl", "seed")
"""Columns that are left out where all runs agree on them."""


def page(report: Report, script: str, place: Path) -> str:
    """The whole page; ``script`` is Vega's, ``place`` where the page will lie, from which its links start."""
    loader = jinja2.FileSystemLoader(HERE)
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "page.html"
    )
    source, facts = report.source, report.facts
    return template.render(
        version=__version__,
        places=report.places,
        runs=len(source.runs),
        counted=counted(source.runs),
        partial=source.partial,
        title=report.title,
        sentences=[unbroken(short(sentence)) for sentence in report.told],
        verdict=html_table(report.summary),
        rule=report.summary.rule,
        caveats=caveats(source.runs, facts.told),
        machines=machines(source.environments),
        environments={
            name: json.dumps(each, indent=1, ensure_ascii=False) for name, each in source.environments.items()
        },
        sections=[_section(each) for each in report.sections],
        optimizers=[_swatch(report, name) for name in facts.look.leaders],
        others=[_swatch(report, name) for name in facts.look.optimizers[facts.look.coloured :]],
        choices=_choices(facts.told),
        rows=len(source.runs),
        first=_first_rows(source.runs, facts.told),
        style=Markup(_read("page.css")),
        print_style=Markup(_read("print.css")),
        own_script=Markup(_read("page.js")),
        vega=Markup(script),
        data=as_json(_data(report, place)),
    )


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def as_json(value: Any) -> Any:
    """JSON that may stand inside a script element, whatever its texts say."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


# ----------------------------------------------------------------------------------------------------------- parts


def machines(environments: dict[str, dict[str, Any]]) -> list[str]:
    """Each machine and set of versions once, with the sweeps that it made."""
    told: dict[str, list[str]] = {}
    for name, each in environments.items():
        packages = each.get("packages", {})
        words = [str(each.get("cpu")), f"{each.get('cpu_count')} cores", *each.get("accelerators", [])]
        words += [
            f"torch {packages.get('torch')}",
            f"gdbench {packages.get('gdbench')}",
            f"Python {each.get('python')}",
        ]
        told.setdefault(", ".join(words), []).append(name)
    return [words if len(told) == 1 else f"{words}: {', '.join(names)}" for words, names in told.items()]


def _section(section: Any) -> dict[str, Any]:
    groups: dict[str, list[Figure]] = {}
    for figure in section.figures:
        groups.setdefault(figure.group or figure.name, []).append(figure)
    return {
        "name": section.name,
        "title": section.title,
        "groups": list(groups.values()),
        "tables": [(each.title, each.name, html_table(each), each.rule) for each in section.tables],
    }


def html_table(each: Shown, heads: Sequence[str] = ()) -> Any:
    """A table whose cells carry what they sort by; ``heads`` are the names of its columns, if not the usual ones."""
    lefts = [is_text(each.table, str(name)) for name in each.table]
    head = "".join(
        f'<th scope="col" class="{"l" if left else "r"}"><button type="button">{html.escape(name)}</button></th>'
        for name, left in zip(heads or headers(each.table), lefts, strict=True)
    )
    values = [each.table[name].tolist() for name in each.table]
    body = []
    for place, row in enumerate(shown(each.table)):
        cells = [
            f'<td class="{"l" if left else "r"}"{_sorts_by(column[place])}>{unbroken(cell)}</td>'
            for cell, left, column in zip(row, lefts, values, strict=True)
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return Markup(f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>")


def unbroken(text: str) -> Markup:
    """The escaped text, its numbers with an exponent kept on one line: a browser breaks one after its minus."""
    return Markup(EXPONENTS.sub(r'<span class="number">\g<0></span>', html.escape(text)))


def _sorts_by(value: Any) -> str:
    if isinstance(value, float) and not math.isnan(value):
        return f' data-v="{1e308 if math.isinf(value) else repr(value)}"'
    return f' data-v="{value}"' if isinstance(value, int) else ""


def _swatch(report: Report, name: str) -> dict[str, str]:
    look = report.facts.look
    colour, dash = look.pair(name)
    return {"name": name, "colour": colour, "dash": ",".join(map(str, dash))}


def _choices(told: pd.DataFrame) -> dict[str, list[str]]:
    """What the filters offer, where there is a choice."""
    found = {name: sorted(told[name].dropna().astype(str).unique()) for name in ("objective", "dtype")}
    return {name: values for name, values in found.items() if len(values) > 1}


# ------------------------------------------------------------------------------------------------------------ data


def _data(report: Report, place: Path) -> dict[str, Any]:
    """All that the page's own script reads."""
    told = report.facts.told
    problems = told.drop_duplicates("problem")[["problem", "objective", "dtype"]].astype(str)
    return {
        "panels": PANELS,
        "themes": {"light": theme(False), "dark": theme(True)},
        "problems": {row["problem"]: [row["objective"], row["dtype"]] for row in problems.to_dict(orient="records")},
        "figures": {figure.name: _figure(figure) for figure in report.figures},
        "runs": _runs(report, place),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    spec = specification(figure)
    del spec["config"]
    return {"spec": spec, "title": figure.title}


def _rows(runs: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """All runs, also those that no comparison holds, with what the table shows."""
    extra = told[["problem", "configuration"]].reindex(runs.index)
    table = runs.assign(
        problem=extra["problem"].fillna(runs["objective"]),
        configuration=extra["configuration"].map(short, na_action="ignore").fillna("lr " + runs["lr"].map(number)),
    )
    ends = ["final_gap", "final_loss"]  # of a run that broke they are infinite or missing, which its status says
    table[ends] = table[ends].where(np.isfinite(table[ends].astype(float)))
    alike = [name for name in COLUMNS if table[name].isna().all() or (name in ALIKE and table[name].nunique() == 1)]
    return table[[name for name in COLUMNS if name not in alike]]


def _first_rows(runs: pd.DataFrame, told: pd.DataFrame) -> Any:
    table = _rows(runs, told).head(FIRST_ROWS)
    return html_table(Shown("runs", "", "", table), [COLUMNS[str(name)] for name in table])


def _runs(report: Report, place: Path) -> dict[str, Any]:
    runs = report.source.runs
    table = _rows(runs, report.facts.told)
    folders = {f"{each.parent.name}/{each.name}": each for each in report.source.folders}
    links = {name: _relative_link(folder / ".hydra", place.parent) for name, folder in folders.items()}
    cells = [
        f"{links.get(sweep, '.hydra')}/cell-{cell:05d}.yaml"
        for sweep, cell in zip(runs["sweep"], runs["cell"], strict=True)
    ]
    kinds = [kind_of(table, str(name)) for name in table]
    return {
        "columns": [COLUMNS[str(name)] for name in table],
        "kinds": kinds,
        "values": [_column(table[name]) for name in table],
        "run_id": runs["run_id"].tolist(),
        "objective": _column(runs["objective"]),
        "dtype": _column(runs["dtype"]),
        "optimizer": _column(runs["optimizer"]),
        "error": _column(runs["error"]),
        "file": _column(pd.Series(cells)),
        "command": [command(row) for row in _repeatable(runs)],
    }


def _relative_link(target: Path, start: Path) -> str:
    """The address of a file as seen from a folder: never one of a scheme, however the folder is called."""
    return f"./{quote(os.path.relpath(target, start).replace(os.sep, '/'))}"


def _repeatable(runs: pd.DataFrame) -> Iterable[dict[str, Any]]:
    """What a command is made of."""
    names = [name for name in map(str, runs) if name in ("overrides", "lr", "seed") or name.startswith("optimizer.")]
    rows: Iterable[dict[str, Any]] = runs[names].to_dict(orient="records")  # type: ignore[assignment]
    return rows


def _column(values: pd.Series) -> Any:
    """Numbers with six digits; texts by their place among the different ones, which are far fewer."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return [None if pd.isna(each) or not math.isfinite(each) else _tidy(each) for each in values.tolist()]
    codes, names = pd.factorize(values.astype(object))
    return {"names": [str(each) for each in names], "codes": codes.tolist()}


def _tidy(value: float) -> float | int:
    return value if isinstance(value, int) else float(f"{value:.6g}")
