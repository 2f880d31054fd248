"""Small pictures as SVG: contours of functions of two variables, paths over them, and curves.

They stand in the page itself, so that their colours are the page's, light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from contourpy import FillType, contour_generator

from gdbench.objectives import Objective

__all__ = ["Box", "around", "contours", "curve", "plane"]

Array = npt.NDArray[np.float64]
WIDTH, HEIGHT = 640, 480
"""Fine enough for whole numbers, which keep pages small."""
SIDE = 81
"""Points of the grid along each axis."""
LEVELS = 10


@dataclass(frozen=True)
class Box:
    """The part of the plane that a picture shows."""

    low: Array
    high: Array

    def place(self, points: Array) -> Array:
        """Where points lie in the picture, in its units, from its upper left corner."""
        across = (np.asarray(points) - self.low) / (self.high - self.low)
        return np.stack([across[..., 0] * WIDTH, (1 - across[..., 1]) * HEIGHT], -1)


def plane(objective: Objective) -> bool:
    """Whether an objective is a function of two numbers in one vector."""
    start = objective.start_at(0)
    return isinstance(start, torch.Tensor) and start.shape == (2,)


def around(points: Sequence[Array], room: float = 0.35) -> Box:
    """A box with all of the points and room about them, in the picture's own proportion."""
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    middle, half = (low + high) / 2, (high - low) / 2
    size = max(half[0] / WIDTH, half[1] / HEIGHT, 0.35 / WIDTH) * (1 + room)
    reach = size * np.array([WIDTH, HEIGHT])
    return Box(middle - reach, middle + reach)


def contours(objective: Objective, box: Box | None = None, path: Array | None = None, label: str = "") -> str:
    """The levels of an objective as SVG, darker where it is lower, with start (ring) and minimisers (crosses).

    The levels share the grid's points evenly, as those of a map of steps would, so that valleys and plains both show.
    """
    start = objective.start_at(0).numpy()  # type: ignore[union-attr]
    best = [np.asarray(each) for each in objective.minimisers]
    box = box or around([start, *best])
    grid = _values(objective, box)
    bands = [_band(polygons, number) for number, polygons in enumerate(_filled(grid))]
    marks = [_cross(*box.place(each)) for each in best if (box.low < each).all() and (each < box.high).all()]
    x, y = box.place(start)
    ring = f'<circle class="start" cx="{x:.0f}" cy="{y:.0f}" r="9"/>'
    walked = "" if path is None else _path(box.place(path))
    return _svg(f"{''.join(bands)}{walked}{''.join(marks)}{ring}", label)


def curve(values: Sequence[float], label: str = "") -> str:
    """Values from 0 to 1, or to the largest of them, over their places, as a line."""
    up = np.asarray(values, float)
    x = np.linspace(0, WIDTH, len(up))
    y = HEIGHT * (0.96 - 0.9 * up / max(up.max(), 1e-12))
    return _svg(f'<path class="curve" d="{_line(np.stack([x, y], -1))}"/>', label, "curve")


def _values(objective: Objective, box: Box) -> Array:
    """f at the points of the grid."""
    x, y = (np.linspace(box.low[axis], box.high[axis], SIDE) for axis in (0, 1))
    points = torch.from_numpy(np.dstack(np.meshgrid(x, y)).reshape(-1, 2))
    evaluate = objective.value if objective.laned else torch.vmap(objective.value)
    return np.asarray(evaluate(points).numpy().reshape(SIDE, SIDE))


def _filled(grid: Array) -> list[list[Array]]:
    """Where f is above each level, the lowest first: outlines and holes, to be filled by odd counts, one on another."""
    finite = grid[np.isfinite(grid)]
    levels = np.unique(np.quantile(finite, np.arange(1, LEVELS) / LEVELS))
    x, y = np.linspace(0, WIDTH, SIDE), np.linspace(HEIGHT, 0, SIDE)
    lines = contour_generator(x, y, np.ma.masked_invalid(grid), fill_type=FillType.OuterOffset)
    top = float(finite.max()) + 1.0 + abs(float(finite.max()))
    return [_outlines(lines.filled(level, top)) for level in levels.tolist()]


def _outlines(filled: tuple[list[Array], list[Array]]) -> list[Array]:
    """Every outline and hole of a level."""
    points, offsets = filled
    return [each[begin:end] for each, ends in zip(points, offsets, strict=True) for begin, end in pairwise(ends)]


def _band(outlines: list[Array], number: int) -> str:
    drawn = "".join(f"{_line(each)}z" for each in outlines)
    return f'<path class="band-{number + 1}" fill-rule="evenodd" d="{drawn}"/>'


def _line(points: Array) -> str:
    """Points as a path, in whole units, those that do not move left out."""
    rounded = np.rint(points).astype(int)
    moved = np.append([True], (np.diff(rounded, axis=0) != 0).any(-1))
    return "M" + "L".join(f"{x},{y}" for x, y in rounded[moved].tolist())


def _path(points: Array) -> str:
    """The path of a method, with a dot at each of its steps."""
    shown = np.clip(points, [-WIDTH, -HEIGHT], [2 * WIDTH, 2 * HEIGHT])
    dots = "".join(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4"/>' for x, y in shown.tolist())
    return f'<path class="path" d="{_line(shown)}"/><g class="steps">{dots}</g>'


def _cross(x: float, y: float) -> str:
    return f'<path class="minimum" d="M{x - 10:.0f},{y:.0f}h20M{x:.0f},{y - 10:.0f}v20"/>'


def _svg(content: str, label: str, kind: str = "map") -> str:
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg class="picture {kind}" {box} role="img" aria-label="{label}">{content}</svg>'
