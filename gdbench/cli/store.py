"""``python -m gdbench runs`` and ``watch``; and name, tag, note, rm, archive, unarchive, of a sweep that ran."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gdbench.errors import UsageError, format_count
from gdbench.results.user_paths import PATH

if TYPE_CHECKING:
    import pandas as pd

    from gdbench.results.index import Index

__all__ = ["VERBS", "add_to"]

LIMIT = 20
"""Sweeps shown in a terminal, if nothing else is said."""
NEWEST_FIRST = "-when"

Outputs = Annotated[Path, typer.Option(help="the folder of sweeps", **PATH)]
Sweep = Annotated[str, typer.Argument(help="its folder, the begin of its date or time, or its name")]


def runs(
    query: Annotated[
        list[str] | None, typer.Argument(help="COLUMN=VALUE, or with != < <= > >= ~; all must hold", metavar="QUERY")
    ] = None,
    outputs: Outputs = Path("outputs"),
    sort: Annotated[str, typer.Option(help="a column; -COLUMN for the highest first")] = NEWEST_FIRST,
    limit: Annotated[int | None, typer.Option(help="how many; 0 for all, as with --csv and --json", min=0)] = None,
    csv: Annotated[bool, typer.Option("--csv", help="every column, as CSV")] = False,
    json: Annotated[bool, typer.Option("--json", help="every column, as JSON")] = False,
    sql: Annotated[str | None, typer.Option(help="a statement over the tables runs and sweeps instead")] = None,
) -> None:
    """List the sweeps that ran: when, commit, machine, cells, runs, statuses, and the best run.

    QUERY picks by any column of runs.parquet, counting only the runs that fit, and by those of a sweep: since, until,
    name, tag, note, folder, commit, dirty, machine, cells, runs. Texts may hold * and ?; commas mean or; null is a
    value: runs optimizer=adam,gd 'lr<0.1' status=target since=2026-11-01. With --sql: "select optimizer, min(lr) from
    runs group by all".
    """
    import pyarrow as pa

    from gdbench.report.terminal import listing as sweeps
    from gdbench.results.index import open_index
    from gdbench.results.query import match_rows, parse_query
    from gdbench.results.sweep_list import get_query_types, list_sweeps, sort_sweeps

    if csv and json:
        raise UsageError("--csv and --json: choose one.")
    if sql is not None and (query or limit is not None or sort != NEWEST_FIRST):
        raise UsageError("--sql stands alone: put the query, the order and the limit into the statement.")
    if not outputs.is_dir():
        raise UsageError(
            f"--outputs {outputs} is no folder. Run a sweep first, such as python -m gdbench -m lr=0.01,0.1."
        )
    with open_index(outputs, _note) as index:
        if sql is not None:
            _show_answer(index, sql, outputs, csv, json)
            return
        conditions = parse_query(query or [], {**get_query_types(index), **dict.fromkeys(sweeps.TEXTS, pa.string())})
        asked = [condition for condition in conditions if condition.column not in sweeps.TEXTS]
        of_texts = [condition for condition in conditions if condition.column in sweeps.TEXTS]
        table = list_sweeps(index, asked, outputs)
        table = sort_sweeps(table[match_rows(sweeps.query_columns(table), of_texts)], sort)
    many = limit if limit is not None else 0 if csv or json else LIMIT
    shown = table.head(many) if many else table
    if json:
        typer.echo(sweeps.sweeps_as_json(shown))
    elif csv:
        typer.echo(sweeps.sweeps_as_csv(shown), nl=False)
    else:
        _print_list(shown, len(table), outputs, bool(query))


def _note(words: str) -> None:
    typer.echo(f"gdbench: {words}", err=True)


def _print_list(table: pd.DataFrame, of: int, outputs: Path, asked: bool) -> None:
    from gdbench.report.terminal.column_fitting import make_console
    from gdbench.report.terminal.listing import render_sweeps

    if not of:
        typer.echo(f"No sweep in {outputs}{' fits' if asked else ''}.")
        return
    out = make_console()
    out.print(render_sweeps(table, of, outputs, out.width), crop=False)


def _show_answer(index: Index, sql: str, outputs: Path, csv: bool, json: bool) -> None:
    from gdbench.report.escaping import escape_csv_table
    from gdbench.report.json_format import runs_as_json
    from gdbench.results.sql import run_sql

    found = run_sql(index, sql, outputs)
    if json:
        typer.echo(runs_as_json(found))
    elif csv:
        typer.echo(escape_csv_table(found).to_csv(index=False, lineterminator="\n"), nl=False)
    else:
        from gdbench.report.terminal.column_fitting import make_console
        from gdbench.report.terminal.listing import render_sql_result

        out = make_console()
        out.print(render_sql_result(found, out.width), crop=False)


def watch(
    folder: Annotated[
        str | None, typer.Argument(help="a sweep, or a folder of sweeps, of which the newest is shown")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="show how far it is now, and end")] = False,
    outputs: Outputs = Path("outputs"),
) -> int:
    """Look on while a sweep runs, here or elsewhere: cells done, the best so far, the time left, and a picture.

    Everything is read from the sweep's folder, so any machine that sees it will do; the sweep is not disturbed. Ends
    with the sweep, with its exit code: 1 where a run failed, or where it was killed.
    """
    from gdbench.cli.watch import follow

    return follow(folder, outputs, once)


# ------------------------------------------------------------------------------------------------------------ labels


def name(
    sweep: Sweep,
    word: Annotated[str, typer.Argument(metavar="NAME", help="one word; '' for that of its folder")],
    outputs: Outputs = Path("outputs"),
) -> None:
    """Give a sweep a name, by which the other verbs find it."""
    from gdbench.results.catalog import find_sweep
    from gdbench.results.labels import check_label, update_labels

    folder = find_sweep(sweep, outputs)
    given = check_label("name", word) if word else ""
    update_labels(folder, lambda held: replace(held, name=given))
    typer.echo(f"{folder}: {f'name {given}' if given else 'no name of its own'}")


def tag(
    sweep: Sweep,
    words: Annotated[list[str] | None, typer.Argument(metavar="TAG", help="one word each")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="take these tags away; without any, all")] = False,
    outputs: Outputs = Path("outputs"),
) -> None:
    """Put tags on a sweep, or take them away; find it by runs tag=TAG."""
    from gdbench.report.escaping import escape_control_codes
    from gdbench.results.catalog import find_sweep
    from gdbench.results.labels import Labels, check_label, update_labels

    folder = find_sweep(sweep, outputs)
    given = [check_label("tag", word) for word in words or []]
    if not given and not remove:
        raise UsageError("tag SWEEP TAG ...: name a tag, or --remove to take all away.")

    def changed(held: Labels) -> Labels:
        left = [each for each in held.tags if given and each not in given]
        return replace(held, tags=tuple(left if remove else [*held.tags, *given]))

    typer.echo(escape_control_codes(f"{folder}: {' '.join(update_labels(folder, changed).tags) or 'no tags'}"))


def note(
    sweep: Sweep,
    words: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="nothing shows the note")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="take the note away")] = False,
    outputs: Outputs = Path("outputs"),
) -> None:
    """Keep a note beside a sweep; a new one replaces it."""
    from gdbench.report.escaping import escape_control_codes
    from gdbench.results.catalog import find_sweep
    from gdbench.results.labels import read_labels, update_labels

    folder = find_sweep(sweep, outputs)
    if words and remove:
        raise UsageError("note --remove takes no text.")
    if words or remove:
        update_labels(folder, lambda held: replace(held, note=" ".join(words or [])))
    typer.echo(escape_control_codes(f"{folder}: {read_labels(folder).note or 'no note'}", lines=True))


# ------------------------------------------------------------------------------------------------- away and elsewhere


def rm(
    sweeps: Annotated[list[str], typer.Argument(metavar="SWEEP", help="folders, or names, as runs lists them")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    outputs: Outputs = Path("outputs"),
) -> int:
    """Remove sweeps for good: their folders, with all that lies in them."""
    from gdbench.results.archive import describe_folder, remove_sweep
    from gdbench.results.catalog import check_idle, find_sweep

    folders = list(dict.fromkeys(find_sweep(each, outputs) for each in sweeps))
    for folder in folders:
        check_idle(folder, "remove")
        typer.echo(describe_folder(folder), err=not yes)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("rm asks before it removes, and nobody can answer here: add --yes.")
        if not typer.confirm(f"Remove {'them' if len(folders) > 1 else 'it'} for good?", err=True):
            typer.echo("Nothing was removed.", err=True)
            return 1
    for folder in folders:
        remove_sweep(folder)
    return 0


def archive(
    sweeps: Annotated[list[str], typer.Argument(metavar="SWEEP", help="folders, or names, as runs lists them")],
    to: Annotated[Path | None, typer.Option(help="the file; else the sweep's own name, here", **PATH)] = None,
    outputs: Outputs = Path("outputs"),
) -> None:
    """Pack sweeps into one zip file with the hash of each of their files, to be moved elsewhere."""
    from gdbench.results.archive import pack_sweeps
    from gdbench.results.catalog import check_idle, find_sweep

    folders = list(dict.fromkeys(find_sweep(each, outputs) for each in sweeps))
    if to is None and len(folders) > 1:
        raise UsageError("archive of several sweeps needs a name: --to FILE.zip.")
    for folder in folders:
        check_idle(folder, "archive")
    file = to or Path(f"{folders[0].resolve().parent.name}_{folders[0].resolve().name}.zip")
    files = format_count(pack_sweeps(folders, file, outputs), "file")
    typer.echo(f"{file}: {files}, {file.stat().st_size:,} bytes. Unpack it by python -m gdbench unarchive {file}")


def unarchive(
    file: Annotated[Path, typer.Argument(help="what archive wrote", **PATH)], outputs: Outputs = Path("outputs")
) -> None:
    """Put the sweeps of an archive among the others, if every file is as it was packed and none is there already."""
    from gdbench.results.archive import unpack_sweeps

    for folder in unpack_sweeps(file, outputs):
        typer.echo(f"{folder}")


VERBS = (runs, watch, name, tag, note, rm, archive, unarchive)


def add_to(app: typer.Typer) -> None:
    """Make them verbs of the command line."""
    for verb in VERBS:
        app.command()(verb)
