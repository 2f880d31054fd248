"""Methods that torch lacks agree with their papers: by reference implementations in NumPy, by theory and by counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.laws import MANUAL, MATRICES, OPTIMIZERS, PROXIMAL, identity_prox, manual
from support.referees import REFEREES, Array, Known
from torch import Tensor

from gdbench.config.schema import FACTS
from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.objectives import Objective
from gdbench.objectives.quadratic import quadratic
from gdbench.objectives.regression import lasso_proximal, soft_threshold
from gdbench.optimizers import HESSIAN_PRODUCT, CompositeParts, Method, Step, StepInfo
from gdbench.optimizers.diagonal_hessian import random_signs
from gdbench.optimizers.line_search import SearchLine, search_strong_wolfe
from gdbench.tree import Params, stack_runs

torch.set_num_threads(1)

F64 = torch.float64
STEPS = 25
OURS = [name for name in MANUAL if OPTIMIZERS[name].torch is None]


def curvatures(diagonal: bool) -> Array:
    """A matrix with eigenvalues from 0.5 to 8, along the axes or not."""
    eigenvalues = np.array([0.5, 1.0, 3.0, 8.0])
    turn = np.eye(4) if diagonal else np.linalg.qr(np.sin(np.arange(16.0)).reshape(4, 4) + np.eye(4))[0]
    return turn @ np.diag(eigenvalues) @ turn.T


def bowl(diagonal: bool, l1: float = 0.0) -> tuple[Objective, Known]:
    """x' A x / 2 + sum sqrt(1 + x^2), for torch and, with derivatives by hand, for numpy; and the prox of l1 |x|_1."""
    a = curvatures(diagonal)

    def fn(x: Tensor, a: Tensor) -> Tensor:
        return ((x @ a) * x).sum(-1) / 2 + (1 + x * x).sqrt().sum(-1)

    known = Known(
        f=lambda x: float(x @ a @ x / 2 + np.sqrt(1 + x * x).sum()),
        g=lambda x: a @ x + x / np.sqrt(1 + x * x),
        hessian=lambda x: a + np.diag((1 + x * x) ** -1.5),
        smoothness=9.0,
        strong_convexity=0.5,
        minimum=4.0,
        prox=lambda x, t: np.where(np.abs(x) > t * l1, x - t * l1 * np.sign(x), 0.0),
    )
    prox = partial(soft_threshold, l1) if l1 else identity_prox
    start = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=F64)
    return Objective(fn=fn, start=start, data={"a": torch.from_numpy(a)}, prox=prox, minimum=4.0, laned=True), known


BOWL, KNOWN = bowl(diagonal=False)
SMALL = {"prodigy": 1e-10, "dadapt_adam": 1e-10}
"""Tolerances above 1e-12, for methods whose step is a ratio of small sums."""


def build_known(name: str, known: Known, **changed: Any) -> Method:
    """A method as shipped, with what it must know of the objective."""
    facts = {fact: getattr(known, fact) for fact in FACTS if fact in OPTIMIZERS[name].hyper}
    return manual(name, **facts, **changed)


def output_points(method: Method, objective: Objective, steps: int = STEPS) -> list[Params]:
    """The output points of a method, the start first."""
    points: list[Params] = []
    ask = oracle(objective, laned=False)
    x, state = descent(method, ask, objective.start_at(0), range(steps), look=lambda k, x, seen: points.append(x))
    return [*points, method.output_at(x, state)]


def lr_of(name: str) -> float:
    """A step size that suits the bowl."""
    return {"adgd": 1e-3, "bb1": 0.05, "bb2": 0.05, "schedule_free_sgd": 0.1, "qhm": 0.1}.get(
        name, max(OPTIMIZERS[name].default_lr, 0.01)
    )


# The papers.


