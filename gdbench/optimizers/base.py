"""The contract of a method: ``init(x) -> state`` and ``step(oracle, k, x, state) -> (x, state, StepInfo)``.

Most methods are a recurrence for one tensor, which ``first_order`` turns into a Method; ``torch_optim`` is the adapter
for classes of ``torch.optim``. Each file holds one family. A factory takes hyper-parameters, which are floats or
float64 tensors ``[L]`` (one number per run), and is named by ``_target_`` in ``conf/optimizer/*.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from gdbench.tree import Params, dot, leaves, per_run, tree_map

__all__ = [
    "HESSIAN_PRODUCT",
    "CompositeParts",
    "GradientInfo",
    "Hyper",
    "InnerProduct",
    "Method",
    "Oracle",
    "RunNumber",
    "Step",
    "StepFields",
    "StepInfo",
    "compute_output_info",
    "first_order",
    "line_search_method",
    "matrix_method",
    "tree_method",
]

Hyper = float | Tensor
"""A hyper-parameter: a number, or a float64 tensor ``[L]`` with one number per run (``[]`` in a compiled solo step)."""

Step = int | Tensor
"""The index k of a step, from 0; a 0-d float64 tensor in a compiled step."""

HESSIAN_PRODUCT = 2
"""Number of gradients that a Hessian product counts as: two differentiations, as in a difference of two gradients."""


class Oracle(Protocol):
    """Access of a method to its objective; every call is work, and the method that makes it counts it."""

    @property
    def laned(self) -> bool:
        """Whether x holds lanes."""
        ...

    @property
    def full(self) -> Oracle | None:
        """The oracle of the loss on all data, where step k uses the minibatch of k; None where every step uses all."""
        ...

    @property
    def split(self) -> CompositeParts | None:
        """The smooth part and the proximal map of the objective; None where it does not state them."""
        ...

    @property
    def value(self) -> Callable[[Params, Step], Tensor]:
        """``value(x, k)``: f(x) on the minibatch of step k (or on all data), ``[]`` for one run, ``[L]`` in lanes."""
        ...

    @property
    def grad(self) -> Callable[[Params, Step], tuple[Tensor, Params]]:
        """``grad(x, k)``: f(x) and its gradient, which has the shape of x."""
        ...

    @property
    def hvp(self) -> Callable[[Params, Params, Step], Params]:
        """``hvp(x, v, k)``: the Hessian at x times v, for each run; counted as ``HESSIAN_PRODUCT`` gradients."""
        ...


class CompositeParts(NamedTuple):
    """The two parts of an objective ``f = s + g``: an oracle of the smooth part s, and the proximal map of g."""

    smooth: Oracle
    prox: Callable[[Params, Hyper], Params]


class StepInfo(NamedTuple):
    """Loss and gradient at the point x_k that a step started from, and the work of the step.

    The counts are numbers, or ``[L]`` where runs differ. Loss and gradient are those that the step itself evaluated;
    where a method's output is another point than x_k, the observer evaluates them there itself.
    """

    loss: Tensor
    grad: Params
    gradients: int | Tensor
    evaluations: int | Tensor


StepFields = tuple[Tensor, Params, int | Tensor, int | Tensor]
"""The fields of a StepInfo as a plain tuple, which a step may return instead."""


def return_unchanged(x: Params, state: Any) -> tuple[Params, Any]:
    """Return x and state as they are: a pure method never changes them, so no copy is needed."""
    return x, state


@dataclass(frozen=True)
class Method:
    """A descent method.

    ``copy(x, state)`` returns an x and a state that a step may change without changing the originals.
    """

    init: Callable[[Params], Any]
    step: Callable[[Oracle, Step, Params, Any], tuple[Params, Any, StepFields]]
    copy: Callable[[Params, Any], tuple[Params, Any]] = return_unchanged
    mutates: bool = False
    """Whether a step changes x in place (torch.optim does)."""
    constant_cost: bool = True
    """Whether every step costs exactly one gradient, so that time to target is steps times step time."""
    lanes: bool = True
    """Whether the method can step many runs at once, as lanes of one tensor."""
    output: Callable[[Params, Any], Params] | None = None
    """``output(x, state)``: the point that is observed and recorded, where it is not x, such as an average of iterates.

    Loss and gradient there are evaluated by the observer: they are not counted, and not evaluated in the timing pass.
    """
    init_lanes: Callable[[Params], Any] | None = None
    """``init`` for lanes, where the state holds one number per run."""
    proximal: bool = False
    """Whether a step uses the two parts of an objective, and so needs a prox."""
    leafwise: bool = False
    """Whether each tensor of x is updated by itself, from one gradient a step, so that tensors may be grouped."""

    def begin(self, x: Params, laned: bool) -> Any:
        """Initialise the state at x; ``laned`` says whether x holds lanes."""
        return self.init_lanes(x) if laned and self.init_lanes else self.init(x)

    def output_at(self, x: Params, state: Any) -> Params:
        """Return the output point: x, or what ``output`` makes of x and the state."""
        return self.output(x, state) if self.output else x

    def with_step(self, step: Callable[[Oracle, Step, Params, Any], tuple[Params, Any, StepFields]]) -> Method:
        """Return the same method with another step."""
        return self._with(step, self.copy, self.mutates)

    def as_mutating(self) -> Method:
        """Return the method as one that may work in place, so that its arguments are copied before they are recorded.

        For methods of users, which may change x and state although the contract forbids it.
        """
        return self if self.mutates else self._with(self.step, deep_copy, mutates=True)

    def _with(self, step: Any, copy: Any, mutates: bool) -> Method:
        constant = (self.constant_cost, self.lanes, self.output, self.init_lanes, self.proximal, self.leafwise)
        return Method(self.init, step, copy, mutates, *constant)  # torch.compile cannot trace dataclasses.replace


def deep_copy(x: Params, state: Any) -> tuple[Params, Any]:
    """Copy x and state to new memory; tensors that they share are shared in the copy too."""
    derived = [leaf for leaf in tree_leaves((x, state)) if isinstance(leaf, Tensor) and not leaf.is_leaf]
    return deepcopy((x, state), {id(leaf): leaf.clone() for leaf in derived})  # deepcopy refuses what autograd made


def compute_output_info(method: Method, oracle: Oracle, k: Step, point: Params, info: StepInfo) -> StepInfo:
    """Compute loss and gradient at the output ``point``: those of the step where it evaluated them there.

    Where steps use minibatches, the loss is that on all data, and the gradient that of the step.
    """
    if oracle.full is not None:
        return info._replace(loss=oracle.full.value(point, k))
    if method.output is None:
        return info
    loss, grad = oracle.grad(point, k)
    return info._replace(loss=loss, grad=grad)


def first_order(
    init: Callable[[Tensor], Any], update: Callable[[Step, Tensor, Any, Tensor], tuple[Tensor, Any]]
) -> Method:
    """Build a Method from a recurrence for one tensor: ``update(k, grad, state, x) -> (x, state)``.

    A dict of tensors is updated leaf by leaf, each leaf with its own state. A step costs one gradient.
    """

    def init_tree(x: Params) -> Any:
        return {name: init(leaf) for name, leaf in x.items()} if isinstance(x, dict) else init(x)

    # Not inside step: the variables that a comprehension captures make every step slower, with or without a dict.
    def update_tree(k: Step, grad: Any, state: Any, x: dict[str, Tensor]) -> tuple[Params, Any]:
        pairs = {name: update(k, grad[name], state[name], leaf) for name, leaf in x.items()}
        return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        loss, grad = oracle.grad(x, k)
        x, state = update_tree(k, grad, state, x) if isinstance(x, dict) else update(k, grad, state, x)  # type: ignore[arg-type]
        return x, state, (loss, grad, 1, 0)  # a plain tuple: to make a StepInfo takes 0.2 us

    return Method(init_tree, step, leafwise=True)


def matrix_method(
    init: Callable[[bool, Tensor], Any], update: Callable[[bool, Step, Tensor, Any, Tensor], tuple[Tensor, Any]]
) -> Method:
    """Build a Method from a recurrence for one tensor that depends on its number of axes, so must know of lanes.

    ``init(laned, leaf) -> state`` and ``update(laned, k, grad, state, leaf) -> (leaf, state)``; with ``laned`` the
    first axis of a leaf is that of the runs. A step costs one gradient.
    """

    def init_tree(laned: bool, x: Params) -> Any:
        return {name: init(laned, leaf) for name, leaf in x.items()} if isinstance(x, dict) else init(laned, x)

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        loss, grad = oracle.grad(x, k)
        if isinstance(x, dict):
            pairs = {name: update(oracle.laned, k, grad[name], state[name], leaf) for name, leaf in x.items()}  # type: ignore[index]
            moved: Params = {name: pair[0] for name, pair in pairs.items()}
            return moved, {name: pair[1] for name, pair in pairs.items()}, (loss, grad, 1, 0)
        moved, state = update(oracle.laned, k, grad, state, x)  # type: ignore[arg-type]
        return moved, state, (loss, grad, 1, 0)

    return Method(partial(init_tree, False), step, init_lanes=partial(init_tree, True), leafwise=True)


InnerProduct = Callable[[Params, Params], Tensor]
"""``inner(a, b)``: the inner product over all coordinates, ``[]`` for one run, ``[L]`` in lanes."""
RunNumber = Callable[[Hyper], Tensor]
"""``number(value)``: a tensor for the state that holds one number per run, ``[]`` for one run, ``[L]`` in lanes."""


class GradientInfo(NamedTuple):
    """Loss and gradient at the point that a step starts from, and the inner product of two points."""

    loss: Tensor
    grad: Params
    inner: InnerProduct


def tree_method(
    init: Callable[[Params, RunNumber], Any], update: Callable[[Step, GradientInfo, Any, Params], tuple[Params, Any]]
) -> Method:
    """Build a Method from a recurrence for the whole tree, such as one with inner products over all coordinates.

    ``update(k, info, state, x) -> (x, state)``, where x and ``info.grad`` are trees. A step costs one gradient.
    """

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        loss, grad = oracle.grad(x, k)
        x, state = update(k, GradientInfo(loss.detach(), grad, partial(dot, laned=oracle.laned)), state, x)
        return x, state, (loss, grad, 1, 0)

    return Method(partial(init_state, init, False), step, init_lanes=partial(init_state, init, True))


def init_state(init: Callable[[Params, RunNumber], Any], laned: bool, x: Params) -> Any:
    """Initialise the state of a method at x; numbers in it have the dtype of x."""
    first = leaves(x)[0].detach()
    zeros = torch.zeros(first.shape[:1] if laned else (), dtype=first.dtype, device=first.device)
    return init(tree_map(Tensor.detach, x), lambda value: zeros + per_run(value, zeros))


def line_search_method(
    init: Callable[[Params, RunNumber], Any],
    step: Callable[[Oracle, Step, Params, Any, InnerProduct], tuple[Params, Any, StepFields]],
) -> Method:
    """Build a Method from a step that may call the oracle any number of times and counts its calls in ``StepInfo``."""

    def step_with_inner(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        return step(oracle, k, x, state, partial(dot, laned=oracle.laned))

    return Method(
        partial(init_state, init, False),
        step_with_inner,
        constant_cost=False,
        init_lanes=partial(init_state, init, True),
    )
