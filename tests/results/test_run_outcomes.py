from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from gdbench.results.run_outcomes import find_grid_edge, is_tied_with_previous

KEYS = ("gradient_evals_to_target", "function_evals_to_target", "time_to_target_s", "final_gap", "final_loss")


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    """Runs of which only what ranks them is told."""
    blank = {
        "objective": "f",
        "optimizer": "gd",
        "impl": "manual",
        "lr": 0.1,
        "status": "target",
        "shifted_minimum": False,
        "start_loss": 3.0,
        **dict.fromkeys((*KEYS, "step_time_ratio_lo", "step_time_ratio_hi"), None),
        "final_loss": 1.0,
    }
    frame = pd.DataFrame([{**blank, **row} for row in rows])
    whole = dict.fromkeys(("gradient_evals_to_target", "function_evals_to_target"), "Int64")
    floats = dict.fromkeys(("time_to_target_s", "final_gap", "final_loss", "lr"), "float64")
    intervals = dict.fromkeys(("step_time_ratio_lo", "step_time_ratio_hi"), "float64")
    return frame.astype({**whole, **floats, **intervals, "shifted_minimum": "boolean"})


@pytest.mark.parametrize(
    ("best", "others", "edge"),
    [
        (0.1, (0.01, 1.0), None),
        (1.0, (0.01, 0.1), "larger"),
        (0.01, (0.1, 1.0), "smaller"),
        (0.1, (), None),
        (0.1, (0.1,), None),
    ],
)
def test_a_best_lr_on_the_edge_is_noticed(best: float, others: tuple[float, ...], edge: str | None) -> None:
    """The best lr says where to look further only if it is the last of those tried with its optimizer."""
    runs = table(
        {"lr": best}, *({"lr": lr} for lr in others), {"optimizer": "adam", "lr": 5}, {"objective": "g", "lr": 7}
    )

    assert find_grid_edge(runs[runs["objective"] == "f"], runs.iloc[0]) == edge


@pytest.mark.parametrize(
    ("above", "below", "tied"),
    [
        ((9, 1.0, 1.2), (9, 1.1, 1.3), True),
        ((9, 1.0, 1.2), (9, 1.2, 1.3), True),
        ((9, 1.0, 1.2), (9, 1.21, 1.3), False),
        ((9, 1.3, 1.4), (9, 1.0, 1.2), False),
        ((9, 1.0, 1.2), (10, 1.0, 1.2), False),
        ((9, 1.0, 1.2), (9, None, None), False),
        ((None, 1.0, 1.2), (None, 1.0, 1.2), False),
    ],
)
def test_runs_are_tied_when_work_is_equal_and_times_overlap(above: Any, below: Any, tied: bool) -> None:
    """Times are called equal only between runs of the same work whose intervals meet; the first row never is."""
    names = ("gradient_evals_to_target", "step_time_ratio_lo", "step_time_ratio_hi")
    runs = table(*(dict(zip(names, each, strict=True)) for each in (above, below)))

    assert is_tied_with_previous(runs).tolist() == [False, tied]
