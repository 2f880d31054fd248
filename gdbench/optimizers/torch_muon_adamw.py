"""torch.optim.Muon and torch.optim.AdamW combined in one class, which torch does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer

from gdbench.errors import Unavailable

__all__ = ["MuonAdamW"]


class MuonAdamW(Optimizer):
    """``Muon`` on the matrices among the parameters, ``AdamW`` with ``lr_ratio lr`` on all other tensors."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.95,
        nesterov: bool = True,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
        lr_ratio: float = 1.0,
        adjust_lr_fn: str | None = "match_rms_adamw",
    ) -> None:
        super().__init__(params, {"lr": lr})
        if len(self.param_groups) > 1:
            raise Unavailable("gdbench.MuonAdamW makes its own groups: it takes no optimizer.groups; use groups=null")
        matrices = [leaf for leaf in self.param_groups[0]["params"] if leaf.ndim == 2]
        others = [leaf for leaf in self.param_groups[0]["params"] if leaf.ndim != 2]
        self.parts: list[tuple[float, Optimizer]] = []
        if matrices:
            muon = Muon(matrices, lr, weight_decay, momentum, nesterov, adjust_lr_fn=adjust_lr_fn)
            self.parts.append((1.0, muon))
        if others:
            self.parts.append((lr_ratio, AdamW(others, lr * lr_ratio, betas, eps, weight_decay, foreach=False)))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Make one step of each, with the lr and state of this object, which schedules set and timing copies."""
        for ratio, part in self.parts:
            part.state = self.state
            part.param_groups[0]["lr"] = ratio * self.param_groups[0]["lr"]
            part.step()
