"""The verbs ``list`` and ``columns``: what there is to choose, and what each column means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gdbench.config.config_folders import check_own_names
from gdbench.errors import UsageError, did_you_mean
from gdbench.results.columns import COLUMNS
from gdbench.results.user_paths import PATH

__all__ = ["KINDS", "WRAP_WIDTH", "columns", "headline", "list_"]


KINDS = ("objectives", "optimizers")
WRAP_WIDTH = 30
"""How narrow a sentence beside a name may get."""


def list_(
    what: Annotated[str, typer.Argument(help="objectives or optimizers")],
    config_dir: Annotated[Path | None, typer.Option(help="also those of a folder of your own", **PATH)] = None,
    cutest: Annotated[bool, typer.Option("--cutest", help="the problems of objective=cutest instead")] = False,
) -> None:
    """List all objectives or optimizers: name, what it is, and its source."""
    from gdbench.config.config_folders import config_folder

    if what not in KINDS:
        raise UsageError(f"list {what} is not known.{did_you_mean(what, KINDS)} Allowed: {', '.join(KINDS)}.")
    if cutest:
        if what != "objectives":
            raise UsageError(f"list {what} --cutest: CUTEst holds problems; write list objectives --cutest.")
        from gdbench.objectives.cutest import format_listing

        for line in format_listing():
            typer.echo(line)
        return
    if config_dir and not config_dir.is_dir():
        raise UsageError(f"--config-dir {config_dir} is no folder: it must hold {what[:-1]}/*.yaml of your own.")
    if config_dir:
        check_own_names(config_dir)
    group = what.removesuffix("s")
    folders = [config_folder(), *([config_dir] if config_dir else [])]
    files = sorted((file for folder in folders for file in (folder / group).glob("*.yaml")), key=lambda file: file.stem)
    _print_pairs([(file.stem, headline(file)) for file in files])


def columns() -> None:
    """Print what each column of runs.parquet means: name, unit, meaning, and which way is better."""
    _print_pairs([(name, column.description) for name, column in COLUMNS.items()])


def _print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print a name and what it is in each line; in a narrow terminal the words go on in further lines."""
    from gdbench.report.terminal.column_fitting import Column, fit_columns, make_console

    out = make_console()
    names, words = ([pair[place] for pair in pairs] for place in (0, 1))
    columns = [Column("", names, is_text=True), Column("", words, is_text=True, wrap_width=WRAP_WIDTH)]
    out.print(fit_columns(columns, out.width, has_header=False), crop=False)


def headline(file: Path) -> str:
    """The comment in the first line of a configuration."""
    with file.open(encoding="utf-8", errors="replace") as text:  # what cannot be read is told when it is chosen
        first = text.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""
