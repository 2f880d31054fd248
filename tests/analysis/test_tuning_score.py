from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdbench
from gdbench.analysis.tuning_score import (
    LEFT,
    MISS,
    find_cost_class,
    is_cost_metric,
    is_improvement,
    score_cell,
    score_configurations,
)
from gdbench.config.schema import METRICS
from gdbench.results.run_outcomes import has_settled, is_eligible
from gdbench.results.statuses import STATUS_RANK

INF = float("inf")


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    """Runs that reached the target after ten steps and stay there, but for what is given."""
    blank = {
        "run_id": "a",
        "optimizer": "gd",
        "impl": "manual",
        "lr": 0.1,
        "seed": 0,
        "status": "target",
        "shifted_minimum": False,
        "seed_used": True,
        "step_s": None,
        "start_loss": 3.0,
        "final_loss": 1e-8,
        "final_gap": 1e-8,
        "best_gap": 5e-9,
        "best_loss": 4e-9,
        "gap_floor": 1e-14,
        "target": 1e-6,
        "target_loss": None,
        "steps_to_target": 10,
        "steps_to_settle": 15,
        "gradient_evals_to_target": 20,
        "time_to_target_s": None,
    }
    frame = pd.DataFrame([{**blank, **row} for row in rows])
    whole = dict.fromkeys(("steps_to_target", "steps_to_settle", "gradient_evals_to_target"), "Int64")
    floats = ("lr", "start_loss", "final_loss", "final_gap", "best_loss", "best_gap", "gap_floor", "target_loss")
    floats = (*floats, "time_to_target_s", "step_s")
    return frame.astype({**whole, **dict.fromkeys(floats, "float64"), "shifted_minimum": "boolean"})


def miss(gap: float | None, **more: Any) -> dict[str, Any]:
    """A sound run that missed the target."""
    return {
        "status": "budget",
        "steps_to_target": None,
        "steps_to_settle": None,
        "gradient_evals_to_target": None,
        "final_gap": gap,
        "final_loss": gap,
        **more,
    }


LEAVES = {"final_gap": 1e-3, "final_loss": 1e-3, "steps_to_settle": None}
"""What a run ends with that reached the target and left it again."""


def ranked(metric: str, *rows: dict[str, Any]) -> pd.DataFrame:
    """The score and value of runs, each a configuration of its own."""
    runs = table(*rows).assign(lr=np.arange(len(rows), dtype=float), run_id=[str(place) for place in range(len(rows))])
    return score_configurations(runs, metric, ["lr"])


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("steps_to_target", 10),
        ("gradient_evals_to_target", 20),
        ("time_to_target", 0.5),
        ("steps_to_settle", 15),
        ("final_gap", 1e-8),
        ("best_gap", 5e-9),
        ("final_loss", 2e-8),
        ("best_loss", 4e-9),
    ],
)
def test_each_metric_is_a_column(metric: str, value: float) -> None:
    """Each metric reads its own column, and is score and value alike where the run stays at the target."""
    row = ranked(metric, {"time_to_target_s": 0.5, "final_loss": 2e-8})

    assert row["score"].tolist() == row["value"].tolist() == [value]
    assert score_cell(table({"time_to_target_s": 0.5, "final_loss": 2e-8}), metric) == value


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("status", ["diverged", "nonfinite", "unavailable", "failed"])
def test_what_may_not_win_is_inf(metric: str, status: str) -> None:
    """A run that diverged or failed is inf, though it hit the target on its way and holds the best loss of all."""
    runs = {"status": status, "steps_to_target": 1, "final_loss": -5.0, "best_loss": -9.0, "final_gap": 0.0}
    row = ranked(metric, runs)

    assert row["value"].tolist() == row["score"].tolist() == [INF]
    assert row["outcome"].tolist() == ["cannot win"]
    assert score_cell(table(runs), metric) == INF


def test_weight_decay_and_standing_still_do_not_win() -> None:
    """A run on a shifted minimum, and one that ended where it began, are inf."""
    assert ranked("steps_to_target", {"shifted_minimum": True}, {"final_loss": 3.0})["score"].tolist() == [INF, INF]


