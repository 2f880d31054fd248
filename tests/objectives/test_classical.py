"""The classical objectives against formulas of 50 digits, and what is particular to some."""

from __future__ import annotations

import importlib
import math
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from mpmath import mp, mpf
from support.formulas import FORMULAS

from gdbench.engine.oracle import oracle
from gdbench.errors import UsageError
from gdbench.objectives import Objective, make_generator
from gdbench.objectives.bowl_shaped import schwefel_1_2, trid
from gdbench.objectives.hartmann_shekel import lennard_jones, shekel
from gdbench.objectives.multimodal_2d import shubert
from gdbench.objectives.multimodal_nd import ackley, michalewicz, qing, schwefel
from gdbench.objectives.nonsmooth import quintic
from gdbench.objectives.overhead import fixed_delay
from gdbench.objectives.power_functions import perm
from gdbench.objectives.valley_shaped import mccormick, monkey_saddle
from gdbench.objectives.worst_case import gd_worst, nesterov_worst

torch.set_num_threads(1)

FOLDER = Path(__file__).parents[2] / "conf" / "objective"
every = pytest.mark.parametrize("name", FORMULAS)


@cache
def build(name: str) -> Objective:
    """The objective as it is shipped."""
    arguments = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    module, factory = arguments.pop("_target_").rsplit(".", 1)
    objective: Objective = getattr(importlib.import_module(module), factory)(**arguments)
    return objective


def exact(name: str, x: list[Any]) -> Any:
    """The formula of a flat point."""
    return FORMULAS[name]([x[i : i + 3] for i in range(0, len(x), 3)] if name == "lennard_jones" else x)


def gradient(objective: Objective, x: torch.Tensor) -> torch.Tensor:
    """The gradient at one point."""
    return oracle(objective, laned=False).grad(x, 0)[1]


def slopes(name: str, x: list[Any], width: Any) -> list[Any]:
    """Central differences, in mpmath's precision."""
    moved = [[[*x[:i], x[i] + side * width, *x[i + 1 :]] for side in (1, -1)] for i in range(len(x))]
    return [(exact(name, up) - exact(name, down)) / (2 * width) for up, down in moved]


def test_sixty_have_a_referee() -> None:
    """At least this many objectives are compared with a formula of 50 digits, besides those of other test files."""
    assert len(FORMULAS) >= 60


@every
def test_value_and_gradient_are_the_sources(name: str) -> None:
    """Around the start the value agrees to 1e-12, and the gradient to 1e-10, with the formula as it is printed."""
    objective, near = build(name), make_generator(1)
    for spread in (0.1, 0.3, 0.5):
        start = objective.start_at(0)
        x = start + spread * torch.randn(start.shape, generator=near, dtype=torch.float64)
        loss, slope = oracle(objective, laned=False).grad(x, 0)
        with mp.workdps(50):
            point = [mpf(number) for number in x.flatten().tolist()]
            value = float(exact(name, point))
            found = np.array(slopes(name, point, mpf(10) ** -16), dtype=float)
        assert loss.item() == pytest.approx(value, rel=1e-12, abs=1e-14)
        np.testing.assert_allclose(slope.flatten().numpy(), found, rtol=1e-10, atol=1e-10 * np.abs(found).max())


@pytest.mark.parametrize("name", [name for name in FORMULAS if build(name).minimum is not None])
def test_minimum_is_right_to_the_last_digit(name: str) -> None:
    """The formula of many digits gives the stated minimum at every stated minimiser, rounded once."""
    objective = build(name)
    if name in {"bukin_6", "csendes", "quintic"}:
        pytest.skip("a root or reciprocal of a rounded number is not that of the exact one")
    with mp.workdps(50):
        for x in objective.minimisers:
            value = exact(name, [mpf(number) for number in x.flatten().tolist()])
            assert float(value) == pytest.approx(objective.minimum, rel=2.3e-16, abs=1e-24)


SOLVED = (
    "aluffi_pentini", "bird", "chichinadze", "de_jong_5", "dekkers_aarts", "el_attar", "hartmann3", "hartmann6",
    "langermann", "muller_brown", "price_4", "rosenbrock_modified", "shekel", "shubert", "six_hump_camel", "trefethen",
    "wayburn_seader", "zettl",
)  # fmt: skip
"""Those whose minimisers have no short form."""


@pytest.mark.parametrize("name", SOLVED)
def test_minimisers_are_rounded_once(name: str) -> None:
    """A Newton step with many digits from a stated minimiser rounds to the same numbers."""
    with mp.workdps(60):
        for stated in build(name).minimisers:
            x, wide = [mpf(number) for number in stated.tolist()], mpf(10) ** -18
            slope = slopes(name, x, wide)
            bend = mp.matrix(len(x))
            for i in range(len(x)):
                there = slopes(name, [*x[:i], x[i] + wide, *x[i + 1 :]], wide)
                for j in range(len(x)):
                    bend[j, i] = (there[j] - slope[j]) / wide
            step = mp.lu_solve(bend, mp.matrix(slope))
            assert [float(value - step[i]) for i, value in enumerate(x)] == pytest.approx(stated.tolist(), rel=2.3e-16)


