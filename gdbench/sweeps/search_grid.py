"""Points and grids of a search."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["ZOOMED", "ZOOMED_MORE", "Grid", "Point", "Score", "differ_in"]


Array = npt.NDArray[np.float64]


Point = tuple[float, ...]
Grid = list[Array]
"""The values of each axis; the points are their product, the last axis varying fastest."""
Score = Callable[[Grid], Array]
"""The scores of all points of a grid, in their order; lower is better, inf is no candidate."""

ZOOMED = {1: 17, 2: 9}
"""Points an axis of each later grid by the number of ranges; for more ranges ``ZOOMED_MORE``."""
ZOOMED_MORE = 5


def differ_in(point: Point, other: Point, index: int) -> bool:
    """Whether two points differ at most in one axis."""
    return point[:index] == other[:index] and point[index + 1 :] == other[index + 1 :]
