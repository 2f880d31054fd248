"""The verbs ``show``, ``diff`` and ``export``: sweeps and runs, looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdbench.errors import format_count
from gdbench.results.user_paths import PATH, expand_user

__all__ = ["diff", "export", "show"]


def show(
    what: Annotated[
        str | None, typer.Argument(metavar="SWEEP or RUN", help="a folder or name; or the first digits of a run's key")
    ] = None,
    folder: Annotated[Path, typer.Option(help="a sweep's folder, or a folder of sweeps", **PATH)] = Path("outputs"),
    each: Annotated[bool, typer.Option("--each", help="of a sweep: a row for every run")] = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="repeat it; exit code 1 if an exact column differs")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="with --rerun: run what a sweep that somebody else made names")
    ] = False,
) -> int:
    """Show the table of a sweep again, of the newest if none is named; or everything about a run.

    Of a run: columns, traceback if it failed, configuration, and the command that repeats it.

    --rerun repeats it untimed, says whether every exact column came out the same, and names what else is not as it was:
    settings, source files, data, torch, threads, machine, determinism. Code that a sweep names and that neither gdbench
    ships nor you ran here yourself is listed first, and run with --trust alone.
    """
    from gdbench.cli.show import check_options, find_shown, show_run, show_table

    sweep, row = find_shown(what, folder)
    check_options(sweep, what, {"each": each}, {"rerun": rerun, "trust": trust})
    if sweep is not None:
        show_table(sweep, each)
        return 0
    if rerun:
        from gdbench.cli.show import list_repeat
        from gdbench.results.lookup import find_sweep_of_run
        from gdbench.sweeps.reproduce import reproduce

        found = reproduce(find_sweep_of_run(folder, row), row, trust)
        typer.echo("\n".join(list_repeat(found)))
        return 0 if found.same else 1
    show_run(row, folder)
    return 0


def diff(
    a: Annotated[str, typer.Argument(help="a sweep, by its folder or name; or the key of a run")],
    b: Annotated[str, typer.Argument(help="another one")],
    folder: Annotated[Path, typer.Option(help="where runs are looked for", **PATH)] = Path("outputs"),
    json: Annotated[bool, typer.Option("--json", help="the differences as JSON")] = False,
) -> None:
    """Name what differs between two sweeps, or two runs: in configuration, environment, source, data and result."""
    from gdbench.analysis.sweep_diff import diff_sweeps
    from gdbench.report.diff_text import list_sweep_diff, sweep_diff_as_json
    from gdbench.report.escaping import escape_control_codes
    from gdbench.report.json_format import dump_json

    found = diff_sweeps(a, b, folder)
    typer.echo(
        dump_json(sweep_diff_as_json(found))
        if json
        else escape_control_codes("\n".join(list_sweep_diff(found)), lines=True)
    )


def export(
    tracker: Annotated[str, typer.Argument(help="mlflow, wandb, trackio or tensorboard")],
    sweep: Annotated[str, typer.Argument(help="a sweep that has ended: its folder, or its name")],
    uri: Annotated[
        str | None, typer.Option(help="mlflow: a server; wandb: online, or a server; trackio, tensorboard: a folder")
    ] = None,
) -> None:
    """Copy a sweep to a tracker: parameters, metrics, curves, statuses, report. What is there already stays as it is.

    Each needs its extra, such as pip install -e '.[mlflow]', and keeps to its own environment variables:
    MLFLOW_TRACKING_URI, WANDB_MODE, TRACKIO_DIR. Without any, all of them keep what they get on this machine.
    """
    from gdbench.results.catalog import find_sweep
    from gdbench.results.export import export_sweep, require_installed

    require_installed([tracker])
    place = str(expand_user(uri)) if uri and uri.startswith("~") else uri  # a server is no path
    sent = export_sweep(tracker, find_sweep(sweep, Path("outputs")), place)
    there = f", {sent.already_present} there already" if sent.already_present else ""
    typer.echo(f"{tracker}: {format_count(sent.added, 'run')} added{there}. Look: {sent.view_hint}")
