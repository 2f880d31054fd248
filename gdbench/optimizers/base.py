"""What a descent method is: ``init(x) -> state`` and ``step(oracle, k, x, state) -> (x, state, Seen)``.

Most methods are a recurrence of one tensor, which ``first_order`` turns into a Method; ``torch_optim`` dresses a
``torch.optim`` class in the same clothes. One family a file; each factory takes hyper-parameters, floats or float64
tensors ``[L]`` (one number a lane), and is named by ``_target_`` in ``conf/optimizer/*.yaml``.
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
    "treat_as_mutating",
    "tree_method",
]

Hyper = float | Tensor
"""A hyper-parameter: a number, or a float64 tensor ``[L]`` with one number a lane (``[]`` in a compiled solo step)."""

Step = int | Tensor
"""The index k of a step, from 0; a 0-d float64 tensor in a compiled step."""

HESSIAN_PRODUCT = 2
"""How many gradients a Hessian product counts as: it differentiates twice, and a difference of gradients takes two."""


class Oracle(Protocol):
    """What a method may ask of an objective; every call is work, and is counted by the method that made it."""

    @property
    def laned(self) -> bool:
        """Whether x holds lanes."""
        ...

    @property
    def full(self) -> Oracle | None:
        """The way to the loss on all data, where step k sees only the batch of k; None where each sees all."""
        ...

    @property
    def split(self) -> CompositeParts | None:
        """The objective as a smooth part and one with a proximal map, where it states them."""
        ...

    @property
    def value(self) -> Callable[[Params, Step], Tensor]:
        """``value(x, k)``: f(x), ``[]`` solo, ``[L]`` in lanes; in step k of the batch of which that has gradients."""
        ...

    @property
    def grad(self) -> Callable[[Params, Step], tuple[Tensor, Params]]:
        """``grad(x, k)``: f(x), and its gradient, which has the shape of x."""
        ...

    @property
    def hvp(self) -> Callable[[Params, Params, Step], Params]:
        """``hvp(x, v, k)``: the Hessian at x times v, each lane its own; counted as ``HESSIAN_PRODUCT`` gradients."""
        ...


class CompositeParts(NamedTuple):
    """The two parts of an objective ``f = s + g``: the way to s and its gradient, and ``prox(x, t)`` of g."""

    smooth: Oracle
    prox: Callable[[Params, Hyper], Params]


class StepInfo(NamedTuple):
    """What a step saw at the point x_k it started from, and the work it did: numbers, or ``[L]`` where lanes differ.

    Loss and gradient are those that the step itself asked for; where a method is judged at another point than x_k, the
    watch asks for its own.
    """

    loss: Tensor
    grad: Params
    gradients: int | Tensor
    evaluations: int | Tensor


StepFields = tuple[Tensor, Params, int | Tensor, int | Tensor]
"""The fields of a Seen; a step may return them unnamed."""


def return_unchanged(x: Params, state: Any) -> tuple[Params, Any]:
    """A pure method's x and state are never changed, so a copy of them is they themselves."""
    return x, state


@dataclass(frozen=True)
class Method:
    """A descent method.

    ``copy(x, state)`` gives an x and a state that a step may change without changing the originals.
    """

    init: Callable[[Params], Any]
    step: Callable[[Oracle, Step, Params, Any], tuple[Params, Any, StepFields]]
    copy: Callable[[Params, Any], tuple[Params, Any]] = return_unchanged
    mutates: bool = False
    """Whether a step changes x in place (torch.optim does)."""
    constant_cost: bool = True
    """Whether every step costs exactly one gradient, so that time to target is steps times step time."""
    lanes: bool = True
    """Whether the method can carry many runs as lanes of one tensor program."""
    output: Callable[[Params, Any], Params] | None = None
    """``output(x, state)``: the point that is watched, traced and told, where it is not x: an average, say.

    Loss and gradient there are the watch's work, not the method's: they are not counted, and never done when timed.
    """

    init_lanes: Callable[[Params], Any] | None = None
    """``init`` for lanes, where the state holds numbers that are one a lane."""
    proximal: bool = False
    """Whether it goes by the two parts of an objective, and so cannot do without a prox."""

    def begin(self, x: Params, laned: bool) -> Any:
        """The state at x, which holds lanes or does not."""
        return self.init_lanes(x) if laned and self.init_lanes else self.init(x)

    def output_at(self, x: Params, state: Any) -> Params:
        """The point that is judged, be it x or not."""
        return self.output(x, state) if self.output else x

    def with_step(self, step: Callable[[Oracle, Step, Params, Any], tuple[Params, Any, StepFields]]) -> Method:
        """The same method with another step; dataclasses.replace is beyond torch.compile."""
        return Method(
            self.init,
            step,
            self.copy,
            self.mutates,
            self.constant_cost,
            self.lanes,
            self.output,
            self.init_lanes,
            self.proximal,
        )


