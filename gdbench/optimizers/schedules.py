"""Learning-rate schedules: ``factor(k)``, by which lr is multiplied in step k; a pure function of k.

Each factory is named by ``_target_`` in ``conf/schedule/*.yaml`` and receives ``steps``, the number of steps of the
run. A length is a number of steps if it is whole (7, 1), and a share of the run's steps if it has a decimal point and
is at most 1 (0.1, 1.0); null means all steps (see ``parse_length``). A warmup or decay of 0 is skipped. k may be an int
or a 0-d tensor (in compiled steps), so a factor has no Python branch on it. Schedules that torch.optim.lr_scheduler has
too are equal to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gdbench.errors import UsageError
from gdbench.optimizers.base import Hyper, Method, Oracle, Step, StepFields
from gdbench.optimizers.validation import check_nonnegative
from gdbench.tree import Params

__all__ = ["Schedule", "with_schedule", "with_torch_schedule"]

Schedule = Callable[[Step], Hyper]
"""``factor(k)``, by which lr is multiplied in step k."""


def with_schedule(
    make: Callable[[Mapping[str, Any]], Method], factor: Schedule
) -> Callable[[Mapping[str, Any]], Method]:
    """Wrap a factory of methods so that every step is made by a method with the lr of that step; methods are pure."""

    def make_scheduled(hyper: Mapping[str, Any]) -> Method:
        def make_at(k: Step) -> Method:
            return make({**hyper, "lr": hyper["lr"] * factor(k)})

        def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
            return make_at(k).step(oracle, k, x, state)

        return make_at(0).with_step(step)

    return make_scheduled


def with_torch_schedule(method: Method, factor: Schedule, names: Sequence[str] = ("lr",)) -> Method:
    """Wrap a torch.optim method so that each parameter group steps with its initial learning rate times the factor.

    As in torch's schedulers, the group keeps its first learning rate as ``initial_lr``, and a tensor is filled in
    place. ``names`` are the keys under which a group may hold its learning rate; the first that it has is set.
    """

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        for group in state.optimizer.param_groups:
            name = find_lr_name(group, names)
            rate = group[name]
            if "initial_lr" not in group:
                group["initial_lr"] = rate.clone() if isinstance(rate, Tensor) else rate
            scheduled_rate = group["initial_lr"] * factor(k)
            if isinstance(rate, Tensor):
                rate.fill_(scheduled_rate)
            else:
                group[name] = scheduled_rate
        return method.step(oracle, k, x, state)

    return method.with_step(step)


def find_lr_name(group: Mapping[str, Any], names: Sequence[str]) -> str:
    """Find the key under which a parameter group holds its learning rate; UsageError if it is none of ``names``."""
    for name in names:
        if name in group:
            return name
    raise UsageError(
        f"the optimizer keeps no {' or '.join(names)} in its groups, so a schedule cannot set it; it keeps:"
        f" {', '.join(key for key in group if key != 'params')}. Use schedule=constant, or name it in the torch block"
        " (learning_rate: lr)."
    )


# -------------------------------------------------------------------------------------------------- numbers or tensors


def where(condition: Any, one: Hyper, other: Hyper) -> Hyper:
    """Return ``one`` where the condition holds, ``other`` where it does not."""
    if not isinstance(condition, Tensor):
        return one if condition else other
    # Two plain numbers would make a tensor of torch's default dtype, which is not accurate enough.
    wide = torch.zeros_like(condition, dtype=torch.float64)
    return torch.where(condition, wide + one, wide + other)


def minimum(one: Hyper, other: Hyper) -> Hyper:
    """Minimum of two numbers."""
    return where(one < other, one, other)


def half_cosine(angle: Hyper) -> Hyper:
    """Half a cosine, ``(1 + cos(angle)) / 2``: 1 at 0, 0 at pi."""
    return (1 + (torch.cos(angle) if isinstance(angle, Tensor) else math.cos(angle))) / 2


def round_down(number: Hyper) -> Hyper:
    """Round down to a whole number."""
    return torch.floor(number) if isinstance(number, Tensor) else float(math.floor(number))


def log(number: Hyper) -> Hyper:
    """Natural logarithm."""
    return torch.log(number) if isinstance(number, Tensor) else math.log(number)


def parse_length(name: str, given: Any, steps: int, fewest: int = 1, group: str = "schedule") -> int:
    """Convert a length to a number of steps.

    A whole number counts steps; a float from 0.0 to 1.0 is a share of the run's steps, rounded, so 1 is one step and
    1.0 is all steps; None is all steps too. A whole float above 1, such as 1e3, counts as a whole number.
    """
    if given is None:
        return steps
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < math.inf:
        raise UsageError(
            f"{group}.{name}={given}: it must be a whole number of steps, a share of them from 0.0 to 1.0, or null."
        )
    if given == 0 < fewest:
        raise UsageError(f"schedule.{name}={given}: it must be at least one step; try schedule.{name}=0.1.")
    if isinstance(given, float) and given <= 1:
        return max(round(given * steps), fewest)
    if given != int(given):
        raise UsageError(f"{group}.{name}={given}: steps are whole; a share of the run's steps is at most 1.0.")
    return int(given)


def check_share(name: str, given: Any) -> float:
    """Return a share of lr as a float; UsageError unless it is at least 0."""
    return check_nonnegative(f"schedule.{name}", given, what="a share of lr, a number")


def interpolate(start: float, end: float, done: Hyper) -> Hyper:
    """Interpolate linearly between start (``done`` 0) and end (``done`` 1)."""
    return start + (end - start) * done


# ------------------------------------------------------------------------------------------------------------ schedules


def linear(steps: int, start: float = 1.0, end: float = 0.0, over: float | None = None) -> Schedule:
    """Linear from ``start`` to ``end``, then constant (torch's LinearLR)."""
    first, last, span = check_share("start", start), check_share("end", end), parse_length("over", over, steps)
    return lambda k: interpolate(first, last, minimum(k, span) / span)


def step(steps: int, every: float = 0.3, gamma: float = 0.1) -> Schedule:
    """Step decay, ``gamma^floor(k / every)`` (torch's StepLR)."""
    rate, span = check_nonnegative("schedule.gamma", gamma, above=True), parse_length("every", every, steps)
    return lambda k: rate ** round_down(k / span)


def multistep(steps: int, milestones: Sequence[float] = (0.5, 0.75), gamma: float = 0.1) -> Schedule:
    """Step decay at milestones, ``gamma`` to the power of the number of milestones passed (torch's MultiStepLR)."""
    rate, ends = (
        check_nonnegative("schedule.gamma", gamma, above=True),
        [parse_length("milestones", end, steps, 0) for end in milestones],
    )

    def factor(k: Step) -> Hyper:
        passed: Hyper = 0.0
        for end in ends:
            passed = passed + where(k >= end, 1.0, 0.0)
        return rate**passed

    return factor


def exponential(steps: int, gamma: float = 0.999) -> Schedule:
    """Exponential decay, ``gamma^k`` (torch's ExponentialLR)."""
    rate = check_nonnegative("schedule.gamma", gamma, above=True)
    return lambda k: rate**k


def polynomial(steps: int, power: float = 2.0, over: float | None = None) -> Schedule:
    """Polynomial decay, ``(1 - k / over)^power``, then 0 (torch's PolynomialLR)."""
    exponent, span = check_nonnegative("schedule.power", power, above=True), parse_length("over", over, steps)
    return lambda k: (1 - minimum(k, span) / span) ** exponent


def cosine(steps: int, floor: float = 0.0, over: float | None = None) -> Schedule:
    """Half a cosine from 1 down to ``floor``; after ``over`` it increases again (torch's CosineAnnealingLR).

    Loshchilov and Hutter 2017, without restarts.
    """
    bottom, span = check_share("floor", floor), parse_length("over", over, steps)
    return lambda k: interpolate(bottom, 1.0, half_cosine(math.pi * k / span))


def cosine_restarts(steps: int, period: float = 0.1, multiple: int = 2, floor: float = 0.0) -> Schedule:
    """Half cosines from 1 down to ``floor``, each ``multiple`` times as long as the one before.

    Torch's CosineAnnealingWarmRestarts; SGDR of Loshchilov and Hutter 2017.
    """
    bottom, span = check_share("floor", floor), parse_length("period", period, steps)
    if isinstance(multiple, bool) or multiple != int(multiple) or multiple < 1:
        raise UsageError(f"schedule.multiple={multiple}: it must be a whole number of at least 1.")

    def factor(k: Step) -> Hyper:
        if multiple == 1:
            return interpolate(bottom, 1.0, half_cosine(math.pi * ((k % span) / span)))
        # The half cosines before number n take span (multiple^n - 1) / (multiple - 1) steps; 1e-9 outweighs rounding.
        number = round_down(log((multiple - 1) * k / span + 1) / math.log(multiple) + 1e-9)
        size = span * multiple**number
        first = (size - span) / (multiple - 1)
        return interpolate(bottom, 1.0, half_cosine(math.pi * (k - first) / size))

    return factor


def onecycle(steps: int, rise: float = 0.3, start: float = 0.04, end: float = 4e-6, anneal: str = "cosine") -> Schedule:
    """One cycle: from ``start`` up to 1 in a share ``rise`` of the run, then down to ``end`` (Smith and Topin 2019).

    Torch's OneCycleLR with max_lr = lr and cycle_momentum=False: only lr is scheduled here, never the momentum.
    """
    low, last = check_share("start", start), check_share("end", end)
    if anneal not in ("cosine", "linear"):
        raise UsageError(f"schedule.anneal={anneal} is not known. Allowed: cosine, linear.")
    if not 0 < rise < 1:
        raise UsageError(f"schedule.rise={rise}: it must be a share of the run, above 0 and below 1.")
    top = max(rise * steps - 1, 1e-9)
    down = max(steps - 1 - top, 1e-9)

    def ease(done: Hyper) -> Hyper:
        return done if anneal == "linear" else 1 - half_cosine(math.pi * done)

    return lambda k: where(
        k <= top,
        interpolate(low, 1.0, ease(minimum(k / top, 1.0))),
        interpolate(1.0, last, ease(minimum((k - top) / down, 1.0))),
    )


def wsd(steps: int, warmup: float = 0.05, decay: float = 0.2, start: float = 0.01, end: float = 0.0) -> Schedule:
    """Warmup, stable, decay: linear up to 1, constant, linear down to ``end`` (Zhai et al. 2022; Hu et al. 2024)."""
    first, last = check_share("start", start), check_share("end", end)
    up, down = parse_length("warmup", warmup, steps, fewest=0), parse_length("decay", decay, steps, fewest=0)
    if up + down > steps:
        raise UsageError(f"schedule.warmup and schedule.decay take {up} + {down} steps, the run has {steps}.")
    return lambda k: where(
        k < up, warmup_factor(k, first, up), interpolate(last, 1.0, minimum(1.0, (steps - k) / max(down, 1)))
    )


def inverse_sqrt(steps: int, warmup: float = 1) -> Schedule:
    """Linear warmup, then ``sqrt(warmup / (k + 1))`` (Vaswani et al. 2017); ``1 / sqrt(k + 1)`` with the defaults.

    A warmup of 0 is the same as one of 1 step, whose only factor is 1.
    """
    span = max(parse_length("warmup", warmup, steps, fewest=0), 1)
    return lambda k: minimum((k + 1) / span, (span / (k + 1)) ** 0.5)


def inverse_time(steps: int, over: float = 1) -> Schedule:
    """Inverse time decay, ``1 / (1 + k / over)``, for stochastic gradients (Robbins and Monro 1951)."""
    span = parse_length("over", over, steps)
    return lambda k: 1 / (1 + k / span)


def warmup_constant(steps: int, warmup: float = 0.1, start: float = 0.01) -> Schedule:
    """Linear from ``start`` up to 1, then constant (torch's LinearLR)."""
    first, up = check_share("start", start), parse_length("warmup", warmup, steps, fewest=0)
    return lambda k: warmup_factor(k, first, up)


def warmup_linear(steps: int, warmup: float = 0.1, start: float = 0.01, end: float = 0.0) -> Schedule:
    """Linear up to 1, then linear down to ``end`` at the end of the run."""
    first, up = check_share("start", start), parse_length("warmup", warmup, steps, fewest=0)
    decay = linear(max(steps - up, 1), 1.0, end)
    return lambda k: where(k < up, warmup_factor(k, first, up), decay(k - up))


def warmup_cosine(steps: int, warmup: float = 0.1, start: float = 0.01, floor: float = 0.0) -> Schedule:
    """Linear up to 1, then half a cosine down to ``floor`` at the end of the run."""
    first, up = check_share("start", start), parse_length("warmup", warmup, steps, fewest=0)
    decay = cosine(max(steps - up, 1), floor)
    return lambda k: where(k < up, warmup_factor(k, first, up), decay(k - up))


def warmup_factor(k: Step, start: float, up: int) -> Hyper:
    """Factor of a linear warmup from ``start`` to 1 in ``up`` steps, then 1."""
    return interpolate(start, 1.0, minimum(k, up) / up) if up else 1.0
