"""A job: a cell of a sweep as data; loads no torch, so that a mistake in a command is reported at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gdbench.config.spec import CellSpec

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """A cell of a sweep: specification, number, the overrides that repeat it, and their configuration."""

    spec: CellSpec
    cell: int = 0
    overrides: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    """Its fingerprint (``sweeps.fingerprint.cell_fingerprint``); empty where it was not computed."""

    @property
    def label(self) -> str:
        """The cell in a few words, for progress."""
        cell = self.spec
        return " ".join((cell.objective, cell.optimizer, cell.impl, cell.dtype)).removesuffix(" auto")

    @property
    def lane_steps(self) -> int:
        """The steps of all its runs in the convergence pass, with the evaluation at the last point."""
        return self.spec.size * (self.spec.steps + 1)

    @property
    def is_timed(self) -> bool:
        """Whether a timed pass follows."""
        return self.spec.timing.seconds > 0
