"""``python -m gdbench watch``: frame after frame in a terminal, a line whenever a cell ends elsewhere."""

from __future__ import annotations

import time
from pathlib import Path

from rich.live import Live
from rich.text import Text

from gdbench.cli.pipes import has_reader
from gdbench.report.escaping import escape_control_codes
from gdbench.report.terminal.column_fitting import make_console
from gdbench.report.terminal.live import format_progress_line, render_snapshot
from gdbench.results.live_status import SweepMonitor, SweepSnapshot, find_watched_sweep

__all__ = ["follow"]

REFRESH_S = 1.0


def follow(word: str | None, outputs: Path, once: bool) -> int:
    """Show a sweep until it ends, or as it is now; returns the exit code."""
    folder = find_watched_sweep(word, outputs)
    if folder is None:
        print(
            f"No sweep is in {word or outputs} yet{'.' if once else '; waiting for one to begin (Ctrl-C ends).'}",
            flush=True,
        )
    try:
        while folder is None:
            if once:
                return 0
            time.sleep(REFRESH_S)
            folder = find_watched_sweep(word, outputs)
        monitor = SweepMonitor(folder)
        seen = monitor.take_snapshot()
        if not once and seen.state == "running":
            seen = _until_its_end(monitor, seen)
    except KeyboardInterrupt:  # it is the monitor who ends
        return 0
    out = make_console()
    out.print(render_snapshot(seen, monitor.read_trace, out.width, out.is_terminal), crop=False)
    return 0 if seen.state == "running" else int(seen.state == "stopped" or seen.statuses["failed"] > 0)


def _until_its_end(monitor: SweepMonitor, seen: SweepSnapshot) -> SweepSnapshot:
    out = make_console()
    if not out.is_terminal:
        return _lines(monitor, seen)
    with Live(Text(), console=out, auto_refresh=False, transient=True) as live:
        while seen.state == "running":
            live.update(render_snapshot(seen, monitor.read_trace, out.width, colour=True), refresh=True)
            time.sleep(REFRESH_S)
            seen = monitor.take_snapshot()
    return seen


def _lines(monitor: SweepMonitor, seen: SweepSnapshot) -> SweepSnapshot:
    told = -1
    while seen.state == "running" and has_reader():
        if seen.ended != told:
            told = seen.ended
            print(escape_control_codes(format_progress_line(seen)), flush=True)
        time.sleep(REFRESH_S)
        seen = monitor.take_snapshot()
    return seen
