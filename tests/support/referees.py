"""The methods of the literature once more, as their papers write them down: in numpy, by a loop, one point at a time.

Each referee takes what it may ask (``at.f``, ``at.g``, ``at.hessian``), the start and lr, and yields, step by step, the
point that the method is judged at. Constants are those of the papers, typed here and not read from ``conf/optimizer``.
"""

# ruff: noqa: D103  (the name says which method; its paper stands in the docstring of ours)

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy import abs as size
from numpy import sign, sqrt
from numpy.linalg import norm

Array = npt.NDArray[np.float64]
Path = Iterator[Array]


@dataclass(frozen=True)
class Known:
    """An objective in numpy: f, its gradient, its Hessian, what is known of it, and the prox of what else there is."""

    f: Callable[[Array], float]
    g: Callable[[Array], Array]
    hessian: Callable[[Array], Array]
    smoothness: float
    strong_convexity: float
    minimum: float
    prox: Callable[[Array, float], Array]


def normalised(at: Known, x: Array, lr: float) -> Path:
    while True:
        x = x - lr * at.g(x) / norm(at.g(x))
        yield x


def normalised_momentum(at: Known, x: Array, lr: float, beta: float = 0.9) -> Path:
    m = 0 * x
    while True:
        m = beta * m + (1 - beta) * at.g(x)
        x = x - lr * m / norm(m)
        yield x


def signsgd(at: Known, x: Array, lr: float) -> Path:
    while True:
        x = x - lr * sign(at.g(x))
        yield x


def signum(at: Known, x: Array, lr: float, beta: float = 0.9) -> Path:
    m = 0 * x
    while True:
        m = beta * m + (1 - beta) * at.g(x)
        x = x - lr * sign(m)
        yield x


def lion(at: Known, x: Array, lr: float, beta1: float = 0.9, beta2: float = 0.99) -> Path:
    m = 0 * x
    while True:
        g = at.g(x)
        x = x - lr * sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        yield x


def nesterov_convex(at: Known, x: Array, lr: float) -> Path:
    old, y = x, x
    for k in count(1):
        x = y - lr * at.g(y)
        y = x + (k - 1) / (k + 2) * (x - old)
        old = x
        yield x


def nesterov_fista(at: Known, x: Array, lr: float) -> Path:
    y, t = x, 1.0
    while True:
        new = y - lr * at.g(y)
        after = (1 + sqrt(1 + 4 * t**2)) / 2
        y = new + (t - 1) / after * (new - x)
        x, t = new, after
        yield x


def ista(at: Known, x: Array, lr: float) -> Path:
    while True:
        x = at.prox(x - lr * at.g(x), lr)
        yield x


def fista(at: Known, x: Array, lr: float) -> Path:
    y, t = x, 1.0
    while True:
        old, x = x, at.prox(y - lr * at.g(y), lr)
        after = (1 + sqrt(1 + 4 * t**2)) / 2
        y, t = x + (t - 1) / after * (x - old), after
        yield x


def nesterov_restart(at: Known, x: Array, lr: float) -> Path:
    y, theta = x, 1.0  # in the paper's terms: theta_{k+1}^2 = (1 - theta_{k+1}) theta_k^2
    while True:
        g = at.g(y)
        new = y - lr * g
        after = (-(theta**2) + sqrt(theta**4 + 4 * theta**2)) / 2
        y = new + theta * (1 - theta) / (theta**2 + after) * (new - x)
        theta = after
        if g @ (new - x) > 0:
            y, theta = new, 1.0
        x = new
        yield x


def nag_sc(at: Known, x: Array, lr: float) -> Path:
    y, kappa = x, 1 / (lr * at.strong_convexity)
    while True:
        new = y - lr * at.g(y)
        y = new + (sqrt(kappa) - 1) / (sqrt(kappa) + 1) * (new - x)
        x = new
        yield x


