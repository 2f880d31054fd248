"""The weights of each run at the step that the held-out data select, as the state of its module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gdbench.engine.training.metric_log import Selection
from gdbench.errors import UsageError
from gdbench.objectives.base import Objective
from gdbench.objectives.training_objective import make_seeded_module

if TYPE_CHECKING:
    from gdbench.engine.cell import Cell

__all__ = ["StateDict", "check_keep", "make_state_dicts", "spread_weights"]

StateDict = Mapping[str, Tensor]
"""What ``Module.state_dict`` returns, each tensor with memory of its own, on the CPU."""


def check_keep(keep: str | None, objective: Objective) -> None:
    """Raise UsageError for ``keep=best`` where nothing selects a step."""
    if keep is None:
        return
    if objective.training is None:
        raise UsageError(f"keep={keep} is for training workloads, whose held-out data select a step.")
    if objective.training.held_out is None:
        raise UsageError(f"keep={keep} needs Training(held_out=...), the data that select a step.")


def make_state_dicts(cell: Cell, selection: Selection, laned: bool) -> tuple[StateDict | None, ...]:
    """The state of the module of every run at its selected step; None where no step has a finite score."""
    if selection.step is None:
        return (None,) * cell.size
    steps = selection.step if laned else selection.step[None]
    return tuple(
        None if step < 0 else _make_state_dict(cell, int(seed), selection, row if laned else ...)
        for row, (step, seed) in enumerate(zip(steps.tolist(), cell.seeds, strict=True))
    )


def _make_state_dict(cell: Cell, seed: int, selection: Selection, row: Any) -> StateDict:
    """The state of a module: tied weights under all of their names, as ``load_state_dict`` wants them."""
    assert cell.objective.training is not None
    module = make_seeded_module(cell.objective.training, seed)[0].to(dtype=cell.dtype)
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    with torch.no_grad():
        for name, leaf in {**selection.buffers, **selection.x}.items():
            own[name].copy_(leaf[row])
    return {name: leaf.detach().cpu().clone() for name, leaf in module.state_dict().items()}


def spread_weights(
    weights: Sequence[StateDict | None], rows: npt.NDArray[Any], back: npt.NDArray[Any]
) -> dict[int, StateDict]:
    """The states by the rows of a cell: ``rows`` are those of its distinct runs, ``back`` the distinct run of each."""
    by_run = {int(row): state for row, state in zip(rows, weights, strict=False) if state is not None}
    return {place: by_run[run] for place, run in enumerate(np.asarray(back).tolist()) if run in by_run}
