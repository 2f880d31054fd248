"""The functions of gdbench.analysis that have no file of their own, on tables small enough to be worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gdbench.analysis.best_configuration import (
    rank_solvers,
    select_best_configurations,
    select_best_impls,
    select_common_configurations,
)
from gdbench.analysis.convergence_curves import compute_convergence_curves
from gdbench.analysis.lr_sensitivity import compute_dtype_sensitivity, compute_lr_sensitivity, measure_lr_width
from gdbench.analysis.precision import compute_attained_gaps
from gdbench.analysis.rank_tests import compute_signed_rank_p
from gdbench.analysis.step_times import summarise_step_times
from gdbench.analysis.winners import ALPHA, count_seeds_needed, find_winners
from gdbench.results.costs import compute_costs, compute_ladder_costs, select_comparable

INF, NAN = math.inf, math.nan
RUN: dict[str, Any] = {
    "objective": "bowl", "optimizer": "gd", "impl": "manual", "dtype": "float64", "seed": 0, "lr": 0.1,
    "status": "target", "shifted_minimum": False, "seed_used": True, "started_at": 0.0, "timed": False,
    "steps": 100, "target": 1e-6, "gradient_evals": 100, "steps_to_target": 10, "gradient_evals_to_target": 10,
    "time_to_target_s": NAN, "start_loss": 1.0, "final_loss": 1e-9, "best_loss": 1e-9, "final_suboptimality": 1e-9,
    "final_gap": 1e-9, "gap_floor": 1e-15, "smoothness": NAN, "step_s": NAN, "step_s_lo": NAN, "step_s_hi": NAN,
    "denormals": 0, "step_time_ratio": NAN, "step_time_ratio_lo": NAN, "step_time_ratio_hi": NAN,
    "update_s": NAN, "first_step_s": NAN, "warmup_s": NAN, "compile_s": NAN, "ops": NAN, "overhead_bound": True,
    **{f"hit_1e-{power:02d}": NAN for power in range(1, 13)},
}  # fmt: skip
"""A run that reached its target in ten steps, on an objective whose minimum is 0."""
BROKE = {"status": "diverged", "final_loss": 5.0, "final_gap": 5.0}
MISSED = {"status": "budget", "steps_to_target": NAN, "gradient_evals_to_target": NAN}


def runs(*rows: dict[str, Any]) -> pd.DataFrame:
    """Runs that differ from RUN by what is given."""
    return pd.DataFrame([{**RUN, "run_id": str(place), **row} for place, row in enumerate(rows)])


def took(gradients: float, **others: Any) -> dict[str, Any]:
    """A run that took so many gradients, and steps, to its target; inf: it never came."""
    missed = MISSED if gradients == INF else {}
    return {"steps_to_target": gradients, "gradient_evals_to_target": gradients, **missed, **others}


def paid(*rows: dict[str, Any]) -> pd.DataFrame:
    """What such runs paid."""
    return compute_costs(select_comparable(runs(*rows)))


# ----------------------------------------------------------------------------------------------------------- costs


def test_costs_of_what_did_not_solve_are_infinite() -> None:
    """A miss, a hit that diverged afterwards and a start that is not finite cost inf; a hit at step 0 costs one."""
    nowhere = {"status": "nonfinite", "start_loss": INF, "final_loss": INF, "final_gap": NAN}
    told = paid(took(7), took(INF, lr=1.0), took(3, lr=2.0, **BROKE), took(1, lr=3.0, **nowhere), took(0, lr=4.0))

    assert told["cost"].tolist() == [7, INF, INF, INF, 1]
    assert told["shortfall"].tolist() == [1e-9, 1e-9, INF, INF, 1e-9]


def test_rungs_below_the_resolution_are_no_questions() -> None:
    """A dtype that resolves 1e-3 is asked for three rungs; steps are exact, and gradients follow them evenly."""
    told = select_comparable(runs({"gap_floor": 5e-4, "hit_1e-01": 2, "hit_1e-02": 4, "gradient_evals": 300}))

    assert compute_ladder_costs(told, "steps")["cost"].tolist() == [2, 4, INF]
    assert compute_ladder_costs(told, "gradients")["cost"].tolist() == [6, 12, INF]


# ---------------------------------------------------------------------------------------------------------- chosen


def chosen_among(*rows: dict[str, Any]) -> pd.DataFrame:
    """The best configurations of such runs."""
    return select_best_configurations(select_comparable(runs(*rows)))


def test_the_best_configuration_is_the_cheapest() -> None:
    """Of two learning rates the one with fewer gradients stands for the solver, and both count as trials."""
    best = chosen_among(took(30, lr=0.1), took(10, lr=1.0))

    assert best[["configuration", "lr", "cost", "trials"]].to_numpy().tolist() == [["lr 1", 1.0, 10.0, 2]]


def test_ties_are_won_by_what_was_tried_first() -> None:
    """Equal costs and gaps leave the order of the runs."""
    assert chosen_among(took(10, lr=1.0), took(10, lr=0.1))["lr"].tolist() == [1.0]


def test_where_nothing_solves_the_nearest_is_chosen() -> None:
    """With no hit the lowest final gap decides, a diverged run never does, and the cost stays infinite."""
    best = chosen_among(took(INF, lr=0.1, final_gap=0.5), took(INF, lr=0.2, final_gap=0.1), took(1, lr=0.3, **BROKE))

    assert best[["lr", "cost", "reached"]].to_numpy().tolist() == [[0.2, INF, 0]]


def test_a_hit_that_left_again_is_chosen_after_one_that_stays_and_solves_nothing() -> None:
    """A rate that stays is chosen before one that was sooner and left; where all left, the cost is infinite."""
    left = {"final_gap": 1e-3}

    assert chosen_among(took(1, lr=0.1, **left), took(50, lr=1.0))[["lr", "cost"]].to_numpy().tolist() == [[1.0, 50]]
    assert chosen_among(took(1, lr=0.1, **left))[["cost", "value"]].to_numpy().tolist() == [[INF, 1]]


def test_a_choice_goes_by_the_median_of_all_seeds() -> None:
    """A rate that is lucky with half of its seeds stands behind a steady one."""
    lucky = [took(cost, lr=0.1, seed=seed) for seed, cost in enumerate((10, 100, 10, 100))]
    steady = [took(20, lr=1.0, seed=seed) for seed in range(4)]

    assert chosen_among(*lucky, *steady)[["lr", "cost", "n"]].to_numpy().tolist() == [[1.0, 20, 4]]


def test_a_configuration_without_noise_is_chosen_beside_noisy_ones() -> None:
    """Its seed changes nothing, so it has one run, by which it is selected and compared: it is not a miss."""
    noisy = [took(cost, lr=0.1, seed=seed) for seed, cost in enumerate((30, 40, 50, 60))]
    best = chosen_among(took(20, lr=1.0, seed_used=False), *noisy)

    assert best[["lr", "cost", "stayed"]].to_numpy().tolist() == [[1.0, 20.0, 1]]


def test_one_rate_for_all_solves_most() -> None:
    """A rate that solves both problems dearly beats one that solves a single one at once, or was tried on one alone."""
    table = runs(
        *(took(1, lr=0.1), took(INF, lr=0.1, objective="bend")),
        *(took(90, lr=1.0), took(90, lr=1.0, objective="bend")),
        took(2, lr=5.0),
    )
    one = select_common_configurations(select_comparable(table))

    assert one[["problem", "lr", "cost", "trials"]].to_numpy().tolist() == [["bend", 1.0, 90, 3], ["bowl", 1.0, 90, 3]]


def test_leaders_have_the_best_mean_place() -> None:
    """First and second is better than twice second, and a near miss is better than a far one."""
    best = chosen_among(
        *(took(1), took(2, optimizer="adam"), took(INF, optimizer="sgd", final_gap=0.1)),
        *(took(4, objective="bend"), took(3, objective="bend", optimizer="adam")),
        *(took(9, objective="bowl2"), took(INF, objective="bowl2", optimizer="adam", final_gap=0.3)),
        took(INF, objective="bowl2", optimizer="sgd", final_gap=0.2),
    )

    assert rank_solvers(best) == ["gd manual", "adam manual", "sgd manual"]


def test_a_method_is_merged_by_the_impl_that_stands_first() -> None:
    """Of two impls of one configuration the one that costs less is kept, with all of its seeds."""
    slow = [took(cost, seed=seed) for seed, cost in enumerate((10, 30))]
    fast = [took(cost, seed=seed, impl="torch") for seed, cost in enumerate((20, 20))]

    assert (
        select_best_impls(select_comparable(runs(*slow, *fast)))[["impl", "solver"]].to_numpy().tolist()
        == [["torch", "gd"]] * 2
    )


# ---------------------------------------------------------------------------------------------------------- curves


def lines(*gaps: tuple[float, ...]) -> pd.DataFrame:
    """Traces of runs 0, 1 ..., recorded at steps 0, 1 ...; the loss is the gap, for the minimum is 0."""
    rows = [(str(run), step, gap, gap) for run, each in enumerate(gaps) for step, gap in enumerate(each)]
    return pd.DataFrame(rows, columns=["run_id", "step", "loss", "gap"])


def test_a_curve_is_the_median_of_all_runs_not_of_the_survivors() -> None:
    """A run whose trace ends counts as infinite from then on; the quartiles are values of runs that enclose half."""
    told = select_comparable(runs({}, {"seed": 1}, {"seed": 2}))
    curve = compute_convergence_curves(told, lines((1, 0.1, 0.01), (1, 0.3, 0.03), (1, 0.2)))

    assert curve["gap"].tolist() == [1, 0.2, 0.03]
    assert curve["lo"].tolist() == [1, 0.1, 0.01]
    assert curve["hi"].tolist() == [1, 0.3, INF]
    assert curve[["runs", "ended"]].to_numpy().tolist() == [[3, 0], [3, 0], [3, 1]]


def test_a_curve_of_failures_and_of_one_run() -> None:
    """What was never finite is infinite at every step; one run is its own median and band."""
    failed = compute_convergence_curves(select_comparable(runs({"status": "nonfinite"})), lines((INF, INF)))
    alone = compute_convergence_curves(select_comparable(runs({})), lines((1, 0.5)))

    assert failed["gap"].tolist() == [INF, INF]
    assert failed["ended"].tolist() == [1, 1]
    assert alone[["gap", "lo", "hi"]].to_numpy().tolist() == [[1, 1, 1], [0.5, 0.5, 0.5]]


def test_without_a_minimum_the_loss_speaks() -> None:
    """Where no gap is known it stays null, and the median loss and its quartiles are there; a step costs gradients."""
    told = select_comparable(runs({"gradient_evals": 250}, {"seed": 1, "gradient_evals": 250}))
    curve = compute_convergence_curves(told, lines((4, 2), (6, 3)).assign(gap=NAN))

    assert curve["gap"].isna().all()
    assert curve["loss"].tolist() == [6, 3]
    assert curve[["lo", "hi"]].to_numpy().tolist() == [[4, 6], [2, 3]]
    assert curve["gradients"].tolist() == [2.5, 2.5]


# ---------------------------------------------------------------------------------------------------------- floors


def test_floors_of_two_dtypes_and_where_they_part() -> None:
    """The narrow run attains 1e-7 of the way, the wide one 1e-13; at step 2 they differ by half, before by a 20th."""
    shared = {"start_loss": 10.0, "final_loss": 1e-12, "final_suboptimality": 1e-12}
    told = select_comparable(runs({**shared, "dtype": "float32", "best_loss": 1e-6}, {**shared, "best_loss": 1e-12}))
    found = compute_attained_gaps(told, lines((1, 0.100, 1e-7), (1, 0.105, 2e-7)))

    assert found[["dtype", "wide_dtype", "parted"]].to_numpy().tolist() == [["float32", "float64", 2]]
    assert found[["attained", "wide_attained"]].to_numpy()[0] == pytest.approx([1e-7, 1e-13])


def test_floors_leave_out_what_broke_and_what_is_alone() -> None:
    """A pair of which one diverged, and a run in one dtype, attain nothing that can be compared."""
    broken = select_comparable(runs({"dtype": "float32", **BROKE}, {}))

    assert compute_attained_gaps(broken, lines((1,), (1,))).empty
    assert compute_attained_gaps(select_comparable(runs({})), lines((1,))).empty


def test_a_loss_below_the_minimum_attains_zero() -> None:
    """Rounding below the minimum is a gap of 0, and paths that never differ have no step at which they part."""
    told = select_comparable(runs({"dtype": "float32", "best_loss": -1e-9}, {}))
    found = compute_attained_gaps(told, lines((1, 0.5), (1, 0.5)))

    assert found["attained"].tolist() == [0]
    assert found["parted"].isna().all()


# ----------------------------------------------------------------------------------------------------- sensitivity


def test_the_cost_at_a_rate_is_that_of_the_median_seed() -> None:
    """Of 10, 30 and a run that diverged the median is 30 and the upper quartile infinite; all three are counted."""
    told = select_comparable(runs(took(10), took(30, seed=1), took(1, seed=2, **BROKE)))
    table = compute_lr_sensitivity(told)

    assert table[["cost", "lo", "hi"]].to_numpy().tolist() == [[30, 10, INF]]
    assert table[["runs", "solved", "diverged"]].to_numpy().tolist() == [[3, 2, 1]]


def test_decades_within_twice_the_best_by_hand() -> None:
    """At 20, 10, 10 and 50 gradients a decade apart, two decades cost at most 20; of the equals the later is best."""
    told = select_comparable(runs(*(took(cost, lr=lr) for lr, cost in ((0.01, 20), (0.1, 10), (1, 10), (10, 50)))))
    table = measure_lr_width(compute_lr_sensitivity(told))

    assert table[["lr", "cost", "low", "high"]].to_numpy().tolist() == [[1, 10, 0.01, 1]]
    assert table["decades"].tolist() == [pytest.approx(2)]


def test_a_hole_ends_the_stretch_and_failures_have_none() -> None:
    """Beyond a rate that missed nothing counts, however cheap; a solver that never solved has no row."""
    hole = select_comparable(runs(*(took(cost, lr=lr) for lr, cost in ((0.1, 10), (1, INF), (10, 11)))))
    failed = select_comparable(runs(took(INF), took(INF, lr=1.0)))

    assert measure_lr_width(compute_lr_sensitivity(hole))[["low", "high", "decades"]].to_numpy().tolist() == [
        [0.1, 0.1, 0]
    ]
    assert measure_lr_width(compute_lr_sensitivity(failed)).empty


def test_rates_beside_dtypes_are_of_one_question() -> None:
    """Dtypes of one objective share a problem and keep their costs; what ran in one dtype alone is left out."""
    both = (took(10, dtype="float32"), took(20), took(5, lr=1.0, dtype="float32"), took(INF, lr=1.0))
    table = compute_dtype_sensitivity(select_comparable(runs(*both, took(1, optimizer="adam"))))

    assert set(table["problem"]) == {"bowl"}
    assert set(table["solver"]) == {"gd manual"}
    assert {(row.lr, row.others): row.cost for row in table.itertuples()} == {
        (0.1, "float32"): 10, (0.1, "float64"): 20, (1.0, "float32"): 5, (1.0, "float64"): INF,
    }  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- times


def test_step_times_are_medians_of_timed_runs() -> None:
    """Steps of 1 and 3 us have the median 2, torch at 4 takes twice as long; what was not timed says nothing."""
    timed = {"timed": True, "step_s_lo": 1e-6, "step_s_hi": 3e-6}
    told = select_comparable(
        runs(
            {**timed, "step_s": 1e-6},
            {**timed, "step_s": 3e-6, "lr": 1.0, "overhead_bound": False},
            {**timed, "step_s": 4e-6, "impl": "torch", "denormals": 2},
            {"lr": 2.0, "step_s": 99.0},
        )
    )
    table = summarise_step_times(told)

    assert table["step_s"].tolist() == pytest.approx([2e-6, 4e-6])
    assert table["vs_manual"].tolist() == pytest.approx([1, 2])
    assert table["noise"].tolist() == pytest.approx([1, 0.5])
    assert table[["runs", "overhead_bound", "denormals"]].to_numpy().tolist() == [[2, False, 0], [1, True, 1]]


# --------------------------------------------------------------------------------------------------------- verdict


def judged(*rows: dict[str, Any], cost: str = "gradients") -> dict[str, Any]:
    """The verdict's row on the one problem of such runs."""
    table = runs(*rows)
    found = find_winners(table, select_comparable(table)).set_index("cost")
    row: dict[Any, Any] = found.loc[cost].to_dict()
    return row


