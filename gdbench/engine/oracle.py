"""The two ways to a gradient behind one name: autograd for eager steps, torch.func where torch.compile follows.

Where an objective is stochastic, all that a method asks in step k, values along a line search too, is of the batch of
that step and of its run's own seed; ``full`` is the way to the loss on all data, which judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.optimizers.base import CompositeParts, Step
from gdbench.tree import Params, dot, leaves, rebuild, tree_map

__all__ = ["CompilableOracle", "EagerOracle", "SampledOracle", "oracle"]

BatchLoss = Callable[[Any, Tensor, Step], Tensor]
"""``loss(x, seeds, k)``: the loss on the batches of step k; seeds are ``[]``, or ``[L]`` in lanes if they differ."""


class EagerOracle:
    """Gradients by ``torch.autograd.grad``: the cheapest way outside of a compiler.

    ``fn`` maps a point to its loss ``[]``, or lanes of points to ``[L]``. Value and gradient are plain closures, for a
    step on one number takes 35 us, and this is on its way. A leaf of a dict that the loss does not use has the gradient
    zero: torch.optim would be given None there, and leave the leaf out of weight decay and momentum too. A sparse
    gradient (of an embedding with ``sparse=True``) is made dense, which every method takes.
    """

    full: None = None

    def __init__(self, fn: Callable[[Any], Tensor], laned: bool, split: CompositeParts | None = None) -> None:
        """Lanes do not see each other, so the gradient of the sum of their losses is each lane's own."""
        differentiate = torch.autograd.grad

        def grad(x: Params, k: Step) -> tuple[Tensor, Params]:
            if isinstance(x, dict):
                x = {name: leaf.detach().requires_grad_() for name, leaf in x.items()}
                loss = fn(x)
                # The gradient of a leaf that the loss does not use is zero, to every impl alike.
                total = loss.sum() if laned else loss
                return loss, rebuild(x, map(to_dense, differentiate(total, leaves(x), materialize_grads=True)))
            x = x.detach().requires_grad_()
            loss = fn(x)
            slope = differentiate(loss.sum() if laned else loss, x)[0]
            return loss, slope.to_dense() if slope.is_sparse else slope

        def value(x: Params, k: Step) -> Tensor:
            with torch.no_grad():
                return fn(x)

        def hvp(x: Params, v: Params, k: Step) -> Params:
            x = tree_map(lambda leaf: leaf.detach().requires_grad_(), x)
            loss, at = fn(x), leaves(x)
            total = loss.sum() if laned else loss
            slopes = differentiate(total, at, create_graph=True, materialize_grads=True)
            along = dot(rebuild(x, slopes), v, laned=False)
            if not along.requires_grad:  # the gradient is the same everywhere
                return tree_map(torch.zeros_like, v)
            return rebuild(x, differentiate(along, at, materialize_grads=True))

        self.laned, self.grad, self.value, self.hvp, self.split = laned, grad, value, hvp, split

    def of(self, seeds: Tensor) -> EagerOracle:
        """The same for runs of these seeds: every run sees all data."""
        return self


@dataclass(frozen=True)
class SampledOracle:
    """Eager values and gradients of each step's batch."""

    drawn: BatchLoss
    laned: bool
    seeds: Tensor
    full: EagerOracle
    split: CompositeParts | None = None

    def at(self, k: Step) -> EagerOracle:
        """The way to those of step k."""
        return EagerOracle(lambda x: self.drawn(x, self.seeds, k), self.laned)

    def value(self, x: Params, k: Step) -> Tensor:
        """f(x) on the batch of step k."""
        return self.at(k).value(x, k)

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """The same, and its gradient."""
        return self.at(k).grad(x, k)

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        """Its Hessian at x times v."""
        return self.at(k).hvp(x, v, k)

    def of(self, seeds: Tensor) -> SampledOracle:
        """The same for runs of these seeds."""
        return replace(self, seeds=seeds, split=seed_parts(self.split, seeds))


