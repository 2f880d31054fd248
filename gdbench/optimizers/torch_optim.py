"""``torch.optim`` in the clothes of a Method: same oracle, same loop, only the update is torch's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import ASGD, Optimizer, SparseAdam

from gdbench.optimizers import Method, Oracle, Seen, Step
from gdbench.params import Params, leaves, tree_map
from gdbench.schema import Unavailable

__all__ = ["named", "torch_arguments", "torch_optim"]

SWITCHES: dict[str, dict[str, bool]] = {
    "torch": {"foreach": False, "fused": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "capturable": {"capturable": True},
    "differentiable": {"differentiable": True},
}
"""The arguments by which a torch.optim class is told what to run on."""


class Held(NamedTuple):
    """A torch optimizer and the point it moves, in place."""

    point: Params
    optimizer: Optimizer


TorchStep = Callable[[Oracle, Step, Params, Held], tuple[Params, Held, Seen]]


def torch_arguments(block: Mapping[str, Any], hyper: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a torch.optim class: ``hyper`` by name, as the ``torch:`` block of the method amends it.

    In the block a list names the hyper-parameters that torch takes as one tuple (``betas: [beta1, beta2]``); every
    other entry is a constant passed on.
    """
    entries = {name: entry for name, entry in block.items() if name != "_target_"}
    groups = {name: list(e) for name, e in entries.items() if isinstance(e, Sequence) and not isinstance(e, str)}
    grouped = {member for group in groups.values() for member in group}
    return {
        **{name: number for name, number in hyper.items() if name not in grouped},
        **{name: tuple(hyper[member] for member in group) for name, group in groups.items()},
        **{name: constant for name, constant in entries.items() if name not in groups},
    }


def torch_optim(cls: type[Optimizer], hyper: Mapping[str, Any], impl: str = "torch") -> Method:
    """The Method of a torch.optim class with arguments ``hyper``; ``impl`` is one of ``SWITCHES``.

    The state holds the point that torch moves in place, at first a copy of the x given to ``init``. A step finds its
    point there; the x it is given is that very point, except in the first step, where it is equal to it.
    Raises Unavailable, here or in the first step, where torch has no such implementation.
    """
    arguments = {**hyper, **switches(cls, impl)}

    def build(point: Params) -> Optimizer:
        try:
            optimizer = cls(leaves(point), **arguments)
        except (RuntimeError, ValueError) as error:
            if not refuses(cls, error):
                raise
            raise refusal(cls, impl, error) from error
        if switched(cls):
            optimizer.train()  # type: ignore[attr-defined]
        return optimizer

    def init(x: Params) -> Held:
        # A differentiable step must not meet leaves that autograd knows, as it writes to them under autograd.
        point = tree_map(lambda leaf: fresh(leaf).requires_grad_(impl != "differentiable"), x)
        return Held(point, build(point))

    def copy(x: Params, state: Held) -> tuple[Params, Held]:
        # An Optimizer's own deepcopy loses the attributes of its subclass (LBFGS): build one, and move the memory in,
        # of which other packages keep a part beside the settings of a group.
        x, point, memory = deepcopy((x, state.point, state.optimizer.state))
        optimizer = build(point)
        optimizer.state = memory
        for new, old in zip(optimizer.param_groups, state.optimizer.param_groups, strict=True):
            new.update({name: deepcopy(each) for name, each in old.items() if name != "params"})
        return x, Held(point, optimizer)

    def evaluated(x: Params, state: Held) -> Params:
        _, there = copy(x, state)  # the way to it and back again would not end at the very bits
        there.optimizer.eval()  # type: ignore[attr-defined]
        return there.point

    searches = needs_closure(cls)
    step = searching() if searches else plain(cls, impl)
    judged = averaged if issubclass(cls, ASGD) else evaluated if switched(cls) else None
    return Method(init, step, copy, mutates=True, constant_cost=not searches, lanes=False, judged=judged)


def averaged(x: Params, state: Held) -> Params:
    """The average that ASGD keeps; before its first step x itself."""
    memory = state.optimizer.state
    return tree_map(lambda leaf: memory[leaf]["ax"] if leaf in memory else leaf, state.point)


