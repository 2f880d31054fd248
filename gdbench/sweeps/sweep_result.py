"""What a sweep returns, also where it was interrupted; loads no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gdbench.sweeps.resume import SweepStatus

__all__ = ["Interrupted", "SweepResult", "interruptible"]


@dataclass(frozen=True)
class SweepResult:
    """The folder of a sweep, how far it had come before, and lines to print below its table."""

    folder: Path | None
    """None where nothing has been run yet: a plan."""
    status: SweepStatus | None = None
    """How far it had come when it was begun; None where the cells were not known beforehand."""
    remarks: Sequence[str] = ()


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep; ``result`` names the folder of its finished cells."""

    def __init__(self, result: SweepResult) -> None:
        """No message: who catches it knows what to show."""
        super().__init__()
        self.result = result


@contextlib.contextmanager
def interruptible(result: SweepResult) -> Iterator[SweepResult]:
    """Add the result so far to a Ctrl-C."""
    try:
        yield result
    except Interrupted:
        raise
    except KeyboardInterrupt as interrupt:
        raise Interrupted(result) from interrupt
