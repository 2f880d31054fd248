"""Progress of a gate on standard error: a bar in a terminal, a line per layer elsewhere."""

from __future__ import annotations

import sys

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gdbench.report.terminal.safe_console import SafeConsole

__all__ = ["GateProgress", "choose_gate_progress"]


class GateProgress:
    """Shows nothing."""

    def begin(self, layer: str, total: int) -> None:
        """A layer begins, of so many parts."""

    def advance(self, series: str) -> None:
        """One more part is done: a series was answered."""

    def set_share(self, words: str, share: float) -> None:
        """This share of the layer is done, from 0 to 1."""

    def close(self) -> None:
        """The last layer has ended."""


class GateLines(GateProgress):
    """A line when a layer begins."""

    def begin(self, layer: str, total: int) -> None:
        """Print the line."""
        print(f"gdbench: {layer}", file=sys.stderr, flush=True)


class GateBar(GateProgress):
    """A bar for the current layer."""

    def __init__(self, console: SafeConsole) -> None:
        """Shown when the first layer begins."""
        columns = (TextColumn("{task.fields[layer]}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        self.bar = Progress(
            *columns, TimeElapsedColumn(), TextColumn("{task.description}"), console=console, transient=True
        )

    def begin(self, layer: str, total: int) -> None:
        """Show an empty bar."""
        self.task = self.bar.add_task("", total=total, layer=layer)
        self.bar.start()

    def advance(self, series: str) -> None:
        """Advance by one part."""
        self.bar.update(self.task, advance=1, description=series)

    def set_share(self, words: str, share: float) -> None:
        """Move to this share."""
        self.bar.update(self.task, completed=round(100 * share), description=words)

    def close(self) -> None:
        """Remove the bar."""
        self.bar.stop()


def choose_gate_progress(is_quiet: bool) -> GateProgress:
    """The progress that fits standard error: none if quiet, a bar in a terminal, else lines."""
    console = SafeConsole(stderr=True)
    if is_quiet:
        return GateProgress()
    return GateBar(console) if console.is_terminal else GateLines()
