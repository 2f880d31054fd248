"""The verb ``show``: the table of a sweep, or everything about one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gdbench.cli.options import OUTPUTS, Json, Outputs
from gdbench.errors import UsageError

__all__ = ["show"]

NO_CONFIGURATION = "(no configuration file)\n"


def show(
    what: Annotated[
        str | None,
        typer.Argument(metavar="SWEEP|RUN", help="a sweep's folder or name, or the first digits of a run_id"),
    ] = None,
    all_runs: Annotated[bool, typer.Option("--all-runs", help="of a sweep: one row per run")] = False,
    outputs: Outputs = OUTPUTS,
    json: Json = False,
) -> None:
    """Print the table of a sweep again (the newest if none is named), or everything about one run.

    Of a run: its columns, the traceback if it failed, its configuration, and the command that repeats it.
    """
    sweep, row = _find(what, outputs)
    if sweep is not None:
        _show_sweep(sweep, all_runs, json)
    elif all_runs:
        raise UsageError(f"show --all-runs is for a sweep, and {what} is a run: leave it out, or name a sweep.")
    else:
        _show_run(row, outputs, json)


def _find(word: str | None, outputs: Path) -> tuple[Path | None, Any]:
    """The sweep that ``word`` names (the newest for None), or else None and the latest row of the run that it names."""
    from gdbench.results.run_lookup import find_run, has_run
    from gdbench.results.sweep_lookup import SweepNotFound, find_newest_sweep, find_sweep

    if word is None:
        return find_newest_sweep(outputs), None
    if not word:
        return None, find_run(word, outputs)
    try:
        return find_sweep(word, outputs), None
    except UsageError as error:
        if has_run(word, outputs):
            return None, find_run(word, outputs)
        if not isinstance(error, SweepNotFound):
            raise
        find_newest_sweep(outputs)  # raises where there is no sweep at all
        raise UsageError(
            f"{word} is neither a sweep nor the start of a run_id in {outputs}.{error.near} Allowed: a sweep's"
            " folder or name, as python -m gdbench sweeps lists them; or the first digits of a run_id, from the"
            " table that show SWEEP prints."
        ) from None


def _show_sweep(sweep: Path, all_runs: bool, json: bool) -> None:
    from gdbench.results.load import load

    runs = load(sweep)
    if json:
        from gdbench.report.json_format import runs_as_json

        typer.echo(runs_as_json(runs))
        return
    from gdbench.report.terminal.sweep import print_sweep

    print_sweep(runs, sweep, all_runs)


def _show_run(row: Any, outputs: Path, json: bool) -> None:
    """Print the columns of a run, its traceback, its configuration, and the command that repeats it."""
    from gdbench.report.escaping import escape_control_codes
    from gdbench.report.json_format import dump_json, to_json_value
    from gdbench.results.run_lookup import find_sweep_of_run

    configuration = _read_configuration(find_sweep_of_run(outputs, row), row)
    command = _repeat_command(row, configuration)
    if json:
        row_values = to_json_value(row.astype(object).to_dict())
        typer.echo(dump_json({**row_values, "configuration": configuration, "command": command}))
        return
    known = row.dropna()
    for name, value in known.drop("traceback", errors="ignore").items():
        typer.echo(escape_control_codes(f"{name:22}  {value}"))
    if "traceback" in known:
        typer.echo(escape_control_codes(f"\n# traceback\n{str(known['traceback']).rstrip()}", lines=True))
    typer.echo(escape_control_codes(f"\n# configuration\n{configuration}", lines=True))
    typer.echo(escape_control_codes(f"# command that repeats it\n{command}", lines=True))


def _read_configuration(folder: Path, row: Any) -> str:
    """The text of the configuration of a run's cell, without its stamp."""
    from gdbench.config.trust import remove_stamp

    file = folder / ".hydra" / f"cell-{row['cell']:05d}.yaml"
    return remove_stamp(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else NO_CONFIGURATION


def _repeat_command(row: Any, configuration: str) -> str:
    """The command that repeats a run; of an objective that was a Python function, the call."""
    from gdbench.report.repro_command import repro_command

    if "objective:\n  python:" in configuration:
        return (
            f"gdbench.run({row['objective']}, x0=..., ...)  # with these settings: the objective is a Python function"
        )
    return repro_command(row)
