"""The test set of Moré, Garbow and Hillstrom 1981 (ACM TOMS 7:17-41): sums of squared residuals, one family a file.

Two of its 35 problems, Rosenbrock's valley (1) and Beale's (5), are in ``gdbench.objectives.classical``. Formulas, data
and starts are the paper's; where well-known collections differ from it, the docstring says so. Minima were solved for
with 50 digits and rounded to float64, and agree with the paper's in all digits that it prints.
"""

from __future__ import annotations

from torch import Tensor

from gdbench.tree import coordinates

__all__ = ["coordinate_columns", "format_source", "sum_of_squares"]


def format_source(problem: int) -> str:
    """The source of a problem."""
    return f"Moré, Garbow and Hillstrom 1981, ACM TOMS 7:17, problem {problem}"


def coordinate_columns(x: Tensor) -> tuple[Tensor, ...]:
    """The coordinates of a point ``[n]`` or of lanes ``[L, n]``, each to meet a row of data: ``[1]`` or ``[L, 1]``."""
    return tuple(each.unsqueeze(-1) for each in coordinates(x))


def sum_of_squares(residuals: Tensor) -> Tensor:
    """From residuals ``[m]``, or those of lanes ``[L, m]``, to their sum of squares ``[]`` or ``[L]``."""
    return (residuals**2).sum(-1)