def test_a_winner_by_hand() -> None:
    """10 gradients beat 25 by 2.5; a solver that diverged at 1 comes in nowhere, and every run is counted."""
    row = judged(took(10), took(25, optimizer="adam"), took(1, optimizer="wild", **BROKE))

    assert (row["winner"], row["value"], row["runner_up"], row["ratio"], row["tied"]) == ("gd", 10, "adam", 2.5, "")
    assert (row["solvers"], row["solved"], row["runs"], row["reached"], row["diverged"]) == (3, 2, 3, 2, 1)


def test_ties_and_lone_winners() -> None:
    """Equal counts leave no runner-up, in the order of the runs; whoever solves alone wins by an infinite factor."""
    tie = judged(took(10), took(10, optimizer="adam"))
    alone = judged(took(10), took(INF, optimizer="adam"))
    single = judged(took(10))

    assert (tie["winner"], tie["tied"], tie["runner_up"]) == ("gd", "adam", None)
    assert (alone["runner_up"], alone["ratio"]) == ("adam", INF)
    assert (single["winner"], single["runner_up"], single["solvers"]) == ("gd", None, 1)
    assert np.isnan(single["ratio"])


def test_nobody_wins_where_all_broke() -> None:
    """Runs that broke leave a problem without a winner, at an infinite cost."""
    row = judged(took(1, optimizer="adam", **BROKE))

    assert row["winner"] is None
    assert row["value"] == INF
    assert (row["solved"], row["reached"], row["diverged"]) == (0, 0, 1)


