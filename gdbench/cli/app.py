"""The app of all verbs, of which each room of ``cli`` has some."""

from __future__ import annotations

from functools import cache
from typing import Any

import typer
from typer.core import TyperGroup

from gdbench.cli.catalog import columns, list_
from gdbench.cli.gate import gate
from gdbench.cli.inspect import diff, export, show
from gdbench.cli.report import compare, report
from gdbench.cli.store import add_to
from gdbench.cli.tune import tune

__all__ = ["Interrupted", "app", "build_command"]


class Interrupted(BaseException):
    """Ctrl-C during a verb, with what there is to say of it: typer would make of it an exit without a word."""


class Verbs(TyperGroup):
    """The verbs, of which none ends without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Carry out the one that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as cut:
            raise Interrupted(*cut.args) from cut


app = typer.Typer(
    cls=Verbs, add_completion=False, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(gate, name="gate")
add_to(app)
app.command("list")(list_)
for verb in (columns, show, diff, export, report, compare, tune):
    app.command()(verb)


@cache
def build_command() -> Any:
    """The command that reads words; made once, as it takes typer 25 ms to look through all verbs and options."""
    return typer.main.get_command(app)
