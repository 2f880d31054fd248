"""The cells of a sweep, as the command line makes them of overrides."""

from __future__ import annotations

from gdbench.config import Composer, initialized, register
from gdbench.job import Job
from gdbench.sweeper import Lanes, fold


def folded(*overrides: str) -> list[Job]:
    """The cells of a sweep."""
    register(Lanes)
    with initialized():
        return fold(list(overrides), Composer())
