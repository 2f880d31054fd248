"""The verb ``tune``: the search for the best numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gdbench.results.user_paths import PATH, expand_word

if TYPE_CHECKING:
    from gdbench.sweeps.tuning import Tuning

__all__ = ["tune"]


def tune(
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="as for a sweep")] = None,
    config_dir: Annotated[Path | None, typer.Option(help="a folder of your own, as for a sweep", **PATH)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="no table")] = False,
    json: Annotated[bool, typer.Option("--json", help="the winners as JSON")] = False,
    multirun: Annotated[bool, typer.Option("-m", "--multirun", hidden=True)] = False,  # commas mean rows without it too
) -> int:
    """Find the best of equally many lrs (or other numbers) of each optimizer on each objective, by refined grids.

    Numbers to tune are intervals: 'lr=tag(log,interval(1e-4,1))' 'optimizer.momentum=interval(0,0.99)'; without any, lr
    is sought from 1e-6 to 10 and beyond. Commas over all else make a row each. metric= says what is best, trials= how
    many points each row tries. A better value that its neighbours do not come near is shown, and not chosen.
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
        typer.echo(f"gdbench: interrupted. Finished cells: {search.sweep.folder}", err=True)
        return 130
    return _show_tuned(search, quiet, json)


def _show_tuned(search: Tuning, quiet: bool, json: bool) -> int:
    """Show the winners so far; returns the exit code."""
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
