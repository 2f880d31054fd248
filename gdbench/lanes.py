"""How the runs of a cell are carried: as lanes of one program, by vmap, or one by one; with the reason in words."""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.cell import Cell
from gdbench.oracle import oracle
from gdbench.params import Params, stack_lanes, tree_map
from gdbench.schema import UsageError

__all__ = ["carrier", "check_scalar"]


def carrier(cell: Cell) -> tuple[bool, str]:
    """Whether the watched pass runs in lanes, and how it is carried, for the column ``resolved``."""
    if cell.size == 1:
        return False, "solo"
    if not cell.maker.lanes:
        return False, "run by run: torch.optim objects hold one run"
    if cell.dtype in (torch.float16, torch.bfloat16):
        return False, "run by run: a lane's own lr would be rounded to half precision"
    points = _distinct_points(cell.start(int(cell.seeds[0])))
    solo = torch.stack([cell.objective.value(point).detach() for point in points])
    if cell.objective.laned:
        if not _agree(cell.objective.value(stack_lanes(points)), solo):
            raise UsageError(
                "the objective says laned=True but maps [L, ...] to other losses than one point at a time:"
                " sum over the event axes only (dim=-1), or leave laned out."
            )
        return True, "lanes"
    try:
        laned = oracle(cell.objective, laned=True).grad(stack_lanes(points), 0)[0]
    except Exception as refusal:  # whatever vmap cannot follow, a solo run still can
        return False, f"run by run: vmap refuses ({str(refusal).strip().splitlines()[0][:120]})"
    if not _agree(laned, solo):
        return False, "run by run: vmap gives other losses than one point at a time"
    return True, "lanes by vmap"


def check_scalar(value: object, x: Params) -> None:
    """``UsageError`` unless an objective returned a scalar that depends on x differentiably."""
    if not isinstance(value, Tensor):
        raise UsageError(f"the objective returned {type(value).__name__}, not a tensor: end it with .sum() or .mean().")
    if value.dim():
        raise UsageError(
            f"the objective returned a tensor of shape {list(value.shape)}, not a scalar:"
            " end it with .sum() or .mean()."
        )
    if not value.requires_grad:
        raise UsageError(
            "the objective is not differentiable: its value does not depend on x through torch operations"
            " (no .detach(), .item(), .data or numpy between x and the result)."
        )


def _distinct_points(start: Params, count: int = 3) -> list[Params]:
    """Points near the start that differ in value, so that lanes that were mixed up would show."""
    return [tree_map(lambda leaf, i=i: leaf * (1 + 0.01 * i) + 0.01 * i, start) for i in range(count)]


def _agree(laned: Tensor, solo: Tensor) -> bool:
    return laned.shape == solo.shape and torch.allclose(
        laned, solo, rtol=64 * torch.finfo(solo.dtype).eps, atol=0, equal_nan=True
    )
