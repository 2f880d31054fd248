"""What one step does, counted rather than timed: dispatched operations and the most bytes alive at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

__all__ = ["StepWork", "step_work"]


class StepWork(NamedTuple):
    """Exact counts of one step; None where the device does not let them be seen."""

    ops: int | None
    peak_bytes: int | None


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, and the bytes of storages born under it until each dies."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ops = self.alive = self.peak = 0
        self.known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled under it, and to keep the compiler out torch would import it, which takes 0.6 s."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for leaf in tree_iter((args, kwargs)):
            if isinstance(leaf, Tensor):
                self.known.add(leaf.untyped_storage()._cdata)
        result = func(*args, **(kwargs or {}))
        self.ops += 1
        for leaf in tree_iter(result):
            if isinstance(leaf, Tensor):
                self._born(leaf.untyped_storage())
        return result

    def _born(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self.known:
            return
        self.known.add(storage._cdata)
        self.alive += storage.nbytes()
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._died, storage._cdata, storage.nbytes())

    def _died(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.alive -= size


def step_work(step: Callable[[], object], device: torch.device) -> StepWork:
    """Count one call of ``step`` on a device: on CUDA by its allocator, on the CPU by watching every operation."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return StepWork(None, torch.cuda.max_memory_allocated(device) - before)
    if device.type != "cpu":
        return StepWork(None, None)
    with _Counter() as counter:
        step()
    return StepWork(counter.ops, counter.peak)
