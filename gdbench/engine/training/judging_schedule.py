"""The steps at which a run is judged: every so many, so that judging costs at most a tenth of the steps' work."""

from __future__ import annotations

import math

from gdbench.objectives.base import Objective
from gdbench.objectives.training import HELD_OUT, JUDGED
from gdbench.objectives.training_data import list_tensors

__all__ = ["choose_interval", "list_judged_steps"]

MAX_JUDGING_SHARE = 0.1
"""Judging takes at most this share of the samples that the steps' work is worth."""
STEP_WORK = 3
"""A sample of a step counts as three evaluations: forward, and twice as much backward."""


def choose_interval(given: int | str, objective: Objective) -> int:
    """The number of steps between two judgements; ``auto`` is 1 for all but training workloads.

    There it is the smallest number with (judged + held-out samples) / (3 batch number) <= 1/10.
    """
    if given != "auto":
        return int(given)
    training = objective.training
    if training is None:
        return 1
    judged = sum(len(tensors[0]) for split in (JUDGED, HELD_OUT) if (tensors := list_tensors(objective.data, split)))
    return max(1, math.ceil(judged / (STEP_WORK * training.batch * MAX_JUDGING_SHARE)))


def list_judged_steps(steps: int, interval: int) -> list[int]:
    """The judged steps of a run: 0, ``interval``, twice that, ..., and the last."""
    return [*range(0, steps, interval), steps]
