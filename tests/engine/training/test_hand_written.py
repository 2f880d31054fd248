"""Mode (a) against the same training written by hand: ``tests/speed/training_script.py``."""

from __future__ import annotations

import pytest
import torch
from speed.training_script import BATCH, SETTINGS, make_data, make_module, train
from support.training import build_training_cell, run_steps

from gdbench import Training

STEPS = 220


@pytest.mark.parametrize("seed", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_losses_equal_those_of_a_script_bit_for_bit(seed: int) -> None:
    """Two groups, warm-up and cosine, clipping, BatchNorm and Dropout: every loss has the bits of the script's."""
    data = make_data()
    training = Training(module=make_module, train=data, batch=BATCH)

    by_hand = list(train(data, seed, STEPS, reseed=True))
    losses, _ = run_steps(build_training_cell(training, *SETTINGS, "impl=torch", f"steps={STEPS}", f"seed={seed}"))

    assert torch.equal(torch.stack(losses), torch.stack(by_hand))
    assert losses[-1] < losses[0]
