"""The one order of configurations: runs that stay, then runs that left again, then misses, by medians over seeds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.results.costs import select_comparable
from gdbench.results.ranking import OUTCOMES, rank_configurations, select_best
from gdbench.results.run_outcomes import has_settled
from gdbench.results.statuses import STATUS_RANK

NAN = math.nan
RUN: dict[str, Any] = {
    "objective": "bowl", "optimizer": "gd", "impl": "manual", "dtype": "float64", "seed": 0, "lr": 0.1, "steps": 100,
    "target": 1e-6, "target_loss": NAN, "status": "target", "shifted_minimum": False, "seed_used": True,
    "started_at": 0.0, "start_loss": 1.0, "final_loss": 1e-9, "best_loss": 1e-9, "final_gap": 1e-9, "gap_floor": 1e-15,
    "steps_to_target": 10, "gradient_evals_to_target": 10, "time_to_target_s": NAN, "step_s": NAN,
}  # fmt: skip
"""A run that reached its target in ten steps and stayed."""
LEFT = {"final_loss": 1e-3, "final_gap": 1e-3}
MISSED = {**LEFT, "status": "budget", "steps_to_target": NAN, "gradient_evals_to_target": NAN}
BROKE = {**MISSED, "status": "diverged", "final_loss": 5.0, "final_gap": 5.0}


def runs(*rows: dict[str, Any]) -> pd.DataFrame:
    """Compared runs that differ from RUN by what is given; ``gradients`` are steps too."""
    table = pd.DataFrame([{**RUN, "gradients": 10, "run_id": str(place), **row} for place, row in enumerate(rows)])
    for name in ("steps_to_target", "gradient_evals_to_target"):
        table[name] = table["gradients"].where(table[name].notna())
    return select_comparable(table)


def order(*rows: dict[str, Any]) -> list[float]:
    """The learning rates of the standings, the best first."""
    return rank_configurations(runs(*rows))["lr"].tolist()


def test_what_stays_comes_before_what_left_again_and_that_before_misses() -> None:
    """A run that hits sooner but ends above its target stands behind each that stays; a diverged one is last."""
    table = rank_configurations(
        runs({"lr": 1, **BROKE, "gradients": 1}, {"lr": 2, **MISSED}, {"lr": 3, **LEFT, "gradients": 2}, {"lr": 4})
    )

    assert table["lr"].tolist() == [4, 3, 2, 1]
    assert table["outcome"].tolist() == list(OUTCOMES)
    assert table["measure"].tolist()[:3] == ["gradients", "gradients", "final gap"]
    assert table["value"].tolist() == [10, 2, 1e-3, math.inf]
    assert select_best(table, ["problem"])["lr"].tolist() == [4]


def test_what_broke_moved_the_minimum_or_got_nowhere_wins_nothing() -> None:
    """Diverged, failed, and no lower than the start: none is best, in the order of their statuses; nor weight decay."""
    nowhere = {"lr": 1, **MISSED, "final_loss": 1.0, "final_gap": 1.0}
    failed = {"lr": 2, "status": "failed", "final_loss": NAN, "final_gap": NAN}
    table = rank_configurations(runs(failed, {"lr": 3, **BROKE}, nowhere, {"lr": 4, "shifted_minimum": True}))

    assert table["lr"].tolist() == [1, 3, 2]
    assert set(table["outcome"]) == {"cannot win"}
    assert select_best(table, ["problem"]).empty


def test_a_configuration_is_told_by_its_medians_over_all_seeds() -> None:
    """Of an even number of seeds the worse of the two in the middle counts; n and the extremes stand beside it."""
    seeds = [{"seed": seed, "gradients": cost} for seed, cost in enumerate((10, 30, 20, 90))]
    row = rank_configurations(runs(*seeds)).iloc[0]

    assert row[["value", "value_lo", "value_hi", "n", "stayed"]].tolist() == [30, 10, 90, 4, 4]
    assert row[["gradients", "steps_lo", "steps_hi"]].tolist() == [30, 10, 90]
    assert row["run_id"] == "1"


def test_a_lucky_seed_makes_no_best() -> None:
    """The configuration whose median is lower is first, whatever the luckiest seed of another took."""
    lucky = [{"lr": 1.0, "seed": seed, "gradients": cost} for seed, cost in enumerate((1, 50, 60))]
    steady = [{"lr": 0.1, "seed": seed, "gradients": 40} for seed in range(3)]

    assert order(*lucky, *steady) == [0.1, 1.0]


def test_half_of_the_seeds_that_left_make_a_configuration_that_left() -> None:
    """A configuration stays if more than half of its seeds do; else its number is that of all first hits."""
    seeds = [{"seed": 0}, {"seed": 1, **LEFT, "gradients": 20}]
    row = rank_configurations(runs(*seeds)).iloc[0]

    assert row[["outcome", "value", "reached", "stayed"]].tolist() == ["left", 20, 2, 1]


def test_misses_are_ordered_by_gap_and_where_that_is_unknown_by_loss() -> None:
    """Without a hit the lower final gap is first, else the lower final loss; what is told is that number."""
    unknown = {**MISSED, "final_gap": NAN, "target": NAN}
    gaps = rank_configurations(runs({"lr": 1, **MISSED}, {"lr": 2, **MISSED, "final_gap": 1e-4}))
    losses = rank_configurations(runs({"lr": 1, **unknown, "final_loss": 0.5}, {"lr": 2, **unknown, "final_loss": 0.4}))

    assert gaps[["lr", "measure", "value"]].to_numpy().tolist() == [[2, "final gap", 1e-4], [1, "final gap", 1e-3]]
    assert losses[["lr", "measure", "value"]].to_numpy().tolist() == [[2, "final loss", 0.4], [1, "final loss", 0.5]]


def test_equals_share_a_place_and_only_impls_of_one_method_go_by_time() -> None:
    """Equal costs are a tie; the lower gap stands above, and of one configuration's impls the faster."""
    slow = {"step_s": 2e-6, "time_to_target_s": 2e-5, "final_gap": 1e-10}
    table = rank_configurations(
        runs(
            {"optimizer": "adam", "step_s": 1e-7, "time_to_target_s": 1e-6, "final_gap": 1e-8},
            {**slow},
            {"impl": "torch", "step_s": 1e-6, "time_to_target_s": 1e-5, "final_gap": 2e-10},
        )
    )

    assert table["solver"].tolist() == ["gd torch", "gd manual", "adam manual"]
    assert table["place"].tolist() == [1, 1, 1]


