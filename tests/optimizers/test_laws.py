"""The equality laws of methods and objectives, over all of conf/.

Every method is tried on a few objectives that stand for all kinds of points, every objective by a few methods that
stand for all kinds of steps: what a method does does not depend on the formula, nor a formula on the method.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from support.cells import HITS, Compiled, Tiny, plain, small
from support.laws import (
    CONFIGURATIONS,
    MANUAL,
    MATRICES,
    OBJECTIVES,
    OPTIMIZERS,
    PROXIMAL,
    SMALLER,
    TOLERANCE,
    TORCH,
    TWINS,
    WALK,
    apart,
    build_configured,
    default_dtype,
    factory,
    form,
    hypers,
    manual,
    objective,
    path,
    points,
    rate,
    same,
    twin,
)
from support.tiers import representatives
from torch import Tensor
from torch.utils._pytree import tree_map as every

from gdbench.engine.compile.program import Program
from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.engine.runner import run_cell
from gdbench.errors import UsageError
from gdbench.objectives import Objective, make_generator
from gdbench.objectives.regression import soft_threshold
from gdbench.tree import Params, flatten, leaves, stack_runs

torch.set_num_threads(1)

F32, F64 = torch.float32, torch.float64
KINDS = {"rosenbrock": F64, "notebook_matrix": F32, "dict": F64}
"""A vector, a matrix, and a dict of a matrix and a scalar."""
OWN = {name: {"notebook_matrix": F32} for name in MATRICES}
OWN |= {name: {"lasso_proximal": F64, "dict": F64} for name in PROXIMAL}
"""The kinds of objectives for methods that are restricted to some points, or that no other kind tests."""
STEPPERS = {"adam": F64, "momentum": F32}
"""A method with averages, a root, a quotient and the step number, and one with steps proportional to the gradient."""


def trait(name: str) -> tuple[bool, ...]:
    """All properties of an objective that the runner and the methods depend on, except its formula."""
    of = objective(name)
    told = (
        of.laned,
        of.is_stochastic,
        of.has_random_start,
        of.project,
        of.smooth,
        of.minimum is None,
        isinstance(of.start_at(0), dict),
    )
    return tuple(map(bool, told))


UNLIKE = list({trait(name): name for name in reversed(OBJECTIVES)}.values())
"""One objective of each kind, for what does not depend on the formula."""

SUMMING = {
    **dict.fromkeys(["bfgs", "cg_dy", "cg_fr", "cg_hs", "cg_hz", "cg_pr", "newton_cg", "shampoo"], 256),
    "soap": 2**16,
}
"""Allowed error of a step in a lane in ulps, for methods that divide by sums over coordinates.