def ogm(at: Known, x: Array, lr: float) -> Path:
    theta, start, total = 1.0, x, 0 * x  # form OGM1: the gradients weighed from the start
    while True:
        g = at.g(x)
        y = x - lr * g
        total = total + 2 * theta * g
        z = start - lr * total
        theta = (1 + sqrt(1 + 4 * theta**2)) / 2
        x = (1 - 1 / theta) * y + z / theta
        yield y


def triple_momentum(at: Known, x: Array, lr: float) -> Path:
    kappa = 1 / (lr * at.strong_convexity)
    rho = 1 - 1 / sqrt(kappa)
    alpha, beta = (1 + rho) * lr, rho**2 / (2 - rho)
    gamma, delta = rho**2 / ((1 + rho) * (2 - rho)), rho**2 / (1 - rho**2)
    old = new = x
    while True:
        y = (1 + gamma) * new - gamma * old
        old, new = new, (1 + beta) * new - beta * old - alpha * at.g(y)
        yield (1 + delta) * new - delta * old


def gd_optimal(at: Known, x: Array, lr: float) -> Path:
    while True:
        x = x - lr * 2 / (at.smoothness + at.strong_convexity) * at.g(x)
        yield x


def heavy_ball_optimal(at: Known, x: Array, lr: float) -> Path:
    kappa, old = at.smoothness / at.strong_convexity, x
    alpha = lr * 4 / (sqrt(at.smoothness) + sqrt(at.strong_convexity)) ** 2
    while True:
        beta = ((sqrt(kappa) - 1) / (sqrt(kappa) + 1)) ** 2
        old, x = x, x - alpha * at.g(x) + beta * (x - old)
        yield x


def nesterov_optimal(at: Known, x: Array, lr: float) -> Path:
    """In torch's form, whose x is the point that looks ahead."""
    kappa, last = at.smoothness / at.strong_convexity, x
    beta = (sqrt(3 * kappa + 1) - 2) / (sqrt(3 * kappa + 1) + 2)
    while True:
        new = x - lr * 4 / (3 * at.smoothness + at.strong_convexity) * at.g(x)
        x = new + beta * (new - last)
        last = new
        yield x


def chebyshev(at: Known, x: Array, lr: float) -> Path:
    """By the polynomials themselves: T_k((L + mu) / (L - mu)) by their recurrence."""
    mid, radius = (at.smoothness + at.strong_convexity) / 2, (at.smoothness - at.strong_convexity) / 2
    before, now, old = 1.0, mid / radius, x
    old, x = x, x - lr * at.g(x) / mid
    yield x
    while True:
        after = 2 * mid / radius * now - before
        omega = 2 * mid / radius * now / after
        old, x = x, x + (omega - 1) * (x - old) - lr * omega * at.g(x) / mid
        before, now = now, after
        yield x


def barzilai_borwein(length: Callable[[Array, Array], float]) -> Callable[[Known, Array, float], Path]:
    def path(at: Known, x: Array, lr: float) -> Path:
        size = lr
        while True:
            new = x - size * at.g(x)
            s, y = new - x, at.g(new) - at.g(x)
            size, x = length(s, y), new
            yield x

    return path


bb1 = barzilai_borwein(lambda s, y: s @ s / (s @ y))
bb2 = barzilai_borwein(lambda s, y: s @ y / (y @ y))


def polyak(at: Known, x: Array, lr: float) -> Path:
    while True:
        x = x - lr * (at.f(x) - at.minimum) / norm(at.g(x)) ** 2 * at.g(x)
        yield x


def adgd(at: Known, x: Array, lr: float) -> Path:
    old, step, theta = x, lr, np.inf
    x = x - lr * at.g(x)
    yield x
    while True:
        new = min(sqrt(1 + theta) * step, norm(x - old) / (2 * norm(at.g(x) - at.g(old))))
        old, x = x, x - new * at.g(x)
        theta, step = new / step, new
        yield x


def hypergradient(at: Known, x: Array, lr: float, beta: float = 0.02) -> Path:
    last = at.g(x)
    x = x - lr * last
    yield x
    while True:
        g = at.g(x)
        lr = lr * (1 + beta * g @ last / (norm(g) * norm(last)))
        x, last = x - lr * g, g
        yield x


