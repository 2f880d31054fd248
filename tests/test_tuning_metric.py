from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gdbench
from gdbench.analysis.ranking import STATUS_RANK, may_win
from gdbench.analysis.tuning_metric import MISS, best, per_configuration, scores, values
from gdbench.schema import METRICS

INF = float("inf")


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    """Runs that reached the target after ten steps, but for what is given."""
    blank = {
        "lr": 0.1,
        "seed": 0,
        "status": "target",
        "shifted_minimum": False,
        "start_loss": 3.0,
        "final_loss": 1e-8,
        "final_gap": 1e-8,
        "gap_floor": 1e-14,
        "target_loss": None,
        "steps_to_target": 10,
        "gradients_to_target": 20,
        "time_to_target_s": None,
    }
    frame = pd.DataFrame([{**blank, **row} for row in rows])
    whole = dict.fromkeys(("steps_to_target", "gradients_to_target"), "Int64")
    floats = ("lr", "start_loss", "final_loss", "final_gap", "gap_floor", "target_loss", "time_to_target_s")
    return frame.astype({**whole, **dict.fromkeys(floats, "float64"), "shifted_minimum": "boolean"})


def miss(gap: float | None, **more: Any) -> dict[str, Any]:
    """A sound run that missed the target."""
    return {
        "status": "budget",
        "steps_to_target": None,
        "gradients_to_target": None,
        "final_gap": gap,
        "final_loss": gap,
        **more,
    }


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("steps_to_target", 10),
        ("gradients_to_target", 20),
        ("time_to_target", 0.5),
        ("final_gap", 1e-8),
        ("final_loss", 2e-8),
    ],
)
def test_the_goal_is_a_column(metric: str, value: float) -> None:
    """Each metric reads its own column, and is score and value alike where the run reached it."""
    runs = table({"time_to_target_s": 0.5, "final_loss": 2e-8})

    assert values(runs, metric).tolist() == scores(runs, metric).tolist() == [value]
    assert best(runs, metric) == value


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("status", ["diverged", "nonfinite", "unavailable", "failed"])
def test_what_may_not_win_is_inf(metric: str, status: str) -> None:
    """A run that diverged or failed is inf, though it hit the target on its way and holds the best loss of all."""
    runs = table({"status": status, "steps_to_target": 1, "final_loss": -5.0, "best_loss": -9.0, "final_gap": 0.0})

    assert values(runs, metric).tolist() == scores(runs, metric).tolist() == [INF]
    assert best(runs, metric) == INF


def test_weight_decay_and_standing_still_do_not_win() -> None:
    """A run on a shifted minimum, and one that ended where it began, are inf."""
    runs = table({"shifted_minimum": True}, {"final_loss": 3.0})

    assert scores(runs, "steps_to_target").tolist() == [INF, INF]


def test_a_miss_is_inf_to_hydra_and_finite_to_a_search() -> None:
    """The metric of a run that missed is inf; its score lies beyond all hits and tells near misses from far ones."""
    runs = table(miss(1e-1), {"steps_to_target": 10**9}, miss(1e-5), miss(1e-3))

    assert values(runs, "steps_to_target").tolist() == [INF, 1e9, INF, INF]
    assert scores(runs, "steps_to_target").rank().tolist() == [4, 1, 2, 3]
    assert np.isfinite(scores(runs, "steps_to_target")).all()


def test_misses_of_an_absolute_target_are_ordered_by_the_loss_above_it() -> None:
    """With target_loss the distance is to that loss, whatever the gap would say."""
    runs = table(miss(None, final_loss=0.6, target_loss=0.5), miss(None, final_loss=0.51, target_loss=0.5))

    assert scores(runs, "steps_to_target").rank().tolist() == [2, 1]


def test_misses_without_any_target_are_ordered_by_their_loss() -> None:
    """Where nothing is known of the minimum the final loss stands in, negative ones too."""
    runs = table(miss(None, final_loss=-50.0), miss(None, final_loss=2.0), miss(None, final_loss=-1.0))

    assert scores(runs, "steps_to_target").rank().tolist() == [1, 3, 2]