def test_where_none_reaches_the_target_the_lowest_gap_or_loss_wins() -> None:
    """The winner of misses is told by its final gap, and by its final loss where no minimum is known."""
    unknown = {"final_gap": NAN}
    gaps = judged(took(INF, final_gap=0.1), took(INF, optimizer="adam", final_gap=0.2))
    losses = judged(took(INF, final_loss=-0.4, **unknown), took(INF, optimizer="adam", final_loss=-0.5, **unknown))

    assert [gaps[name] for name in ("winner", "measure", "value", "ratio")] == ["gd", "final gap", 0.1, 2.0]
    assert [losses[name] for name in ("winner", "measure", "value", "runner_up")] == ["adam", "final loss", -0.5, "gd"]
    assert np.isnan(losses["ratio"])


def test_a_hit_that_left_loses_and_is_named() -> None:
    """A method that stays wins however late; who was sooner and left is named, and counted."""
    row = judged(took(100), took(3, optimizer="lion", final_gap=1e-3))

    assert (row["winner"], row["value"], row["runner_up"], row["ratio"]) == ("gd", 100, "lion", INF)
    assert (row["cheaper_but_left"], row["reached"], row["left"], row["solved"]) == ("lion (lr 0.1)", 2, 1, 1)


@pytest.mark.parametrize(("rates", "edge"), [((0.1, 1.0), "larger"), ((1.0, 2.0), "smaller"), ((1.0,), None)])
def test_a_winner_at_the_edge_of_the_grid(rates: tuple[float, ...], edge: str | None) -> None:
    """The best rate, 1, is said to be the last on its side, where others were tried at all."""
    assert judged(*(took(10 if lr == 1.0 else 50, lr=lr) for lr in rates))["edge"] == edge


