"""The verb ``sweeps watch``: a running sweep, redrawn every second; a line per cell where output is no terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gdbench.cli.options import OUTPUTS, Outputs
from gdbench.cli.pipes import has_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from gdbench.results.live_status import SweepMonitor, SweepSnapshot

__all__ = ["watch"]

REFRESH_S = 1.0


def watch(
    sweep: Annotated[
        str | None, typer.Argument(metavar="SWEEP", help="a sweep, or a folder of sweeps for its newest")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="show the present state, and end")] = False,
    outputs: Outputs = OUTPUTS,
    json: Annotated[bool, typer.Option("--json", help="print a JSON object per line, whenever a cell ends")] = False,
) -> int:
    """Follow a running sweep until it ends.

    Shows cells done, time left, and the best so far with its curve. Everything is read from the sweep's folder, so it
    works from any machine that sees it, and the sweep is not disturbed: Ctrl-C ends the watching alone.
    The exit code is 1 where a run failed, or where the sweep was killed.
    """
    from gdbench.results.live_status import SweepMonitor

    folder = _wait_for_sweep(sweep, outputs, once, json)
    if folder is None:
        return 0
    monitor = SweepMonitor(folder)
    status = monitor.take_snapshot()
    if not once and status.state == "running":
        status = _follow(monitor, status, json)
    _print_status(monitor, status, json)
    return 0 if status.state == "running" else int(status.state == "stopped" or status.statuses["failed"] > 0)


def _wait_for_sweep(sweep: str | None, outputs: Path, once: bool, json: bool) -> Path | None:
    """The folder of the sweep to watch, as soon as there is one; None where ``once`` forbids to wait."""
    from gdbench.results.live_status import find_watched_sweep

    folder = find_watched_sweep(sweep, outputs)
    if folder is None:
        waits = "." if once else "; waiting for one to start (Ctrl-C ends)."
        typer.echo(f"No sweep is in {sweep or outputs} yet{waits}", err=json)
    while folder is None and not once:
        time.sleep(REFRESH_S)
        folder = find_watched_sweep(sweep, outputs)
    return folder


def _print_status(monitor: SweepMonitor, status: SweepSnapshot, json: bool) -> None:
    if json:
        _print_json(status)
        return
    from gdbench.report.terminal.column_fitting import make_console
    from gdbench.report.terminal.live import render_snapshot

    out = make_console()
    out.print(render_snapshot(status, monitor.read_trace, out.width, out.is_terminal), crop=False)


def _print_json(status: SweepSnapshot) -> None:
    from gdbench.report.json_format import dump_json, to_json_value

    counts = {"cells_planned": status.planned, "cells_ended": status.ended, "cells_failed": status.failed}
    times = {"elapsed_s": status.elapsed_s, "left_s": status.left_s, "quiet_s": status.quiet_s}
    whole = {"folder": str(status.folder), "state": status.state, **counts, "statuses": dict(status.statuses), **times}
    typer.echo(dump_json({**whole, "best": to_json_value(status.best.astype(object).to_dict(orient="records"))}))


def _print_line(status: SweepSnapshot) -> None:
    from gdbench.report.escaping import escape_control_codes
    from gdbench.report.terminal.live import format_progress_line

    print(escape_control_codes(format_progress_line(status)), flush=True)


def _follow(monitor: SweepMonitor, status: SweepSnapshot, json: bool) -> SweepSnapshot:
    """Show the sweep until it ends; returns its last status."""
    from rich.live import Live
    from rich.text import Text

    from gdbench.report.terminal.column_fitting import make_console
    from gdbench.report.terminal.live import render_snapshot

    out = make_console()
    if json or not out.is_terminal:
        return _print_changes(monitor, status, _print_json if json else _print_line)
    with Live(Text(), console=out, auto_refresh=False, transient=True) as live:
        while status.state == "running":
            live.update(render_snapshot(status, monitor.read_trace, out.width, colour=True), refresh=True)
            time.sleep(REFRESH_S)
            status = monitor.take_snapshot()
    return status


def _print_changes(
    monitor: SweepMonitor, status: SweepSnapshot, show: Callable[[SweepSnapshot], None]
) -> SweepSnapshot:
    """Print the status whenever a cell has ended, until the sweep ends or nobody reads it."""
    printed = -1
    while status.state == "running" and has_reader():
        if status.ended != printed:
            printed = status.ended
            show(status)
        time.sleep(REFRESH_S)
        status = monitor.take_snapshot()
    return status
