"""How a sweep reports its progress; loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gdbench.sweeps.job import Job

__all__ = ["Progress", "Silent", "Work"]


class Work(Protocol):
    """What runs now: its name, and how many steps it takes."""

    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def lane_steps(self) -> int: ...  # noqa: D102
    @property
    def is_timed(self) -> bool: ...  # noqa: D102


class Progress(Protocol):
    """Receives the events of a sweep."""

    def note(self, words: str) -> None: ...  # noqa: D102
    def begin(self, jobs: Sequence[Job]) -> None: ...  # noqa: D102
    def start_job(self, job: Work) -> None: ...  # noqa: D102
    def add_lane_steps(self, lane_steps: int) -> None: ...  # noqa: D102
    def finish_job(self, job: Job, statuses: Sequence[str]) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Silent:
    """Ignores all events."""

    def _ignore(self, *event: object) -> None:
        """Do nothing."""

    note = begin = start_job = add_lane_steps = finish_job = close = _ignore
