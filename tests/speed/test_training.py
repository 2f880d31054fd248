"""A step of mode (a) against the same training written by hand, side by side in one process."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch
from speed.training_script import BATCH, SETTINGS, make_data, make_module, train
from support.training import build_training_cell

from gdbench import Training
from gdbench.engine.descent import descent

ROUNDS, BLOCK, WARM = 400, 5, 50
STEPS = WARM + ROUNDS * BLOCK
MAX_RATIO = 1.03


def make_own_steps() -> Callable[[int], object]:
    """Steps of gdbench's loop as the timed pass makes them."""
    training = Training(module=make_module, train=make_data(), batch=BATCH)
    cell = build_training_cell(training, *SETTINGS, "impl=torch", f"steps={STEPS}")
    method, oracle, x = cell.solo_method(0), cell.oracle(False), cell.start(0)
    run: list[Any] = [0, x, method.init(x)]

    def step(count: int) -> None:
        k, x, state = run
        run[:] = [k + count, *descent(method, oracle, x, range(k, k + count), state)]

    return step


def make_script_steps() -> Callable[[int], object]:
    """Steps of the script."""
    losses = train(make_data(), 0, STEPS, reseed=False)
    return lambda count: list(islice(losses, count))


def time_block(step: Callable[[int], object]) -> float:
    """Seconds of a step in a block of them."""
    before = time.perf_counter()
    step(BLOCK)
    return (time.perf_counter() - before) / BLOCK


@pytest.mark.slow
def test_a_step_costs_what_it_costs_by_hand(timed: Any, figures: Any) -> None:
    """The median ratio of blocks that alternate between both is at most 1.03; judging is apart."""
    torch.set_num_threads(1)
    own, script = make_own_steps(), make_script_steps()
    own(WARM), script(WARM)
    pairs: list[tuple[float, float]] = []

    def measure() -> None:
        for i in range(ROUNDS):
            first, second = (own, script) if i % 2 else (script, own)
            one, other = time_block(first), time_block(second)
            pairs.append((one, other) if i % 2 else (other, one))

    gc.disable()
    try:
        timed(measure)
    finally:
        gc.enable()
    ratio = statistics.median(mine / by_hand for mine, by_hand in pairs)
    figures(own_step_us=1e6 * min(pair[0] for pair in pairs), script_step_us=1e6 * min(pair[1] for pair in pairs))
    figures(ratio_to_the_script=ratio)

    assert ratio <= MAX_RATIO
