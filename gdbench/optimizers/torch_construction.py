"""Torch optimizers made from a configuration: arguments, implementations, parameter groups, and torch's refusals."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gdbench.errors import Unavailable, UsageError
from gdbench.optimizers.parameter_groups import ParameterGroup, build_param_groups
from gdbench.optimizers.torch_needs import CLOSURE, GRAPH, NEEDS
from gdbench.tree import Params, leaves

__all__ = [
    *("Factory", "OptimizerSpec", "find_kind", "has_eval_mode", "is_from_torch", "is_refusal", "list_lr_names"),
    *("needs_closure", "public_name", "torch_arguments", "unavailable_error"),
]

SWITCHES: dict[str, dict[str, bool]] = {
    "torch": {"foreach": False, "fused": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "capturable": {"capturable": True},
    "differentiable": {"differentiable": True},
}
"""The arguments of a torch.optim class that select an implementation, by the name of the implementation."""

Factory = Callable[..., Optimizer]
"""A class like those of torch.optim, or a function that makes an optimizer: ``factory(params, **arguments)``."""


@dataclass(frozen=True)
class OptimizerSpec:
    """What a torch optimizer is made of; ``build(point)`` makes one that updates the tensors of a point in place.

    ``impl`` is a key of ``SWITCHES``, ``needs`` holds entries of ``NEEDS``. A function that makes optimizers may take
    the place of the class, with their class as ``kind``. Raises Unavailable where torch has no such implementation.
    """

    factory: Factory
    hyper: Mapping[str, Any]
    impl: str = "torch"
    given_kind: type[Optimizer] | None = None
    needs: frozenset[str] = frozenset()
    groups: Sequence[ParameterGroup] = ()
    """The parameter groups, with options by the names that torch knows; none: one group of all parameters."""
    switches: Mapping[str, bool] = field(init=False)

    def __post_init__(self) -> None:
        """Find the arguments that select the implementation."""
        object.__setattr__(self, "switches", find_switches(self.factory, self.impl))

    @property
    def kind(self) -> type[Optimizer]:
        """The class of the optimizers that the factory makes."""
        if self.given_kind is not None:
            return self.given_kind
        assert isinstance(self.factory, type)
        return self.factory

    @property
    def uses_closure(self) -> bool:
        """Whether a step needs a closure that evaluates the gradient."""
        return needs_closure(self.kind) or CLOSURE in self.needs

    @property
    def uses_graph(self) -> bool:
        """Whether a step needs a gradient that it can differentiate."""
        return GRAPH in self.needs

    def build(self, point: Params) -> Optimizer:
        """Make the optimizer of a point, in training mode where it has one."""
        factory, kind = self.factory, self.kind
        try:
            optimizer = factory(build_param_groups(point, self.groups), **{**self.hyper, **self.switches})
        except (RuntimeError, ValueError) as error:
            if is_refusal(kind, self.impl, error):
                raise unavailable_error(factory, self.impl, error) from error
            if isinstance(error, RuntimeError) and not is_from_torch(kind):
                raise construction_error(factory, error) from error
            raise
        except (AttributeError, TypeError) as error:
            raise construction_error(factory, error) from error
        if self.groups:
            check_torch_options(optimizer, self.groups, factory)
        if has_eval_mode(kind):
            optimizer.train()  # type: ignore[attr-defined]
        return optimizer


def check_torch_options(optimizer: Optimizer, groups: Sequence[ParameterGroup], factory: Factory) -> None:
    """Raise UsageError for an option of a group that a class of torch does not read from its groups."""
    if not is_from_torch(type(optimizer)):
        return
    for group in groups:
        for name in group.options:
            if name not in optimizer.defaults:
                raise UsageError(
                    f"optimizer.groups.{group.rule}.{name} is not an option of a group of {public_name(factory)}."
                    f" Allowed: {', '.join(optimizer.defaults)}, lr_scale."
                )


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


def clone_parameter(leaf: Tensor) -> Tensor:
    """Copy a leaf to a contiguous tensor, for torch to update in place."""
    return leaf.detach().clone(memory_format=torch.contiguous_format)


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
    """Name a class or function as users import it: ``torch.optim.Adam``, ``torch.nn.Linear``, ``package.Class``."""
    parts = str(getattr(factory, "__module__", "")).split(".")
    name = getattr(factory, "__name__", type(factory).__name__)
    return ".".join([*parts[: 2 if parts[0] == "torch" else 1], name])