SOAP divides by sqrt(V) + 1e-8, where in a direction without gradient V is rounding alone: 16,000 ulps were seen on one
processor, fewer than 256 on others.
"""
ONE_POINT = "its code computes one point at a time"
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("a step in lanes", "muon"): "it works in bfloat16, whose rounding differs in lanes: bounded in test_optimizers.py",
    ("a step in lanes", "muon_adamw"): "the same, of its matrices",
    ("a step in lanes", "ridge"): "one of its slopes is rounding alone, of which Adam's quotient makes a whole step",
    ("lanes are solo", "cutest"): ONE_POINT,
    ("a step in lanes", "cutest"): ONE_POINT,
    ("a nan stays in its lane", "cutest"): ONE_POINT,
}
"""Exceptions from the laws: the law, the name of the method or the objective, and the cause."""


def choose_cases(
    methods: Iterable[str], law: str, walks: Mapping[str, list[str]], kinds: Iterable[str] = KINDS, one_in: int = 1
) -> Any:
    """Every method on each kind of objective, and the objectives of each stepper: by default one of each kind.

    By default one in so many methods goes over one of the kinds, in turn, and all the rest is of the slow tier.
    """
    own = {method: OWN.get(method) or {name: KINDS[name] for name in kinds} for method in methods}
    turn = {
        method: list(its)[number % len(its)] for number, (method, its) in enumerate(own.items()) if number % one_in == 0
    }
    cases = [(optimizer, name, dtype) for optimizer, kinds in own.items() for name, dtype in kinds.items()]
    cases += [(stepper, name, STEPPERS[stepper]) for stepper, names in walks.items() for name in names]
    marked = []
    for case in dict.fromkeys(cases):
        cause = EXCEPTIONS.get((law, case[0])) or EXCEPTIONS.get((law, case[1]))
        marks = [pytest.mark.skip(reason=cause)] if cause else []
        is_walk = case[1] in walks.get(case[0], ())
        if case[1] not in UNLIKE if is_walk else case[1] != turn.get(case[0]):
            marks.append(pytest.mark.slow)
        marked.append(pytest.param(*case, marks=marks))
    return pytest.mark.parametrize(("optimizer", "name", "dtype"), marked, ids=str)


@cache
def record_path(optimizer: str, name: str, dtype: torch.dtype) -> tuple[list[Params], list[float]]:
    """The observed trajectory of the manual method."""
    with default_dtype(dtype):
        return path(manual(optimizer, lr=rate(optimizer, name)), objective(name, dtype), WALK)


@cache
def record_torch_path(optimizer: str, name: str, dtype: torch.dtype) -> list[Params]:
    """The observed trajectory of torch's class; NAdam keeps its momentum product in torch's default dtype."""
    with default_dtype(dtype):
        return path(twin(optimizer, lr=rate(optimizer, name)), objective(name, dtype), WALK)[0]


# Manual is torch.


@choose_cases(TWINS, "manual is torch", {"adam": OBJECTIVES, "momentum": UNLIKE}, kinds=["dict"])
def test_manual_is_torch(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """Manual and torch.optim have the same trajectory, until the loss is at its rounding errors."""
    of, floor = objective(name, dtype), -np.inf
    ours, losses = record_path(optimizer, name, dtype)
    theirs = record_torch_path(optimizer, name, dtype)
    if of.minimum is not None:
        floor = of.minimum + 16 * torch.finfo(dtype).eps * max(abs(of.minimum), abs(losses[0]))
    told = [apart(a, b, ours[0]) for a, b, loss in zip(ours[1:], theirs[1:], losses, strict=True) if loss > floor]

    assert np.isfinite(losses).all()
    assert max(told) <= TOLERANCE[dtype]


# Lanes are solo.


@choose_cases(MANUAL, "lanes are solo", {"adam": UNLIKE}, kinds=["rosenbrock"], one_in=3)
def test_lanes_are_solo(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """Through the runner a run in lanes has the status that it has alone, and first hits within one step."""
    maker, rates = Tiny(lambda lr: manual(optimizer, lr=lr)), rate(optimizer, name) * np.array([1.0, 0.5])
    lane = int(dtype == F32)  # one of the two alone, to save time
    two, one = (small(objective(name), maker, lr=lr, steps=WALK, dtype=dtype) for lr in (rates, rates[lane]))
    one.__dict__["rounding"] = two.rounding  # of the same objective at the same start
    together, alone = run_cell(two).columns, run_cell(one).columns

    assert together["lanes"][lane] == 2
    assert together["status"][lane] == alone["status"][0]
    for hit in (*HITS, "steps_to_target", "steps_to_settle"):
        here, there = plain(together[hit], lane), plain(alone[hit], 0)
        assert (here is None) == (there is None), hit
        assert here is None or abs(here - there) <= 1, hit


def lane_of(tree: Any, index: int) -> Any:
    """One lane of x or of a state, contiguous; a value without lanes is returned unchanged."""
    return every(lambda leaf: leaf[index].clone() if isinstance(leaf, Tensor) and leaf.dim() else leaf, tree)


@choose_cases(MANUAL, "a step in lanes", {"adam": OBJECTIVES})
def test_a_step_in_lanes_is_a_step_alone(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """From the same x and state, half way, a step in a lane equals a step alone within a few ulps of x.

    The rounding of a gradient's sums reaches x multiplied by the step size.
    """
    of = objective(name, dtype)
    rates, half = rate(optimizer, name) * np.array([1.0, 0.7, 0.3]), WALK // 2
    lanes, ask = manual(optimizer, lr=torch.from_numpy(rates)), oracle(of, laned=True)
    x, state = descent(lanes, ask, stack_runs([of.start_at(0)] * len(rates)), range(half))
    new, _, _ = lanes.step(ask, half, x, state)
    for index, lr in enumerate(rates):
        here = lane_of(x, index)
        alone = manual(optimizer, lr=float(lr))
        there, _, _ = alone.step(oracle(of, laned=False), half, here, lane_of(state, index))
        ulp = torch.finfo(dtype).eps * max(flatten(tree, laned=False).abs().max() for tree in (here, there))

        most = SUMMING.get(optimizer, 4)
        assert (flatten(lane_of(new, index), laned=False) - flatten(there, laned=False)).abs().max() <= most * ulp


@choose_cases(MANUAL, "a nan stays in its lane", {"adam": OBJECTIVES, "momentum": UNLIKE})
def test_a_nan_stays_in_its_lane(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """A lane that is not finite changes no bit of its neighbours."""
    of, lr = objective(name, dtype), rate(optimizer, name)
    lanes, ask = manual(optimizer, lr=torch.tensor([lr, lr, lr / 2], dtype=F64)), oracle(of, laned=True)
    clean, spoilt = stack_runs([of.start_at(0)] * 3), stack_runs([of.start_at(0)] * 3)
    for leaf in leaves(spoilt):
        leaf[1] = torch.nan
    x, _ = descent(lanes, ask, clean, range(5))
    y, _ = descent(lanes, ask, spoilt, range(5))

    for a, b in zip(leaves(x), leaves(y), strict=True):
        assert torch.equal(a[::2], b[::2])
        assert b[1].isnan().all()


# Watched is timed.


@choose_cases(MANUAL, "watched", {"adam": OBJECTIVES, "momentum": UNLIKE})
def test_watched_is_bare(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """The pass that records nothing ends at the same bits as the observed pass."""
    of = objective(name, dtype)
    with default_dtype(dtype):
        method = manual(optimizer, lr=rate(optimizer, name))
        bare, _ = descent(method, oracle(of, laned=False), of.start_at(0), range(WALK))

    assert same(bare, record_path(optimizer, name, dtype)[0][-1])


@choose_cases(TORCH, "torch", {})
def test_torch_watched_is_bare(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """Observation does not change the trajectory of torch.optim, L-BFGS included."""
    of = objective(name, dtype)
    with default_dtype(dtype):
        method = twin(optimizer, lr=rate(optimizer, name))
        bare, _ = descent(method, oracle(of, laned=False), of.start_at(0), range(WALK))

    assert same(bare, record_torch_path(optimizer, name, dtype)[-1])


def test_lbfgs_leaves_the_finite_beyond_the_logarithm() -> None:
    """Where torch's line search raises because a loss is not finite, the run is nonfinite with its finite steps."""
    maker = Tiny(lambda lr: twin("lbfgs", lr=lr), lanes=False)
    columns = run_cell(small(objective("notebook_log"), maker, lr=1.0, steps=WALK)).columns

    assert columns["status"].tolist() == ["nonfinite"]
    assert columns["best_loss"][0] == columns["start_loss"][0]
    assert columns["status_step"][0] == 1


