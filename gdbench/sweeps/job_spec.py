"""A cell of a sweep as data; loads no torch, so that a mistake in a command is reported at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gdbench.config.spec import CellSpec

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """A cell of a sweep: its question, its number, the overrides that repeat it and the configuration they make."""

    question: CellSpec
    cell: int = 0
    overrides: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    """What its result depends on (see ``sweeps.fingerprint.cell_fingerprint``); empty where that was not asked."""

    @property
    def label(self) -> str:
        """The cell in a few words."""
        asked = self.question
        return " ".join((asked.objective, asked.optimizer, asked.impl, asked.dtype)).removesuffix(" auto")

    @property
    def lane_steps(self) -> int:
        """How many steps all its runs make together in the watched pass, the look at the last point counted."""
        return self.question.size * (self.question.steps + 1)

    @property
    def timed(self) -> bool:
        """Whether a timed pass follows."""
        return self.question.timing.seconds > 0
