"""The five functions of the notebook in which gdbench began, written as in the notebook.

Each gives the notebook's values to the last digit and is no slower; lanes use vmap.
"""

from __future__ import annotations

import torch

from gdbench.objectives.base import Objective

__all__ = ["notebook_log", "notebook_manual", "notebook_matrix", "notebook_sgd", "notebook_square"]

CELL = "the notebook, cell {}"


def notebook_square() -> Objective:
    """The first function of the notebook.

    f(x) = 10 sum(x^2), x of shape [1]. Start (1), where the gradient is 20. Minimum 0 at (0); L = mu = 20. Cell 3.
    """
    return Objective(
        fn=lambda x: 10 * (x**2).sum(),
        start=torch.tensor([1.0], dtype=torch.float64),
        minimum=0.0,
        minimisers=(torch.zeros(1, dtype=torch.float64),),
        smoothness=20.0,
        strong_convexity=20.0,
        source=CELL.format(3),
    )


def notebook_log() -> Objective:
    """The sum of logarithms, whose gradient is 1/x.

    f(x) = sum(log x), x of shape [12], float64 as in the notebook. Start (1, ..., 12). It has no minimum: f falls to
    -inf as a coordinate falls to 0, and is not defined beyond. Cell 4.
    """
    return Objective(
        fn=lambda x: x.log().sum(),
        start=torch.arange(1, 13, dtype=torch.float64),
        dtype=torch.float64,
        source=CELL.format(4),
    )


def notebook_matrix() -> Objective:
    """The sum of the squares of a matrix.

    f(x) = sum(x^2), x of shape [3, 4]. Start 1, ..., 12 row by row, where f = 650. Minimum 0 at the zero matrix;
    L = mu = 2. Cells 5 to 15.
    """
    return Objective(
        fn=lambda x: (x**2).sum(),
        start=torch.arange(1, 13, dtype=torch.float64).reshape(3, 4),
        minimum=0.0,
        minimisers=(torch.zeros(3, 4, dtype=torch.float64),),
        smoothness=2.0,
        strong_convexity=2.0,
        source=CELL.format(5),
    )


def notebook_manual() -> Objective:
    """The parabola that the notebook minimises by hand.

    f(x) = sum((x - 2)^2), x of shape [1]. Start (10). Minimum 0 at (2); L = mu = 2. Cell 16.
    """
    return _build_parabola(2, cell=16)


def notebook_sgd() -> Objective:
    """The parabola that the notebook minimises with torch.optim.SGD.

    f(x) = sum((x - 3)^2), x of shape [1]. Start (10). Minimum 0 at (3); L = mu = 2. Cell 18.
    """
    return _build_parabola(3, cell=18)


def _build_parabola(centre: int, cell: int) -> Objective:
    """Build f(x) = sum((x - centre)^2) with the start (10)."""
    return Objective(
        fn=lambda x: ((x - centre) ** 2).sum(),
        start=torch.tensor([10.0], dtype=torch.float64),
        minimum=0.0,
        minimisers=(torch.tensor([float(centre)], dtype=torch.float64),),
        smoothness=2.0,
        strong_convexity=2.0,
        source=CELL.format(cell),
    )
