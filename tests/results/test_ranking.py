from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.results.ranking import SOUND, STATUS_RANK, edge_of_grid, ranked, tied_with_previous

KEYS = ("gradients_to_target", "evaluations_to_target", "time_to_target_s", "final_gap", "final_loss")


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
        **dict.fromkeys((*KEYS, "step_vs_reference_lo", "step_vs_reference_hi"), None),
        "final_loss": 1.0,
    }
    frame = pd.DataFrame([{**blank, **row} for row in rows])
    whole = dict.fromkeys(("gradients_to_target", "evaluations_to_target"), "Int64")
    floats = dict.fromkeys(("time_to_target_s", "final_gap", "final_loss", "lr"), "float64")
    intervals = dict.fromkeys(("step_vs_reference_lo", "step_vs_reference_hi"), "float64")
    return frame.astype({**whole, **floats, **intervals, "shifted_minimum": "boolean"})


COUNTS = st.none() | st.integers(0, 5)
NUMBERS = st.none() | st.floats(0, 5) | st.just(float("inf"))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "objective": st.sampled_from("fg"),
            "status": st.sampled_from(sorted(STATUS_RANK)),
            "gradients_to_target": COUNTS,
            "evaluations_to_target": COUNTS,
            "time_to_target_s": NUMBERS,
            "final_gap": NUMBERS,
            "final_loss": NUMBERS,
        }
    ),
    min_size=1,
    max_size=12,
)


@given(ROWS)
def test_no_unsound_run_stands_above_a_sound_one(rows: list[dict[str, Any]]) -> None:
    """Within an objective, diverged, nonfinite, unavailable and failed runs are last, whatever else they show."""
    for _, group in ranked(table(*rows)).groupby("objective"):
        sound = group["status"].isin(SOUND).tolist()

        assert sound == sorted(sound, reverse=True)


@given(ROWS)
def test_ranking_loses_nothing_and_groups_objectives(rows: list[dict[str, Any]]) -> None:
    """Every run is ranked once, and the objectives follow each other in the order in which they came."""
    runs = table(*rows)
    order = ranked(runs)

    assert sorted(order.index) == list(runs.index)
    assert order["objective"].drop_duplicates().tolist() == runs["objective"].drop_duplicates().tolist()
    assert (order["objective"] != order["objective"].shift()).sum() == runs["objective"].nunique()


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"gradients_to_target": 9, "time_to_target_s": 2.0}, {"gradients_to_target": 10, "time_to_target_s": 1.0}),
        ({"gradients_to_target": 9}, {"status": "plateau", "final_gap": 0.0}),
        ({"gradients_to_target": 9}, {"status": "diverged", "gradients_to_target": 1, "final_gap": 0.0}),
        ({"status": "plateau", "final_gap": 0.5}, {"status": "diverged", "gradients_to_target": 1}),
        ({"status": "budget", "final_gap": 0.5}, {"status": "nonfinite", "final_gap": 0.1}),
        ({"status": "diverged"}, {"status": "nonfinite"}),
        ({"status": "nonfinite"}, {"status": "unavailable"}),
        ({"status": "unavailable"}, {"status": "failed"}),
        (
            {"gradients_to_target": 9, "evaluations_to_target": 3},
            {"gradients_to_target": 9, "evaluations_to_target": 4},
        ),
        ({"gradients_to_target": 9, "time_to_target_s": 1.0}, {"gradients_to_target": 9, "time_to_target_s": 2.0}),
        ({"gradients_to_target": 9, "time_to_target_s": 1.0}, {"gradients_to_target": 9}),
        ({"status": "budget", "final_gap": 0.1}, {"status": "plateau", "final_gap": 0.2}),
        ({"status": "budget", "final_gap": 0.1}, {"status": "budget"}),
        ({"status": "budget", "final_loss": -3.0}, {"status": "budget", "final_loss": -2.0}),
    ],
)
def test_the_better_run_is_first(better: dict[str, Any], worse: dict[str, Any]) -> None:
    """Runs rank by status, gradients, evaluations and time to the target, then by the final gap, then the loss."""
    assert ranked(table(better, worse)).index.tolist() == [0, 1]
    assert ranked(table(worse, better)).index.tolist() == [1, 0]


def test_equal_runs_keep_their_order() -> None:
    """What cannot be told apart stays as it was asked."""
    assert ranked(table(*[{"lr": lr} for lr in (3, 1, 2)])).index.tolist() == [0, 1, 2]


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

    assert edge_of_grid(runs[runs["objective"] == "f"], runs.iloc[0]) == edge


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
    names = ("gradients_to_target", "step_vs_reference_lo", "step_vs_reference_hi")
    runs = table(*(dict(zip(names, each, strict=True)) for each in (above, below)))

    assert tied_with_previous(runs).tolist() == [False, tied]
