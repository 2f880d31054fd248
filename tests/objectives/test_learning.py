"""Learning and stochastic problems: references in NumPy, SciPy and scikit-learn, published facts, errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from support.cells import Compiled, Tiny, small
from support.folding import folded
from support.laws import factory, manual, twin
from torch import Tensor, nn

from gdbench.engine.build import build_cell
from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.engine.runner import run_cell
from gdbench.errors import UsageError
from gdbench.objectives import Objective, hash_data, make_generator
from gdbench.objectives.classification import cnn, mlp
from gdbench.objectives.datasets import hash_dataset
from gdbench.objectives.factorisation import deep_linear, matrix_factorisation, phase_retrieval
from gdbench.objectives.newton_solver import minimise_newton
from gdbench.objectives.pinn import evaluate_solution, pinn
from gdbench.objectives.regression import (
    huber_regression,
    lasso,
    lasso_proximal,
    poisson,
    ridge,
    softmax,
    squared_hinge,
)
from gdbench.objectives.stochastic import noisy_quadratic, reddi
from gdbench.objectives.text_corpus import TEXT
from gdbench.objectives.transformer import ALPHABET, transformer
from gdbench.optimizers.projection import with_projection
from gdbench.tree import stack_runs

torch.set_num_threads(1)

F64 = torch.float64
Referee = Callable[[Any], tuple[float, Any]]
"""Value and gradient in numpy."""


@cache
def table(name: str) -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's own standardised features with a last 1, and targets."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    features, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "linnerud":
        features, target = target, features
    return np.c_[StandardScaler().fit_transform(features), np.ones(len(features))], target


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """Features, and the target in units of its deviation."""
    features, target = table("diabetes")
    return features, target / target.std()


def ridge_by_numpy(w: np.ndarray) -> tuple[float, np.ndarray]:
    """Least squares and a penalty."""
    a, y = diabetes()
    r = a @ w - y
    return r @ r / (2 * len(y)) + 0.005 * w @ w, a.T @ r / len(y) + 0.01 * w


def lasso_by_numpy(w: np.ndarray) -> tuple[float, np.ndarray]:
    """The same and the length of (w_j, width), less the width."""
    value, slope = ridge_by_numpy(w)
    long = np.hypot(w, 0.01)
    return value + 0.1 * np.sum(long - 0.01), slope + 0.1 * w / long


def huber_by_scipy(w: np.ndarray) -> tuple[float, np.ndarray]:
    """scipy.special.huber, whose slope is the residual, clipped."""
    from scipy.special import huber

    a, y = diabetes()
    r = a @ w - y
    return huber(1.35, r).mean() + 0.005 * w @ w, a.T @ np.clip(r, -1.35, 1.35) / len(y) + 0.01 * w


def poisson_by_scipy(w: np.ndarray) -> tuple[float, np.ndarray]:
    """The negative log-likelihood of scipy.stats.poisson, less log y!."""
    from scipy.special import gammaln
    from scipy.stats import poisson as law

    a, counts = table("linnerud")
    y = counts[:, 0]
    mean = np.exp(a @ w)
    value = -(law.logpmf(y, mean) + gammaln(y + 1)).mean() + 0.005 * w @ w
    return value, a.T @ (mean - y) / len(y) + 0.01 * w


def hinge_by_sklearn(w: np.ndarray) -> tuple[float, np.ndarray]:
    """The squares of what scikit-learn's hinge_loss averages."""
    a, benign = table("breast_cancer")
    y = 2 * benign - 1
    miss = np.maximum(0, 1 - y * (a @ w))
    return (miss**2).mean() + 0.005 * w @ w, -2 * a.T @ (y * miss) / len(y) + 0.01 * w


def softmax_by_sklearn(w: np.ndarray) -> tuple[float, np.ndarray]:
    """sklearn.metrics.log_loss of scipy's softmax."""
    from scipy.special import softmax as shares
    from sklearn.metrics import log_loss

    a, y = table("wine")
    p = shares(a @ w.T, axis=1)
    return log_loss(y, p) + 0.005 * np.sum(w**2), (p - np.eye(3)[y]).T @ a / len(y) + 0.01 * w