@pytest.mark.parametrize("name", REFEREES)
def test_a_method_is_what_its_paper_says(name: str) -> None:
    """Over 25 steps the method and a NumPy loop written from the paper have the same trajectory."""
    diagonal = name in ("adahessian", "sophia")  # random signs then tell the Hessian's diagonal exactly
    objective, known = bowl(diagonal, l1=2.0 if name in PROXIMAL else 0.0)
    ours = output_points(build_known(name, known, lr=lr_of(name)), objective)
    theirs = list(islice(REFEREES[name](known, objective.start_at(0).numpy(), lr_of(name)), STEPS))
    worst = max(np.abs(a.numpy() - b).max() for a, b in zip(ours[1:], theirs, strict=True))

    assert worst <= SMALL.get(name, 1e-12) * 3
    assert np.abs(theirs[-1] - theirs[0]).max() > 0


def test_every_method_has_its_referee() -> None:
    """Methods without a NumPy loop are tested below: conjugate gradients, BFGS and the strong Wolfe search."""
    assert set(OURS) - set(REFEREES) == {*CONJUGATE, "bfgs", "strong_wolfe"}


def test_shampoo_of_a_matrix() -> None:
    """Preconditioners of both sides are the inverse fourth roots that scipy finds."""
    a = torch.sin(torch.arange(12, dtype=F64)).reshape(4, 3)
    objective = Objective(fn=lambda x: ((a @ x - 1) ** 2).sum() / 2, start=torch.ones(3, 2, dtype=F64))
    ours = output_points(build_known("shampoo", KNOWN, lr=0.1), objective, 10)
    x, left, right = np.ones((3, 2)), 1e-4 * np.eye(3), 1e-4 * np.eye(2)
    for point in ours[1:]:
        g = a.numpy().T @ (a.numpy() @ x - 1)
        left, right = left + g @ g.T, right + g.T @ g
        roots = [scipy.linalg.fractional_matrix_power(side, -0.25) for side in (left, right)]
        x = x - 0.1 * roots[0] @ g @ roots[1]

        assert np.abs(point.numpy() - x).max() < 1e-10


def test_soap_of_a_matrix() -> None:
    """Steps in the eigenbasis, which turns three times, are those of the authors in numpy.

    With their eps of 1e-8 what rounding leaves where the first gradient has nothing would be told.
    """
    a = np.sin(np.arange(24.0) ** 2).reshape(6, 4)
    objective = Objective(
        fn=lambda x: ((torch.from_numpy(a) @ x - 1) ** 2).sum() / 2,
        start=torch.sin(torch.arange(12, dtype=F64) ** 2).view(4, 3),
    )
    ours = output_points(build_known("soap", KNOWN, lr=0.05, eps=1e-3), objective, 35)
    x, m, v, beta = objective.start_at(0).numpy(), np.zeros((4, 3)), np.zeros((4, 3)), 0.95
    sides, turns = [np.zeros((4, 4)), np.zeros((3, 3))], [np.eye(4), np.eye(3)]
    for k, point in enumerate(ours[1:]):
        g = a.T @ (a @ x - 1)
        if k:
            m, v = beta * m + (1 - beta) * g, beta * v + (1 - beta) * (turns[0].T @ g @ turns[1]) ** 2
            way = turns[0] @ (turns[0].T @ m @ turns[1] / (np.sqrt(v) + 1e-3)) @ turns[1].T
            x = x - 0.05 / np.sqrt(1 - beta**k) * way
        sides = [beta * sides[0] + (1 - beta) * g @ g.T, beta * sides[1] + (1 - beta) * g.T @ g]
        if k == 0:
            turns = [np.linalg.eigh(side)[1][:, ::-1] for side in sides]
        elif k % 10 == 0:
            orders = [np.argsort(-np.diag(q.T @ side @ q)) for side, q in zip(sides, turns, strict=True)]
            v = v[orders[0]][:, orders[1]]
            turns = [np.linalg.qr((side @ q)[:, o])[0] for side, q, o in zip(sides, turns, orders, strict=True)]

        assert np.abs(point.numpy() - x).max() < 1e-9


TENSORWISE = ("lars", "lamb", "novograd", "shampoo", "soap")


def parts(x: Any) -> Tensor:
    """The vector that a dict of its two halves stands for."""
    return torch.cat([x["first"], x["second"]], dim=-1)