@pytest.mark.parametrize("name", [name for name in FORMULAS if build(name).minimum is not None])
def test_no_point_lies_below_the_minimum(name: str) -> None:
    """Among thousands of points far and near none lies below the stated minimum, but for rounding."""
    objective, draw = build(name), make_generator(2)
    shape = objective.minimisers[0].shape
    clouds = [torch.randn((2000, *shape), generator=draw, dtype=torch.float64) * width for width in (0.3, 1, 3, 10, 40)]
    near = [x + cloud[:500] * 0.1 for x in objective.minimisers[:4] for cloud in clouds[:2]]
    values = objective.value(torch.cat([*clouds, *near]))
    lowest = values[values.isfinite()].min().item()
    assert lowest >= objective.minimum - 1e-12 * max(1, abs(objective.minimum))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("branin", 0.39788735772973816),
        ("bird", -106.764537),
        ("goldstein_price", 3),
        ("hartmann3", -3.86278),
        ("hartmann6", -3.32237),
        ("langermann", -4.155809),
        ("muller_brown", -146.700),
        ("shekel", -10.5364),
        ("shubert", -186.7309),
        ("six_hump_camel", -1.0316285),
        ("trefethen", -3.306868647475237),
        ("trid", -50),
    ],
)
def test_published_minima(name: str, value: float) -> None:
    """The minimum is the published one, to the digits that were published."""
    assert build(name).minimum == pytest.approx(value, rel=5e-6)


@pytest.mark.parametrize(("wells", "value"), [(5, -10.1532), (7, -10.4029), (10, -10.5364)])
def test_shekels_three_sizes(wells: int, value: float) -> None:
    """Each number of wells has its own minimum, which its minimiser attains."""
    objective = shekel(wells)
    assert objective.minimum == pytest.approx(value, abs=1e-4)
    assert objective.value(objective.minimisers[0]).item() == pytest.approx(objective.minimum, rel=1e-15)
    assert gradient(objective, objective.minimisers[0]).norm() < 1e-12


@pytest.mark.parametrize("n", [2, 6, 15])
def test_quadratics_state_their_curvature(n: int) -> None:
    """L and mu of the tridiagonal and the double-sum quadratic are the extreme eigenvalues of the Hessian."""
    for objective in (trid(n), schwefel_1_2(n), nesterov_worst(n)):
        hessian = torch.autograd.functional.hessian(objective.value, objective.start_at(0) + 0.5)
        ends = torch.linalg.eigvalsh(hessian)
        assert ends[0].item() == pytest.approx(objective.strong_convexity, rel=1e-9)
        assert ends[-1].item() <= objective.smoothness * (1 + 1e-12)
    assert trid(n).value(trid(n).minimisers[0]).item() == trid(n).minimum


@pytest.mark.parametrize("objective", [mccormick(), monkey_saddle(), schwefel(), michalewicz()])
def test_what_has_no_minimum_states_none(objective: Objective) -> None:
    """Where f has no minimum none is stated, even if a box has one."""
    assert objective.minimum is None
    assert objective.minimum_kind == "unknown"


def test_schwefels_best_pit_is_reached() -> None:
    """From the start gradient descent converges to the local minimum that the docstring names."""
    objective, x = schwefel(2), schwefel(2).start_at(0)
    for _ in range(300):
        x = x - gradient(objective, x)
    assert x.tolist() == pytest.approx([420.968746] * 2, abs=1e-5)
    assert objective.value(x).item() == pytest.approx(2 * 0.000012728, abs=1e-7)


def test_equal_minimisers_are_all_named() -> None:
    """The signs of qing, the roots of quintic and the orders of shubert are all there, and none is doubled."""
    for objective, count in ((qing(3), 8), (qing(5), 1), (quintic(2), 9), (quintic(4), 1), (shubert(), 2)):
        assert len({tuple(x.tolist()) for x in objective.minimisers}) == len(objective.minimisers) == count


