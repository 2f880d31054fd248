from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.tiers import representatives
from torch import Tensor
from torch._inductor.utils import run_and_get_code

from gdbench.engine.compile.step_code import repeat_lane
from gdbench.engine.compile.torch_compile import mark_lanes_dynamic
from gdbench.engine.compile.unstack_pass import UnstackPass
from gdbench.engine.oracle import oracle
from gdbench.objectives.classical import rosenbrock, styblinski_tang
from gdbench.objectives.quadratic import quadratic

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")

APART: dict[str, Callable[[Tensor], Tensor]] = {
    **{each.__name__: each().fn for each in (rosenbrock, styblinski_tang)},
    "chain": rosenbrock(5).fn,
    "slices": lambda x: (x[..., 0] - x[..., 1] ** 2) ** 2 + x[..., 1] * torch.ones_like(x).sum(-1),
    "weighted": lambda x: (x * x * torch.arange(1.0, 4)[: x.shape[-1]].to(x)).sum(-1),
    "kept axis": lambda x: (x - x.sum(-1, keepdim=True)).pow(2).sum(-1),
}
WHOLE: dict[str, Callable[[Tensor], Tensor]] = {
    "product": lambda x: (x @ (x.mT @ x)).sum(-1),
    "mean": lambda x: x.mean(-1) ** 2,
    "sorted": lambda x: (x.sort(-1).values * x).sum(-1),
}


def descend(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Two steps of gradient descent on ``[n, L]``, and the sum of the losses."""
    from gdbench.objectives import Objective

    ask = oracle(Objective(fn=fn, start=torch.zeros(2), laned=True), laned=True, compiled=True)

    def steps(x: Tensor, lr: Tensor) -> tuple[Tensor, Tensor]:
        x, total = x.movedim(-1, 0), torch.zeros_like(lr)
        for _ in range(2):
            loss, grad = ask.grad(x, 0)
            x, total = x - lr[:, None] * grad, total + loss
        return x.movedim(0, -1), total

    return steps


def compiled(fn: Callable[..., Any], lanes: int, n: int) -> tuple[list[Tensor], list[Tensor], str]:
    """What a function gives compiled with columns, what it gives, and the code that was made of it."""
    generator = torch.Generator().manual_seed(0)
    at = torch.randn(n, lanes, generator=generator), torch.rand(lanes, generator=generator) / 1e3
    graph = torch.compile(fn, fullgraph=True, dynamic=False, options={"post_grad_custom_pre_pass": UnstackPass()})
    torch._dynamo.reset()
    _, (code,) = run_and_get_code(graph, *mark_lanes_dynamic(repeat_lane(at)))
    return list(graph(*at)), list(fn(*at)), code


@pytest.mark.parametrize("name", representatives(APART, ("rosenbrock", "chain")))
def test_what_is_taken_apart_is_the_same_in_one_loop(name: str) -> None:
    """Steps on small points become one loop over the lanes, which gives what they give."""
    ours, theirs, code = compiled(descend(APART[name]), lanes=37, n=5 if name == "chain" else 2)

    torch.testing.assert_close(ours, theirs)
    assert code.count("for(int64_t x0") == 1
    assert "for(int64_t x1" not in code


@pytest.mark.parametrize("name", representatives(WHOLE, ("product",)))
def test_what_cannot_be_taken_apart_is_left_as_it_is(name: str) -> None:
    """Where more than simple arithmetic meets a point, the graph is that which it would be."""
    ours, theirs, _ = compiled(descend(WHOLE[name]), lanes=37, n=3)

    torch.testing.assert_close(ours, theirs)


def test_big_points_are_left_as_they_are() -> None:
    """Points of more numbers than columns are worth stay whole."""
    ours, theirs, code = compiled(descend(lambda x: (x * x).sum(-1)), lanes=37, n=40)

    torch.testing.assert_close(ours, theirs)
    assert "for(int64_t x1" in code


def test_data_may_meet_points() -> None:
    """An objective that multiplies by a matrix compiles, and gives what it gives."""
    of = quadratic(3).to(torch.float32, "cpu")
    ours, theirs, _ = compiled(descend(lambda x: of.fn(x, **of.data)), lanes=37, n=3)

    torch.testing.assert_close(ours, theirs)