def treat_as_mutating(method: Method) -> Method:
    """The method as one that may work in place: what it is given is copied before it is kept or shown.

    For methods that are not ours, which may change x and state whatever the contract says.
    """
    if method.mutates:
        return method
    # As in ``stepping``: torch.compile follows no dataclasses.replace.
    return Method(
        method.init,
        method.step,
        deep_copy,
        True,
        method.constant_cost,
        method.lanes,
        method.output,
        method.init_lanes,
        method.proximal,
    )


def deep_copy(x: Params, state: Any) -> tuple[Params, Any]:
    """x and state on memory of their own; what they share they share in the copy too."""
    derived = [leaf for leaf in tree_leaves((x, state)) if isinstance(leaf, Tensor) and not leaf.is_leaf]
    return deepcopy((x, state), {id(leaf): leaf.clone() for leaf in derived})  # deepcopy refuses what autograd made


def compute_output_info(method: Method, oracle: Oracle, k: Step, at: Params, seen: StepInfo) -> StepInfo:
    """What the watch sees at the judged point ``at``: what the step saw, or its own where that saw something else.

    Where steps see batches it is the loss on all data, beside the step's own gradient.
    """
    if oracle.full is not None:
        return seen._replace(loss=oracle.full.value(at, k))
    if method.output is None:
        return seen
    loss, grad = oracle.grad(at, k)
    return seen._replace(loss=loss, grad=grad)


def first_order(
    init: Callable[[Tensor], Any], update: Callable[[Step, Tensor, Any, Tensor], tuple[Tensor, Any]]
) -> Method:
    """The Method of a recurrence written for one tensor: ``update(k, grad, state, x) -> (x, state)``.

    A dict of tensors is carried leaf by leaf, each with its own state. The step costs one gradient.
    """

    def init_tree(x: Params) -> Any:
        return {name: init(leaf) for name, leaf in x.items()} if isinstance(x, dict) else init(x)

    # Apart from step: what a comprehension captures makes every step slower, dict or not.
    def update_tree(k: Step, grad: Any, state: Any, x: dict[str, Tensor]) -> tuple[Params, Any]:
        pairs = {name: update(k, grad[name], state[name], leaf) for name, leaf in x.items()}
        return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        loss, grad = oracle.grad(x, k)
        x, state = update_tree(k, grad, state, x) if isinstance(x, dict) else update(k, grad, state, x)  # type: ignore[arg-type]
        return x, state, (loss, grad, 1, 0)  # what a Seen is, without the 0.2 us that naming it takes

    return Method(init_tree, step)


def matrix_method(
    init: Callable[[bool, Tensor], Any], update: Callable[[bool, Step, Tensor, Any, Tensor], tuple[Tensor, Any]]
) -> Method:
    """Build a Method from a recurrence for one tensor that must know whether its first axis is that of lanes.

    ``init(laned, leaf) -> state``, ``update(laned, k, grad, state, leaf) -> (leaf, state)``.
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

    return Method(partial(init_tree, False), step, init_lanes=partial(init_tree, True))


InnerProduct = Callable[[Params, Params], Tensor]
"""``inner(a, b)``: the inner product over all coordinates, ``[]`` solo, ``[L]`` in lanes."""
RunNumber = Callable[[Hyper], Tensor]
"""``number(value)``: a value as state that is one number a run, ``[]`` solo, ``[L]`` in lanes."""


class GradientInfo(NamedTuple):
    """What a step may know of the point it starts from, and how to multiply."""

    loss: Tensor
    grad: Params
    inner: InnerProduct


def tree_method(
    init: Callable[[Params, RunNumber], Any], update: Callable[[Step, GradientInfo, Any, Params], tuple[Params, Any]]
) -> Method:
    """The Method of a recurrence in which all coordinates meet: ``update(k, at, state, x) -> (x, state)``.

    x and gradient are whole trees. The step costs one gradient.
    """

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        loss, grad = oracle.grad(x, k)
        x, state = update(k, GradientInfo(loss.detach(), grad, partial(dot, laned=oracle.laned)), state, x)
        return x, state, (loss, grad, 1, 0)

    return Method(partial(init_state, init, False), step, init_lanes=partial(init_state, init, True))


def init_state(init: Callable[[Params, RunNumber], Any], laned: bool, x: Params) -> Any:
    """The state of a method at x, with numbers of the dtype of x."""
    first = leaves(x)[0].detach()
    zeros = torch.zeros(first.shape[:1] if laned else (), dtype=first.dtype, device=first.device)
    return init(tree_map(Tensor.detach, x), lambda value: zeros + per_run(value, zeros))


def line_search_method(
    init: Callable[[Params, RunNumber], Any],
    step: Callable[[Oracle, Step, Params, Any, InnerProduct], tuple[Params, Any, StepFields]],
) -> Method:
    """The Method of a step that asks the oracle what it likes, and says in ``StepInfo`` what that was."""

    def multiplying(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        return step(oracle, k, x, state, partial(dot, laned=oracle.laned))

    return Method(
        partial(init_state, init, False), multiplying, constant_cost=False, init_lanes=partial(init_state, init, True)
    )
