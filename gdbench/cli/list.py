"""The verb ``list``: objectives and optimizers to choose from, and the columns of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from gdbench.cli.help import KINDS
from gdbench.cli.options import ConfigDir, Json
from gdbench.config.class_options import is_class_name
from gdbench.config.config_folders import check_own_names
from gdbench.errors import UsageError, did_you_mean
from gdbench.results.columns import COLUMNS

__all__ = ["list_", "read_headline"]

WRAP_WIDTH = 30
"""Characters below which the text beside a name is not narrowed."""

Item = TypeVar("Item")


def list_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="objectives, optimizers or columns")],
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="one of them, or a part of their names")] = None,
    config_dir: ConfigDir = None,
    cutest: Annotated[bool, typer.Option("--cutest", help="list the problems of objective=cutest")] = False,
    json: Json = False,
) -> None:
    """List all objectives or optimizers (name, description, source), or the columns of runs.parquet.

    With a NAME: of an objective its dimension, start, minimum, constants and settings; of an optimizer its default lr,
    its settings, and what carries each implementation out. With a part of names, those that contain it.
    """
    if kind not in KINDS:
        raise UsageError(f"list {kind} is not known.{did_you_mean(kind, KINDS)} Allowed: {', '.join(KINDS)}.")
    if cutest and kind != "objectives":
        raise UsageError(f"list {kind} --cutest: CUTEst holds problems; write list objectives --cutest.")
    if config_dir and kind == "columns":
        raise UsageError("list columns takes no --config-dir: all sweeps have the same columns.")
    if config_dir and not config_dir.is_dir():
        raise UsageError(f"--config-dir {config_dir} is no folder: it must hold {kind[:-1]}/*.yaml of your own.")
    if cutest:
        _list_cutest(name, json)
    elif kind == "columns":
        _list_columns(name, json)
    else:
        _list_options(kind, name, config_dir, json)


def _list_options(kind: str, part: str | None, config_dir: Path | None, json: bool) -> None:
    """Print the objectives or optimizers, or what is known of the one that is named."""
    headlines = {file.stem: read_headline(file) for file in _find_files(kind[:-1], config_dir)}
    if kind == "optimizers" and part is not None and is_class_name(part):
        headlines[part] = "a class that is named by its module"
    if part in headlines:
        _print_entry(kind, part, headlines[part], config_dir, json)
        return
    selected = _select(f"list {kind}", headlines, part)
    if json:
        _print_json({"name": name, "description": headline} for name, headline in selected.items())
    else:
        _print_pairs(selected)


def _print_entry(kind: str, name: str, headline: str, config_dir: Path | None, json: bool) -> None:
    """Print what is known of one objective or optimizer, a line for each fact."""
    from gdbench.cli.list_entry import describe_objective, describe_optimizer
    from gdbench.report.number_format import format_value

    facts = (describe_objective if kind == "objectives" else describe_optimizer)(name, config_dir)
    if json:
        _print_json({"name": name, "description": headline, **facts})
        return
    pairs: dict[str, str] = {}
    for key, value in facts.items():
        pairs |= value if isinstance(value, dict) else {key.replace("_", " "): format_value(value)}
    typer.echo(f"{name}: {headline}\n")
    _print_pairs(pairs)


def _list_cutest(part: str | None, json: bool) -> None:
    from gdbench.objectives.cutest import KINDS as PROBLEM_KINDS
    from gdbench.objectives.cutest import format_listing, load_problem_table

    problems = _select("list objectives --cutest", load_problem_table(), part)
    if json:
        _print_json(
            {"name": name, "kind": PROBLEM_KINDS[row["ptype"]], "dimensions": [int(n) for n in row["dims"].split()]}
            for name, row in problems.items()
        )
        return
    for line in format_listing(problems):
        typer.echo(line)


def _list_columns(part: str | None, json: bool) -> None:
    columns = _select("list columns", COLUMNS, part)
    if json:
        _print_json({"name": name, **asdict(column)} for name, column in columns.items())
    else:
        _print_pairs({name: column.description for name, column in columns.items()})


def _select(command: str, items: Mapping[str, Item], part: str | None) -> Mapping[str, Item]:
    """The items whose name contains a text, or the one whose name it is; UsageError if there is none."""
    if part is None:
        return items
    if part in items:
        return {part: items[part]}
    selected = {name: item for name, item in items.items() if part.lower() in name.lower()}
    if not selected:
        near = did_you_mean(part, items)
        raise UsageError(f"{command} {part}: no name contains this.{near} All: python -m gdbench {command}")
    return selected


def _find_files(group: str, config_dir: Path | None) -> list[Path]:
    """The configurations of a group, gdbench's own and those in ``config_dir``, sorted by name."""
    from gdbench.config.config_folders import config_folder

    if config_dir:
        check_own_names(config_dir)
    folders = [config_folder(), *([config_dir] if config_dir else [])]
    return sorted((file for folder in folders for file in (folder / group).glob("*.yaml")), key=lambda file: file.stem)


def _print_pairs(pairs: Mapping[str, str]) -> None:
    """Print one line for each name and its text; a narrow terminal wraps the text."""
    from gdbench.report.terminal.column_fitting import Column, fit_columns, make_console

    out = make_console()
    columns = [
        Column("", list(pairs), is_text=True),
        Column("", list(pairs.values()), is_text=True, wrap_width=WRAP_WIDTH),
    ]
    out.print(fit_columns(columns, out.width, has_header=False), crop=False)


def _print_json(value: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> None:
    from gdbench.report.json_format import dump_json

    typer.echo(dump_json(value if isinstance(value, Mapping) else list(value)))


def read_headline(file: Path) -> str:
    """The comment in the first line of a configuration, without its ``#``."""
    with file.open(encoding="utf-8", errors="replace") as text:  # bytes that are no UTF-8 are reported on use
        first = text.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""
