"""The cells of a sweep as data, and what hears how they go on; loads no torch, so that a mistake is told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gdbench.config.spec import Question

__all__ = ["Job", "Progress", "Silent", "Work"]


@dataclass(frozen=True)
class Job:
    """A cell of a sweep: its question, its number, the overrides that repeat it and the configuration they make."""

    question: Question
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


class Work(Protocol):
    """What goes on, in a few words, and how much it is."""

    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def lane_steps(self) -> int: ...  # noqa: D102
    @property
    def timed(self) -> bool: ...  # noqa: D102


class Progress(Protocol):
    """Hears how a sweep goes on."""

    def note(self, words: str) -> None: ...  # noqa: D102
    def begin(self, jobs: Sequence[Job]) -> None: ...  # noqa: D102
    def now(self, job: Work) -> None: ...  # noqa: D102
    def worked(self, lane_steps: int) -> None: ...  # noqa: D102
    def done(self, job: Job, statuses: Sequence[str]) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Silent:
    """A progress that nobody hears."""

    def begin(self, jobs: Sequence[Job]) -> None:
        """Say nothing."""

    def note(self, words: str) -> None:
        """Say nothing."""

    def now(self, job: object) -> None:
        """Say nothing."""

    def worked(self, lane_steps: int) -> None:
        """Say nothing."""

    def done(self, job: Job, statuses: Sequence[str]) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""