@pytest.mark.parametrize("name", [name for name in OURS if name not in TENSORWISE])
def test_a_dict_is_a_vector(name: str) -> None:
    """Parameters split into two tensors have the same trajectory: sums and norms are over all of them."""
    cut = Objective(
        fn=lambda x, a: BOWL.fn(parts(x), a),
        start={"first": BOWL.start_at(0)[:1], "second": BOWL.start_at(0)[1:]},
        data=BOWL.data,
        prox=identity_prox,
        laned=True,
    )
    whole = output_points(build_known(name, KNOWN, lr=lr_of(name)), BOWL, 10)
    halves = output_points(build_known(name, KNOWN, lr=lr_of(name)), cut, 10)

    assert all(torch.allclose(parts(a), b, rtol=1e-9, atol=1e-12) for a, b in zip(halves, whole, strict=True))


@pytest.mark.parametrize("name", TENSORWISE)
def test_tensors_walk_alone(name: str) -> None:
    """Layer-wise methods treat each tensor as if it were the only one."""
    starts = {"one": BOWL.start_at(0), "two": 2 * BOWL.start_at(0)}
    both = Objective(fn=lambda x, a: BOWL.fn(x["one"], a) + BOWL.fn(x["two"], a), data=BOWL.data, start=starts)
    method, ask = build_known(name, KNOWN), oracle(both, laned=False)
    x, _ = descent(method, ask, starts, range(5))
    for key, start in starts.items():
        alone, _ = descent(build_known(name, KNOWN), oracle(BOWL, laned=False), start, range(5))
        assert torch.allclose(x[key], alone, rtol=1e-12)


# Theory.


def spectrum(kind: str, condition: float, n: int = 10) -> Objective:
    """A quadratic with eigenvalues from 1 / condition to 1."""
    return quadratic(n=n, condition=condition, spectrum=kind, instance=1).to(F64, "cpu")


def facts(objective: Objective) -> dict[str, float]:
    """What a quadratic states of itself."""
    return {"smoothness": objective.smoothness or 0, "strong_convexity": objective.strong_convexity or 0}


def distances(name: str, objective: Objective, steps: int, **hyper: Any) -> Array:
    """|x_k - x*| / |x_0 - x*|."""
    points = output_points(manual(name, **hyper), objective, steps)
    away = np.array([float((x - objective.minimisers[0]).norm()) for x in points])
    return away / away[0]


def test_the_best_rates_on_quadratics() -> None:
    """With the optimal constants the distance decreases at the theoretical rate; Chebyshev's bound holds."""
    problem, steps = spectrum("geometric", 100.0), 60
    heavy = 9 / 11  # (sqrt(100) - 1) / (sqrt(100) + 1)
    k = np.arange(steps + 1)

    assert (distances("gd_optimal", problem, steps, **facts(problem)) <= (99 / 101) ** k + 1e-12).all()
    assert (
        distances("chebyshev", problem, steps, **facts(problem)) <= 2 * heavy**k / (1 + heavy ** (2 * k)) + 1e-9
    ).all()
    for name, rate in (("heavy_ball_optimal", heavy), ("nesterov_optimal", 1 - 2 / np.sqrt(301))):
        far = distances(name, problem, 150, **facts(problem))
        assert (far[150] / far[50]) ** 0.01 == pytest.approx(rate, abs=0.02), name
    rate = 1 - 1 / np.sqrt(100)
    far = distances("triple_momentum", problem, 100, lr=1.0, strong_convexity=problem.strong_convexity)
    assert (far <= 20 * rate ** np.arange(101)).all()


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("nesterov_convex", lambda k: 2 / (k + 1) ** 2),
        ("nesterov_fista", lambda k: 2 / (k + 1) ** 2),
        ("ogm", lambda k: 1 / (k + 1) ** 2),
    ],
)
def test_accelerated_bounds(name: str, bound: Callable[[Array], Array]) -> None:
    """On a badly conditioned convex function the loss stays below the bound, and OGM's is half of Nesterov's."""
    problem, steps = spectrum("geometric", 1e6, 30), 200
    points = output_points(manual(name, lr=1.0), problem, steps)
    losses = np.array([float(problem.value(x)) for x in points])
    radius = float((problem.start_at(0) - problem.minimisers[0]).norm()) ** 2

    assert (losses[1:] <= bound(np.arange(1, steps + 1)) * radius).all()


