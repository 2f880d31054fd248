"""Plots of curves in text: 2 by 4 dots per character (Braille), and a letter at the end of each curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.text import Text

__all__ = ["STYLES", "Curve", "plot_curves"]

STYLES = ("blue", "red", "green", "yellow", "magenta", "cyan")
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bits of the dots of a Braille character (Unicode, U+2800 and up), by row and column."""


@dataclass(frozen=True)
class Curve:
    """Points in the order of x, and the letter that identifies the curve without colours."""

    letter: str
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]


def plot_curves(curves: Sequence[Curve], columns: int, rows: int) -> list[Text]:
    """Lines of text with all curves on common axes, the first on top."""
    every_y = np.concatenate([curve.y for curve in curves])
    low, span = every_y.min(), np.ptp(every_y) or 1.0
    right = max(curve.x.max() for curve in curves) or 1.0
    bits = np.zeros((rows, columns), np.int64)
    owner = np.full((rows, columns), -1)
    ends = []
    for number, curve in reversed(list(enumerate(curves))):
        x = np.arange(int(curve.x[-1] / right * (2 * columns - 1)) + 1)
        y = np.interp(x / (2 * columns - 1) * right, curve.x, curve.y)
        height = np.rint((y - low) / span * (4 * rows - 1)).astype(int)
        for column, (before, now) in enumerate(zip([height[0], *height[:-1]], height, strict=True)):
            up = np.arange(min(before, now), max(before, now) + 1)
            down = 4 * rows - 1 - up
            np.bitwise_or.at(bits[:, column // 2], down // 4, DOTS[down % 4, column % 2])
            owner[down // 4, column // 2] = number
        ends.append(((4 * rows - 1 - height[-1]) // 4, (len(x) - 1) // 2, number))
    text = [[chr(0x2800 + dots) if dots else " " for dots in line] for line in bits]
    letters = {curve.letter for curve in curves}
    for row, column, number in ends:
        while text[row][column] in letters and column:
            column -= 1
        text[row][column], owner[row, column] = curves[number].letter, number
    return [_style_line(line, owners) for line, owners in zip(text, owner, strict=True)]


def _style_line(characters: Sequence[str], owners: npt.NDArray[np.int64]) -> Text:
    line = Text()
    for character, number in zip(characters, owners, strict=True):
        line.append(character, STYLES[number % len(STYLES)] if number >= 0 else None)
    return line