@pytest.mark.parametrize("metric", [metric for metric in METRICS if is_cost_metric(metric)])
def test_what_left_the_target_ranks_behind_what_stays_and_before_what_missed(metric: str) -> None:
    """A hit that did not last scores beyond all that lasted; its value is the cost of the hit all the same."""
    timed = {"time_to_target_s": 0.5}
    rows = ranked(
        metric,
        {**timed, **LEAVES, "steps_to_target": 1, "gradient_evals_to_target": 1},
        {**timed, "steps_to_target": 10**9, "gradient_evals_to_target": 10**10, "steps_to_settle": 10**9},
        miss(1e-5),
        {**timed, **LEAVES, "steps_to_target": 2, "gradient_evals_to_target": 2, "time_to_target_s": 0.50001},
    )

    assert rows["outcome"].tolist() == ["left", "stays", "missed", "left"]
    assert rows["score"].rank().tolist() == [2, 1, 4, 3]
    assert rows["value"].tolist()[0] == (0.5 if metric == "time_to_target" else 1)
    assert rows["value"].tolist()[2] == INF


def test_a_search_tells_near_misses_from_far_ones_and_hydra_is_told_inf() -> None:
    """The value of a run that missed is inf; its score lies beyond all hits, the nearer the lower."""
    rows = ranked("steps_to_target", miss(1e-1), {"steps_to_target": 10**9}, miss(1e-5), miss(1e-3))

    assert rows["value"].tolist() == [INF, 1e9, INF, INF]
    assert rows["score"].rank().tolist() == [4, 1, 2, 3]
    assert np.isfinite(rows["score"]).all()
    assert score_cell(table(miss(1e-1)), "steps_to_target") == INF


def test_misses_of_an_absolute_target_are_ordered_by_the_loss_above_it() -> None:
    """With target_loss the distance is to that loss, whatever the gap would say."""
    rows = ranked(
        "steps_to_target", miss(None, final_loss=0.6, target_loss=0.5), miss(None, final_loss=0.51, target_loss=0.5)
    )

    assert rows["score"].rank().tolist() == [2, 1]


def test_misses_without_any_target_are_ordered_by_their_loss() -> None:
    """Where nothing is known of the minimum the final loss stands in, negative ones too."""
    rows = ranked(
        "steps_to_target", miss(None, final_loss=-50.0), miss(None, final_loss=2.0), miss(None, final_loss=-1.0)
    )

    assert rows["score"].rank().tolist() == [1, 3, 2]


def test_gaps_below_resolution_are_ties() -> None:
    """Two gaps that the dtype cannot tell apart are worth the same."""
    rows = ranked("final_gap", {"final_gap": 1e-17}, {"final_gap": -3e-16}, {"final_gap": 1e-9})

    assert rows["value"].tolist() == [1e-14, 1e-14, 1e-9]


def test_a_hit_that_was_not_timed_has_no_time() -> None:
    """Time is never guessed: without a clock the value is inf, and behind what was timed."""
    rows = ranked("time_to_target", {"time_to_target_s": None}, {"time_to_target_s": 0.5})

    assert rows["value"].tolist() == [INF, 0.5]
    assert rows["score"].rank().tolist() == [2, 1]


def test_the_best_of_nothing_is_inf() -> None:
    """A cell without rows, or with none that may win, has the metric inf."""
    assert score_cell(table({}).iloc[:0], "final_loss") == INF
    assert score_cell(table({"status": "failed"}, miss(0.5, lr=0.2)), "steps_to_target") == INF


def test_a_configuration_is_worth_its_median_seed() -> None:
    """Of several seeds the middle one counts, and of an even number the worse of the two in the middle."""
    odd = [{"lr": 0.1, "seed": seed, "steps_to_target": steps} for seed, steps in enumerate((30, 10, 20))]
    even = [{"lr": 0.2, "seed": seed, "steps_to_target": steps} for seed, steps in enumerate((5, 6))]
    split = [{"lr": 0.3, "seed": 0}, {"lr": 0.3, **miss(0.1)}]
    rows = score_configurations(table(*odd, *even, *split), "steps_to_target", ["lr"]).set_index("lr")

    assert rows["score"].tolist()[:2] == [20, 6]
    assert rows["score"].tolist()[2] > MISS
    assert rows["seed"].tolist()[:2] == [2, 1]


