"""Linear models on data sets of scikit-learn: convex, with minimisers known to float64 rounding.

Features are standardised (population deviation), and a last 1 is added for the bias, whose coefficient is penalised as
the others are. Each step's gradient is that of ``batch`` samples drawn at random, or of all for 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gdbench.errors import UsageError
from gdbench.objectives.base import Objective
from gdbench.objectives.counter_rng import make_batch_sampler
from gdbench.objectives.datasets import build_columns, load_dataset
from gdbench.objectives.newton_solver import minimise_newton
from gdbench.objectives.validation import check_choice, check_float
from gdbench.tree import Params, per_run, tree_map

__all__ = ["huber_regression", "lasso", "lasso_proximal", "poisson", "ridge", "softmax", "squared_hinge"]

DIABETES = "Efron, Hastie, Johnstone and Tibshirani 2004, Ann. Stat. 32:407; data from scikit-learn"


def _build_regression(
    fn: Callable[..., Tensor],
    data: dict[str, Tensor],
    batch: int,
    penalty: float,
    curvature: float | None,
    source: str,
    **more: Any,
) -> Objective:
    """Build the objective of a loss with a penalty l2/2 |w|^2, whose data have the samples along their last axis.

    ``curvature`` bounds the second derivative of a sample's loss with respect to its prediction, so that L = curvature
    lambda_max(A'A) / m + l2; None if there is no bound.
    """
    columns = data["columns"]
    minimiser = more.pop("minimiser", None)
    if minimiser is None:
        minimiser = minimise_newton(partial(fn, **data), torch.zeros(len(columns), dtype=torch.float64))
    top = float(torch.linalg.matrix_norm(columns, 2) ** 2) / columns.shape[1]
    return Objective(
        fn=fn,
        start=torch.zeros_like(minimiser),
        data=data,
        batch=make_batch_sampler(*data, batch=batch, of=columns.shape[1], axis=-1),
        minimum=float(fn(minimiser, **data)),
        minimum_kind="computed",
        minimisers=(minimiser,),
        smoothness=None if curvature is None else curvature * top + penalty,
        strong_convexity=penalty,
        laned=True,
        source=source,
        **more,
    )


def load_diabetes() -> dict[str, Tensor]:
    """Load columns ``[11, 442]`` and the disease progression ``[442]``, in units of its deviation, 2.0 on average."""
    features, progression = load_dataset("diabetes")
    return {"columns": build_columns(features), "target": progression / progression.std(correction=0)}


def ridge(l2: float = 0.01, batch: int = 0) -> Objective:
    """Least squares with an l2 penalty on the diabetes data.

    f(w) = 1/2 mean_i (a_i'w - y_i)^2 + l2/2 |w|^2, w of shape [11], y in units of its deviation. Start 0. The
    minimiser solves (A'A / m + l2) w = A'y / m (Hoerl and Kennard 1970). L and mu are the largest and smallest
    eigenvalue of that matrix.
    Raises UsageError for l2 < 1e-6 or batch outside 0 ... 442.
    """
    penalty, data = check_float("l2", l2, least=1e-6, example=0.01), load_diabetes()
    columns, m = data["columns"], data["columns"].shape[1]
    gram = columns @ columns.T / m + penalty * torch.eye(len(columns), dtype=torch.float64)

    def fn(w: Tensor, columns: Tensor, target: Tensor) -> Tensor:
        return 0.5 * ((w @ columns - target) ** 2).mean(-1) + (penalty / 2) * (w**2).sum(-1)

    minimiser = torch.linalg.solve(gram, columns @ data["target"] / m)
    source = f"Hoerl and Kennard 1970, Technometrics 12:55; {DIABETES}"
    stated = _build_regression(fn, data, batch, penalty, 1.0, source, minimiser=minimiser)
    return replace(stated, strong_convexity=float(torch.linalg.eigvalsh(gram)[0]))


def lasso(l1: float = 0.1, width: float = 0.01, l2: float = 0.01, batch: int = 0) -> Objective:
    """Least squares with a smoothed l1 penalty on the diabetes data.

    f(w) = 1/2 mean_i (a_i'w - y_i)^2 + l1 sum_j (sqrt(w_j^2 + width^2) - width) + l2/2 |w|^2, w of shape [11]. It
    differs from the lasso (Tibshirani 1996) by at most 11 l1 width; the l2 term makes it an elastic net (Zou and Hastie
    2005). Start 0. L = lambda_max(A'A) / m + l1 / width + l2, mu = lambda_min(A'A) / m + l2.
    Raises UsageError for l1 < 0, width < 1e-4, l2 < 1e-6 or batch outside 0 ... 442.
    """
    weight = check_float("l1", l1, least=0, example=0.1)
    bend = check_float("width", width, least=1e-4, example=0.01)
    penalty = check_float("l2", l2, least=1e-6, example=0.01)

    def fn(w: Tensor, columns: Tensor, target: Tensor, bend: float = bend) -> Tensor:
        edges = ((w**2 + bend**2).sqrt() - bend).sum(-1)
        return 0.5 * ((w @ columns - target) ** 2).mean(-1) + weight * edges + (penalty / 2) * (w**2).sum(-1)

    data, minimiser = load_diabetes(), torch.zeros(11, dtype=torch.float64)
    for wider in range(10, -1, -1):  # each minimiser is near the next one
        minimiser = minimise_newton(partial(fn, **data, bend=bend * 2**wider), minimiser)
    source = f"Tibshirani 1996, J. R. Stat. Soc. B 58:267; {DIABETES}"
    stated = _build_regression(fn, data, batch, penalty, 1.0, source, minimiser=minimiser)
    assert stated.smoothness is not None
    lowest = float(torch.linalg.eigvalsh(data["columns"] @ data["columns"].T / data["columns"].shape[1])[0])
    return replace(stated, smoothness=stated.smoothness + weight / bend, strong_convexity=lowest + penalty)


def lasso_proximal(l1: float = 0.1, batch: int = 0) -> Objective:
    """Least squares with an l1 penalty on the diabetes data, with its proximal map.

    f(w) = 1/2 mean_i (a_i'w - y_i)^2 + l1 |w|_1, w of shape [11], y in units of its deviation. Start 0. The proximal
    map of t l1 |w|_1 is soft thresholding by t l1. L = lambda_max(A'A) / m and mu = lambda_min(A'A) / m, of the first
    term. At w_j = 0 the gradient is the mean of the two one-sided ones.
    Raises UsageError for l1 < 0, an l1 so large that the start is the minimiser, or batch outside 0 ... 442.
    """
    weight, data = check_float("l1", l1, least=0, example=0.1), load_diabetes()
    columns, m = data["columns"], data["columns"].shape[1]
    gram, right = columns @ columns.T / m, columns @ data["target"] / m
    most = float(right.abs().max())
    if weight >= most:
        raise UsageError(f"objective.l1={l1!r}: from {most:.4g} on the start is the minimiser; try objective.l1=0.1")

    def smooth(w: Tensor, columns: Tensor, target: Tensor) -> Tensor:
        return 0.5 * ((w @ columns - target) ** 2).mean(-1)

    def fn(w: Tensor, columns: Tensor, target: Tensor) -> Tensor:
        return smooth(w, columns, target) + weight * w.abs().sum(-1)

    stated = _build_regression(
        fn, data, batch, 0.0, 1.0, f"Tibshirani 1996, J. R. Stat. Soc. B 58:267; {DIABETES}",
        minimiser=solve_lasso(gram, right, weight), prox=partial(soft_threshold, weight), smooth=smooth,
    )  # fmt: skip
    return replace(stated, strong_convexity=float(torch.linalg.eigvalsh(gram)[0]))


def soft_threshold(weight: float, w: Params, t: Any) -> Params:
    """Apply the proximal map of ``t weight |w|_1``: every number moves towards 0 by ``t weight``, but not beyond it."""
    return tree_map(lambda leaf: leaf.sign() * (leaf.abs() - per_run(t * weight, leaf)).relu(), w)


def solve_lasso(gram: Tensor, right: Tensor, weight: float) -> Tensor:
    """Minimise ``w'Gw / 2 - r'w + weight |w|_1`` for a G of full rank; returns the minimiser.

    Proximal gradient steps find which coordinates are 0 and the signs of the others, which then solve a linear system.
    Raises ArithmeticError if 20,000 steps do not find them.
    """
    w, length = torch.zeros_like(right), 1 / float(torch.linalg.matrix_norm(gram, 2))
    for _ in range(200):
        for _ in range(100):
            w = soft_threshold(weight, w - length * (gram @ w - right), length)  # type: ignore[assignment]
        support, solution = w != 0, torch.zeros_like(w)
        solution[support] = torch.linalg.solve(gram[support][:, support], right[support] - weight * w[support].sign())
        slope = right - gram @ solution
        if (solution.sign() == w.sign()).all() and (slope[~support].abs() <= weight).all():
            return solution
    raise ArithmeticError("proximal gradients have not found which coefficients of the lasso are 0")


def huber_regression(knee: float = 1.35, l2: float = 0.01, batch: int = 0) -> Objective:
    """Regression with the Huber loss, which is linear for large residuals, on the diabetes data.

    f(w) = mean_i h(a_i'w - y_i) + l2/2 |w|^2, h(r) = r^2 / 2 within |r| <= knee and knee (|r| - knee / 2) beyond, w of
    shape [11], y in units of its deviation. Start 0. L = lambda_max(A'A) / m + l2, mu = l2 (Huber 1964).
    Raises UsageError for knee <= 0, l2 < 1e-6 or batch outside 0 ... 442.
    """
    penalty = check_float("l2", l2, least=1e-6, example=0.01)
    turn = check_float("knee", knee, least=0, example=1.35, above=True)

    def fn(w: Tensor, columns: Tensor, target: Tensor) -> Tensor:
        # To differentiate abs or clamp twice, autograd would import the compiler.
        residual = w @ columns - target
        within = torch.where(residual > turn, turn, torch.where(residual < -turn, -turn, residual))
        return (within * (residual - within / 2)).mean(-1) + (penalty / 2) * (w**2).sum(-1)

    return _build_regression(
        fn, load_diabetes(), batch, penalty, 1.0, f"Huber 1964, Ann. Math. Stat. 35:73; {DIABETES}"
    )


def poisson(l2: float = 0.01, batch: int = 0) -> Objective:
    """Poisson regression of the chin-ups of twenty men on their weight, waist and pulse.

    f(w) = mean_i (exp(a_i'w) - y_i a_i'w) + l2/2 |w|^2, w of shape [4], y_i the count. Start 0, where f = 1. The second
    derivative is exp(a_i'w), so there is no L; mu = l2 (Nelder and Wedderburn 1972).
    Raises UsageError for l2 < 1e-6 or batch outside 0 ... 20.
    """
    penalty = check_float("l2", l2, least=1e-6, example=0.01)

    def fn(w: Tensor, columns: Tensor, target: Tensor) -> Tensor:
        logarithm = w @ columns
        return (logarithm.exp() - target * logarithm).mean(-1) + (penalty / 2) * (w**2).sum(-1)

    exercises, men = load_dataset("linnerud")
    data = {"columns": build_columns(men), "target": exercises[:, 0].contiguous()}
    source = "Nelder and Wedderburn 1972, J. R. Stat. Soc. A 135:370; Linnerud's data from scikit-learn"
    return _build_regression(fn, data, batch, penalty, None, source)


def squared_hinge(l2: float = 0.01, batch: int = 0) -> Objective:
    """Support vector machine with a squared hinge on the breast cancer data.

    f(w) = mean_i max(0, 1 - y_i a_i'w)^2 + l2/2 |w|^2, y_i in {-1, 1} (1 = benign), w of shape [31]. Start 0, where
    f = 1. Differentiable once, not twice. L = 2 lambda_max(A'A) / m + l2, mu = l2 (Mangasarian 2002).
    Raises UsageError for l2 < 1e-6 or batch outside 0 ... 569.
    """
    penalty = check_float("l2", l2, least=1e-6, example=0.01)

    def fn(w: Tensor, columns: Tensor) -> Tensor:
        return ((1 - w @ columns).relu() ** 2).mean(-1) + (penalty / 2) * (w**2).sum(-1)

    features, benign = load_dataset("breast_cancer")
    signed = build_columns(features) * (2 * benign - 1)
    source = "Mangasarian 2002, Optim. Methods Softw. 17:913; data from scikit-learn"
    return _build_regression(fn, {"columns": signed}, batch, penalty, 2.0, source)


def softmax(dataset: str = "wine", l2: float = 0.01, batch: int = 0) -> Objective:
    """Multinomial logistic regression with an l2 penalty.

    f(W) = mean_i (log sum_c exp(W_c a_i) - W_(y_i) a_i) + l2/2 |W|^2, W of shape [classes, features + 1]: [3, 14] for
    wine, [3, 5] for iris, [10, 65] for digits, whose minimiser takes about a second to find. Start 0, where
    f = log(classes). L = lambda_max(A'A) / (2 m) + l2 (Böhning 1992), mu = l2.
    Raises UsageError for l2 < 1e-6, an unknown data set, or a batch larger than the data set.
    """
    penalty = check_float("l2", l2, least=1e-6, example=0.01)
    name = check_choice("dataset", dataset, ("digits", "iris", "wine"))
    features, labels = load_dataset(name)
    columns, chosen = build_columns(features), nn.functional.one_hot(labels.long()).T.double().contiguous()
    classes, n = len(chosen), len(columns)

    def fn(w: Tensor, columns: Tensor, chosen: Tensor) -> Tensor:
        scores = w @ columns
        return (scores.logsumexp(-2) - (scores * chosen).sum(-2)).mean(-1) + (penalty / 2) * (w**2).sum((-2, -1))

    def hessian(w: Tensor) -> Tensor:
        p = (w.reshape(classes, n) @ columns).softmax(0)
        spread = torch.diag_embed(p.T).permute(1, 2, 0) - p[:, None] * p  # [classes, classes, m]
        blocks = [[(columns * weights) @ columns.T for weights in row] for row in spread]
        matrix = torch.cat([torch.cat(row, 1) for row in blocks]) / columns.shape[1]
        return matrix + penalty * torch.eye(classes * n, dtype=torch.float64)

    flat = minimise_newton(
        lambda w: fn(w.reshape(classes, n), columns, chosen), torch.zeros(classes * n, dtype=torch.float64), hessian
    )
    source = "Cox 1966, Research Papers in Statistics; Böhning 1992, Ann. Inst. Stat. Math. 44:197; scikit-learn's data"
    data = {"columns": columns, "chosen": chosen}
    return _build_regression(fn, data, batch, penalty, 0.5, source, minimiser=flat.reshape(classes, n))