def plain(cls: type[Optimizer], impl: str) -> TorchStep:
    """The step of a class that moves by one gradient."""
    hand_over = assign_sparse if issubclass(cls, SparseAdam) else assign

    def step(oracle: Oracle, k: Step, x: Params, state: Held) -> tuple[Params, Held, Seen]:
        point, optimizer = state
        loss, grad = oracle.grad(point, k)
        hand_over(point, grad)
        try:
            optimizer.step()
        except (RuntimeError, AssertionError) as error:
            if k == 0 and refuses(cls, error):
                raise refusal(cls, impl, error) from error
            raise
        return point, state, Seen(loss, grad, 1, 0)

    return step


def searching() -> TorchStep:
    """The step of a class that asks for gradients itself, through a closure: all are counted, the first is seen."""

    def step(oracle: Oracle, k: Step, x: Params, state: Held) -> tuple[Params, Held, Seen]:
        point, optimizer = state
        first: list[Params] = []
        losses: list[Tensor] = []

        def closure() -> Tensor:
            loss, grad = oracle.grad(point, k)
            assign(point, grad)
            losses.append(loss.detach())
            first[:] = first or [grad]
            return losses[-1]

        try:
            optimizer.step(closure)  # type: ignore[arg-type]
        except (IndexError, TypeError):
            # From a loss that is not finite torch's line search runs out of brackets: the run has left the finite.
            if bool(torch.stack(losses).isfinite().all()):
                raise
            with torch.no_grad():
                tree_map(lambda leaf: leaf.fill_(torch.nan), point)
        return point, state, Seen(losses[0], first[0], len(losses), 0)

    return step


def fresh(leaf: Tensor) -> Tensor:
    """A parameter of torch's own: a copy, contiguous."""
    return leaf.detach().clone(memory_format=torch.contiguous_format)


def assign(point: Params, grad: Params) -> None:
    """Hand the gradient over in ``.grad``, laid out like its parameter: the fused kernels read it by position."""
    if isinstance(point, Tensor):
        point.grad = grad.contiguous()  # type: ignore[union-attr]
    else:
        for name, leaf in point.items():
            leaf.grad = grad[name].contiguous()  # type: ignore[index]


def assign_sparse(point: Params, grad: Params) -> None:
    """The same as sparse tensors, whose pattern leaves the zeros out: SparseAdam takes no other."""
    for leaf, slope in zip(leaves(point), leaves(grad), strict=True):
        leaf.grad = slope.to_sparse()


def switched(cls: type[Optimizer]) -> bool:
    """Whether a class stands at another point for training than for judging (the package schedulefree's do)."""
    return hasattr(cls, "train") and hasattr(cls, "eval")


def needs_closure(cls: type[Optimizer]) -> bool:
    """Whether a class cannot step without a closure, as it evaluates the gradient more than once."""
    return inspect.signature(cls.step).parameters["closure"].default is inspect.Parameter.empty


def switches(cls: type[Optimizer], impl: str) -> dict[str, bool]:
    """The switches that turn ``impl`` on, of those the class has; single-tensor is what a class without any does."""
    known = inspect.signature(cls).parameters
    if impl != "torch" and impl not in known:
        raise Unavailable(f"{named(cls)} has no {impl} implementation")
    return {name: on for name, on in SWITCHES[impl].items() if name in known}


def refuses(cls: type[Optimizer], error: Exception) -> bool:
    """Whether an error says that torch has no such implementation, and not that a class of others, or a number, fails.

    Torch's own, and our twins of what torch will have, check their arguments and the device; of what the classes of
    others raise nothing is known, and so it counts as a failure of theirs.
    """
    return cls.__module__.partition(".")[0] in ("torch", "gdbench") and "cannot be converted to type" not in str(error)


def refusal(cls: type[Optimizer], impl: str, error: Exception) -> Unavailable:
    """Torch's own reason, on one line."""
    return Unavailable(f"{named(cls)}, impl={impl}: {str(error).splitlines()[0]}")


def named(cls: type[Optimizer]) -> str:
    """A class by the name under which it is imported: torch's, and those of other packages."""
    package = cls.__module__.partition(".")[0]
    return f"{'torch.optim' if package == 'torch' else package}.{cls.__name__}"
