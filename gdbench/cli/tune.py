"""The verb ``tune``: a search for the best learning rate, or other numbers, of each optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gdbench.cli.options import ConfigDir
from gdbench.cli.signals import print_ended
from gdbench.results.user_paths import expand_word

if TYPE_CHECKING:
    from gdbench.sweeps.tuning import Tuning

__all__ = ["tune"]


def tune(
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="settings, as for run")] = None,
    config_dir: ConfigDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="print no progress and no table")] = False,
    json: Annotated[bool, typer.Option("--json", help="print the winners as JSON")] = False,
    multirun: Annotated[
        bool, typer.Option("-m", "--multirun", hidden=True)
    ] = False,  # accepted, not needed: commas always make rows
) -> int:
    """Find the best learning rate (or other numbers) of each optimizer on each objective, by refined grids.

    Every optimizer gets equally many trials. Numbers to tune are intervals: 'lr=tag(log,interval(1e-4,1))'
    'optimizer.momentum=interval(0,0.99)'; without any, lr is searched from 1e-6 to 10 and beyond. Commas in other
    settings make a row each. metric= says what is best, trials= how many points each row tries. A better value whose
    neighbours perform much worse is shown, but not chosen.
    """
    from gdbench.config.command_errors import check_words
    from gdbench.report.terminal.progress import choose_progress
    from gdbench.sweeps.api import make_tuning
    from gdbench.sweeps.progress import Silent

    check_words(overrides or [])
    search = make_tuning([expand_word(word) for word in overrides or []], config_dir)
    try:
        search.run(Silent() if quiet or json else choose_progress("row"))
    except KeyboardInterrupt:
        _show_tuned(search, quiet, json)
        return print_ended(f"Finished cells: {search.sweep.folder}")
    return _show_tuned(search, quiet, json)


def _show_tuned(search: Tuning, quiet: bool, json: bool) -> int:
    """Print the winners so far; returns the exit code."""
    winners = search.winners()
    if not len(winners):
        return 0
    if json:
        from gdbench.report.json_format import runs_as_json

        typer.echo(runs_as_json(winners))
    elif not quiet:
        from gdbench.report.terminal.tuning import print_tuning

        print_tuning(winners, search.sweep.folder)
    return 1 if (winners["status"] == "failed").any() else 0
