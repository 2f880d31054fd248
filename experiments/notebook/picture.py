"""Draws ``convergence.svg``: the gap of the experiment's runs at lr 0.1, step by step."""

from __future__ import annotations

import math
from pathlib import Path

import gdbench

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 380, 56, 24, 214, 44
DECADES = 20
CURVES = {
    "notebook_square": ("#e69f00", ""),
    "notebook_manual": ("#0072b2", ""),
    "notebook_sgd": ("#d55e00", "5 4"),
    "notebook_matrix": ("#009e73", ""),
}
"""Colour and dash."""
LABELS = {
    0.0: "10x²: lr is 2/L, x flips",
    13.9: "(x−2)² and, dashed, (x−3)²:",
    14.9: "a step is below float32's spacing",
    18.9: "Σx²: the minimum is at 0,",
    19.9: "where float32 is finest",
}
"""What stands beside the ends of the curves, by decade."""
STYLE = """text{font:12px system-ui,sans-serif;fill:#444}path{fill:none;stroke-width:2}.grid{stroke:#ddd;stroke-width:1}
@media(prefers-color-scheme:dark){text{fill:#bbb}.grid{stroke:#444}}"""


def across(step: float) -> float:
    """Where a step lies."""
    return LEFT + step / 100 * (WIDTH - LEFT - RIGHT)


def down(decade: float) -> float:
    """Where a gap of 10^-decade lies."""
    return TOP + decade / DECADES * (HEIGHT - TOP - BOTTOM)


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Words, centred on a height."""
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{words}</text>'


def frame() -> list[str]:
    """The grid, the numbers of both axes, and the labels."""
    decades = range(0, DECADES + 1, 4)
    return [
        text(12, 8, "gap (f − f*) / (f₀ − f*), gradient descent, lr 0.1"),
        *(f'<path class="grid" d="M{LEFT} {down(decade):.1f}H{WIDTH - RIGHT}"/>' for decade in decades),
        *(text(LEFT - 8, down(decade), f"1e-{decade:02d}" if decade else "1", "end") for decade in decades),
        *(text(across(step), HEIGHT - 26, str(step), "middle") for step in range(0, 101, 20)),
        text(across(50), HEIGHT - 9, "step", "middle"),
        *(text(across(100) + 8, down(decade), words) for decade, words in LABELS.items()),
    ]


def curve(gaps: list[float], colour: str, dash: str) -> str:
    """One run's gaps as a line."""
    points = " ".join(f"{across(step):.1f},{down(-math.log10(gap)):.1f}" for step, gap in enumerate(gaps))
    return f'<path d="M{points}" stroke="{colour}" stroke-dasharray="{dash}"/>'


def draw(folder: Path) -> None:
    """Write the picture beside this file."""
    runs, traces = gdbench.load(folder), gdbench.load(folder, "traces")
    shown = runs[(runs["impl"] == "manual") & (runs["lr"] == 0.1)].set_index("objective")["run"]
    drawn = frame()
    for name, (colour, dash) in CURVES.items():
        gaps = traces[traces["run"] == shown[name]].sort_values("step")["gap"]
        drawn.append(curve(gaps.tolist(), colour, dash))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
    picture = "\n".join([head, f"<style>{STYLE}</style>", *drawn, "</svg>"])
    (Path(__file__).parent / "convergence.svg").write_text(picture + "\n", encoding="utf-8")
