"""Lanes of modules: buffers, layout in memory, and chunks that run in threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from support.training import build_training_cell, run_steps
from torch import Tensor, nn

import gdbench
from gdbench import Training
from gdbench.engine import batching, failure_isolation
from gdbench.engine.compile.state_structure import select_lanes

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(96, 6, generator=GENERATOR)
TARGETS = INPUTS[:, :3].argmax(1)


class Centred(nn.Module):
    """A network with Dropout that subtracts a running mean, which it replaces by a new tensor in every step."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))
        self.inside, self.out = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Move the mean, and drop some of what is left."""
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * x.mean(0)
        return self.out(nn.functional.dropout(torch.tanh(self.inside(x - self.mean)), 0.2, self.training))  # type: ignore[no-any-return]


def workload() -> Training:
    """A small workload with a held-out split."""
    return Training(module=Centred, train=(INPUTS[:64], TARGETS[:64]), held_out=(INPUTS[64:], TARGETS[64:]), batch=16)


def test_a_buffer_that_is_replaced_follows() -> None:
    """What a module puts in the place of a buffer is the buffer of the next step, in both modes."""
    losses = []
    for impl in ("torch", "manual"):
        cell = build_training_cell(workload(), "optimizer=adam", f"impl={impl}", "lr=0.02", "steps=12", "dtype=float64")
        losses.append(torch.stack(run_steps(cell)[0]))

    assert torch.allclose(losses[0], losses[1], rtol=1e-9, atol=0)


def test_chunks_in_threads_are_runs_alone(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of lanes run in threads, one module and one core each, and equal the runs alone."""
    monkeypatch.chdir(tmp_path)
    threads: set[tuple[str, int]] = set()
    observe = failure_isolation.run_observed_pass

    def run_observed_pass(*given: Any) -> Any:
        threads.add((threading.current_thread().name, torch.get_num_threads()))
        return observe(*given)

    monkeypatch.setattr(failure_isolation, "run_observed_pass", run_observed_pass)
    settings: dict[str, Any] = {"optimizer": "adam", "lr": 0.02, "steps": 12, "judge_every": 4, "timing": "off"}
    alone = [gdbench.run(workload(), **settings, seed=seed).iloc[0] for seed in range(8)]
    threads.clear()
    monkeypatch.setattr(batching, "MODULE_NUMBERS", 1)
    monkeypatch.setattr(batching, "MIN_CHUNK_LANES", 2)
    laned = gdbench.run(workload(), **settings, seed=list(range(8)))

    assert {count for _, count in threads} == {1}
    assert threading.current_thread().name not in {name for name, _ in threads}
    assert (laned["lanes"] == 8).all()
    for row, one in zip(laned.to_dict("records"), alone, strict=True):
        for name in ("final_loss", "final.held_out.loss", "selected_step"):
            assert row[name] == pytest.approx(one[name], rel=1e-4)


def test_lanes_of_modules_lie_first() -> None:
    """Weights of lanes are matrices side by side in memory, also where some lanes have been dropped."""
    cell = build_training_cell(workload(), "optimizer=adam", "lr=0.02").take(torch.zeros(3, dtype=torch.int64).numpy())
    starts: Any = cell.starts()
    some = select_lanes(starts, 3, torch.tensor([0, 2]))

    assert starts["inside.weight"].is_contiguous()
    assert some["inside.weight"].is_contiguous()
    assert len(some["inside.weight"]) == 2