def test_seconds_within_a_tenth_are_a_tie() -> None:
    """1 ms and 1.09 ms of one process are not told apart, 1.2 ms are."""
    timed = {"timed": True, "step_s": 1e-5, "seed_used": False}
    near = judged(
        took(10, time_to_target_s=1e-3, **timed),
        took(10, optimizer="adam", time_to_target_s=1.09e-3, **timed),
        took(10, optimizer="rmsprop", time_to_target_s=1.2e-3, **timed),
        cost="seconds",
    )

    assert (near["winner"], near["tied"], near["runner_up"]) == ("gd manual", "adam manual", "rmsprop manual")
    assert near["ratio"] == pytest.approx(1.2)


def seeds(*costs: float, **others: Any) -> list[dict[str, Any]]:
    """A run for each seed, which took so many gradients."""
    return [took(cost, seed=seed, **others) for seed, cost in enumerate(costs)]


def test_six_seeds_are_told_apart_by_their_pairs() -> None:
    """Six of six pairs in one direction differ (p = 0.03); four against two do not, whatever their medians."""
    clear = seeds(10, 11, 12, 13, 14, 15)
    slower = judged(*clear, *seeds(20, 22, 24, 26, 28, 30, optimizer="adam"))
    mixed = judged(*clear, *seeds(9, 22, 24, 8, 28, 30, optimizer="adam"))

    assert (slower["runner_up"], slower["tied"], slower["held_out"]) == ("adam", "", False)
    assert np.isnan(slower["needed"])
    assert mixed["tied"] == "adam"


