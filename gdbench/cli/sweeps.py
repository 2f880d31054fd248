"""The verb ``sweeps``: a list of past sweeps; and the verbs below it, each in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gdbench.cli.archive import archive, restore, rm
from gdbench.cli.help import FORMER_VERBS, VERBS
from gdbench.cli.label import label
from gdbench.cli.options import OUTPUTS, Outputs
from gdbench.cli.watch import watch
from gdbench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from gdbench.results.index import Index

__all__ = ["sweeps"]

MEANT = {
    **FORMER_VERBS,
    **dict.fromkeys(("ls", "list"), "sweeps, which lists all of them"),
    **dict.fromkeys(("delete", "remove"), "sweeps rm"),
    **dict.fromkeys(("rename", "untag"), "sweeps label"),
}
"""What to write in place of words that other tools, or earlier versions, use."""
LIMIT = 20
"""Sweeps shown in a terminal by default."""
NEWEST_FIRST = "-when"


class QueryOrVerb(TyperGroup):
    """A group whose words are a query unless the first is one of its verbs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words; options of a query may stand behind its words."""
        ctx.allow_interspersed_args = not self._starts_with_verb(args)
        ctx.meta[__name__] = ctx.allow_interspersed_args
        if args and ctx.allow_interspersed_args:
            self._check_first_word(args[0])
        rest: list[str] = super().parse_args(ctx, args)
        return rest

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, without the query where a verb follows."""
        params: list[Any] = super().get_params(ctx)
        return [param for param in params if ctx.meta.get(__name__, True) or param.param_type_name != "argument"]

    def _starts_with_verb(self, words: list[str]) -> bool:
        return bool(words) and words[0] in self.commands

    def _check_first_word(self, word: str) -> None:
        """``UsageError`` for a word that is no verb; a condition has a sign in it."""
        if not word.isalpha():
            return
        if word in MEANT:
            near = f" Did you mean {MEANT[word]}?"
        elif word in VERBS:
            near = f" Did you mean {word} SWEEP, without sweeps?"
        else:
            near = did_you_mean(word, self.commands)
        raise UsageError(
            f"sweeps {word} is not known.{near} Allowed: {', '.join(self.commands)}, or a query COLUMN=VALUE, such as"
            " optimizer=adam."
        )


sweeps = typer.Typer(
    cls=QueryOrVerb,
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    subcommand_metavar="",
)


@sweeps.callback()
def list_sweeps(
    context: typer.Context,
    query: Annotated[
        list[str] | None,
        typer.Argument(help="COLUMN=VALUE, or with != < <= > >= ~; all must hold", metavar="QUERY"),
    ] = None,
    outputs: Outputs = OUTPUTS,
    sort: Annotated[str, typer.Option(metavar="COLUMN", help="-COLUMN for the highest first")] = NEWEST_FIRST,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="how many; 0 for all (the default of --csv, --json)", min=0)
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="print all columns as CSV")] = False,
    json: Annotated[bool, typer.Option("--json", help="print all columns as JSON")] = False,
    sql: Annotated[
        str | None, typer.Option(metavar="SELECT", help="a statement over the tables runs and sweeps instead")
    ] = None,
) -> None:
    """List past sweeps: when, commit, machine, cells, runs, statuses, and the best run.

    QUERY selects by any column of runs.parquet, and counts only the runs that match; or by a column of sweeps: since,
    until, name, tag, note, folder, commit, dirty, machine, cells, runs. Text may hold * and ?; commas mean or; null is
    a value: sweeps optimizer=adam,gd 'lr<0.1' status=target since=2026-11-01. With --sql: "select optimizer, min(lr)
    from runs group by all".
    """
    if context.invoked_subcommand:
        return
    if csv and json:
        raise UsageError("--csv and --json: choose one.")
    if sql is not None and (query or limit is not None or sort != NEWEST_FIRST):
        raise UsageError("--sql stands alone: put the query, the order and the limit into the statement.")
    if not outputs.is_dir():
        raise UsageError(f"--outputs {outputs} is no folder. Run a sweep first, such as python -m gdbench lr=0.01,0.1.")
    from gdbench.results.index import open_index

    with open_index(outputs, lambda words: typer.echo(f"gdbench: {words}", err=True)) as index:
        if sql is not None:
            _print_answer(index, sql, outputs, csv, json)
            return
        table = _select(index, query or [], outputs, sort)
    count = limit if limit is not None else 0 if csv or json else LIMIT
    _print_sweeps(table.head(count) if count else table, len(table), outputs, bool(query), csv, json)


for verb in (watch, label, archive, restore, rm):
    sweeps.command()(verb)


def _select(index: Index, query: list[str], outputs: Path, sort: str) -> pd.DataFrame:
    """The sweeps that match a query, in order."""
    import pyarrow as pa

    from gdbench.report.terminal.listing import TEXTS, query_columns
    from gdbench.results.query import match_rows, parse_query
    from gdbench.results.sweep_list import get_query_types, list_sweeps, sort_sweeps

    conditions = parse_query(query, {**get_query_types(index), **dict.fromkeys(TEXTS, pa.string())})
    of_columns = [condition for condition in conditions if condition.column not in TEXTS]
    of_texts = [condition for condition in conditions if condition.column in TEXTS]
    table = list_sweeps(index, of_columns, outputs)
    return sort_sweeps(table[match_rows(query_columns(table), of_texts)], sort)


def _print_sweeps(table: pd.DataFrame, total: int, outputs: Path, has_query: bool, csv: bool, json: bool) -> None:
    from gdbench.report.json_format import runs_as_json
    from gdbench.report.terminal import listing
    from gdbench.report.terminal.column_fitting import make_console

    if json:
        typer.echo(runs_as_json(table))
    elif csv:
        typer.echo(listing.sweeps_as_csv(table), nl=False)
    elif not total:
        typer.echo(f"No sweep in {outputs}{' matches' if has_query else ''}.")
    else:
        out = make_console()
        out.print(listing.render_sweeps(table, total, outputs, out.width), crop=False)


def _print_answer(index: Index, sql: str, outputs: Path, csv: bool, json: bool) -> None:
    from gdbench.report.escaping import escape_csv_table
    from gdbench.report.json_format import runs_as_json
    from gdbench.report.terminal.column_fitting import make_console
    from gdbench.report.terminal.listing import render_sql_result
    from gdbench.results.sql import run_sql

    table = run_sql(index, sql, outputs)
    if json:
        typer.echo(runs_as_json(table))
    elif csv:
        typer.echo(escape_csv_table(table).to_csv(index=False, lineterminator="\n"), nl=False)
    else:
        out = make_console()
        out.print(render_sql_result(table, out.width), crop=False)