@pytest.mark.parametrize(("name", "bound"), [("ista", lambda k: 0.5 / k), ("fista", lambda k: 2 / (k + 1) ** 2)])
@pytest.mark.parametrize("l1", [0.3, 0.003])
def test_proximal_bounds(name: str, bound: Callable[[Array], Array], l1: float) -> None:
    """On the lasso the loss stays below what Beck and Teboulle prove, and zeros of the minimiser are found as zeros."""
    problem, steps = lasso_proximal(l1), 300
    points = output_points(manual(name, lr=1 / problem.smoothness), problem, steps)
    above = np.array([float(problem.value(x)) for x in points]) - problem.minimum
    radius = problem.smoothness * float((problem.start_at(0) - problem.minimisers[0]).norm()) ** 2

    assert (above[1:] <= bound(np.arange(1, steps + 1)) * radius + 1e-15).all()
    assert torch.equal(points[-1] == 0, problem.minimisers[0] == 0)


CONJUGATE = ("cg_fr", "cg_pr", "cg_hs", "cg_dy", "cg_hz")


@pytest.mark.parametrize("name", [*CONJUGATE, "bfgs"])
def test_conjugate_directions_on_a_quadratic(name: str) -> None:
    """With exact searches every conjugate gradient method, and BFGS, equals scipy's linear one: three steps.

    There are three distinct eigenvalues, and a quadratic takes one trial and its correction a search.
    """
    eigenvalues = torch.tensor([1.0, 1, 1, 3, 3, 7], dtype=F64)
    b = torch.sin(torch.arange(6, dtype=F64) + 1)
    problem = Objective(fn=lambda x: 0.5 * (eigenvalues * x * x).sum() - b @ x, start=torch.zeros(6, dtype=F64))
    theirs: list[Array] = []
    scipy.sparse.linalg.cg(
        np.diag(eigenvalues.numpy()), b.numpy(), rtol=1e-14, callback=lambda x: theirs.append(x.copy())
    )
    ours = output_points(manual(name, c2=1e-9), problem, 3)

    for point, expected in zip(ours[1:], theirs, strict=False):
        assert np.abs(point.numpy() - expected).max() < 1e-8
    assert torch.allclose(ours[-1], b / eigenvalues, atol=1e-8)


def test_newton_is_done_at_once() -> None:
    """Of a quadratic Newton's step is exact: in one step where the tolerance is tight, as it is near the minimum."""
    problem = spectrum("uniform", 10.0, 5)
    near = problem.minimisers[0] + 1e-12 * torch.ones(5, dtype=F64)
    x, _, seen = manual("newton_cg").step(oracle(problem, laned=False), 0, near, ())

    assert float(problem.value(x)) <= 1e-9 * float(problem.value(near))
    assert int(seen.gradients) <= 1 + HESSIAN_PRODUCT * 5


def test_newton_leaves_a_saddle() -> None:
    """Where the curvature is negative the direction is the gradient, and the loss still decreases."""
    saddle = Objective(fn=lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, start=torch.tensor([0.1, 0.2], dtype=F64))
    losses = [float(saddle.value(x)) for x in output_points(manual("newton_cg"), saddle, 15)]

    assert all(after <= before for before, after in pairwise(losses))
    assert losses[-1] == pytest.approx(-0.25, abs=1e-9)


def test_polyak_never_leads_away() -> None:
    """On a convex function each of Polyak's steps decreases the distance to the minimiser."""
    far = [float(x.norm()) for x in output_points(build_known("polyak", KNOWN), BOWL, 40)]

    assert all(after < before for before, after in pairwise(far))


