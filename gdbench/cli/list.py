"""The verb ``list``: objectives and optimizers to choose from, and the columns of the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gdbench.cli.help import KINDS
from gdbench.cli.options import ConfigDir, Json
from gdbench.config.config_folders import check_own_names
from gdbench.errors import UsageError, did_you_mean
from gdbench.results.columns import COLUMNS

__all__ = ["list_", "read_headline"]

WRAP_WIDTH = 30
"""Characters below which the description beside a name is not narrowed."""


def list_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="objectives, optimizers or columns")],
    config_dir: ConfigDir = None,
    cutest: Annotated[bool, typer.Option("--cutest", help="list the problems of objective=cutest")] = False,
    json: Json = False,
) -> None:
    """List all objectives or optimizers (name, description, source), or the columns of runs.parquet."""
    if kind not in KINDS:
        raise UsageError(f"list {kind} is not known.{did_you_mean(kind, KINDS)} Allowed: {', '.join(KINDS)}.")
    if cutest and kind != "objectives":
        raise UsageError(f"list {kind} --cutest: CUTEst holds problems; write list objectives --cutest.")
    if config_dir and kind == "columns":
        raise UsageError("list columns takes no --config-dir: all sweeps have the same columns.")
    if config_dir and not config_dir.is_dir():
        raise UsageError(f"--config-dir {config_dir} is no folder: it must hold {kind[:-1]}/*.yaml of your own.")
    if cutest:
        _list_cutest(json)
    elif kind == "columns":
        _list_columns(json)
    else:
        _print_descriptions([(file.stem, read_headline(file)) for file in _find_files(kind[:-1], config_dir)], json)


def _list_cutest(json: bool) -> None:
    from gdbench.objectives.cutest import KINDS as PROBLEM_KINDS
    from gdbench.objectives.cutest import format_listing, load_problem_table

    if json:
        _print_json(
            {"name": name, "kind": PROBLEM_KINDS[row["ptype"]], "dimensions": [int(n) for n in row["dims"].split()]}
            for name, row in load_problem_table().items()
        )
        return
    for line in format_listing():
        typer.echo(line)


def _list_columns(json: bool) -> None:
    if json:
        _print_json({"name": name, **asdict(column)} for name, column in COLUMNS.items())
        return
    _print_descriptions([(name, column.description) for name, column in COLUMNS.items()], json)


def _find_files(group: str, config_dir: Path | None) -> list[Path]:
    """The configurations of a group, gdbench's own and those in ``config_dir``, sorted by name."""
    from gdbench.config.config_folders import config_folder

    if config_dir:
        check_own_names(config_dir)
    folders = [config_folder(), *([config_dir] if config_dir else [])]
    return sorted((file for folder in folders for file in (folder / group).glob("*.yaml")), key=lambda file: file.stem)


def _print_descriptions(pairs: Sequence[tuple[str, str]], json: bool) -> None:
    """Print one line for each pair of name and description; a narrow terminal wraps the description."""
    if json:
        _print_json({"name": name, "description": description} for name, description in pairs)
        return
    from gdbench.report.terminal.column_fitting import Column, fit_columns, make_console

    out = make_console()
    names, descriptions = ([pair[place] for pair in pairs] for place in (0, 1))
    columns = [
        Column("", names, is_text=True),
        Column("", descriptions, is_text=True, wrap_width=WRAP_WIDTH),
    ]
    out.print(fit_columns(columns, out.width, has_header=False), crop=False)


def _print_json(rows: Iterator[dict[str, object]]) -> None:
    from gdbench.report.json_format import dump_json

    typer.echo(dump_json(list(rows)))


def read_headline(file: Path) -> str:
    """The comment in the first line of a configuration, without its ``#``."""
    with file.open(encoding="utf-8", errors="replace") as text:  # bytes that are no UTF-8 are reported on use
        first = text.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""