def test_gaps_below_resolution_are_ties() -> None:
    """Two gaps that the dtype cannot tell apart are worth the same."""
    runs = table({"final_gap": 1e-17}, {"final_gap": -3e-16}, {"final_gap": 1e-9})

    assert values(runs, "final_gap").tolist() == [1e-14, 1e-14, 1e-9]


def test_a_hit_that_was_not_timed_has_no_time() -> None:
    """Time is never guessed: without a clock the metric is inf, and behind what was timed."""
    runs = table({"time_to_target_s": None}, {"time_to_target_s": 0.5})

    assert values(runs, "time_to_target").tolist() == [INF, 0.5]
    assert scores(runs, "time_to_target").rank().tolist() == [2, 1]


def test_the_best_of_nothing_is_inf() -> None:
    """A cell without rows, or with none that may win, has the metric inf."""
    assert best(table({}).iloc[:0], "final_loss") == INF
    assert best(table({"status": "failed"}, miss(0.5)), "steps_to_target") == INF


def test_a_configuration_is_worth_its_median_seed() -> None:
    """Of several seeds the middle one counts, and of an even number the worse of the two in the middle."""
    odd = [{"lr": 0.1, "seed": seed, "steps_to_target": steps} for seed, steps in enumerate((30, 10, 20))]
    even = [{"lr": 0.2, "seed": seed, "steps_to_target": steps} for seed, steps in enumerate((5, 6))]
    split = [{"lr": 0.3, "seed": 0}, {"lr": 0.3, **miss(0.1)}]
    told = per_configuration(table(*odd, *even, *split), "steps_to_target", ["lr"]).set_index("lr")

    assert told["score"].tolist()[:2] == [20, 6]
    assert told["score"].tolist()[2] > MISS
    assert told["seed"].tolist()[:2] == [2, 1]


NUMBERS = st.none() | st.floats(-1e300, 1e300)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(sorted(STATUS_RANK)),
            "steps_to_target": st.none() | st.integers(0, 10**9),
            "gradients_to_target": st.none() | st.integers(0, 10**10),
            "time_to_target_s": st.none() | st.floats(0, 1e9),
            "final_gap": NUMBERS,
            "final_loss": NUMBERS,
            "target_loss": st.none() | st.floats(-10, 10),
        }
    ),
    min_size=1,
    max_size=8,
)


@given(ROWS, st.sampled_from(METRICS))
def test_no_miss_outranks_a_hit_and_nothing_unsound_a_miss(rows: list[dict[str, Any]], metric: str) -> None:
    """Scores hold the order hit, miss, unsound, are never NaN, and equal the metric wherever that is finite."""
    runs = table(*rows)
    value, score = values(runs, metric), scores(runs, metric)
    hit, able = np.isfinite(value), may_win(runs)

    assert not score.isna().any()
    assert (score[hit] == value[hit]).all()
    if metric.endswith("_to_target"):
        assert np.isfinite(score[able]).all()
        assert score[hit].max() < MISS <= score[~hit].min() or not (hit.any() and (~hit).any())
    assert np.isinf(score[~able]).all()


def test_a_hydra_job_returns_its_goal(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sweeper of anybody's gets from a job is the metric of the cell's best run."""
    from gdbench import sweeper

    returned: list[float] = []
    inner = sweeper.Session.run_single

    def run_single(session: sweeper.Session, config: Any) -> float:
        """Keep what the job returns."""
        returned.append(inner(session, config))
        return returned[-1]

    monkeypatch.setattr(sweeper.Session, "run_single", run_single)
    for words in (["lr=[0.01,0.1,0.2]"], ["lr=[0.01,0.1]", "metric=final_loss"], ["lr=0.01"], ["lr=1e300"]):
        assert command(*words, "timing=off", "--quiet").code == 0
    runs = gdbench.load()

    assert returned[0] == runs["steps_to_target"].min()
    assert returned[1] == runs[runs["lr"] <= 0.1]["final_loss"].min()
    assert returned[2:] == [INF, INF]


@pytest.mark.parametrize("metric", ["speed", "final_gab", "null"])
def test_an_unknown_goal_is_refused(metric: str) -> None:
    """metric= is checked like every other choice."""
    with pytest.raises(gdbench.UsageError, match=r"metric=\w+ is not known\..* Allowed: steps_to_target, "):
        gdbench.run(metric=None if metric == "null" else metric, timing="off")
