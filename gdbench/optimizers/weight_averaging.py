"""Averages of the weights, at which a method is judged while its own trajectory goes on as it is.

Each factory is named by ``_target_`` in ``conf/average/*.yaml``. The averages equal those of
``torch.optim.swa_utils.AveragedModel`` with ``use_buffers=True``: the running statistics of BatchNorm are averaged as
the weights are, so that they belong to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gdbench.errors import UsageError
from gdbench.optimizers.base import Hyper, Method, Oracle, Step, StepFields
from gdbench.optimizers.schedules import parse_length, where
from gdbench.optimizers.validation import check_nonnegative
from gdbench.tree import Params, tree_map

__all__ = ["AveragedState", "Averaging", "with_average"]

Averaging = Callable[[Step], Hyper]
"""``weight(k)``: the share that the point after step k has in the average; 1 until the average begins."""
Buffers = Mapping[str, Tensor]


def swa(steps: int, start: float = 0.75) -> Averaging:
    """Equal average of all points from ``start`` on, steps or a share of the run (Izmailov et al. 2018)."""
    first = parse_length("start", start, steps, 0, "average")

    def weight(k: Step) -> Hyper:
        return where(k >= first, 1 / (_count(k, first) + 1), 1.0)

    return weight


def ema(steps: int, decay: float = 0.999, start: float = 0.0) -> Averaging:
    """Exponential moving average of the points from ``start`` on, steps or a share of the run."""
    check_nonnegative("average.decay", decay)
    if decay > 1:
        raise UsageError(f"average.decay={decay:g} must be from 0 to 1, such as 0.999.")
    first = parse_length("start", start, steps, 0, "average")
    return lambda k: where(k > first, 1 - decay, 1.0)


def _count(k: Step, first: int) -> Hyper:
    """How many points were averaged before step k; 0 where there was none."""
    return where(k >= first, k - first, 0)


class AveragedState(NamedTuple):
    """The state of a method, and the averages of its points and of the buffers of its module."""

    inner: Any
    average: Params
    buffers: Buffers


def with_average(
    method: Method, weight: Averaging, read_buffers: Callable[[Oracle, Any], Buffers] = lambda oracle, state: {}
) -> Method:
    """Wrap a method so that its output is the average of its points; ``read_buffers(oracle, state)`` are averaged too.

    Buffers of whole numbers are those of the last step.
    """

    def init(x: Params, inner: Any) -> AveragedState:
        return AveragedState(inner, tree_map(_copy, method.output_at(x, inner)), {})

    def step(oracle: Oracle, k: Step, x: Params, state: AveragedState) -> tuple[Params, AveragedState, StepFields]:
        x, inner, info = method.step(oracle, k, x, state.inner)
        share = weight(k)
        average = tree_map(lambda old, new: _mix(old, new, share), state.average, method.output_at(x, inner))
        buffers = {
            name: _mix(state.buffers.get(name, new), new, share) for name, new in read_buffers(oracle, inner).items()
        }
        return x, AveragedState(inner, average, buffers), info

    def copy(x: Params, state: AveragedState) -> tuple[Params, AveragedState]:
        x, inner = method.copy(x, state.inner)
        return x, AveragedState(inner, state.average, state.buffers)  # which no step changes in place

    return Method(
        init=lambda x: init(x, method.init(x)),
        step=step,
        copy=copy,
        mutates=method.mutates,
        constant_cost=method.constant_cost,
        lanes=method.lanes,
        output=lambda x, state: state.average,
        init_lanes=lambda x: init(x, method.begin(x, True)),
        proximal=method.proximal,
    )


def _copy(leaf: Tensor) -> Tensor:
    """A tensor that no step of the method changes."""
    return leaf.detach().clone()


def _mix(old: Tensor, new: Tensor, share: Hyper) -> Tensor:
    """The average with a new point, as torch computes it."""
    if not isinstance(share, Tensor) and (share == 1 or not new.is_floating_point()):
        return _copy(new)
    if not new.is_floating_point():
        return new.clone()
    with torch.no_grad():
        return torch.lerp(old, new, share.to(new.dtype) if isinstance(share, Tensor) else share)
