"""What one step does, counted rather than timed: dispatched operations and the most bytes alive at once."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

__all__ = ["Counted", "StepWork", "counted", "step_work"]


class StepWork(NamedTuple):
    """Exact counts of one step; None where the device does not let them be seen."""

    ops: int | None
    peak_bytes: int | None


class Counted(NamedTuple):
    """What a call did, counted one by one."""

    ops: Mapping[str, int]
    """How often each operation was dispatched."""
    peak_bytes: int
    allocated_bytes: int


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, and the bytes of storages born under it until each dies."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive = self.peak = self.allocated = 0
        self.ops: Counter[str] = Counter()
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
        self.ops[str(func)] += 1
        for leaf in tree_iter(result):
            if isinstance(leaf, Tensor):
                self._born(leaf.untyped_storage())
        return result

    def _born(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self.known:
            return
        self.known.add(storage._cdata)
        self.alive += storage.nbytes()
        self.allocated += storage.nbytes()
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._died, storage._cdata, storage.nbytes())

    def _died(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.alive -= size


def counted(call: Callable[[], object]) -> Counted:
    """Count what a call does on the CPU, by watching every operation."""
    with _Counter() as counter:
        call()
    return Counted(dict(counter.ops), counter.peak, counter.allocated)


def step_work(step: Callable[[], object], device: torch.device) -> StepWork:
    """Count one call of ``step`` on a device: on CUDA by its allocator, on the CPU one by one."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return StepWork(None, torch.cuda.max_memory_allocated(device) - before)
    if device.type != "cpu":
        return StepWork(None, None)
    work = counted(step)
    return StepWork(sum(work.ops.values()), work.peak_bytes)
