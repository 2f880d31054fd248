"""bbob's functions against COCO itself (package coco-experiment), and their gradients against 50 digits."""

from __future__ import annotations

import importlib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
import yaml
from cocoex import BareProblem

from gdbench.engine.oracle import oracle
from gdbench.errors import UsageError
from gdbench.objectives import Objective
from gdbench.objectives.bbob.coco_rng import draw_rotation, draw_uniform

torch.set_num_threads(1)

FOLDER = Path(__file__).parents[2] / "conf" / "objective"
NAMES = {int(file.stem[6:8]): file.stem for file in sorted(FOLDER.glob("bbob_*.yaml"))}
functions = pytest.mark.parametrize("function", NAMES, ids=NAMES.values())

TOLERANCE = {16: 1e-11, 19: 1e-10, 23: 1e-10}
"""Beyond 1e-12 where the function itself magnifies the rounding of x: by 3^11, by a cosine of 1e6, by an exponent."""


def factory(function: int) -> Any:
    """The factory that a configuration names."""
    module, name = yaml.safe_load((FOLDER / f"{NAMES[function]}.yaml").read_text())["_target_"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


@cache
def build(function: int, n: int, instance: int) -> Objective:
    """One instance."""
    objective: Objective = factory(function)(n, instance)
    return objective


def points(function: int, n: int, count: int, bound: float = 5.0) -> np.ndarray:
    """Points in the domain, or a little beyond it."""
    return np.random.default_rng(1000 * function + n).uniform(-bound, bound, (count, n))


def test_all_24_are_there() -> None:
    """The suite is complete."""
    assert list(NAMES) == list(range(1, 25))


@functions
@pytest.mark.parametrize("n", [2, 5, 20])
def test_values_are_cocos(function: int, n: int) -> None:
    """Values within and beyond the domain are COCO's, for three instances, in lanes as alone."""
    for instance in (1, 2, 15):
        coco = BareProblem("bbob", function, n, instance)
        objective = build(function, n, instance)
        at = np.concatenate([points(function, n, 8), points(function, n, 3, bound=6.0)])
        ours = objective.value(torch.from_numpy(at)).numpy()
        theirs = np.array([coco(x) for x in at])
        scale = np.abs(theirs) + abs(coco.best_value())
        assert (np.abs(ours - theirs) <= TOLERANCE.get(function, 1e-12) * scale).all()


@functions
@pytest.mark.parametrize(("n", "instance"), [(2, 1), (5, 7), (10, 3), (40, 12)])
def test_minimum_is_cocos(function: int, n: int, instance: int) -> None:
    """f* is COCO's to the digit and attained at x*, which is COCO's where COCO states one."""
    coco = BareProblem("bbob", function, n, instance)
    objective = build(function, n, instance)
    best = objective.minimisers[0]
    assert objective.minimum == coco.best_value()
    assert float(objective.value(best)) == pytest.approx(objective.minimum, rel=1e-14, abs=1e-12)
    np.testing.assert_allclose(best, coco.best_parameter(), rtol=1e-12, atol=1e-12)


@functions
def test_gradient_is_the_slope_of_cocos_values(function: int) -> None:
    """The gradient is the central difference of COCO's own values, as far as these tell it."""
    if function in TOLERANCE:
        pytest.skip("too rugged for differences of float64 numbers: see the test with 50 digits")
    coco, objective = BareProblem("bbob", function, 5, 1), build(function, 5, 1)
    for x in points(function, 5, 4):
        slope = oracle(objective, laned=False).grad(torch.from_numpy(x), 0)[1].numpy()
        step = 1e-5 * np.eye(5)
        found = np.array([(coco(x + d) - coco(x - d)) / 2e-5 for d in step])
        noise = 1e-10 * max(abs(coco(x)), 1) / 1e-5
        np.testing.assert_allclose(slope, found, rtol=1e-4, atol=1e-4 * np.abs(found).max() + noise)


def exact(function: int, n: int) -> Any:
    """f - f* of the rugged functions for points of mpmath, from the report's formulas and our instance's data."""
    mp, data = mpmath.mp, build(function, n, 1).data
    of = {name: mp.matrix(np.asarray(leaf).tolist()) for name, leaf in data.items()}

    def oscillated(z: Any) -> Any:
        log = mp.log(abs(z))
        c, d = (10, mp.mpf("7.9")) if z > 0 else (mp.mpf("5.5"), mp.mpf("3.1"))
        return mp.sign(z) * mp.exp(log + mp.mpf("0.049") * (mp.sin(c * log) + mp.sin(d * log)))

    def weierstrass(x: Any) -> Any:
        z = of["matrix"] * (of["turn"] * (mp.matrix(x) - of["best"])).apply(oscillated)
        half = mp.mpf(1) / 2
        waves = [half**k * mp.cos(2 * mp.pi * 3**k * (coordinate + half)) for coordinate in z for k in range(12)]
        bottom = mp.fsum(half**k * mp.cos(mp.pi * 3**k) for k in range(12))
        return 10 * (mp.fsum(waves) / n - bottom) ** 3

    def griewank_rosenbrock(x: Any) -> Any:
        z = [coordinate + mp.mpf(1) / 2 for coordinate in of["matrix"] * mp.matrix(x)]
        valley = [100 * (a**2 - b) ** 2 + (a - 1) ** 2 for a, b in pairwise(z)]
        return 10 * mp.fsum(s / 4000 - mp.cos(s) for s in valley) / (n - 1) + 10

    def katsuura(x: Any) -> Any:
        z = of["matrix"] * (mp.matrix(x) - of["best"])
        rough = [mp.fsum(abs(2**j * t - mp.nint(2**j * t)) / 2**j for j in range(1, 33)) for t in z]
        product = mp.fprod((1 + i * r) ** (10 / mp.mpf(n) ** mp.mpf("1.2")) for i, r in enumerate(rough, 1))
        return mp.mpf(10) / n**2 * (product - 1)

    def lunacek(x: Any) -> Any:
        y = [2 * s * coordinate for s, coordinate in zip(of["sign"], x, strict=True)]
        middle, s = mp.mpf(5) / 2, 1 - 1 / (2 * mp.sqrt(n + 20) - mp.mpf("8.2"))
        other = -mp.sqrt((middle**2 - 1) / s)
        funnels = mp.fsum((t - middle) ** 2 for t in y), n + s * mp.fsum((t - other) ** 2 for t in y)
        z = of["matrix"] * mp.matrix([t - middle for t in y])
        return min(funnels) + 10 * (n - mp.fsum(mp.cos(2 * mp.pi * t) for t in z))

    return {16: weierstrass, 19: griewank_rosenbrock, 23: katsuura, 24: lunacek}[function]


@pytest.mark.parametrize("function", [16, 19, 23, 24])
def test_rugged_gradients_to_many_digits(function: int) -> None:
    """Value and gradient of the rugged functions agree with 50 digits, but for what rounding x makes of them."""
    n, objective = 3, build(function, 3, 1)
    f = exact(function, n)
    with mpmath.workdps(50):
        for x in points(function, n, 3, bound=4.0):
            point = [mpmath.mpf(number) for number in x.tolist()]
            value, slope = oracle(objective, laned=False).grad(torch.from_numpy(x), 0)
            assert value.item() - objective.minimum == pytest.approx(float(f(point)), rel=1e-11)
            width = mpmath.mpf(10) ** -20
            for i in range(n):
                moved = [[*point[:i], point[i] + side * width, *point[i + 1 :]] for side in (1, -1)]
                found = float((f(moved[0]) - f(moved[1])) / (2 * width))
                assert slope[i].item() == pytest.approx(found, rel=1e-8, abs=1e-9 * slope.norm().item())


@pytest.mark.parametrize("n", [2, 10, 40])
def test_rotations_turn(n: int) -> None:
    """A rotation is orthogonal, and a seed always means the same one."""
    turn = draw_rotation(n, 1_010_010)
    torch.testing.assert_close(turn @ turn.T, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-12)
    assert (draw_uniform(100, 7) == draw_uniform(100, 7)).all()
    assert (draw_uniform(100, 7) != draw_uniform(100, 8)).any()


@functions
def test_refuses_what_the_suite_has_not(function: int) -> None:
    """One dimension, and an instance below 1, are refused in a line that names the argument."""
    with pytest.raises(UsageError, match=r"objective\.n=1: it must be a whole number of at least 2"):
        factory(function)(1, 1)
    with pytest.raises(UsageError, match=r"objective\.instance=0: it must be a whole number of at least 1"):
        factory(function)(5, 0)