def factors_by_numpy(x: dict[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """Half the sum of squares, with the matrix drawn again."""
    rest = x["u"] @ x["v"].T - torch.randn(12, 10, generator=make_generator(0), dtype=F64).numpy()
    return np.sum(rest**2) / 2, {"u": rest @ x["v"], "v": rest.T @ x["u"]}


def phases_by_numpy(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean quarter of squares of differences of squares."""
    drawn = torch.randn(10, 81, generator=make_generator(0), dtype=F64).numpy()
    a, rest = drawn[:, 1:].T, (drawn[:, 1:].T @ x) ** 2 - (drawn[:, 1:].T @ drawn[:, 0]) ** 2
    return np.mean(rest**2) / 4, a.T @ (rest * (a @ x)) / len(a)


def layers_by_numpy(x: dict[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """Half the sum of squares; each layer's slope lies between the others."""
    w1, w2, w3 = x.values()
    rest = w3 @ w2 @ w1 - torch.randn(4, 4, generator=make_generator(0), dtype=F64).numpy()
    return np.sum(rest**2) / 2, {"w1": (w3 @ w2).T @ rest, "w2": w3.T @ rest @ w1.T, "w3": rest @ (w2 @ w1).T}


def kinked_lasso_by_numpy(w: np.ndarray) -> tuple[float, np.ndarray]:
    """Least squares and the penalty of scikit-learn's Lasso."""
    a, y = diabetes()
    rest = a @ w - y
    return np.mean(rest**2) / 2 + 0.1 * np.abs(w).sum(), a.T @ rest / len(y) + 0.1 * np.sign(w)


REFEREES: dict[str, tuple[Callable[[], Objective], Referee]] = {
    "ridge": (ridge, ridge_by_numpy),
    "lasso": (lasso, lasso_by_numpy),
    "lasso_proximal": (lasso_proximal, kinked_lasso_by_numpy),
    "huber_regression": (huber_regression, huber_by_scipy),
    "poisson": (poisson, poisson_by_scipy),
    "squared_hinge": (squared_hinge, hinge_by_sklearn),
    "softmax": (softmax, softmax_by_sklearn),
    "matrix_factorisation": (matrix_factorisation, factors_by_numpy),
    "phase_retrieval": (phase_retrieval, phases_by_numpy),
    "deep_linear": (deep_linear, layers_by_numpy),
}


@pytest.mark.parametrize("name", REFEREES)
def test_values_and_gradients_are_the_referees(name: str) -> None:
    """At random points values agree to 1e-12 and gradients to 1e-10 with formulas of numpy, scipy or scikit-learn."""
    made, referee = REFEREES[name]
    objective, random = made(), make_generator(1)
    for _ in range(5):
        start = objective.start_at(0)
        x: Any = (
            {key: torch.randn(leaf.shape, generator=random, dtype=F64) for key, leaf in start.items()}
            if isinstance(start, dict)
            else torch.randn(start.shape, generator=random, dtype=F64)
        )
        loss, grad = oracle(objective, laned=False).grad(x, 0)
        plain = {key: leaf.numpy() for key, leaf in x.items()} if isinstance(x, dict) else x.numpy()
        value, slope = referee(plain)

        assert float(loss.detach()) == pytest.approx(value, rel=1e-12)
        for key in slope if isinstance(slope, dict) else [...]:
            there = slope[key]
            assert np.abs(grad[key].numpy() - there).max() <= 1e-10 * np.abs(there).max()


def test_minima_are_scikit_learns() -> None:
    """Minimisers are those that scikit-learn's own solvers find for the same losses."""
    from sklearn.linear_model import PoissonRegressor, Ridge

    a, y = diabetes()
    found = Ridge(alpha=0.01 * len(y), fit_intercept=False, solver="svd").fit(a, y).coef_
    np.testing.assert_allclose(ridge().minimisers[0], found, rtol=1e-9, atol=1e-12)

    men, counts = table("linnerud")
    solver = PoissonRegressor(alpha=0.01, fit_intercept=False, solver="newton-cholesky", tol=1e-10)
    np.testing.assert_allclose(poisson().minimisers[0], solver.fit(men, counts[:, 0]).coef_, rtol=1e-8)


@pytest.mark.parametrize("l1", [0.003, 0.1, 1.0])
def test_the_lassos_minimum_is_scikit_learns(l1: float) -> None:
    """Coordinate descent down to a duality gap of 1e-14 finds the same zeros, coefficients and value."""
    from sklearn.linear_model import Lasso

    (a, y), stated = diabetes(), lasso_proximal(l1)
    found = Lasso(alpha=l1, fit_intercept=False, tol=1e-14, max_iter=1_000_000).fit(a, y).coef_

    np.testing.assert_array_equal(stated.minimisers[0] == 0, found == 0)
    np.testing.assert_allclose(stated.minimisers[0], found, rtol=1e-7)
    assert stated.minimum == pytest.approx(((a @ found - y) ** 2).mean() / 2 + l1 * np.abs(found).sum(), rel=1e-14)


def test_the_lassos_prox_is_the_nearest_point() -> None:
    """The proximal map minimises its definition: no grid of points does better."""
    grid, prox = torch.linspace(-3, 3, 6001, dtype=F64), lasso_proximal(0.5).prox
    for x in (-2.0, -0.1, 0.0, 0.3, 1.5):
        told = 2.0 * 0.5 * grid.abs() + (grid - x) ** 2 / 2

        assert float(prox(torch.tensor([x], dtype=F64), 2.0)) == pytest.approx(float(grid[told.argmin()]), abs=1e-12)


def test_softmax_digits_has_its_minimum() -> None:
    """On the digits, whose Hessian is written by hand, the gradient vanishes at the minimiser too."""
    objective = softmax("digits")

    assert float(oracle(objective, False).grad(objective.minimisers[0], 0)[1].norm()) <= 1e-12


def test_newton_says_where_it_fails() -> None:
    """At a kink, where the gradient does not vanish, the solver raises an error with its norm."""
    with pytest.raises(ArithmeticError, match="stopped at a gradient of"):
        minimise_newton(lambda x: torch.where(x > 0, x, -x).sum() + (x**2).sum() / 2, torch.full((1,), 0.9, dtype=F64))


def test_eckart_and_young() -> None:
    """No product of thin matrices that a long descent finds is better than the singular values allow."""
    objective = matrix_factorisation(rows=6, columns=5, rank=2, instance=3)
    x, _ = descent(manual("momentum", lr=0.02), oracle(objective, False), objective.start_at(1), range(3000))

    assert float(objective.value(x)) == pytest.approx(objective.minimum, rel=1e-10)


# Data.

DIGESTS = {
    "breast_cancer": "cdd5f37c36cbdfc2",
    "diabetes": "84ec38030d0ff6df",
    "digits": "f19a7d92591ca0a1",
    "iris": "18565d0da72dafd5",
    "linnerud": "c266745f3efea8e5",
    "wine": "c7e84e8e03b2b5a3",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_data_are_those_known(name: str) -> None:
    """The tables are, to the last bit, those on which the minima were found."""
    assert hash_dataset(name)[:16] == DIGESTS[name]


def test_a_fingerprint_is_of_the_data() -> None:
    """What enters the loss decides the fingerprint: not the penalty, but the samples and what was done to them."""
    assert hash_data(mlp(samples=20)) == hash_data(mlp(hidden=3, samples=20))
    assert len({hash_data(objective) for objective in (mlp(samples=20), mlp(samples=21), ridge(), softmax())}) == 4


def test_the_text_is_plain() -> None:
    """The text to learn is of a few kilobytes of 27 characters, so that it is the same in every encoding."""
    assert len(ALPHABET) == 27
    assert TEXT.isascii()
    assert len(TEXT) > 2000


# Networks.


def test_cnn_is_written_out() -> None:
    """The network of the digits is that of torch's own layers, put together by hand."""
    objective = cnn(channels=2, samples=30)
    x, pick = objective.start_at(0), nn.functional
    images, labels = objective.data["images"], objective.data["labels"]
    first = pick.avg_pool2d(pick.conv2d(images, x["0.weight"], x["0.bias"], padding=1).tanh(), 2)
    second = pick.avg_pool2d(pick.conv2d(first, x["3.weight"], x["3.bias"], padding=1).tanh(), 2)
    scores = second.reshape(30, -1) @ x["7.weight"].T + x["7.bias"]
    right = scores.log_softmax(1)[torch.arange(30), labels]

    assert float(objective.value(x)) == pytest.approx(-float(right.mean()), rel=1e-13)


def test_transformer_does_not_look_ahead() -> None:
    """Later characters of a window do not change the predictions before them."""
    objective = transformer(width=8, context=6)
    x = {name: leaf.requires_grad_() for name, leaf in objective.start_at(0).items()}
    before, after = objective.data["before"][:1], objective.data["after"][:1]

    def of_first(window: Tensor) -> float:  # the loss of three characters is three times its mean
        short = {**x, "place": x["place"][: window.shape[1]]}
        return 3 * float(objective.fn(short, window, after[:, : window.shape[1]]).detach())

    whole = objective.fn(x, before, after)
    slope = torch.autograd.grad(objective.fn(x, before, after) * 6, x["place"])[0]

    assert of_first(before[:, :3]) < 6 * float(whole.detach())
    assert float(slope[-1].abs().max()) > 0
    changed = before.clone()
    changed[0, 5] = (changed[0, 5] + 1) % 27
    assert first_scores(objective, x, before)[:5] == pytest.approx(first_scores(objective, x, changed)[:5], rel=1e-12)
    assert first_scores(objective, x, before)[5] != first_scores(objective, x, changed)[5]


def first_scores(objective: Objective, x: dict[str, Tensor], before: Tensor) -> list[float]:
    """The loss at each place of a window if a space came next there: the mean changes by one place's share."""
    losses = []
    for place in range(before.shape[1]):
        wanted = torch.zeros_like(before)
        other = wanted.clone()
        other[0, place] = 1
        losses.append(float((objective.fn(x, before, other) - objective.fn(x, before, wanted)).detach()))
    return losses


def test_pinn_finds_the_solution() -> None:
    """L-BFGS on the residual converges to sin(pi t), which the loss does not contain."""
    objective = pinn()
    t = torch.linspace(0, 1, 101, dtype=F64)
    x, _ = descent(twin("lbfgs"), oracle(objective, False), objective.start_at(0), range(150))
    known = {name: leaf.detach() for name, leaf in x.items()}

    assert float((evaluate_solution(known, t) - (torch.pi * t).sin()).abs().max()) < 1e-3


def test_pinn_knows_its_second_derivative() -> None:
    """The derivatives worked out by hand are those of automatic differentiation."""
    x, t = pinn(hidden=5).start_at(2), torch.rand(7, generator=make_generator(0), dtype=F64).requires_grad_()
    slope = torch.autograd.grad(evaluate_solution(x, t).sum(), t, create_graph=True)[0]
    bend = torch.autograd.grad(slope.sum(), t)[0]
    residual = bend + torch.pi**2 * (torch.pi * t).sin()

    assert float(pinn(hidden=5).fn(x, t=t.detach())) == pytest.approx(float((residual**2).mean().detach()), rel=1e-12)


# Noise.


@pytest.mark.parametrize(("momentum", "lr"), [(0.0, 0.5), (0.0, 1.5), (0.9, 0.2)])
def test_noise_settles_where_the_formula_says(momentum: float, lr: float) -> None:
    """Over many seeds the mean loss of the heavy ball is the closed form of the docstring, within 5 standard errors."""
    objective, noise = noisy_quadratic(n=3, condition=10, noise=0.3), 0.3
    seeds = torch.arange(2000)
    ask, x = oracle(objective, laned=True, seeds=seeds), stack_runs([objective.start_at(0)] * len(seeds))
    x, _ = descent(manual("momentum", lr=lr, momentum=momentum), ask, x, range(300))
    losses, e = objective.value(x), objective.data["eigenvalues"]
    b = momentum
    expected = float((lr * noise**2 * (1 + b) / (2 * (1 - b) * (2 * (1 + b) - lr * e))).sum())

    assert abs(float(losses.mean()) - expected) <= 5 * float(losses.std()) / len(seeds) ** 0.5
    assert float(losses.std()) < 2 * expected


def walk(name: str, objective: Objective, steps: int, **hyper: Any) -> float:
    """Where a method ends on Reddi's example, with the paper's lr / sqrt(t)."""
    lr, x, state = hyper.pop("lr"), objective.start_at(0), None
    for k in range(steps):
        method = with_projection(manual(name, lr=lr / (k + 1) ** 0.5, **hyper), objective.project)
        x, state = descent(method, oracle(objective, False), x, range(k, k + 1), method.init(x) if k == 0 else state)
    return float(x)


def test_adam_goes_the_wrong_way() -> None:
    """On the paper's online example, and on that of its theorem 1, Adam goes to +1 and AMSGrad to -1."""
    online = {"lr": 0.5, "beta1": 0.9, "beta2": 0.99}
    assert walk("adam", reddi(), 500, **online) < 0 < 0.2 < walk("adam", reddi(), 4000, **online)
    assert walk("adam", reddi(), 1000, amsgrad=True, **online) < -0.75

    theorem = {"lr": 0.5, "beta1": 0.0, "beta2": 1 / 17}
    assert walk("adam", reddi(4, 1, 3), 400, **theorem) > 0.9
    assert walk("adam", reddi(4, 1, 3), 400, amsgrad=True, **theorem) < -0.9


def test_reddi_is_the_mean_of_its_steps() -> None:
    """Over a period the steps' slopes sum up to the stated one's; a seed begins later in it."""
    objective = reddi()
    slopes = [float(oracle(objective, False).grad(objective.start_at(0), k)[1]) for k in range(202)]

    assert slopes == 2 * ([1010.0] + [-10.0] * 100)
    assert float(objective.data["slope"]) == pytest.approx(sum(slopes) / 202, rel=1e-14)
    assert float(oracle(objective, False, seeds=100).grad(objective.start_at(0), 1)[1]) == 1010


@pytest.mark.parametrize("impl", ["manual", "torch", "foreach"])
def test_runs_stay_in_the_domain(impl: str) -> None:
    """In the runner every implementation is projected onto [-1, 1] after each step."""
    (job,) = folded("objective=reddi", "optimizer=gd", "lr=0.01,0.1", "steps=30", f"impl={impl}", "device=cpu",
                           "dtype=float64", "timing=off")  # fmt: skip
    answer = run_cell(build_cell(job.spec))

    assert not {"failed", "unavailable"} & set(answer.columns["status"].tolist())
    assert (abs(np.array(answer.traces["x"].tolist())) <= 1).all()
    assert abs(np.array(answer.traces["x"].tolist())).max() == 1


@pytest.mark.slow
def test_compiled_runs_stay_there_too() -> None:
    """A compiled step ends with the projection, in lanes and alone, as an eager one does."""
    told, gd, project = [], factory("gd"), reddi().project
    for kind in (Tiny, partial(Compiled, backend="eager")):
        maker = kind(lambda lr: with_projection(gd(lr), project))
        for rates in ([0.01, 0.1], [0.1]):
            columns = run_cell(small(reddi(), maker, lr=rates, steps=150, start_noise=0.1)).columns
            told += columns["final_loss"].tolist()[-1:]

    assert told == pytest.approx([told[0]] * 4, rel=1e-12)


def test_networks_learn_from_batches() -> None:
    """A few hundred steps on batches bring the loss on all data down by more than half, for every seed."""
    objective = mlp(hidden=8, samples=200, batch=20)
    columns = run_cell(small(objective, partial(manual, "adam"), lr=0.02, seeds=[0, 1], steps=200)).columns

    assert (columns["final_loss"] < columns["start_loss"] / 2).all()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (partial(ridge, batch=443), "objective.batch=443: it must be a whole number from 0 to 442"),
        (partial(mlp, samples=10, batch=11), "objective.batch=11: it must be a whole number from 0 to 10"),
        (partial(poisson, batch=-1), "objective.batch=-1: it must be a whole number from 0 to 20"),
        (partial(lasso, width=0), "objective.width=0: it must be a finite number of at least 0.0001"),
        (partial(huber_regression, knee=0), "objective.knee=0: it must be a finite number above 0"),
        (partial(softmax, dataset="mnist"), "it must be one of digits, iris, wine"),
        (partial(squared_hinge, l2=0), "objective.l2=0: it must be a finite number of at least 1e-06"),
        (partial(matrix_factorisation, rank=10), "objective.rank=10: it must be a whole number from 1 to 9"),
        (partial(phase_retrieval, measurements=5), "objective.measurements=5: fewer than n=10"),
        (partial(deep_linear, depth=1), "objective.depth=1: it must be a whole number of at least 2"),
        (partial(cnn, channels=0), "objective.channels=0: it must be a whole number of at least 1"),
        (partial(transformer, heads=3), "objective.heads=3: it must divide width=16; try objective.heads=1"),
        (partial(pinn, hidden=0), "objective.hidden=0: it must be a whole number of at least 1"),
        (partial(noisy_quadratic, noise=0), "objective.noise=0: it must be a finite number above 0"),
        (partial(reddi, up=5), "objective.up=5: it must be above (period - 1) down = 1000"),
    ],
)
def test_refusals(made: Callable[[], Objective], said: str) -> None:
    """What cannot be had is refused in one line that says what came, what is allowed and what to do."""
    with pytest.raises(UsageError) as refusal:
        made()

    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)
