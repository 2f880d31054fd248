"""What was observed in a whole pass: from the observer's counters to steps, one number a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from gdbench.engine.observer_state import ObserverSpec, ObserverState

__all__ = ["Observations", "convert_to_steps", "summarize"]

Array = npt.NDArray[Any]
T = TypeVar("T")


class Observations(NamedTuple, Generic[T]):
    """What was observed in a whole pass, one number a run."""

    best: T
    best_step: T
    last: T
    finite_points: T
    diverged_since: T
    """First step of the unbroken stretch above the start's loss that reaches to the end; -1 where there is none."""
    settled_since: T
    """First step of the unbroken stretch at or below the run's own target that reaches to the end; -1 without one."""
    first_hits: T
    """``[T, ...]``: the first-hit step of each target; one more than the last step where it was never hit."""
    gradients: T
    evaluations: T
    gradient_evals_to_target: T
    function_evals_to_target: T


def summarize(
    spec: ObserverSpec, steps: int, state: ObserverState, first_hits: Tensor | None = None
) -> Observations[Tensor]:
    """The observations of a pass, after x_steps was observed; ``first_hits`` where the state counts no misses."""
    if first_hits is None:
        first_hits = torch.stack(state.misses) if spec.laned else state.misses[0]
    finite = state.finite_points > steps
    if not spec.counts:
        worked = state.finite_points.clamp(max=steps)
        state = state._replace(gradients=worked, gradient_evals_to_target=torch.minimum(worked, first_hits[-1]))
    return Observations(
        best=state.best,
        best_step=state.best_step.to(torch.int32),
        last=state.last,
        finite_points=state.finite_points,
        diverged_since=_find_start_of_stretch(state.last_at_or_below_start, finite, steps),
        settled_since=_find_start_of_stretch(state.last_above_target, finite, steps),
        first_hits=first_hits,
        gradients=state.gradients,
        evaluations=state.evaluations,
        gradient_evals_to_target=state.gradient_evals_to_target,
        function_evals_to_target=state.function_evals_to_target,
    )


def _find_start_of_stretch(last_outside: Tensor, finite: Tensor, steps: int) -> Tensor:
    """The step after ``last_outside``; -1 where that was the last step or the run did not stay finite."""
    return torch.where(finite & (last_outside < steps), last_outside.to(torch.int32) + 1, -1)


def convert_to_steps(seen: Observations[Array], interval: int, steps: int, counts: bool) -> Observations[Array]:
    """Observations whose steps are numbers of judged points, as steps: point i is x of step ``min(i interval, steps)``.

    ``counts`` says that gradients were counted; if not, they are steps as well.
    """
    if interval == 1:
        return seen
    last = -(-steps // interval)

    def convert(points: Array) -> Array:
        judged = np.where(points > last, steps + 1, np.minimum(points * interval, steps))
        return np.where(points < 0, points, judged).astype(points.dtype)

    names = ["best_step", "finite_points", "diverged_since", "settled_since", "first_hits"]
    names += [] if counts else ["gradients", "gradient_evals_to_target"]
    return seen._replace(**{name: convert(getattr(seen, name)) for name in names})
