from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from support.cells import Tiny, parabola, plain, small
from support.tiers import representatives
from torch import Tensor

from gdbench.engine.cell import Cell
from gdbench.engine.point_digest import list_marked_steps
from gdbench.engine.randomness_check import CHECKED_STEPS
from gdbench.engine.runner import CellResult, run_cell
from gdbench.engine.timer import Clock
from gdbench.engine.timing_columns import OVERHEAD_S
from gdbench.engine.timing_pass import _FixedGradientOracle
from gdbench.objectives import Objective
from gdbench.optimizers import Method, Oracle
from gdbench.optimizers.line_search import armijo
from gdbench.optimizers.sgd import gd
from gdbench.optimizers.torch_optim import torch_optim
from gdbench.tree import Params

TICK = 2.0**-6
"""What a look at the clock costs, in seconds, so that blocks last 200 of them: three calls of the objective."""


@dataclass
class Work:
    """A clock that only calls of the objective, each a second, and looks at it move forward."""

    time: float = 0.0

    def clock(self) -> Clock:
        """The clock."""
        return Clock(self.now, lambda: None)

    def now(self) -> float:
        """Looks at the clock."""
        self.time += TICK
        return self.time

    def parabola(self, **more: Any) -> Objective:
        """x^2, each call of which takes a second."""

        def fn(x: Tensor) -> Tensor:
            self.time += 1
            return x**2

        return parabola(fn=fn, **more)


@pytest.fixture(autouse=True)
def free_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference loop takes no time by this clock: blocks of it would hold as many real steps as they may."""
    free = lambda *_: lambda count: lambda: None  # noqa: E731
    monkeypatch.setattr("gdbench.engine.timing_pass.make_notebook_loop", free)


def timed(make: Any = gd, seconds: float = 100.0, **cell: Any) -> CellResult:
    """A cell whose work alone moves the clock."""
    work = Work()
    return run_cell(small(work.parabola(), make, seconds=seconds, **cell), work.clock())


def told(answer: CellResult, name: str, index: int = 0) -> Any:
    """A value of a column, None where null."""
    return plain(answer.columns[name], index)


def test_without_a_budget_nothing_is_timed() -> None:
    """``timing=off`` tells no time at all, and says so."""
    answer = timed(seconds=0.0)

    assert told(answer, "timed") is False
    assert not answer.blocks
    for name in ("step_s", "first_step_s", "update_s", "time_to_target_s", "time_to_target_kind", "ops", "peak_bytes"):
        assert name not in answer.columns


def test_a_step_takes_the_time_of_its_work() -> None:
    """A step that asks the objective once takes what one call takes; its update takes next to nothing."""
    answer = timed()

    assert told(answer, "timed") is True
    assert told(answer, "step_s") == pytest.approx(1, rel=0.02)
    assert told(answer, "first_step_s") == 1 + TICK
    assert told(answer, "step_s_lo") <= told(answer, "step_s") <= told(answer, "step_s_hi")
    assert told(answer, "update_s") <= TICK
    assert told(answer, "step_time_ratio") == pytest.approx(told(answer, "step_s") / told(answer, "reference_s"))


def test_raw_blocks_are_kept() -> None:
    """Every block of every timed run is there, the reference's beside it, and their median is the step time."""
    answer = timed(lr=[0.1, 0.25], seconds=200.0)
    for run in (0, 1):
        blocks = answer.blocks["step_s"][answer.blocks["row"] == run]

        assert len(blocks) >= 15
        assert answer.blocks["block"][answer.blocks["row"] == run].tolist() == list(range(len(blocks)))
        assert np.median(blocks) == told(answer, "step_s", run)
    assert len(answer.blocks["reference_s"]) == len(answer.blocks["step_s"])


RATES = [1.5, 1e200, 1e-6, 0.25, 0.45]
STATUSES = ["diverged", "nonfinite", "budget", "target", "target"]


def test_which_runs_are_timed_first() -> None:
    """While the budget lasts: the fastest to the target first, then those that did not reach it, diverged ones last."""
    orders = []
    for seconds in (1e-9, 150.0, 250.0, 600.0):
        answer = timed(lr=RATES, seconds=seconds)
        assert answer.columns["status"].tolist() == STATUSES
        orders.append(np.flatnonzero(answer.columns["timed"]).tolist())
    order = [4, 3, 2, 0]  # lr 0.45 does more than quarter the gap in a step; 1e200 is never timed

    assert [sorted(order[: len(each)]) for each in orders] == orders
    assert len(orders[0]) == 1
    assert len(orders[-1]) == 4