@pytest.mark.parametrize("atoms", [2, 3, 4])
def test_small_clusters_touch_all_round(atoms: int) -> None:
    """Up to four atoms all pairs can be at the best distance at once, so that the minimum counts them."""
    objective = lennard_jones(atoms)
    assert torch.pdist(objective.minimisers[0]) == pytest.approx([2 ** (1 / 6)] * (atoms * (atoms - 1) // 2), rel=1e-15)
    assert objective.value(objective.minimisers[0]).item() == pytest.approx(objective.minimum, rel=1e-14)
    assert lennard_jones(13).minimum is None


def test_ackley_keeps_its_digits_near_the_minimum() -> None:
    """At a distance of 1e-12 from the minimum the value is still accurate, where the textbook formula gives 0."""
    with mp.workdps(60):
        value = float(FORMULAS["ackley"]([mpf(1e-18), mpf(0)]))
    assert ackley(2).value(torch.tensor([1e-18, 0.0], dtype=torch.float64)).item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("iterations", "smoothness", "radius"), [(1, 1.0, 1.0), (5, 4.0, 0.5), (50, 0.1, 3.0)])
def test_gradient_descent_meets_its_worst_case(iterations: int, smoothness: float, radius: float) -> None:
    """After N steps of 1/L gradient descent has just L R^2 / (4N + 2) left (Drori and Teboulle 2014)."""
    objective = gd_worst(3, iterations, smoothness, radius)
    x = objective.start_at(0)
    assert x.norm().item() == pytest.approx(radius, rel=1e-15)
    for _ in range(iterations):
        x = x - gradient(objective, x) / smoothness
    bound = smoothness * radius**2 / (4 * iterations + 2)
    assert objective.value(x).item() == pytest.approx(bound, rel=1e-13)


@pytest.mark.parametrize("n", [5, 21, 101])
def test_no_method_beats_nesterovs_bound(n: int) -> None:
    """Conjugate gradients, the best of all on a quadratic, keep 3 L R^2 / (32 (N + 1)^2) for N = (n - 1) / 2."""
    objective = nesterov_worst(n, smoothness=2.0)
    x = objective.start_at(0)
    distance = (x - objective.minimisers[0]).norm().item()
    hessian = torch.autograd.functional.hessian(objective.value, x)
    residual = -gradient(objective, x)
    direction = residual
    for used in range(1, (n - 1) // 2 + 1):
        length = residual @ residual / (direction @ hessian @ direction)
        x = x + length * direction
        before, residual = residual, residual - length * (hessian @ direction)
        direction = residual + (residual @ residual) / (before @ before) * direction
        assert torch.count_nonzero(x) == used
    left = objective.value(x).item() - objective.minimum
    assert left >= 3 * 2.0 * distance**2 / (32 * (used + 1) ** 2)
    assert left <= 3 * 2.0 * distance**2 / (8 * (used + 1) ** 2)


def test_delay_is_busy_alone_and_absent_in_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value and each gradient of a run alone waits once, for as long as asked; lanes never wait."""
    from gdbench.objectives import overhead

    waits: list[int] = []
    monkeypatch.setattr(overhead, "busy_wait", waits.append)
    objective = fixed_delay(n=3, delay_us=125.0)
    way = oracle(objective, laned=False)
    x = objective.start_at(0)
    assert way.value(x, 0).item() == 1.5
    assert way.grad(x, 0)[1].tolist() == [1, 1, 1]
    assert waits == [125_000] * 2
    together = oracle(objective, laned=True)
    losses, slopes = together.grad(torch.stack([x, 2 * x]), 0)
    assert losses.tolist() == [1.5, 6.0]
    assert slopes.tolist() == [[1.0] * 3, [2.0] * 3]
    assert waits == [125_000] * 2


def test_delay_lasts() -> None:
    """The wait ends no earlier than asked."""
    import time

    objective = fixed_delay(delay_us=3000.0)
    before = time.perf_counter()
    objective.value(objective.start_at(0))
    assert time.perf_counter() - before >= 3e-3


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (partial(trid, 1), "objective.n=1: it must be a whole number of at least 2"),
        (partial(perm, 4, 0.0), "objective.beta=0.0: it must be a finite number above 0; try objective.beta=0.5"),
        (partial(shekel, 6), "objective.wells=6: it must be 5, 7 or 10; try objective.wells=10"),
        (partial(lennard_jones, 1), "objective.atoms=1: it must be a whole number of at least 2"),
        (partial(gd_worst, 2, 0), "objective.iterations=0: it must be a whole number of at least 1"),
        (partial(nesterov_worst, 5, -1.0), "objective.smoothness=-1.0: it must be a finite number above 0"),
        (partial(fixed_delay, 5, -1.0), "objective.delay_us=-1.0: it must be a finite number of at least 0"),
        (partial(fixed_delay, 5, math.nan), "objective.delay_us=nan: it must be a finite number of at least 0"),
    ],
)
def test_refusals_teach(factory: partial[Objective], said: str) -> None:
    """A size that cannot be had is refused in one line that says what came, what is allowed and what to do."""
    with pytest.raises(UsageError) as refusal:
        factory()
    assert said in str(refusal.value)
