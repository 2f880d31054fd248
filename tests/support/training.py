"""Cells of training workloads, and their steps one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from gdbench import Training
from gdbench.config.compose import Composer, prepare_hydra
from gdbench.engine.build import build_cell
from gdbench.engine.cell import Cell
from gdbench.engine.descent import descent
from gdbench.engine.randomness_check import find_draws
from gdbench.objectives.training_objective import build_training_objective
from gdbench.sweeps.planner import plan_overrides


def build_training_cell(training: Training, *words: str) -> Cell:
    """The cell of a workload and settings as on the command line; its random draws are known."""
    with prepare_hydra():
        (job,) = plan_overrides([*words, "device=cpu", "timing=off"], Composer())
    config = {"_target_": build_training_objective(training), "code": ""}
    return find_draws(build_cell(replace(job.spec, objective="workload", objective_config=config)))[0]


def run_steps(cell: Cell, row: int = 0, steps: int | None = None) -> tuple[list[Tensor], Any]:
    """The losses of a run's steps, and its state after them."""
    losses: list[Tensor] = []
    method, oracle, x = cell.solo_method(row), cell.oracle(False, row), cell.start(int(cell.seeds[row]))
    _, state = descent(
        method, oracle, x, range(steps or cell.steps), look=lambda k, point, info: losses.append(info.loss)
    )
    return losses, state