def test_a_run_that_is_not_timed_takes_the_median() -> None:
    """Runs for which no budget is left say ``timed=false`` and take the median step time of those that were."""
    answer = timed(lr=np.linspace(0.1, 0.4, 50), seconds=300.0)
    was = answer.columns["timed"]

    assert 1 <= was.sum() < 50
    assert set(answer.columns["step_s"][~was]) == {np.ma.median(answer.columns["step_s"][was])}
    for name in ("first_step_s", "update_s", "step_s_lo", "step_time_ratio"):
        assert np.ma.getmaskarray(answer.columns[name]).tolist() == (~was).tolist()
    assert set(answer.blocks["row"]) == set(np.flatnonzero(was))


@pytest.mark.parametrize("runs", [1, 3, 50])
@pytest.mark.parametrize("seconds", [200.0, 400.0])
def test_the_budget_is_kept(runs: int, seconds: float) -> None:
    """A cell's timing takes its budget, but for the proof and the fewest blocks of the last run begun."""
    work = Work()
    cell = small(work.parabola(), lr=np.linspace(0.1, 0.4, runs), seconds=seconds)
    run_cell(replace(cell, seconds=0.0), work.clock())
    watching, work.time = work.time, 0.0
    run_cell(cell, work.clock())
    least = 1 + 20 + 7 + 10 + 45  # first step, proof, snapshots, calibration and 15 blocks of three steps

    assert 0.5 * seconds < work.time - watching < seconds + 2 * least


def test_a_slow_run_is_timed_all_the_same() -> None:
    """However small the budget, the first run is timed."""
    answer = timed(seconds=1e-3)

    assert told(answer, "step_s") == pytest.approx(1, rel=0.02)


def test_time_to_target_is_modelled_where_a_step_is_a_gradient() -> None:
    """With constant cost the time to the target is its steps times the step time; null where it was not reached."""
    answer = timed(lr=[0.25, 1e-6])

    assert told(answer, "time_to_target_kind") == "modelled"
    assert told(answer, "time_to_target_s") == 10 * told(answer, "step_s")
    assert told(answer, "time_to_target_kind", 1) is told(answer, "time_to_target_s", 1) is None


def lbfgs(lr: float) -> Method:
    """L-BFGS as it ships."""
    settings = {"line_search_fn": "strong_wolfe", "max_iter": 1, "max_eval": 25, "tolerance_grad": 0.0}
    return torch_optim(torch.optim.LBFGS, {"lr": lr, "tolerance_change": 0.0, **settings})


@pytest.mark.parametrize("make", [armijo, Tiny(lbfgs, lanes=False)], ids=["armijo", "lbfgs"])
def test_time_to_target_is_replayed_where_steps_differ(make: Any) -> None:
    """A line search's steps differ in cost: the run is timed again up to the target, every call of the objective."""
    answer = timed(make, lr=1.2)
    calls = told(answer, "gradient_evals_to_target") + told(answer, "function_evals_to_target")

    assert told(answer, "time_to_target_kind") == "replayed"
    assert told(answer, "time_to_target_s") == calls + TICK
    assert calls > told(answer, "steps_to_target")
    assert told(answer, "update_s") is None
    assert told(answer, "overhead_bound") is None


def test_a_line_search_that_missed_the_target_has_no_time_to_it() -> None:
    """Nothing is replayed where there is no target to replay to."""
    answer = timed(armijo, lr=[1e-6, 1.2])

    assert told(answer, "time_to_target_s", 0) is told(answer, "time_to_target_kind", 0) is None
    assert told(answer, "time_to_target_kind", 1) == "replayed"


