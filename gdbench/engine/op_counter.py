"""What one step does, counted rather than timed: dispatched operations and the most bytes alive at once.

The gate loads this file beside the gdbench of another tree: it imports nothing of gdbench.
"""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

__all__ = ["OpCounts", "StepWork", "count_ops", "count_step_work"]


class StepWork(NamedTuple):
    """Exact counts of one step; None where the device does not let them be seen."""

    ops: int | None
    peak_bytes: int | None


class OpCounts(NamedTuple):
    """What a call did, counted one by one."""

    ops: Mapping[str, int]
    """How often each operation was dispatched."""
    peak_bytes: int
    allocated_bytes: int


class _OpCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, and the bytes of storages born under it until each dies.

    A storage is known by its own object for as long as it lives: its address is soon another's.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive = self.peak = self.allocated = 0
        self.ops: Counter[str] = Counter()
        self.living: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        """Storages that were seen and have not died, by their address."""
        self.sizes: dict[int, int] = {}
        """The bytes of those among them that were born here."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled under it, and to keep the compiler out torch would import it, which takes 0.6 s."""
        return False

    def __exit__(self, *reason: object) -> None:
        super().__exit__(*reason)  # type: ignore[no-untyped-call]
        self.living.clear()  # what dies from here on is nobody's business

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        fresh = func is FRESH
        for storage in _list_storages((args, kwargs)):
            self._see(storage, born=fresh and storage.resizable())
        result = func(*args, **(kwargs or {}))
        self.ops[str(func)] += 1
        for storage in _list_storages(result):
            self._see(storage, born=True)
        return result

    def _see(self, storage: torch.UntypedStorage, born: bool) -> None:
        """Take a storage down where it is new, and its growth where it was born here."""
        key = storage._cdata
        if key not in self.living:
            self.living[key] = weakref.ref(storage, lambda _: self._forget(key))
            if born:
                self.sizes[key] = 0
        if key in self.sizes:
            grown = storage.nbytes() - self.sizes[key]
            self.sizes[key] += grown
            self.alive += grown
            self.allocated += max(grown, 0)
            self.peak = max(self.peak, self.alive)

    def _forget(self, key: int) -> None:
        self.living.pop(key, None)
        self.alive -= self.sizes.pop(key, 0)


def _list_storages(values: Any) -> Iterator[torch.UntypedStorage]:
    """The storages of all tensors in nested containers; a sparse one has those of its parts."""
    for leaf in tree_iter(values):
        if isinstance(leaf, Tensor):
            for part in PARTS.get(leaf.layout, _list_itself)(leaf):
                yield part.untyped_storage()


def _list_itself(leaf: Tensor) -> tuple[Tensor, ...]:
    return (leaf,)


def _list_row_parts(leaf: Tensor) -> tuple[Tensor, ...]:
    return leaf.crow_indices(), leaf.col_indices(), leaf.values()


def _list_column_parts(leaf: Tensor) -> tuple[Tensor, ...]:
    return leaf.ccol_indices(), leaf.row_indices(), leaf.values()


FRESH = torch.ops.aten.lift_fresh.default
"""What torch calls with a tensor that it has just filled from outside, as ``torch.tensor([1.0])`` is; an array's own
memory, which ``torch.from_numpy`` takes over, cannot be resized and is no birth."""
PARTS: Mapping[torch.layout, Callable[[Tensor], tuple[Tensor, ...]]] = {
    torch.sparse_coo: lambda leaf: (leaf._indices(), leaf._values()),
    torch.sparse_csr: _list_row_parts,
    torch.sparse_bsr: _list_row_parts,
    torch.sparse_csc: _list_column_parts,
    torch.sparse_bsc: _list_column_parts,
    torch._mkldnn: lambda leaf: (),  # type: ignore[attr-defined]
}
"""Where the memory of a tensor lies that has no storage of its own; that of mkldnn shows none."""


def count_ops(call: Callable[[], object]) -> OpCounts:
    """Count what a call does on the CPU, by watching every operation.

    The garbage collector waits meanwhile: when it runs, and so what it frees, depends on all that went before.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        with _OpCounter() as counter:
            call()
    finally:
        if collected:
            gc.enable()
    return OpCounts(dict(counter.ops), counter.peak, counter.allocated)


def count_step_work(step: Callable[[], object], device: torch.device) -> StepWork:
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
    work = count_ops(step)
    return StepWork(sum(work.ops.values()), work.peak_bytes)