@dataclass(frozen=True)
class CompilableOracle:
    """Gradients by ``torch.func`` under torch.compile, whose one graph has no place for autograd.grad; else eager ones.

    A compiled step is told ``seeds`` anew in each call: they are all in which oracles of one ``fn`` differ.
    """

    fn: Any
    """``fn(x)``, or with seeds a ``BatchLoss``."""
    laned: bool
    seeds: Tensor | None = None
    full: CompilableOracle | None = None
    split: CompositeParts | None = None

    def value(self, x: Params, k: Step) -> Tensor:
        """f(x), or that of the batch of step k."""
        loss: Tensor = self.fn(x) if self.seeds is None else self.fn(x, self.seeds, k)
        return loss

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """The same, and its gradient."""
        if not torch.compiler.is_dynamo_compiling():  # torch.func would import the compiler
            loss, slope = self._eager(k).grad(x, k)
            return loss.detach(), slope

        def total(point: Params) -> tuple[Tensor, Tensor]:
            loss = self.value(point, k)
            return (loss.sum() if self.laned else loss), loss

        grad, loss = torch.func.grad(total, has_aux=True)(x)
        return loss, grad

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        """The Hessian at x times v."""
        if not torch.compiler.is_dynamo_compiling():
            return self._eager(k).hvp(x, v, k)

        def along(point: Params) -> Tensor:
            return dot(self.grad(point, k)[1], v, laned=False)

        product: Params = torch.func.grad(along)(x)
        return product

    def _eager(self, k: Step) -> EagerOracle:
        return EagerOracle(lambda x: self.value(x, k), self.laned)

    def of(self, seeds: Tensor | None) -> CompilableOracle:
        """The same for runs of these seeds, where there are any; a compiler meets only the new ones."""
        if seeds is None:
            return self
        return CompilableOracle(self.fn, self.laned, seeds, self.full, seed_parts(self.split, seeds))


def to_dense(slope: Tensor) -> Tensor:
    """A gradient as a dense tensor."""
    return slope.to_dense() if slope.is_sparse else slope


def seed_parts(split: CompositeParts | None, seeds: Tensor) -> CompositeParts | None:
    """The same parts for runs of these seeds."""
    return None if split is None else CompositeParts(split.smooth.of(seeds), split.prox)  # type: ignore[attr-defined]


def oracle(
    objective: Objective, laned: bool, compiled: bool = False, seeds: int | Tensor = 0
) -> EagerOracle | SampledOracle | CompilableOracle:
    """An oracle of one point, or of lanes: by the objective's own code if that is ``laned``, else by vmap.

    ``seeds`` matter where the objective is stochastic: one for all, or int64 ``[L]``, one a lane.
    """
    fn, split = partial(objective.fn, **objective.data) if objective.data else objective.fn, None
    if objective.prox is not None:
        smooth = replace(objective, fn=objective.smooth or objective.fn, smooth=None, prox=None)
        split = CompositeParts(oracle(smooth, laned, compiled, seeds), objective.prox)
    if laned and not objective.laned:
        fn = torch.func.vmap(fn)
    if not objective.is_stochastic:
        return CompilableOracle(fn, laned, split=split) if compiled else EagerOracle(fn, laned, split)
    seeds, draw = torch.as_tensor(seeds), make_batch_loss(objective, laned)
    if compiled:
        return CompilableOracle(draw, laned, seeds, CompilableOracle(fn, laned), split)
    return SampledOracle(draw, laned, seeds, EagerOracle(fn, laned), split)


def make_batch_loss(objective: Objective, laned: bool) -> BatchLoss:
    """The loss on the batches of a step: lanes of one seed share theirs, others are carried by vmap."""

    def losses(x: Params, seeds: Tensor, k: Step) -> Tensor:
        def loss(x: Params, seed: Tensor) -> Tensor:
            return objective.batch_value(x, seed, k)

        if seeds.dim():
            loss = torch.func.vmap(loss)
        elif laned and not objective.laned:
            loss = torch.func.vmap(loss, in_dims=(0, None))
        return loss(x, seeds)

    return losses
