"""Gradient descent, the heavy ball and Adam on Rosenbrock's function, step by step, in arithmetic of 50 digits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from mpmath import mp, mpf, sqrt
from support.laws import default_dtype, manual, objective, path, twin

STEPS = 50
Point = tuple[mpf, mpf]

GOLDEN = {
    "gd": (1e-3, "-0.989598351401336354507339219199", "0.987311791560571247912387461344"),
    "momentum": (1e-4, "-0.959142050198488404573862437662", "0.957061678325872162471424357672"),
    "adam": (0.01, "-1.06377366088746973906227796953", "1.11271201650308388087159229929"),
}
"""lr, and both coordinates after 50 steps, to 30 digits."""


def gradient(x: mpf, y: mpf) -> Point:
    """The gradient of 100 (y - x^2)^2 + (1 - x)^2."""
    return -400 * x * (y - x**2) - 2 * (1 - x), 200 * (y - x**2)


def gd(at: Point, lr: mpf) -> Iterator[Point]:
    """x - lr g."""
    while True:
        at = tuple(x - lr * g for x, g in zip(at, gradient(*at), strict=True))
        yield at


def momentum(at: Point, lr: mpf) -> Iterator[Point]:
    """b = 0.9 b + g; x - lr b."""
    b = (mpf(0), mpf(0))
    while True:
        b = tuple(mpf(0.9) * old + g for old, g in zip(b, gradient(*at), strict=True))
        at = tuple(x - lr * slope for x, slope in zip(at, b, strict=True))
        yield at


def adam(at: Point, lr: mpf) -> Iterator[Point]:
    """Kingma and Ba 2015, algorithm 1, with the float64 numbers 0.9, 0.999 and 1e-8."""
    b1, b2, eps, t = mpf(0.9), mpf(0.999), mpf(1e-8), 0
    m, v = (mpf(0), mpf(0)), (mpf(0), mpf(0))
    while True:
        t, g = t + 1, gradient(*at)
        m = tuple(b1 * old + (1 - b1) * slope for old, slope in zip(m, g, strict=True))
        v = tuple(b2 * old + (1 - b2) * slope**2 for old, slope in zip(v, g, strict=True))
        at = tuple(x - lr * (a / (1 - b1**t)) / (sqrt(c / (1 - b2**t)) + eps) for x, a, c in zip(at, m, v, strict=True))
        yield at


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    """All of mpmath's numbers."""
    with mp.workdps(50):
        yield


def exact(name: str) -> list[Point]:
    """The points after each step, from the float64 start (-1.2, 1)."""
    walk = {"gd": gd, "momentum": momentum, "adam": adam}[name]((mpf(-1.2), mpf(1)), mpf(GOLDEN[name][0]))
    return [next(walk) for _ in range(STEPS)]


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("form", [manual, twin])
def test_fifty_steps_are_right_to_twelve_digits(name: str, form: object) -> None:
    """The manual method in float64, and torch's, differ from the exact one by at most 1e-12 of each coordinate."""
    with default_dtype(torch.float64):
        ours, _ = path(form(name, lr=GOLDEN[name][0]), objective("rosenbrock"), STEPS)  # type: ignore[operator]
    worst = max(
        abs((mpf(float(a)) - b) / b)
        for point, there in zip(ours[1:], exact(name), strict=True)
        for a, b in zip(point, there, strict=True)
    )

    assert worst <= 1e-12


@pytest.mark.parametrize("name", GOLDEN)
def test_the_exact_path_ends_where_it_was_recorded(name: str) -> None:
    """The reference implementation is checked to 30 digits, so that an error in it cannot hide one in the method."""
    assert [mp.nstr(number, 30) for number in exact(name)[-1]] == list(GOLDEN[name][1:])
