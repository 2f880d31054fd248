"""What each optimizer pays on two sides, on tables small enough to be worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiers import count_examples

from gdbench.analysis.optimizer_comparison import NOT_COMPARABLE, TOO_FEW, compare_optimizers
from gdbench.analysis.run_comparison import compare_runs
from gdbench.analysis.winners import MIN_SEEDS
from gdbench.results.costs import select_comparable

INF, NAN = math.inf, math.nan
RUN: dict[str, Any] = {
    "objective": "bowl", "optimizer": "gd", "impl": "manual", "dtype": "float64", "seed": 0, "lr": 0.1, "steps": 100,
    "target": 1e-6, "target_loss": NAN, "status": "target", "shifted_minimum": False, "seed_used": False,
    "started_at": 0.0, "start_loss": 1.0, "final_loss": 1e-9, "best_loss": 1e-9, "final_gap": 1e-9, "gap_floor": 1e-15,
    "steps_to_target": 10, "gradient_evals_to_target": 10, "steps_to_settle": NAN,
    "time_to_target_s": NAN, "step_s": NAN, "step_time_ratio": NAN,
}  # fmt: skip
"""A run that reached its target in ten steps and stayed; its seed changes nothing."""
MISSED = {
    "status": "budget",
    "steps_to_target": NAN,
    "gradient_evals_to_target": NAN,
    "final_loss": 0.1,
    "final_gap": 0.1,
}
LEFT = {"final_loss": 1e-3, "final_gap": 1e-3}


def took(gradients: float, **others: Any) -> dict[str, Any]:
    """A run that took so many gradients, and steps, to its target; inf: it never came."""
    missed = MISSED if gradients == INF else {}
    return {**RUN, "steps_to_target": gradients, "gradient_evals_to_target": gradients, **missed, **others}


def seeded(costs: Any, **others: Any) -> list[dict[str, Any]]:
    """Runs of one configuration whose seed matters."""
    return [took(cost, seed=seed, seed_used=True, **others) for seed, cost in enumerate(costs)]


def both(a: list[dict[str, Any]], b: list[dict[str, Any]], cost: str = "gradients") -> pd.DataFrame:
    """What became of each optimizer from a to b in one cost."""
    rows = [{**row, "side": side} for side, runs in (("a", a), ("b", b)) for row in runs]
    table = pd.DataFrame([{**row, "run_id": str(place)} for place, row in enumerate(rows)])
    found = compare_optimizers(select_comparable(table, ["side"]))
    return found[found["cost"] == cost].set_index("optimizer")


def test_counts_without_randomness_decide_exactly() -> None:
    """Fewer gradients at the best lr are better, a target that is missed is worse, and who is on one side is said."""
    names = ("gd", "adam", "lion", "momentum", "nesterov")
    a = [took(cost, optimizer=name) for name, cost in zip(names, (10, 10, 10, INF, INF), strict=True)]
    a += [took(4, optimizer="gd", lr=0.5)]
    b = [took(cost, optimizer=name) for name, cost in zip(names, (3, 10, INF, 5, INF), strict=True)]
    found = both(a, [*b, took(8, optimizer="sign")])

    assert found["outcome"].to_dict() == {
        "gd": "better",
        "adam": "same",
        "lion": "worse",
        "momentum": "better",
        "nesterov": "same",
        "sign": "only b",
    }
    assert found.loc["gd", ["a", "b", "ratio", "configuration_a"]].tolist() == [4, 3, 0.75, "lr 0.5"]
    assert found["lo"].isna().all()


def test_where_neither_side_comes_to_the_target_the_final_gap_decides() -> None:
    """The lower gap is better, and its measure is named; where nothing may win there is no verdict."""
    found = both([took(INF)], [took(INF, final_gap=0.05, final_loss=0.05)]).loc["gd"]
    unknown = both([took(INF, final_gap=NAN, final_loss=-1.0)], [took(INF, final_gap=NAN, final_loss=-2.0)]).loc["gd"]
    broken = both([took(INF, status="failed")], [took(INF, status="diverged")]).loc["gd"]

    assert found[["outcome", "measure", "a", "b", "ratio"]].tolist() == ["better", "final gap", 0.1, 0.05, 0.5]
    assert unknown[["outcome", "measure", "a", "b"]].tolist() == ["better", "final loss", -1.0, -2.0]
    assert broken["outcome"] == "neither"


def test_a_side_that_stays_is_better_than_one_that_left_the_target_again() -> None:
    """Fewer gradients to a hit that did not last are worse, between sides and run by run."""
    a, b = [took(10)], [took(3, **LEFT)]
    found = both(a, b).loc["gd"]
    runs = [pd.DataFrame([{**row, "run_id": "0"}]) for row in (a[0], b[0])]

    assert found[["outcome", "a", "b", "standing_a", "standing_b"]].tolist() == ["worse", 10, 3, "stays", "left"]
    assert compare_runs(*runs)["verdict"].tolist() == ["worse"]
    assert compare_runs(*runs[::-1])["verdict"].tolist() == ["better"]


def test_six_seeds_decide_by_their_ratios() -> None:
    """Six ratios of one sign are a difference, and the interval spans them; as many of both signs are none."""
    faster = both(seeded([100] * 6), seeded(range(50, 56))).loc["gd"]
    mixed = both(seeded([100] * 6), seeded((90, 105, 98, 103, 95, 106))).loc["gd"]

    assert (faster["outcome"], faster["lo"], faster["hi"]) == ("better", pytest.approx(0.5), pytest.approx(0.55))
    assert mixed["outcome"] == "statistically tied"
    assert mixed["lo"] < 1 < mixed["hi"]


@settings(max_examples=count_examples(3, 5))
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(51, 99)), min_size=1, max_size=MIN_SEEDS - 1))
def test_fewer_seeds_than_the_test_needs_tell_nothing_apart(costs: list[tuple[int, int]]) -> None:
    """Where a seed matters, differences of fewer than six seeds are no verdict, however large; equal ones are equal."""
    a, b = zip(*costs, strict=True)
    found = both(seeded(a), seeded(b)).loc["gd"]

    assert (found["outcome"], found["seeds"]) == (TOO_FEW, len(costs))
    assert both(seeded(a), seeded(a)).loc["gd", "outcome"] == "same"


@settings(max_examples=count_examples(3, 5))
@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.floats(0.1, 10.0))
def test_no_two_times_are_better_or_worse(a: float, b: float, drift: float) -> None:
    """Seconds are shown, with their ratio over each side's reference loop, and never judged."""
    rows = [
        took(10, time_to_target_s=time, step_s=time / 10, step_time_ratio=time / 10 / reference)
        for time, reference in ((a, 1.0), (b, drift))
    ]
    found = both(rows[:1], rows[1:], "seconds").loc["gd"]
    run = compare_runs(*(pd.DataFrame([{**row, "run_id": "0"}]) for row in rows)).iloc[0]

    assert found["outcome"] == run["time_verdict"] == NOT_COMPARABLE
    assert (found["a"], found["b"]) == (run["time_to_target_s_a"], run["time_to_target_s_b"]) == (a, b)
    assert found["ratio"] == pytest.approx(b / drift / a)
    assert run["verdict"] == "same"
    assert np.isnan(found["lo"])
