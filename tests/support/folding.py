"""The cells of a sweep, as the command line makes them of overrides."""

from __future__ import annotations

from gdbench.config.compose import Composer, composing
from gdbench.sweeps.hydra_sweeper import fold
from gdbench.sweeps.job_spec import Job


def folded(*overrides: str) -> list[Job]:
    """The cells of a sweep."""
    with composing():
        return fold(list(overrides), Composer())