def steepest(at: Known, x: Array, lr: float) -> Path:
    while True:
        g = at.g(x)
        x = x - g @ g / (g @ at.hessian(x) @ g) * g
        yield x


def armijo(at: Known, x: Array, lr: float, c: float = 1e-4) -> Path:
    while True:
        x = x - backtracking(at, x, at.g(x), lr, c) * at.g(x)
        yield x


def backtracking(at: Known, x: Array, way: Array, t: float, c: float) -> float:
    while at.f(x - t * way) > at.f(x) - c * t * at.g(x) @ way:
        t = t / 2
    return t


def newton_cg(at: Known, x: Array, lr: float) -> Path:
    """Nocedal and Wright 2006, algorithm 7.1, with at most ten inner steps."""
    while True:
        g, h = at.g(x), at.hessian(x)
        if norm(g) < 1e-14:
            yield x
            continue
        z, r, d = 0 * x, g, -g
        for _ in range(10):
            step = r @ r / (d @ h @ d)
            z, new = z + step * d, r + step * h @ d
            if norm(new) <= min(0.5, sqrt(norm(g))) * norm(g):
                break
            d, r = -new + new @ new / (r @ r) * d, new
        x = x + backtracking(at, x, -z, lr, 1e-4) * z
        yield x


def adahessian(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-4) -> Path:
    m = v = 0 * x
    for t in count(1):
        m = b1 * m + (1 - b1) * at.g(x)
        v = b2 * v + (1 - b2) * np.diag(at.hessian(x)) ** 2
        x = x - lr * m / (1 - b1**t) / (sqrt(v / (1 - b2**t)) + eps)
        yield x


def sophia(at: Known, x: Array, lr: float, b1: float = 0.965, b2: float = 0.99, gamma: float = 0.01) -> Path:
    m = h = 0 * x
    for t in count(1):
        m = b1 * m + (1 - b1) * at.g(x)
        if t % 10 == 1:
            h = b2 * h + (1 - b2) * np.diag(at.hessian(x))
        x = x - lr * np.clip(m / np.maximum(gamma * h, 1e-12), -1, 1)
        yield x


def schedule_free_sgd(at: Known, x: Array, lr: float, beta: float = 0.9) -> Path:
    z = x
    for t in count(1):
        y = (1 - beta) * z + beta * x
        z = z - lr * at.g(y)
        x = (1 - 1 / t) * x + z / t
        yield x


def schedule_free_adamw(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.999) -> Path:
    z, v = x, 0 * x
    for t in count(1):
        y = (1 - b1) * z + b1 * x
        g = at.g(y)
        v = b2 * v + (1 - b2) * g**2
        z = z - lr * g / (sqrt(v / (1 - b2**t)) + 1e-8)
        x = (1 - 1 / t) * x + z / t
        yield x


def lookahead(at: Known, x: Array, lr: float) -> Path:
    slow, b = x, 0 * x
    for t in count(1):
        b = 0.9 * b + at.g(x)
        x = x - lr * b
        if t % 5 == 0:
            slow = x = slow + 0.5 * (x - slow)
        yield slow


def extragradient(at: Known, x: Array, lr: float) -> Path:
    while True:
        x = x - lr * at.g(x - lr * at.g(x))
        yield x


def sam(at: Known, x: Array, lr: float, rho: float = 0.05) -> Path:
    while True:
        x = x - lr * at.g(x + rho * at.g(x) / norm(at.g(x)))
        yield x


def dog(at: Known, x: Array, lr: float, eps: float = 1e-8) -> Path:
    start, far, total = x, 1e-6 * (1 + norm(x)), eps
    while True:
        far = max(far, norm(x - start))
        total += norm(at.g(x)) ** 2
        x = x - lr * far / sqrt(total) * at.g(x)
        yield x


def dowg(at: Known, x: Array, lr: float) -> Path:
    start, far, total = x, 1e-4, 0.0
    while True:
        far = max(far, norm(x - start))
        total += far**2 * norm(at.g(x)) ** 2
        x = x - lr * far**2 / sqrt(total) * at.g(x)
        yield x