@pytest.mark.parametrize("steps", representatives([1, 2, 3, 7, 100, 3000], [1, 3, 100]))
def test_blocks_stay_within_the_runs_own_steps(steps: int) -> None:
    """No timed step has an index beyond the run, nor one that could be the very first, nor one past the horizon."""
    ran: list[int] = []
    inner = gd(0.25)

    def step(oracle: Oracle, k: Any, x: Params, state: Any) -> Any:
        if not isinstance(oracle, _FixedGradientOracle):  # on which the process is warmed up, and updates are timed
            ran.append(k)
        return inner.step(oracle, k, x, state)

    work = Work()
    cell = small(work.parabola(), lambda lr: Method(inner.init, step), steps=steps, seconds=50.0)
    run_cell(replace(cell, seconds=0.0), work.clock())
    assert max(ran) == steps - 1
    ran.clear()
    answer = run_cell(cell, work.clock())
    timed_steps = ran[2 * CHECKED_STEPS + steps :]
    again = max(step for step in list_marked_steps(steps) if step <= 100)  # the steps by which it is proven again

    assert told(answer, "timed") is True
    assert max(timed_steps) < min(steps, 1000)  # those of the proof too, where a step takes long
    assert min(ran[-30 - again : -again]) >= min(1, steps - 1)


# Proof of work.


def unwatched() -> bool:
    """Whether the loop around a step has nobody looking on."""
    frame = sys._getframe()
    while frame.f_back and frame.f_code.co_name != "descent":
        frame = frame.f_back
    return frame.f_locals.get("look", 1) is None


def idle(lr: float) -> Method:
    """A cheat: it stands still when nobody looks."""
    inner = gd(lr)

    def step(oracle: Oracle, k: Any, x: Params, state: Any) -> Any:
        there, state, seen = inner.step(oracle, k, x, state)
        return (x if unwatched() else there), state, seen

    return Method(inner.init, step)


def careless(lr: float) -> Method:
    """A cheat: it asks for a second gradient when it is looked at, and ends at the same point."""
    inner = gd(lr)

    def step(oracle: Oracle, k: Any, x: Params, state: Any) -> Any:
        if not unwatched():
            oracle.grad(x, k)
        return inner.step(oracle, k, x, state)

    return Method(inner.init, step)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (idle, "the timed pass is not where the observed one was after 1 step"),
        pytest.param(
            careless, "the timed pass took 10 gradients where the observed one took 20", marks=pytest.mark.slow
        ),
    ],
)
def test_a_cheat_is_caught(make: Callable[[float], Method], error: str) -> None:
    """A method that does other work when nobody looks has no times and the reason; what was observed stays."""
    torch.set_num_threads(1)
    answer = timed(make)

    assert told(answer, "status") == "target"
    assert told(answer, "error") is None
    assert told(answer, "timing_error") == error
    assert told(answer, "timed") is False
    for name in ("step_s", "first_step_s", "time_to_target_s", "update_s", "step_time_ratio", "time_to_target_kind"):
        assert told(answer, name) is None
    assert not answer.blocks


def test_work_of_a_step_is_told() -> None:
    """Operations and bytes of one step are told for all runs; below 20 us an operation a step is bound by overhead."""
    answer = run_cell(small(parabola(), lr=[0.1, 0.2], seconds=0.05))

    assert told(answer, "ops", 0) == told(answer, "ops", 1) > 3
    assert told(answer, "peak_bytes") >= 16
    assert told(answer, "overhead_bound") is (told(answer, "step_s") < told(answer, "ops") * OVERHEAD_S)


def test_copies_of_an_ineffective_seed_are_timed_once() -> None:
    """Seeds that change nothing share one timing, whose blocks belong to the first of them."""
    answer = timed(lr=[0.25] * 3, seeds=[0, 1, 2])

    assert answer.columns["timed"].tolist() == [True] * 3
    assert set(answer.blocks["row"]) == {0}
    assert len(set(answer.columns["step_s"].tolist())) == 1


def test_cold_and_memory_times_are_the_cells() -> None:
    """What the first use of a method cost, and the memory-bound reference, are told once for all runs."""
    answer = timed(lr=[0.1, 0.2])
    for name in ("warmup_s", "memory_reference_s"):
        assert told(answer, name, 0) == told(answer, name, 1) > 0
    assert told(answer, "device_reference_s") is None


def test_on_the_wall_clock_too() -> None:
    """With real time a step takes between a microsecond and a tenth of a second, and the budget is about kept."""
    cell: Cell = small(parabola(), seconds=0.1)
    answer = run_cell(cell)

    assert 1e-6 < told(answer, "step_s") < 0.1
    assert 0 < told(answer, "update_s") < told(answer, "step_s")
    assert told(answer, "first_step_s") > 0
