"""Non-convex problems in which parameters enter as products, with known minima."""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.errors import UsageError
from gdbench.objectives.base import Objective, make_generator
from gdbench.objectives.counter_rng import make_batch_sampler
from gdbench.objectives.validation import check_float, check_int

__all__ = ["deep_linear", "matrix_factorisation", "phase_retrieval"]


def draw_normal_tensor(*shape: int, seed: int) -> Tensor:
    """Draw standard normal numbers."""
    return torch.randn(*shape, generator=make_generator(seed), dtype=torch.float64)


def matrix_factorisation(rows: int = 12, columns: int = 10, rank: int = 3, instance: int = 0) -> Objective:
    """Approximation of a matrix by a product of two matrices of lower rank.

    f(u, v) = 1/2 |u v' - M|^2, u of shape [rows, rank], v of shape [columns, rank], M standard normal, drawn by
    ``instance``. The minimum, half the sum of squares of the omitted singular values, is attained at u = U sqrt(S),
    v = V sqrt(S) (Eckart and Young 1936) and at all u R, v R^-T; there are no other local minima. Start normal with
    deviation 0.1, by the seed.
    Raises UsageError for rank outside 1 ... min(rows, columns) - 1, or instance < 0.
    """
    least = min(check_int("rows", rows, least=2), check_int("columns", columns, least=2))
    matrix = draw_normal_tensor(rows, columns, seed=check_int("instance", instance, least=0))
    check_int("rank", rank, least=1, most=least - 1)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    roots = values[:rank].sqrt()

    def fn(params: dict[str, Tensor], matrix: Tensor) -> Tensor:
        return 0.5 * ((params["u"] @ params["v"].mT - matrix) ** 2).sum((-2, -1))

    def start(seed: int) -> dict[str, Tensor]:
        both = 0.1 * draw_normal_tensor(rows + columns, rank, seed=seed)
        return {"u": both[:rows].clone(), "v": both[rows:].clone()}

    return Objective(
        fn=fn,
        start=start,
        data={"matrix": matrix},
        minimum=float((values[rank:] ** 2).sum()) / 2,
        minimum_kind="computed",
        minimisers=({"u": left[:, :rank] * roots, "v": right[:rank].T * roots},),
        laned=True,
        source="Eckart and Young 1936, Psychometrika 1:211",
    )


def phase_retrieval(n: int = 10, measurements: int = 80, instance: int = 0, batch: int = 0) -> Objective:
    """Recovery of a vector from the squares of its products with known vectors.

    f(x) = 1 / (4 m) sum_i ((a_i'x)^2 - (a_i'x*)^2)^2, x of shape [n], m = ``measurements``, all a_i and x* standard
    normal, drawn by ``instance``. Minimum 0 at x* and -x*. Start standard normal, by the seed. Each step's gradient is
    that of ``batch`` measurements drawn at random, or of all for 0 (Candes, Li and Soltanolkotabi 2015).
    Raises UsageError for n < 1, fewer measurements than n, instance < 0 or batch outside 0 ... measurements.
    """
    check_int("n", n, least=1)
    if check_int("measurements", measurements, least=1) < n:
        raise UsageError(f"objective.measurements={measurements}: fewer than n={n}; try objective.measurements={4 * n}")
    vectors = draw_normal_tensor(n, measurements + 1, seed=check_int("instance", instance, least=0))
    target, vectors = vectors[:, 0].clone(), vectors[:, 1:].contiguous()

    def fn(x: Tensor, vectors: Tensor, squares: Tensor) -> Tensor:
        return (((x @ vectors) ** 2 - squares) ** 2).mean(-1) / 4

    data = {"vectors": vectors, "squares": (target @ vectors) ** 2}
    return Objective(
        fn=fn,
        start=lambda seed: draw_normal_tensor(n, seed=seed),
        data=data,
        batch=make_batch_sampler(*data, batch=batch, of=measurements, axis=-1),
        minimum=0.0,
        minimisers=(target, -target),
        laned=True,
        source="Candes, Li and Soltanolkotabi 2015, IEEE Trans. Inf. Theory 61:1985",
    )


def deep_linear(width: int = 4, depth: int = 3, scale: float = 0.5, instance: int = 0) -> Objective:
    """A linear network: a product of square matrices that approximates a given one.

    f(w1, ..., wd) = 1/2 |wd ... w1 - T|^2, each of shape [width, width], d = depth, T standard normal, drawn by
    ``instance``. Minimum 0, for example at w1 = T and all others the identity. Start normal with deviation
    scale / sqrt(width), by the seed: near the saddle at 0 if scale is small (Saxe, McClelland and Ganguli 2014).
    Raises UsageError for width < 1, depth < 2, scale <= 0 or instance < 0.
    """
    size, layers = check_int("width", width, least=1), check_int("depth", depth, least=2)
    deviation = check_float("scale", scale, least=0, example=0.5, above=True) / size**0.5
    wanted = draw_normal_tensor(size, size, seed=check_int("instance", instance, least=0))
    names = [f"w{layer}" for layer in range(1, layers + 1)]

    def fn(params: dict[str, Tensor], wanted: Tensor) -> Tensor:
        product = params[names[0]]
        for name in names[1:]:
            product = params[name] @ product
        return 0.5 * ((product - wanted) ** 2).sum((-2, -1))

    def start(seed: int) -> dict[str, Tensor]:
        return dict(zip(names, deviation * draw_normal_tensor(layers, size, size, seed=seed), strict=True))

    one = torch.eye(size, dtype=torch.float64)
    return Objective(
        fn=fn,
        start=start,
        data={"wanted": wanted},
        minimum=0.0,
        minimisers=({name: one if layer else wanted for layer, name in enumerate(names)},),
        laned=True,
        source="Saxe, McClelland and Ganguli 2014, ICLR, arXiv 1312.6120",
    )