def dadapt_sgd(at: Known, x: Array, lr: float, beta: float = 0.9, d: float = 1e-6) -> Path:
    z, first, s, sizes, products = x, norm(at.g(x)), 0 * x, [], []
    while True:
        g, step = at.g(x), d * lr / first
        sizes, products = [*sizes, step], [*products, g @ s]
        s, z = s + step * g, z - step * g
        x = beta * x + (1 - beta) * z
        d = max(d, 2 * sum(a * b for a, b in zip(sizes, products, strict=True)) / norm(s))
        yield x


def dadapt_adam(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.999, d: float = 1e-6) -> Path:
    m = v = s = 0 * x
    r, long = 0.0, sqrt(b2)
    while True:
        g = at.g(x)
        m, v = b1 * m + (1 - b1) * d * lr * g, b2 * v + (1 - b2) * g**2
        a = sqrt(v) + 1e-8
        r = long * r + (1 - long) * d * lr * (g @ (s / a))
        s = long * s + (1 - long) * d * lr * g
        x = x - m / a
        d = max(d, r / ((1 - long) * size(s).sum()))
        yield x


def prodigy(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.999, d: float = 1e-6) -> Path:
    start, m, v, s, r = x, 0 * x, 0 * x, 0 * x, 0.0
    while True:
        g = at.g(x)
        m, v = b1 * m + (1 - b1) * d * g, b2 * v + (1 - b2) * d**2 * g**2
        r = sqrt(b2) * r + (1 - sqrt(b2)) * lr * d**2 * (g @ (start - x))
        s = sqrt(b2) * s + (1 - sqrt(b2)) * lr * d**2 * g
        x = x - lr * d * m / (sqrt(v) + d * 1e-8)
        d = max(d, r / size(s).sum())
        yield x


def cocob(at: Known, x: Array, lr: float, damping: float = 100.0) -> Path:
    start, theta, reward, lengths, largest = x, 0 * x, 0 * x, 0 * x, 1e-8 + 0 * x
    while True:
        g = -at.g(x)
        largest = np.maximum(largest, size(g))
        lengths = lengths + size(g)
        reward = np.maximum(reward + (x - start) * g, 0)
        theta = theta + g
        beta = theta / (largest * np.maximum(lengths + largest, damping * largest))
        x = start + lr * beta * (largest + reward)
        yield x


def adabelief(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-16) -> Path:
    m = v = 0 * x
    for t in count(1):
        g = at.g(x)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (g - m) ** 2 + eps
        x = x - lr * m / (1 - b1**t) / (sqrt(v / (1 - b2**t)) + eps)
        yield x


def yogi(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.999) -> Path:
    m, v = 0 * x, 1e-6 + 0 * x
    while True:
        g = at.g(x)
        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * sign(v - g**2) * g**2
        x = x - lr * m / (sqrt(v) + 1e-3)
        yield x


def adabound(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.999) -> Path:
    m = v = 0 * x
    for t in count(1):
        g = at.g(x)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        low, high = 0.1 * (1 - 1 / (1e-3 * t + 1)), 0.1 * (1 + 1 / (1e-3 * t))
        x = x - np.clip(lr / (sqrt(v / (1 - b2**t)) + 1e-8), low, high) * m / (1 - b1**t)
        yield x


def ademamix(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.999, b3: float = 0.9999) -> Path:
    m = slow = v = 0 * x
    for t in count(1):
        g = at.g(x)
        m, slow, v = b1 * m + (1 - b1) * g, b3 * slow + (1 - b3) * g, b2 * v + (1 - b2) * g**2
        x = x - lr * (m / (1 - b1**t) + 5 * slow) / (sqrt(v / (1 - b2**t)) + 1e-8)
        yield x


def adopt(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.9999) -> Path:
    m, v = 0 * x, at.g(x) ** 2
    yield x
    while True:
        g = at.g(x)
        m = b1 * m + (1 - b1) * g / np.maximum(sqrt(v), 1e-6)
        x = x - lr * m
        v = b2 * v + (1 - b2) * g**2
        yield x


