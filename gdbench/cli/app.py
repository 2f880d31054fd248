"""The typer app with all verbs but ``run``; each verb is a function in the module of its name."""

from __future__ import annotations

from functools import cache
from typing import Any

import typer
from typer.core import TyperGroup

from gdbench.cli.compare import compare
from gdbench.cli.export import export
from gdbench.cli.gate import gate
from gdbench.cli.list import list_
from gdbench.cli.report import report
from gdbench.cli.reproduce import reproduce
from gdbench.cli.show import show
from gdbench.cli.sweeps import sweeps
from gdbench.cli.tune import tune

__all__ = ["VerbInterrupted", "app", "build_command", "list_subverbs"]


class VerbInterrupted(BaseException):
    """Ctrl-C during a verb, with its message; typer would turn a KeyboardInterrupt into an exit without a message."""


class VerbGroup(TyperGroup):
    """The group of all verbs; it reports an interrupted verb as ``VerbInterrupted``."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise VerbInterrupted(*interrupt.args) from interrupt


app = typer.Typer(
    cls=VerbGroup, add_completion=False, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False
)
app.command("list")(list_)
for verb in (tune, report, compare, show, reproduce, export):
    app.command()(verb)
app.add_typer(gate, name="gate")
app.add_typer(sweeps, name="sweeps")


@cache
def build_command() -> Any:
    """The command that parses words; built once, because typer takes 25 ms to inspect all verbs and options."""
    return typer.main.get_command(app)


def list_subverbs(verb: str) -> list[str]:
    """The names of the verbs below another one, such as ``sweeps``."""
    return list(getattr(build_command().commands.get(verb), "commands", {}))
