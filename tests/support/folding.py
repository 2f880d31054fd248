"""The cells of a sweep, as the command line makes them of overrides."""

from __future__ import annotations

from gdbench.config.compose import Composer, prepare_hydra
from gdbench.sweeps.job import Job
from gdbench.sweeps.planner import plan_overrides


def folded(*overrides: str) -> list[Job]:
    """The cells of a sweep."""
    with prepare_hydra():
        return plan_overrides(list(overrides), Composer())
