from __future__ import annotations

from typing import Any

import pytest
import torch
from support.cells import parabola

from gdbench.engine.oracle import oracle
from gdbench.objectives import Objective
from gdbench.tree import stack_runs, tree_map

WAYS = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compilable"])
CUBE = Objective(
    fn=lambda x, scale: (scale * x["a"] ** 3).sum() + x["b"] ** 2,
    start={"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(3.0)},
    data={"scale": torch.tensor([1.0, 10.0])},
)


@WAYS
def test_value_and_gradient_by_hand(compiled: bool) -> None:
    """The loss and gradient of a dict of tensors, with data, are those that are worked out by hand."""
    ask = oracle(CUBE, laned=False, compiled=compiled)
    loss, grad = ask.grad(CUBE.start_at(0), 0)

    assert float(ask.value(CUBE.start_at(0), 0)) == float(loss.detach()) == 1 + 80 + 9
    assert {name: leaf.tolist() for name, leaf in grad.items()} == {"a": [3, 120], "b": 6}


@WAYS
def test_each_lane_has_its_own_gradient(compiled: bool) -> None:
    """In lanes, by vmap as this objective knows one point only, losses and gradients do not mix."""
    starts = [CUBE.start_at(0), tree_map(lambda leaf: 2 * leaf, CUBE.start_at(0))]
    ask = oracle(CUBE, laned=True, compiled=compiled)
    loss, grad = ask.grad(stack_runs(starts), 0)

    assert loss.tolist() == ask.value(stack_runs(starts), 0).tolist() == [90, 648 + 36]
    assert grad["a"].tolist() == [[3, 120], [12, 480]]
    assert grad["b"].tolist() == [6, 12]


@WAYS
@pytest.mark.parametrize("laned", [False, True], ids=["solo", "lanes"])
def test_a_hessian_product_is_the_hessian_times_a_vector(compiled: bool, laned: bool) -> None:
    """Of a dict of tensors, alone and in lanes, each of which has a Hessian of its own: 6 scale a v, and 2 v."""
    x, v = CUBE.start_at(0), {"a": torch.tensor([1.0, -1.0]), "b": torch.tensor(3.0)}
    ask = oracle(CUBE, laned=laned, compiled=compiled)
    if laned:
        x, v = stack_runs([x, tree_map(lambda leaf: 2 * leaf, x)]), stack_runs([v, v])
    product = ask.hvp(x, v, 0)

    assert product["a"].tolist() == ([[6, -120], [12, -240]] if laned else [6, -120])
    assert product["b"].tolist() == ([6, 6] if laned else 6)


@WAYS
@pytest.mark.parametrize("fn", [torch.sum, lambda x: x[0] ** 2], ids=["linear", "partly"])
def test_a_hessian_product_where_there_is_no_curvature(compiled: bool, fn: Any) -> None:
    """Along coordinates in which the gradient never changes the product is 0."""
    plane = Objective(fn=fn, start=torch.ones(2))
    product = oracle(plane, laned=False, compiled=compiled).hvp(plane.start, torch.tensor([0.0, 5.0]), 0)

    assert product.tolist() == [0, 0]


@pytest.mark.parametrize("requires", [False, True])
def test_a_point_leaves_no_trace(requires: bool) -> None:
    """Gradients, also of a point that autograd knows, hang on no graph, and the point keeps its own ``grad``."""
    x: Any = torch.tensor(3.0, requires_grad=requires)
    loss, grad = oracle(parabola(), laned=False).grad(x, 0)

    assert float(grad) == 6
    assert not grad.requires_grad
    assert x.grad is None
    assert float(loss.detach()) == 9


def test_a_value_builds_no_graph() -> None:
    """A value alone, as line searches ask for it, costs no graph."""
    x = torch.tensor(3.0, requires_grad=True)

    assert not oracle(parabola(), laned=False).value(x, 0).requires_grad
