"""The loss of a module on a batch as one compiled graph, forward and backward."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gdbench.engine.gc_pause import pause_gc
from gdbench.engine.random_state import preserve_globals
from gdbench.engine.training.closeness import is_close, is_close_tree
from gdbench.errors import Unavailable
from gdbench.objectives.training import Training

if TYPE_CHECKING:  # the compiler takes its time
    from gdbench.engine.compile.torch_compile import Graph

__all__ = ["CompiledLoss"]


class CompiledLoss:
    """``loss(module, inputs, targets)`` by torch.compile, which the first call brings in; all runs of a cell share it.

    The first loss and gradient are compared with those of the module itself. Raises Unavailable where torch.compile
    cannot work, or where the graph gives others: it may draw Dropout masks from a stream of its own.
    """

    def __init__(self, training: Training, backend: str = "inductor") -> None:
        """Compile nothing yet."""
        self.training, self.backend = training, backend
        self.graph: Graph | None = None
        self.refusal = ""
        self.compile_s = 0.0
        """Seconds that the first call has taken, nearly all of it the compiler's."""

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor) -> Any:
        """The loss of a batch, as the user's function returned it."""
        if self.graph is None:
            self._compile(module, inputs, targets)
            assert self.graph is not None
        return self.graph(module, inputs, targets)

    def _compile(self, module: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor) -> None:
        if self.refusal:
            raise Unavailable(self.refusal)
        started = time.perf_counter()
        try:
            with pause_gc():
                self.graph = self._build_graph(module, inputs, targets)
        except Unavailable as reason:
            self.refusal = str(reason)
            raise
        finally:
            self.compile_s += time.perf_counter() - started

    def _build_graph(self, module: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor) -> Graph:
        from gdbench.engine.compile.torch_compile import compile_module_loss

        loss = self.training.loss

        def compute(module: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor) -> Any:
            return loss(module(*inputs), targets)

        with preserve_globals():
            expected = differentiate(compute, copy.deepcopy(module), inputs, targets)
        with preserve_globals():
            graph = compile_module_loss(compute, self.backend, (copy.deepcopy(module), inputs, targets))
        with preserve_globals():
            value, slopes = differentiate(graph, copy.deepcopy(module), inputs, targets)
        if not (is_close(value, expected[0]) and is_close_tree(slopes, expected[1])):
            raise Unavailable(
                "torch.compile gives another loss or gradient than the module itself: what it draws at random may come"
                " from another stream; use impl=torch"
            )
        return graph


def differentiate(
    compute: Any, module: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a module, and its gradient by name; zeros where the loss does not use a parameter."""
    trained = {name: leaf for name, leaf in module.named_parameters() if leaf.requires_grad}
    loss = compute(module, inputs, targets)
    slopes = torch.autograd.grad(loss, list(trained.values()), materialize_grads=True)
    return loss.detach(), {name: slope.to_dense() for name, slope in zip(trained, slopes, strict=True)}