def test_the_run_that_is_shown_has_the_number_that_is_told() -> None:
    """Of seeds of which one stays, one left and one missed, the row shown is the one whose cost was the median."""
    seeds = [{"seed": 0, "steps_to_target": 10}, {"seed": 1, "steps_to_target": 5, **LEAVES}, {"seed": 2, **miss(0.1)}]
    row = score_configurations(table(*seeds), "steps_to_target", ["lr"]).iloc[0]

    assert (row["outcome"], row["value"], row["steps_to_target"]) == ("left", 10, 10)


def test_a_cost_is_compared_within_its_class_alone() -> None:
    """Costs of what stays and of what left are told by their class; misses are none, and any 1% gains."""
    assert find_cost_class(100.0) == (0.0, LEFT)
    assert find_cost_class(LEFT + 1)[0] == LEFT
    assert find_cost_class(MISS + 1000) is None
    assert is_improvement(LEFT + 1000, LEFT + 990)
    assert not is_improvement(LEFT + 1000, LEFT + 999.5)
    assert is_improvement(MISS + 1000, MISS + 999.99)


NUMBERS = st.none() | st.floats(-1e300, 1e300)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(sorted(STATUS_RANK)),
            "steps_to_target": st.none() | st.integers(0, 10**9),
            "gradient_evals_to_target": st.none() | st.integers(0, 10**10),
            "time_to_target_s": st.none() | st.floats(0, 1e9),
            "final_gap": NUMBERS,
            "final_loss": NUMBERS,
            "target_loss": st.none() | st.floats(-10, 10),
        }
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.once
@settings(max_examples=30)
@given(ROWS, st.sampled_from(METRICS))
def test_no_miss_outranks_a_hit_and_nothing_unsound_a_miss(rows: list[dict[str, Any]], metric: str) -> None:
    """Scores hold the order stays, left, missed, unsound, are never NaN, and are the value of all that stays."""
    runs = table(*rows).assign(lr=np.arange(len(rows), dtype=float), run_id=[str(place) for place in range(len(rows))])
    runs = runs.assign(target_loss=runs["target_loss"].iloc[0])  # a cell has one
    told = score_configurations(runs, metric, ["lr"])
    value, score = told["value"].to_numpy(), told["score"].to_numpy()
    hit, able, stays = np.isfinite(value), is_eligible(runs).to_numpy(), has_settled(runs)

    assert not np.isnan(score).any()
    assert np.isinf(score[~able]).all()
    if is_cost_metric(metric):
        assert (score[hit & stays] == value[hit & stays]).all()
        assert np.isfinite(score[able]).all()
        groups = [score[hit & stays], score[hit & ~stays], score[~hit & able]]
        ends = [bound for group in groups if len(group) for bound in (group.min(), group.max())]
        assert ends == sorted(ends)
    else:
        assert (score == value).all()


def test_a_hydra_job_returns_its_metric(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sweeper of anybody's gets from a job is the metric of the cell's best configuration."""
    from gdbench.sweeps.single_cell_task import HydraTask

    returned: list[float] = []
    inner = HydraTask.__call__

    def call(task: HydraTask, config: Any) -> Any:
        """Keep what the job returns."""
        returned.append(inner(task, config))
        return returned[-1]

    monkeypatch.setattr(HydraTask, "__call__", call)
    for words in (["lr=[0.01,0.1,0.2]"], ["lr=[0.01,0.1]", "metric=final_loss"], ["lr=0.01,1e300"]):
        assert command("-m", "hydra/sweeper=basic", *words, "timing=off", "--quiet").code == 0
    runs = gdbench.load()

    assert returned[0] == runs["steps_to_target"].min()
    assert returned[1] == runs[runs["lr"] <= 0.1]["final_loss"].min()
    assert returned[2:] == [INF, INF]


@pytest.mark.parametrize("metric", ["speed", "final_gab", "null"])
def test_an_unknown_metric_is_refused(metric: str) -> None:
    """metric= is checked like every other choice."""
    with pytest.raises(gdbench.UsageError, match=r"metric=\w+ is not known\..* Allowed: steps_to_target, "):
        gdbench.run(metric=None if metric == "null" else metric, timing="off")