def qhm(at: Known, x: Array, lr: float, beta: float = 0.999, nu: float = 0.7) -> Path:
    b = 0 * x
    while True:
        g = at.g(x)
        b = beta * b + (1 - beta) * g
        x = x - lr * ((1 - nu) * g + nu * b)
        yield x


def qhadam(at: Known, x: Array, lr: float, b1: float = 0.995, b2: float = 0.999, nu: float = 0.7) -> Path:
    m = v = 0 * x
    for t in count(1):
        g = at.g(x)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        x = x - lr * ((1 - nu) * g + nu * m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + 1e-8)
        yield x


def adan(at: Known, x: Array, lr: float, b1: float = 0.02, b2: float = 0.08, b3: float = 0.01) -> Path:
    g = at.g(x)
    m, v, n, last = g, 0 * x, g**2, g
    while True:
        x = x - lr / (sqrt(n) + 1e-8) * (m + (1 - b2) * v)
        yield x
        g = at.g(x)
        m = (1 - b1) * m + b1 * g
        v = (1 - b2) * v + b2 * (g - last)
        n = (1 - b3) * n + b3 * (g + (1 - b2) * (g - last)) ** 2
        last = g


def laprop(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.999) -> Path:
    m = v = 0 * x
    for t in count(1):
        g = at.g(x)
        v = b2 * v + (1 - b2) * g**2
        m = b1 * m + (1 - b1) * g / (sqrt(v / (1 - b2**t)) + 1e-15)
        x = x - lr * m / (1 - b1**t)
        yield x


def madgrad(at: Known, x: Array, lr: float, c: float = 0.1) -> Path:
    start, s, v = x, 0 * x, 0 * x
    for k in count():
        weight = lr * sqrt(k + 1)
        s, v = s + weight * at.g(x), v + weight * at.g(x) ** 2
        x = (1 - c) * x + c * (start - s / (np.cbrt(v) + 1e-6))
        yield x


def lars(at: Known, x: Array, lr: float, beta: float = 0.9, eta: float = 1e-3) -> Path:
    b = 0 * x
    while True:
        b = beta * b + lr * eta * norm(x) / norm(at.g(x)) * at.g(x)
        x = x - b
        yield x


def lamb(at: Known, x: Array, lr: float, b1: float = 0.9, b2: float = 0.999) -> Path:
    m = v = 0 * x
    for t in count(1):
        g = at.g(x)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        r = m / (1 - b1**t) / (sqrt(v / (1 - b2**t)) + 1e-6)
        x = x - lr * norm(x) / norm(r) * r
        yield x


def novograd(at: Known, x: Array, lr: float, b1: float = 0.95, b2: float = 0.98) -> Path:
    g = at.g(x)
    v = norm(g) ** 2
    m = g / (sqrt(v) + 1e-8)
    while True:
        x = x - lr * m
        yield x
        g = at.g(x)
        v = b2 * v + (1 - b2) * norm(g) ** 2
        m = b1 * m + g / (sqrt(v) + 1e-8)


def shampoo(at: Known, x: Array, lr: float) -> Path:
    """Of a vector: the diagonal."""
    total = 1e-4 + 0 * x
    while True:
        total = total + at.g(x) ** 2
        x = x - lr * at.g(x) / sqrt(total)
        yield x


def soap(at: Known, x: Array, lr: float, beta: float = 0.95) -> Path:
    """Of a vector: Adam with the authors' eps, after a first step in which nothing moves."""
    m = v = 0 * x
    yield x
    for t in count(1):
        m, v = beta * m + (1 - beta) * at.g(x), beta * v + (1 - beta) * at.g(x) ** 2
        x = x - lr * sqrt(1 - beta**t) / (1 - beta**t) * m / (sqrt(v) + 1e-8)
        yield x


REFEREES: dict[str, Any] = {
    name: each for name, each in globals().items() if getattr(each, "__module__", "") == __name__
}
for helper in ("Known", "backtracking", "barzilai_borwein"):
    del REFEREES[helper]