# Compiled is manual. That a compiler takes every method whole is tested beside the methods, and so are the objectives.


@pytest.mark.parametrize(
    ("optimizer", "name"), representatives([("momentum", "dict"), ("adam", "mlp")], [("adam", "mlp")])
)
def test_compiled_is_manual(optimizer: str, name: str) -> None:
    """The graph that torch.compile makes of a step has the manual trajectory, observed or not."""
    of, hyper = objective(name, F32), hypers(optimizer, {"lr": rate(optimizer, name)})
    method, ask = Program(factory(optimizer), "eager").method(hyper), oracle(of, laned=False, compiled=True)
    bare, _ = descent(method, ask, of.start_at(0), range(WALK))
    seen, _ = descent(method, ask, of.start_at(0), range(WALK), look=lambda k, x, seen: None)
    ours, _ = record_path(optimizer, name, F32)

    assert same(bare, seen)
    assert apart(bare, ours[-1], ours[0]) <= TOLERANCE[F32]


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "name"), [("armijo", "rosenbrock"), ("momentum", "notebook_matrix")])
def test_compiled_lanes_are_manual_ones(optimizer: str, name: str) -> None:
    """Through the runner lanes in compiled strides have the statuses of eager ones, and first hits within one step."""
    rates = rate(optimizer, name) * np.array([1.0, 0.5, 0.1])
    method, more = factory(optimizer), hypers(optimizer, {"trips": 3} if optimizer == "armijo" else {})
    del more["lr"]
    told = []
    for maker in (Tiny(partial(method, **more)), Compiled(partial(method, **more))):
        cell = small(objective(name), maker, lr=rates, steps=WALK, dtype=F32)
        cell.__dict__["steps_per_call"] = 2
        told.append(run_cell(cell).columns)
    eager, compiled = told

    assert eager["status"].tolist() == compiled["status"].tolist()
    for column in (*HITS, "steps_to_target", "steps_to_settle", "gradient_evals", "function_evals"):
        for lane in range(len(rates)):
            here, there = plain(eager[column], lane), plain(compiled[column], lane)
            assert (here is None) == (there is None), column
            assert here is None or abs(here - there) <= (30 if column == "function_evals" else 1), column


# A seed determines all.


def columns_of_seeds(optimizer: str, name: str) -> dict[str, list[Any]]:
    """Result columns of two seeds after a few steps from a start with noise, run by run."""
    maker = Tiny(lambda lr: form(optimizer, lr=lr), lanes=False)
    cell = small(objective(name), maker, lr=rate(optimizer, name), seeds=[0, 1], start_noise=0.01, steps=5)
    columns = run_cell(cell).columns
    return {column: columns[column].tolist() for column in ("start_loss", "final_loss", "best_loss", "grad_norm")}


