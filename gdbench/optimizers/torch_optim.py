"""Adapter that makes a Method of a class of ``torch.optim``: same oracle, same loop, only the update is torch's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import ASGD, Optimizer, SparseAdam

from gdbench.errors import Unavailable, UsageError
from gdbench.optimizers.base import Method, Oracle, Step, StepInfo
from gdbench.optimizers.create_graph import step_with_graph
from gdbench.optimizers.optimizer_copy import copy_optimizer
from gdbench.optimizers.torch_needs import CLOSURE, GRAPH, NEEDS, find_hint
from gdbench.tree import Params, leaves, tree_map

__all__ = ["Factory", "find_kind", "list_lr_names", "public_name", "torch_arguments", "torch_optim"]

SWITCHES: dict[str, dict[str, bool]] = {
    "torch": {"foreach": False, "fused": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "capturable": {"capturable": True},
    "differentiable": {"differentiable": True},
}
"""The arguments of a torch.optim class that select an implementation, by the name of the implementation."""


class TorchState(NamedTuple):
    """A torch optimizer and the point that it updates in place."""

    point: Params
    optimizer: Optimizer


Factory = Callable[..., Optimizer]
"""A class like those of torch.optim, or a function that makes an optimizer: ``factory(params, **arguments)``."""
TorchStep = Callable[[Oracle, Step, Params, TorchState], tuple[Params, TorchState, StepInfo]]


def torch_arguments(block: Mapping[str, Any], hyper: Mapping[str, Any]) -> dict[str, Any]:
    """Translate hyper-parameters to the arguments of a torch.optim class, by the ``torch:`` block of the method.

    In the block a list names the hyper-parameters that torch takes as one tuple (``betas: [beta1, beta2]``), and a
    single name a hyper-parameter that torch calls otherwise (``learning_rate: lr``); every other entry is a constant.
    """
    entries = {name: entry for name, entry in block.items() if name not in ("_target_", *NEEDS)}
    groups = {name: list(e) for name, e in entries.items() if isinstance(e, Sequence) and not isinstance(e, str)}
    renamed = {name: entry for name, entry in entries.items() if isinstance(entry, str) and entry in hyper}
    taken = {*renamed.values(), *(member for group in groups.values() for member in group)}
    return {
        **{name: number for name, number in hyper.items() if name not in taken},
        **{name: tuple(hyper[member] for member in group) for name, group in groups.items()},
        **{name: hyper[entry] for name, entry in renamed.items()},
        **{name: constant for name, constant in entries.items() if name not in (*groups, *renamed)},
    }


def list_lr_names(block: Mapping[str, Any]) -> list[str]:
    """List the keys under which a group may hold its learning rate: lr, and its name in the ``torch:`` block."""
    return ["lr", *(name for name, entry in block.items() if entry == "lr" and name != "lr")]


def find_kind(factory: Factory, point: Params, arguments: Mapping[str, Any]) -> type[Optimizer]:
    """Find the class of the optimizers that a function makes, by making one for a copy of ``point``."""
    kind = type(factory([clone_parameter(leaf).requires_grad_() for leaf in leaves(point)], **arguments))
    if not (hasattr(kind, "step") and hasattr(kind, "zero_grad")):
        raise UsageError(f"{public_name(factory)} returned {kind.__name__}; it must return a torch.optim.Optimizer.")
    return kind


def torch_optim(
    factory: Factory,
    hyper: Mapping[str, Any],
    impl: str = "torch",
    kind: type[Optimizer] | None = None,
    needs: frozenset[str] = frozenset(),
) -> Method:
    """Build the Method of a torch.optim class with the arguments ``hyper``.

    ``impl`` is a key of ``SWITCHES``, ``needs`` holds entries of ``NEEDS``. A function that makes optimizers may take
    the place of the class, with their class as ``kind``. The state holds the point that torch updates in place, at
    first a copy of the x given to ``init``; the x that a step receives is the same object, except in the first step,
    where it is equal. Raises Unavailable, here or in the first step, where torch has no such implementation.
    """
    arguments = {**hyper, **find_switches(factory, impl)}
    if kind is None:
        assert isinstance(factory, type)
        kind = factory

    def build(point: Params) -> Optimizer:
        try:
            optimizer = factory(leaves(point), **arguments)
        except (RuntimeError, ValueError) as error:
            if is_refusal(kind, impl, error):
                raise unavailable_error(factory, impl, error) from error
            if isinstance(error, RuntimeError) and not is_from_torch(kind):
                raise construction_error(factory, error) from error
            raise
        except (AttributeError, TypeError) as error:
            raise construction_error(factory, error) from error
        if has_eval_mode(kind):
            optimizer.train()  # type: ignore[attr-defined]
        return optimizer

    def init(x: Params) -> TorchState:
        # A differentiable step writes to its leaves under autograd, which must not require a gradient of them.
        point = tree_map(lambda leaf: clone_parameter(leaf).requires_grad_(impl != "differentiable"), x)
        return TorchState(point, build(point))

    def copy(x: Params, state: TorchState) -> tuple[Params, TorchState]:
        optimizer, point, x = copy_optimizer(state.optimizer, state.point, x)
        return x, TorchState(point, optimizer)

    def eval_point(x: Params, state: TorchState) -> Params:
        _, copied = copy(x, state)  # train() after eval() is not exact to the bit, so a copy is switched
        copied.optimizer.eval()  # type: ignore[attr-defined]
        return copied.point

    searches = needs_closure(kind) or CLOSURE in needs
    differentiates = GRAPH in needs
    step = closure_step(kind) if searches else graph_step if differentiates else gradient_step(factory, kind, impl)
    output = asgd_average if issubclass(kind, ASGD) else eval_point if has_eval_mode(kind) else None
    return Method(
        init, step, copy, mutates=True, constant_cost=not (searches or differentiates), lanes=False, output=output
    )


def asgd_average(x: Params, state: TorchState) -> Params:
    """Return the average that ASGD keeps; x itself before its first step."""
    memory = state.optimizer.state
    return tree_map(lambda leaf: memory[leaf]["ax"] if leaf in memory else leaf, state.point)


def gradient_step(factory: Factory, kind: type[Optimizer], impl: str) -> TorchStep:
    """Build the step of a class that uses one gradient."""
    set_grad = assign_sparse if issubclass(kind, SparseAdam) else assign

    def step(oracle: Oracle, k: Step, x: Params, state: TorchState) -> tuple[Params, TorchState, StepInfo]:
        point, optimizer = state
        loss, grad = oracle.grad(point, k)
        set_grad(point, grad)
        try:
            optimizer.step()
        except Exception as error:
            if k:
                raise
            if isinstance(error, RuntimeError | AssertionError) and is_refusal(kind, impl, error):
                raise unavailable_error(factory, impl, error) from error
            if not is_from_torch(kind) and (hint := find_hint(error)):
                error.add_note(hint)
            raise
        return point, state, StepInfo(loss, grad, 1, 0)

    return step


def graph_step(oracle: Oracle, k: Step, x: Params, state: TorchState) -> tuple[Params, TorchState, StepInfo]:
    """Make the step of a class that differentiates its gradient."""
    point, info = step_with_graph(oracle, k, state.point, state.optimizer)
    return point, state, info


def closure_step(kind: type[Optimizer]) -> TorchStep:
    """Build the step of a class that evaluates gradients through a closure: all are counted, the first is reported."""

    def step(oracle: Oracle, k: Step, x: Params, state: TorchState) -> tuple[Params, TorchState, StepInfo]:
        point, optimizer = state
        first: list[Params] = []
        losses: list[Tensor] = []

        @torch.enable_grad()
        def closure() -> Tensor:
            loss, grad = oracle.grad(point, k)
            assign(point, grad)
            losses.append(loss.detach())
            first[:] = first or [grad]
            return losses[-1]

        try:
            optimizer.step(closure=closure)  # type: ignore[arg-type]
        except (IndexError, TypeError):
            # Torch's line search fails where a loss is not finite: the run has become non-finite.
            if not is_from_torch(kind) or not losses or bool(torch.stack(losses).isfinite().all()):
                raise
            with torch.no_grad():
                tree_map(lambda leaf: leaf.fill_(torch.nan), point)
        if not losses:
            raise RuntimeError(f"{public_name(kind)}.step took a closure and did not call it: no loss was seen")
        return point, state, StepInfo(losses[0], first[0], len(losses), 0)

    return step


def clone_parameter(leaf: Tensor) -> Tensor:
    """Copy a leaf to a contiguous tensor, for torch to update in place."""
    return leaf.detach().clone(memory_format=torch.contiguous_format)


def assign(point: Params, grad: Params) -> None:
    """Set ``.grad`` with the memory layout of the parameter: fused kernels read both by position."""
    if isinstance(point, Tensor):
        point.grad = grad.contiguous()  # type: ignore[union-attr]
    else:
        for name, leaf in point.items():
            leaf.grad = grad[name].contiguous()  # type: ignore[index]


def assign_sparse(point: Params, grad: Params) -> None:
    """Set ``.grad`` to a sparse tensor without the zeros, the only kind that SparseAdam accepts."""
    for leaf, slope in zip(leaves(point), leaves(grad), strict=True):
        leaf.grad = slope.to_sparse()


def has_eval_mode(cls: type[Optimizer]) -> bool:
    """Whether a class has one point for training and one for evaluation, as those of the package schedulefree have."""
    return hasattr(cls, "train") and hasattr(cls, "eval")


def needs_closure(kind: type[Optimizer]) -> bool:
    """Whether the step of a class needs a closure, because it evaluates the gradient more than once.

    Raises UsageError where it needs another argument.
    """
    _, *taken = inspect.signature(kind.step).parameters.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [entry.name for entry in taken if entry.default is entry.empty and entry.kind not in variadic]
    if needed not in ([], ["closure"]):
        raise UsageError(f"{public_name(kind)}.step needs {', '.join(needed)}; it may need a closure and nothing else.")
    return bool(needed)


def find_switches(factory: Factory, impl: str) -> dict[str, bool]:
    """Find the arguments that select ``impl``, of those the class has; a class without any is single-tensor."""
    known = inspect.signature(factory).parameters
    if impl != "torch" and impl not in known:
        raise Unavailable(f"{public_name(factory)} has no {impl} implementation")
    return {name: on for name, on in SWITCHES[impl].items() if name in known}


def is_refusal(kind: type[Optimizer], impl: str, error: Exception) -> bool:
    """Whether an error says that torch lacks an implementation, and is not an error of a user's optimizer.

    It must be raised by code of torch.optim, in a class of torch (or ours) or where one of its switches was set.
    """
    raised_by_torch = raising_module(error.__traceback__).startswith(("torch.optim", "torch.utils._foreach_utils"))
    asked = is_from_torch(kind) or impl != "torch"
    about_a_number = isinstance(error, torch.OutOfMemoryError) or "cannot be converted to type" in str(error)
    return raised_by_torch and asked and not about_a_number


def raising_module(trace: TracebackType | None) -> str:
    """Find the name of the module whose code raised, the last of a traceback."""
    name = ""
    while trace is not None:
        name, trace = str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_next
    return name


def is_from_torch(kind: type[Optimizer]) -> bool:
    """Whether a class is one of torch, or one of ours that combines two of them."""
    return kind.__module__.partition(".")[0] in ("torch", "gdbench")


def unavailable_error(factory: Factory, impl: str, error: Exception) -> Unavailable:
    """Word torch's reason in one line."""
    return Unavailable(f"{public_name(factory)}, impl={impl}: {str(error).splitlines()[0]}")


def construction_error(factory: Factory, error: Exception) -> RuntimeError:
    """Word why an optimizer cannot be made from a list of parameters, and what to do."""
    return RuntimeError(
        f"{public_name(factory)} cannot be made from a list of parameters ({type(error).__name__}: {error}): where it"
        " takes something else, `_target_` may name a function(params, ...) that makes it"
    )


def public_name(factory: Factory) -> str:
    """Name a class or function as users import it: ``torch.optim.Adam``, ``package.Class``."""
    package = str(getattr(factory, "__module__", "")).partition(".")[0]
    name = getattr(factory, "__name__", type(factory).__name__)
    return f"{'torch.optim' if package == 'torch' else package}.{name}"