def test_too_few_seeds_tell_nothing_and_how_many_are_needed_is_said() -> None:
    """With three seeds the order stands, and six are needed; more rivals need more, a choice of rates twice as many."""
    three = seeds(10, 11, 12)
    adam, lion = (seeds(20, 22, 24, optimizer=name) for name in ("adam", "lion"))
    rates = seeds(40, 42, 44, lr=1.0)

    assert [judged(*three, *adam)[name] for name in ("winner", "value", "tied", "seeds", "needed")] == [
        *("gd", 11, "", 3, 6),
    ]
    assert judged(*three, *adam, *lion)["needed"] == 7
    assert judged(*three, *adam, *rates)["needed"] == 12
    assert judged(*three, took(20, optimizer="adam", seed_used=False))["needed"] == 6


def test_where_a_rate_was_chosen_the_test_is_made_on_seeds_that_chose_none() -> None:
    """Of twelve seeds one half chooses each rate, the other differs in six of six pairs; all make the number."""
    gd = [*seeds(*range(10, 22), lr=0.1), *seeds(*range(50, 62), lr=1.0)]
    adam = [*seeds(*range(70, 82), lr=0.1, optimizer="adam"), *seeds(*range(30, 42), lr=1.0, optimizer="adam")]
    row = judged(*gd, *adam)

    assert (row["winner"], row["value"], row["n"], row["seeds"]) == ("gd", 16, 12, 12)
    assert (row["held_out"], row["runner_up"], row["tied"]) == (True, "adam", "")


def test_what_the_seed_does_not_change_is_compared_exactly() -> None:
    """One run each decides, however little they differ."""
    idle = {"seed_used": False}

    assert judged(took(10, **idle), took(11, optimizer="adam", **idle))["runner_up"] == "adam"


def test_the_number_of_seeds_needed_is_that_of_the_test() -> None:
    """From that number on pairs of one sign are told apart after Holm's correction, and with one less they are not."""
    for rivals in (1, 2, 3, 5):
        needed = count_seeds_needed(rivals)
        p = [compute_signed_rank_p(np.arange(1.0, count + 1)) for count in (needed - 1, needed)]

        assert rivals * p[1] < ALPHA <= rivals * p[0]


def test_what_moved_the_minimum_is_counted_and_compared_nowhere() -> None:
    """Runs with weight decay are left out of the verdict and said to be."""
    row = judged(took(10), took(1, optimizer="adamw", shifted_minimum=True))

    assert (row["winner"], row["runs"], row["shifted"]) == ("gd", 1, 1)
