"""Proof of work: verify that the timed pass makes the very run that was observed and is reported in the row.

A run that was observed alone is compared with its own points: the timed pass must have the very bits of x at every
mark. Lanes round otherwise than a single run, so a run that was observed in lanes is observed once more, alone: the
timed pass must have the points of that, and its status, first hits and losses must be the row's. There a first hit may
differ by one step and a loss by ``LOSS_ROUNDING``; where they differ by more, the same run with every x perturbed by a
rounding is observed too. If that differs as much from the run alone, the run is decided by rounding (it is chaotic, or
within rounding of a target), and the difference of the lanes is no error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gdbench.engine.cell import Cell, MethodFactory
from gdbench.engine.compile.agreement import nudge
from gdbench.engine.convergence_metrics import convergence_columns
from gdbench.engine.convergence_pass import run_observed_pass
from gdbench.engine.descent import descent
from gdbench.engine.point_digest import digest_point, list_marked_steps
from gdbench.engine.timer import Clock
from gdbench.errors import format_count
from gdbench.optimizers.base import HESSIAN_PRODUCT, CompositeParts, Hyper, Method, Oracle, Step, StepFields
from gdbench.results.columns import LADDER
from gdbench.tree import Params

__all__ = ["MAX_SNAPSHOT_STEP", "CountingOracle", "ObservedRuns", "Verification", "verify_again", "verify_timed_pass"]

Columns = Mapping[str, Any]

MAX_SNAPSHOT_STEP = 200
"""Blocks start within this many first steps of a run: reaching later ones would take too long."""
COUNTED_STEPS = 100
"""Over so many steps gradients are counted with and without an observer."""
LOSS_ROUNDING = 0.5
"""The power of the dtype's rounding to which the losses of a run in lanes and alone agree, relative to the start's."""
NUDGES = 3
"""The number of runs with an x perturbed by one rounding in every step."""
COMPARED_HITS = ("steps_to_target", *LADDER)


@dataclass(frozen=True)
class ObservedRuns:
    """Results of the convergence pass: the columns of the runs, and digests of x at marked steps."""

    columns: Columns
    marks: Mapping[int, Mapping[int, bytes]]
    """By row, of runs observed one by one: by step, the digest of the judged point."""


@dataclass(frozen=True)
class Verification:
    """Result of a verification: how the timed pass differs, if it does, and how many steps were compared."""

    difference: str | None
    steps: int
    marks: Mapping[int, bytes] = field(default_factory=dict)
    """Digests of the points of the timed pass, by step."""


@dataclass
class CountingOracle:
    """An oracle that counts the gradients it is asked for, those of the smooth part among them."""

    inner: Oracle
    laned: bool = False
    full: None = None
    work: Counter[str] = field(default_factory=Counter)

    @property
    def split(self) -> CompositeParts | None:
        """The two parts of the objective, of which the smooth one counts too."""
        parts = self.inner.split
        return None if parts is None else CompositeParts(CountingOracle(parts.smooth, work=self.work), parts.prox)

    def value(self, x: Params, k: Step) -> torch.Tensor:
        """f(x)."""
        return self.inner.value(x, k)

    def grad(self, x: Params, k: Step) -> tuple[torch.Tensor, Params]:
        """f(x) and its gradient, which counts."""
        self.work["gradients"] += 1
        return self.inner.grad(x, k)

    def batch(self, k: int) -> tuple[torch.Tensor, ...]:
        """The batch of step k of a module, whose gradient counts."""
        self.work["gradients"] += 1
        return self.inner.batch(k)  # type: ignore[attr-defined, no-any-return]

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        """The Hessian at x times v, which counts as so many gradients."""
        self.work["gradients"] += HESSIAN_PRODUCT
        return self.inner.hvp(x, v, k)


def verify_timed_pass(cell: Cell, row: int, observed: ObservedRuns, clock: Clock, seconds: float) -> Verification:
    """Compare the timed pass of a run with the observed one, over all its steps or as many as fit into ``seconds``.

    ``MAX_SNAPSHOT_STEP`` steps at least are compared, and all of a shorter run.
    """
    one = cell.take(np.array([row]))
    if difference := _compare_gradient_counts(one):
        return Verification(difference, 0)
    bare = _digest_bare_pass(one, clock, seconds)
    steps = max(bare)
    points = observed.marks.get(row)
    if points is not None:
        return Verification(_compare_points(one, bare, points), steps, bare)
    alone = one.with_fields(steps=steps, trace="none")
    result = run_observed_pass(alone, False, np.empty(0, np.int64))
    difference = _compare_points(one, bare, result.marks[0])
    if difference is None:
        difference = _compare_with_lanes(alone, cell.steps, convergence_columns(alone, result), observed.columns, row)
    return Verification(difference, steps, bare)


def verify_again(cell: Cell, row: int, proof: Verification) -> str | None:
    """How the timed pass of a run differs after timing from before; None if it does not."""
    marks = {step: point for step, point in proof.marks.items() if step <= COUNTED_STEPS}
    one = cell.take(np.array([row]))
    if marks != {step: point for step, point in _digest_bare_pass(one, None, 0.0, max(marks)).items() if step in marks}:
        return _ignore_rounding(one, "the run goes elsewhere after it was timed than before")
    return None


def _compare_gradient_counts(one: Cell) -> str | None:
    """A message with the gradient counts of the timed and an observed pass; None if they are equal."""
    if one.make_method.is_compiled:  # its graph knows its oracle by identity
        return None
    counts, looks = [], (None, lambda k, x, points: None)
    for look in looks:
        work: Counter[str] = Counter()
        oracle = CountingOracle(one.oracle(False), work=work)
        method: Method = one.solo_method(0)
        descent(method, oracle, one.start(int(one.seeds[0])), range(min(one.steps, COUNTED_STEPS)), look=look)
        counts.append(work["gradients"])
    bare, observed = counts
    return (
        None
        if bare == observed
        else f"the timed pass took {format_count(bare, 'gradient')} where the observed one took {observed}"
    )


def _digest_bare_pass(one: Cell, clock: Clock | None, seconds: float, most: int | None = None) -> dict[int, bytes]:
    """The digests of the judged points of the timed pass, by step."""
    method, oracle, x = one.solo_method(0), one.oracle(False), one.start(int(one.seeds[0]))
    state, k = method.begin(x, False), 0
    marks: dict[int, bytes] = {}
    end = clock.now() + seconds if clock else 0.0
    for mark in list_marked_steps(one.steps):
        if marks and (mark > most if most else k >= MAX_SNAPSHOT_STEP and clock is not None and clock.now() > end):
            break
        x, state = descent(method, oracle, x, range(k, mark), state)
        marks[mark], k = digest_point(method.output_at(x, state)), mark
    return marks


def _compare_points(one: Cell, bare: Mapping[int, bytes], points: Mapping[int, bytes]) -> str | None:
    parted = next((step for step, point in bare.items() if points.get(step) != point), None)
    if parted is None:
        return None
    return _ignore_rounding(
        one, f"the timed pass is not where the observed one was after {format_count(parted, 'step')}"
    )


def _ignore_rounding(one: Cell, difference: str) -> str | None:
    """The difference; None where the order of sums varies, so that even two equal passes differ in bits."""
    if one.device.type == "cpu" and torch.get_num_threads() == 1:
        return difference
    first, second = (_digest_bare_pass(one, None, 0.0, MAX_SNAPSHOT_STEP) for _ in range(2))
    return difference if first == second else None


def _compare_with_lanes(alone: Cell, steps: int, facts: Columns, row_facts: Columns, row: int) -> str | None:
    """How a run in lanes differs from the run alone, where rounding does not explain it."""
    difference = _describe_difference(facts, 0, row_facts, row, alone, steps)
    if difference is None:
        return None
    for number in range(NUDGES):
        nudged = alone.with_fields(make_method=_NudgedFactory(alone.make_method, number))
        other = convergence_columns(nudged, run_observed_pass(nudged, False, np.empty(0, np.int64)))
        if _describe_difference(facts, 0, other, 0, alone, alone.steps) is not None:
            return None
    return difference


def _describe_difference(alone: Columns, one: int, other: Columns, row: int, cell: Cell, steps: int) -> str | None:
    """How a run in lanes and one alone differ: by status, by hits of more than one step, or by losses beyond rounding.

    Status and losses are compared where both made all of their ``steps``.
    """
    last = cell.steps + 1
    for name in COMPARED_HITS:
        here, there = (_cap_hit(hit, last) for hit in (alone[name][one], other[name][row]))
        if abs(here - there) > 1:
            return f"{name} is {_describe_hit(there, last)} in lanes and {_describe_hit(here, last)} alone"
    if cell.steps < steps:
        return None
    if alone["status"][one] != other["status"][row]:
        return f"the status is {other['status'][row]} in lanes and {alone['status'][one]} alone"
    rounding = torch.finfo(cell.dtype).eps ** LOSS_ROUNDING
    for name in ("final_loss", "best_loss"):
        loss, laned_loss = float(alone[name][one]), float(other[name][row])
        size = max(abs(float(alone["start_loss"][one])), abs(loss))
        if abs(loss - laned_loss) > rounding * size:
            return f"{name} is {laned_loss!r} in lanes and {loss!r} alone"
    return None


def _cap_hit(hit: Any, last: int) -> int:
    """A first hit within so many steps; ``last`` where there is none."""
    return last if hit is np.ma.masked else min(int(hit), last)


def _describe_hit(hit: int, last: int) -> str:
    return f"not reached in {last - 1} steps" if hit == last else str(hit)


@dataclass(frozen=True)
class _NudgedFactory:
    """A method factory whose every step starts from an x perturbed by one rounding."""

    inner: MethodFactory
    number: int

    def __call__(self, hyper: Mapping[str, Hyper]) -> Method:
        method: Method = self.inner(hyper)

        def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
            moved, _ = nudge(x, (), self.number * 1_000_003 + int(k))
            return method.step(oracle, k, moved, state)

        return method.with_step(step)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