@pytest.mark.parametrize(
    ("optimizer", "name"),
    representatives(
        [*((method, "notebook_matrix") for method in OPTIMIZERS), *(("momentum", key) for key in UNLIKE)],
        [
            *((method, "notebook_matrix") for method in list(OPTIMIZERS)[::3]),
            *(("momentum", method) for method in UNLIKE),
        ],
    ),
)
def test_a_seed_determines_all(optimizer: str, name: str) -> None:
    """The same seeds make the same runs, whatever torch's own generator holds, which is not drawn from either."""
    first = columns_of_seeds(optimizer, name)
    torch.manual_seed(5)
    state = torch.get_rng_state()

    assert columns_of_seeds(optimizer, name) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert first["start_loss"][0] != first["start_loss"][1]


# No two are one.


def valley(x: Tensor) -> Tensor:
    """A matrix of valleys of other widths, tilted and bent."""
    width = torch.linspace(0.3, 3.0, 12).to(x).reshape(3, 4)
    return (width * x**2 + torch.sin(width + x)).sum() / 2 + (x[0] @ x[2]) ** 2 / 9


@cache
def trail(optimizer: str) -> Tensor:
    """The trajectory of a method on a random objective, with the same step size and weight decay for all."""
    start = torch.randn(3, 4, dtype=F64, generator=make_generator(3))
    decay = {"weight_decay": 0.1} if "weight_decay" in OPTIMIZERS[optimizer].hyper else {}
    rough = Objective(
        fn=lambda x: valley(x) + 0.1 * x.abs().sum(), start=start, prox=partial(soft_threshold, 0.1), smooth=valley
    )
    points, _ = path(form(optimizer, lr=0.2, **decay), rough, 24)
    return torch.stack([flatten(point, laned=False) for point in points])


def test_no_two_methods_are_one() -> None:
    """On a random objective no two methods have the same trajectory, and there are at least 45."""
    trails = torch.stack([trail(optimizer) for optimizer in OPTIMIZERS]).flatten(1)
    twins = [
        (one, other)
        for (i, one), (j, other) in combinations(enumerate(OPTIMIZERS), 2)
        if float((trails[i] - trails[j]).abs().max()) < 1e-9
    ]

    assert twins == []
    assert len(OPTIMIZERS) >= 45


ALIKE = {
    frozenset({"cutest", "rosenbrock"}): "as shipped it names a problem that is here by itself too",
    frozenset({"cutest", "extended_rosenbrock"}): "the same",
    frozenset({"powell_singular", "extended_powell"}): "the first is the second in its fewest dimensions",
}
"""Pairs of objectives that may be equal at a common size, and why."""
SIZES = ({}, {"n": 2}, {"n": 3}, {"n": 4}, {"n": 6})


def variants(name: str) -> Iterator[Objective]:
    """An objective at its shipped size, and at small ones if it has several, so that it meets others of its shape."""
    for size in SIZES:
        if size.keys() <= CONFIGURATIONS[name].keys():
            with contextlib.suppress(UsageError):
                yield build_configured(name, SMALLER.get(name, {}) | size)


def told_at_random(of: Objective) -> tuple[tuple[Any, ...], Tensor]:
    """The shape of an objective's points, and its values and gradients at a few that all objectives of it share."""
    of, told = of.to(F64, "cpu"), []
    origin = Objective(fn=of.fn, start=every(lambda leaf: torch.full_like(leaf, 0.4), of.start_at(0)))
    for x in points(origin, 3, spread=0.2, seed=7):
        loss, grad = oracle(of, laned=False).grad(x, 0)
        told += [loss.detach().reshape(1), flatten(grad, laned=False)]
    shape = tuple(tuple(leaf.shape) for leaf in leaves(of.start_at(0)))
    return shape, torch.cat(told)


@cache
def fingerprints(name: str) -> dict[tuple[Any, ...], Tensor]:
    """The values and gradients of an objective, by the shape of its points."""
    return dict(told_at_random(of) for of in variants(name))


def test_no_two_objectives_are_one() -> None:
    """No two have the same values and gradients at random points, at every size they share; 100 at least are left."""
    twins = []
    for one, other in combinations(OBJECTIVES, 2):
        here, there = fingerprints(one), fingerprints(other)
        shared = here.keys() & there.keys()
        if shared and all(torch.allclose(here[key], there[key], rtol=1e-9, atol=0.0) for key in shared):
            twins.append(frozenset({one, other}))

    assert twins == [twin for twin in twins if twin in ALIKE]
    assert len(OBJECTIVES) - len(twins) >= 100
