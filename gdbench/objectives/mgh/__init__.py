"""The test set of Moré, Garbow and Hillstrom 1981 (ACM TOMS 7:17-41): sums of squared residuals, a family per file.

Two of its 35 problems, Rosenbrock's (1) and Beale's (5), are in ``classical.py``. Formulas, data and starts are the
paper's; where well-known collections differ from it, the docstring says so. Minima were computed with 50 digits and
rounded to float64, and agree with all digits that the paper prints.
"""

from __future__ import annotations

from torch import Tensor

from gdbench.tree import coordinates

__all__ = ["coordinate_columns", "format_source", "sum_of_squares"]


def format_source(problem: int) -> str:
    """Word the source of a problem."""
    return f"Moré, Garbow and Hillstrom 1981, ACM TOMS 7:17, problem {problem}"


def coordinate_columns(x: Tensor) -> tuple[Tensor, ...]:
    """Coordinates of a point ``[n]`` as ``[1]``, of lanes ``[L, n]`` as ``[L, 1]``, to broadcast with data ``[m]``."""
    return tuple(coordinate.unsqueeze(-1) for coordinate in coordinates(x))


def sum_of_squares(residuals: Tensor) -> Tensor:
    """Sum of squares, ``[]`` of residuals ``[m]``, or ``[L]`` of those of lanes ``[L, m]``."""
    return (residuals**2).sum(-1)