def test_the_first_impl_of_a_configuration_stands_for_it_among_others() -> None:
    """Without the impls that stand behind another one of their method, the order of the others is the same."""
    rows = [
        {"lr": lr, "impl": impl, "final_gap": gap}
        for lr, impl, gap in ((1, "manual", 2e-9), (1, "torch", 1e-9), (2, "manual", 1e-9), (2, "torch", 3e-9))
    ]
    whole = rank_configurations(runs(*rows)).drop_duplicates("configuration")["lr"].tolist()

    assert whole == rank_configurations(runs(*rows[::2]))["lr"].tolist() == [2, 1]


def test_an_absolute_target_is_stayed_at_where_the_loss_ends_below_it() -> None:
    """With target_loss the final loss tells whether a run stays; a table without steps_to_settle tells the same."""
    table = runs({"target_loss": 0.1}, {"lr": 1, "target_loss": 1e-12}, {"lr": 2, **MISSED, "target_loss": 0.1})

    assert has_settled(table).tolist() == [True, False, False]


ROW = st.fixed_dictionaries(
    {
        "optimizer": st.sampled_from(["gd", "adam"]),
        "objective": st.sampled_from("fg"),
        "lr": st.sampled_from([0.1, 1.0]),
        "seed": st.integers(0, 3),
        "status": st.sampled_from(sorted(STATUS_RANK)),
        "gradients": st.sampled_from([1, 2, 3, NAN]),
        "final_gap": st.sampled_from([1e-9, 1e-8, 1e-3, 0.1, NAN]),
        "final_loss": st.sampled_from([0.1, 0.2, 2.0, math.inf, NAN]),
    }
)


@given(st.lists(ROW, min_size=1, max_size=14, unique_by=lambda row: tuple(row[k] for k in list(row)[:4])))
def test_the_order_is_that_of_the_medians_worked_out_by_hand(rows: list[dict[str, Any]]) -> None:
    """Each row's three medians, found by sorting its seeds, never descend within a problem; nothing is lost."""
    told = runs(*rows)
    table = rank_configurations(told)
    stays = has_settled(told)
    able = told["status"].isin(["target", "plateau", "budget"]) & (told["final_loss"] < 1.0)
    keys = []
    for row in table.itertuples():
        mine = (told["problem"] == row.problem) & (told["solver"] == row.solver)
        mine &= told["configuration"] == row.configuration
        hit = [
            cost if ok and cost == cost else math.inf
            for cost, ok in zip(told["gradient_evals_to_target"], able, strict=True)
        ]
        stay = [cost if ok else math.inf for cost, ok in zip(hit, stays, strict=True)]
        gap = told["final_gap"].fillna(told["final_loss"]).where(able, np.inf).fillna(np.inf)
        medians = [sorted(np.array(values)[mine])[mine.sum() // 2] for values in (stay, hit, gap)]
        keys.append((row.problem, *medians))
        assert row.n == mine.sum()
        assert row.value == next((value for value in medians if math.isfinite(value)), math.inf)
    for problem in told["problem"].unique():
        mine_keys = [key[1:] for key in keys if key[0] == problem]
        assert mine_keys == sorted(mine_keys)
    assert table["n"].sum() == len(told)


@pytest.mark.parametrize("cost", ["steps", "gradients", "seconds"])
def test_an_empty_table_has_standings_too(cost: str) -> None:
    """No runs have no rows, with the same columns."""
    assert list(rank_configurations(runs(RUN).head(0), cost)) == list(rank_configurations(runs(RUN), cost))
