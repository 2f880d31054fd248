"""How a gate goes on: a bar in a terminal, a line a layer elsewhere; stdout is the table's."""

from __future__ import annotations

import sys

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gdbench.report.terminal.safe_console import SafeConsole

__all__ = ["progress"]


class Silent:
    """Says nothing."""

    def begin(self, words: str, total: int) -> None:
        """A layer begins."""

    def heard(self, name: str) -> None:
        """A series has been answered."""

    def share(self, words: str, done: float) -> None:
        """So much of a layer is done, from 0 to 1."""

    def close(self) -> None:
        """Nothing is open."""


class Lines(Silent):
    """A line when a layer begins."""

    def begin(self, words: str, total: int) -> None:
        """Write the line."""
        print(f"gdbench: {words}", file=sys.stderr, flush=True)


class Bar(Silent):
    """A bar over the answers of a layer."""

    def __init__(self, console: SafeConsole) -> None:
        """Nothing shows yet."""
        columns = (TextColumn("{task.fields[layer]}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        self.bar = Progress(
            *columns, TimeElapsedColumn(), TextColumn("{task.description}"), console=console, transient=True
        )

    def begin(self, words: str, total: int) -> None:
        """Show an empty bar."""
        self.task = self.bar.add_task("", total=total, layer=words)
        self.bar.start()

    def heard(self, name: str) -> None:
        """Move on."""
        self.bar.update(self.task, advance=1, description=name)

    def share(self, words: str, done: float) -> None:
        """Move to that share."""
        self.bar.update(self.task, completed=round(100 * done), description=words)

    def close(self) -> None:
        """Take the bar away."""
        self.bar.stop()


def progress(quiet: bool) -> Silent:
    """What suits the terminal at hand."""
    console = SafeConsole(stderr=True)
    if quiet:
        return Silent()
    return Bar(console) if console.is_terminal else Lines()