@pytest.mark.parametrize("name", ["bb1", "bb2"])
def test_barzilai_borwein_in_the_plane(name: str) -> None:
    """On quadratics of two variables both are superlinear: a condition of 1000 is done within 30 steps."""
    assert distances(name, spectrum("geometric", 1e3, 2), 30, lr=1.0)[-1] < 1e-10


@settings(max_examples=20, deadline=None, derandomize=True)
@given(x=st.floats(-2, 2), y=st.floats(-2, 2), first=st.floats(1e-6, 1e3), c2=st.floats(0.05, 0.9))
def test_a_wolfe_step_is_one(x: float, y: float, first: float, c2: float) -> None:
    """Whatever the first trial, the step on Rosenbrock's function obeys both conditions, alone and in a lane."""
    problem = Objective(
        fn=lambda p: (1 - p[..., 0]) ** 2 + 100 * (p[..., 1] - p[..., 0] ** 2) ** 2,
        start=torch.tensor([x, y], dtype=F64),
        laned=True,
    )
    at, alone, lanes = problem.start_at(0), oracle(problem, laned=False), oracle(problem, laned=True)
    loss, grad = alone.grad(at, 0)
    here, slope = loss.detach(), grad @ grad
    step, gradients = search_strong_wolfe(alone, 0, SearchLine(at, here, grad, slope), first, 1e-4, c2, 25)
    twice = SearchLine(stack_runs([at, at]), here.expand(2), stack_runs([grad, grad]), slope.expand(2))
    steps, counted = search_strong_wolfe(lanes, 0, twice, first, 1e-4, c2, int(gradients))
    after, there = alone.grad(at - step * grad, 0)

    assert after <= here - 1e-4 * step * slope or slope < 1e-20
    assert abs(there @ grad) <= c2 * slope or slope < 1e-20
    assert counted.tolist() == [int(gradients)] * 2
    assert torch.allclose(steps, step.expand(2), rtol=1e-9)


# Random signs.


def test_signs_are_random_and_repeatable() -> None:
    """Probes are +-1 in equal numbers, other ones at every step, coordinate and seed, and the same in every lane."""
    x = torch.zeros(10_000)
    first, again = random_signs(0, x, False, 0), random_signs(0, x, False, 0)
    others = [random_signs(1, x, False, 0), random_signs(0, x, False, 1), torch.roll(first, 1)]
    lanes = random_signs(torch.tensor(0.0, dtype=F64), torch.zeros(3, 10_000), True, 0)

    assert torch.equal(first, again)
    assert set(first.tolist()) == {-1.0, 1.0}
    assert all(abs(float((first * other).mean())) < 0.05 for other in [*others, torch.ones_like(first)])
    assert all(torch.equal(lane, first) for lane in lanes)


# Work.


class Counting:
    """An oracle that counts its calls."""

    def __init__(self, objective: Objective) -> None:
        self.oracle, self.laned = oracle(objective, laned=False), False
        self.gradients = self.values = 0
        self.split = CompositeParts(self, identity_prox)

    def value(self, x: Params, k: Step) -> Tensor:
        """f(x)."""
        self.values += 1
        return self.oracle.value(x, k)

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """f(x) and its gradient."""
        self.gradients += 1
        return self.oracle.grad(x, k)

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        """The Hessian at x times v."""
        self.gradients += HESSIAN_PRODUCT
        return self.oracle.hvp(x, v, k)


@pytest.mark.parametrize("name", [name for name in MANUAL if name not in MATRICES])
def test_work_is_counted_as_it_is_done(name: str) -> None:
    """Each step counts the gradients, Hessian products and values it evaluated; a constant cost is one gradient."""
    counting, work = Counting(BOWL), []

    def look(k: int, x: Params, seen: StepInfo) -> None:
        work.append((int(seen.gradients), int(seen.evaluations)))
        assert (counting.gradients, counting.values) == tuple(map(sum, zip(*work, strict=True)))

    method = build_known(name, KNOWN, lr=lr_of(name))
    descent(method, counting, BOWL.start_at(0), range(12), look=look)

    assert len(work) == 12
    assert method.constant_cost == (set(work) == {(1, 0)})
