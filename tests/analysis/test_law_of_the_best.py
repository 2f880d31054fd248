"""The law of the best: whatever names a winner names the same one, by the same number, and ties are ties everywhere."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.tiers import count_examples, representatives

import gdbench
from gdbench.analysis.convergence_curves import compute_convergence_curves
from gdbench.analysis.winners import find_winners
from gdbench.report.inputs import ReportInputs
from gdbench.report.report_data import ReportData
from gdbench.report.result_text import describe_best, format_result
from gdbench.report.setting_labels import METRIC_WORDS
from gdbench.report.summary_text import verdict_sentences, verdict_table
from gdbench.report.table_cells import shorten_numbers
from gdbench.results.columns import COLUMNS
from gdbench.results.costs import select_comparable
from gdbench.results.ranking import rank_configurations, select_best
from gdbench.results.sweep_ranks import RANK, add_sweep_ranks

NAN = math.nan
OPTIMIZERS = ("gd", "adam", "lion")
OUTCOME = st.sampled_from(["stays", "stays", "left", "missed", "diverged"])
RUN: dict[str, Any] = {
    "dtype": "float64", "device": "cpu", "threads": 1, "steps": 100, "target": 1e-6, "target_loss": NAN,
    "start_noise": 0.1, "start_loss": 1.0, "gap_floor": 1e-15, "gradient_evals": 200, "timed": False, "step_s": NAN,
    "time_to_target_s": NAN, "shifted_minimum": False, "denormals": 0, "error": None, "function_evals": 0,
}  # fmt: skip


@st.composite
def sweeps(draw: Callable[..., Any]) -> pd.DataFrame:
    """A small sweep: methods, impls, rates and seeds on two objectives, of one of which no minimum may be known."""
    seeds, deterministic = draw(st.sampled_from([1, 2, 3, 6, 12])), draw(st.booleans())
    lrs, impls = draw(st.sampled_from([(0.1,), (0.1, 1.0)])), draw(st.sampled_from([("manual",), ("manual", "torch")]))
    known = {name: draw(st.booleans()) for name in ("f", "g")[: draw(st.integers(1, 2))]}
    chance = draw(st.randoms(use_true_random=False))
    likely = draw(st.lists(OUTCOME, min_size=1, max_size=4))
    rows = []
    for objective in known:
        for optimizer in OPTIMIZERS[: draw(st.integers(1, 3))]:
            for impl in impls:
                for lr in lrs:
                    for seed in range(1 if deterministic else seeds):
                        rows.append(_run(chance, objective, known[objective], chance.choice(likely)) | {
                            "optimizer": optimizer, "impl": impl, "lr": lr, "seed": seed,
                            "seed_used": not deterministic, "run_id": f"{len(rows):016x}",
                        })  # fmt: skip
    table = pd.DataFrame(rows).assign(started_at=pd.Timestamp("2026-01-01", tz="UTC"), cell=1, sweep="day/sweep")
    runs = table.reindex(columns=[*COLUMNS, *(name for name in table if name not in COLUMNS)])
    metric = draw(st.sampled_from([None, None, "steps_to_target", "final_loss"]))
    return runs if metric is None else choose_some(runs, metric, chance)


def choose_some(runs: pd.DataFrame, metric: str, chance: Any) -> pd.DataFrame:
    """The runs as a search leaves them that chose any configuration of each method that may win, in any order."""
    table = rank_configurations(select_comparable(runs))
    able = table[table["outcome"] != "cannot win"]
    places: dict[str, int] = {}
    for _, problem in able.groupby("problem", sort=False):
        choices = [chance.choice(list(rows.index)) for _, rows in problem.groupby("solver", sort=False)]
        for place, choice in enumerate(chance.sample(choices, len(choices)), 1):
            row = table.loc[choice]
            mine = (runs["objective"] == row["problem"]) & (runs["optimizer"] + " " + runs["impl"] == row["solver"])
            places |= dict.fromkeys(runs.loc[mine & (runs["lr"] == row["lr"]), "run_id"], place)
    place = runs["run_id"].map(places)
    return runs.assign(tuned_place=place, tuned_for=pd.Series(metric, runs.index).where(place.notna()))


def _run(chance: Any, objective: str, known: bool, outcome: str) -> dict[str, Any]:
    """A run that did so, with few different numbers, so that there are ties."""
    end = chance.choice([1e-9, 1e-8]) if outcome == "stays" else chance.choice([1e-3, 2e-3, 0.1])
    outcome = outcome if known else "diverged" if outcome == "diverged" else "missed"
    hit = outcome in ("stays", "left")
    steps = chance.choice([3, 5, 8])
    return {
        **RUN,
        "objective": objective,
        "status": "target" if hit else "diverged" if outcome == "diverged" else "budget",
        "steps_to_target": steps if hit else NAN,
        "gradient_evals_to_target": 2 * steps if hit else NAN,
        "function_evals_to_target": 0 if hit else NAN,
        "final_loss": 5.0 if outcome == "diverged" else end,
        "best_loss": end / 2,
        "final_gap": NAN if not known else 5.0 if outcome == "diverged" else end,
        "target": 1e-6,
    }


def traces_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Two recorded steps of each run."""
    lines = runs[["run_id", "final_loss", "final_gap"]].rename(columns={"final_loss": "loss", "final_gap": "gap"})
    return pd.concat([lines.assign(step=1), lines.assign(step=100)], ignore_index=True)


def assert_all_agree(runs: pd.DataFrame) -> None:
    """Terminal, sentence, verdict's table, figures, list of sweeps and a choice by axes name one winner and number."""
    told = select_comparable(runs)
    data = ReportData(ReportInputs([Path()], runs, traces_of(runs)), told)
    table = find_winners(runs, told)
    said = {line.partition(": ")[0]: line for line in verdict_sentences(table)}
    lines = describe_best(told, rank_configurations(told))
    first = table[table["cost"] == "gradients"].set_index("problem")
    shown = verdict_table(table, data.problems).table
    shown = shown[shown["cost"] == "gradients"] if "cost" in shown else shown
    curves = compute_convergence_curves(data.best_runs, data.traces)
    for problem, row in first.assign(problem=first.index).iterrows():
        beginning = f"Best on {problem}: " if len(first) > 1 else "Best: "
        line = next((line for line in lines if line.startswith(beginning)), "")
        if pd.isna(row["winner"]):
            assert line == ""
            assert "none of" in said[problem]
            continue
        number = format_result(row["value"], row["measure"])
        assert re.search(rf"{row['winner']} \((manual|torch)\) at {row['configuration']}[,:]", line), line
        assert number in line
        assert f"{row['winner']} ({row['configuration']})" in said[problem]
        assert number in said[problem]
        cell = shown.set_index("problem").loc[problem]
        assert (cell["best solver"], cell["configuration"]) == (row["winner"], row["configuration"])
        assert cell["result"].removesuffix(", left again") == number
        drawn = curves[(curves["problem"] == problem) & (curves["solver"] == row["winner"])]
        assert set(drawn["configuration"]) == {row["configuration"]}
        assert data.best[data.best["problem"] == problem]["solver"].iloc[0] == row["winner"]
        assert_ties_agree(data, row, problem, line, said[problem])
        assert_equals_agree(data, row, line, said[problem], cell)
        assert_choices_agree(data, row, line, said[problem])
        assert_lists_agree(runs, told, problem, row)


def assert_ties_agree(data: ReportData, row: pd.Series, problem: Any, line: str, sentence: str) -> None:
    """Who shares the first place is tied in the terminal, in the verdict and in its sentence."""
    mine = data.best[data.best["problem"] == problem]
    equals = set(mine.loc[mine["place"] == 1, "solver"]) - {row["winner"]}
    tied = set(row["tied"].split(", ")) - {""}
    in_line = re.search(r"tied with ([^.]*)\.", line)

    assert (set(in_line[1].split(", ")) if in_line else set()) == equals
    assert equals <= tied
    assert all(name in sentence for name in tied)
    if pd.isna(row["seeds"]) or pd.notna(row["needed"]):
        assert equals == tied


def assert_equals_agree(data: ReportData, row: pd.Series, line: str, sentence: str, cell: pd.Series) -> None:
    """Configurations of the winner that share its place are counted and named by all, but where tune chose."""
    table = rank_configurations(data.merged_runs)
    mine = table[(table["problem"] == row["problem"]) & (table["solver"] == row["winner"])]
    equals = [] if pd.notna(row["tuned_for"]) else mine.loc[mine["place"] == 1, "configuration"].tolist()
    words = f"{len(equals)} of its configurations tie: {'; '.join(equals)}."

    assert (words in line, words in sentence) == (len(equals) > 1, len(equals) > 1)
    assert cell.get("equally good", "") == "; ".join(equals[1:])


def assert_choices_agree(data: ReportData, row: pd.Series, line: str, sentence: str) -> None:
    """Where tune chose, its first choice is the winner, and what costs less is said to be passed over."""
    mine = data.compared[data.compared["problem"] == row["problem"]]
    first = mine[mine["tuned_place"] == 1]
    if first.empty:
        assert "tune chose it" not in line + sentence
        return
    assert {row["winner"]} == set(first["optimizer"])
    assert {row["lr"]} == set(first["lr"])
    assert "tune chose it by its" in line
    assert "tune chose it by its" in sentence
    if pd.notna(row["passed"]):
        assert row["passed_configuration"] != row["configuration"]
        assert (
            f"tune chose it by its {METRIC_WORDS[row['tuned_for']]}; {row['passed_configuration']}, with " in sentence
        )


def assert_lists_agree(runs: pd.DataFrame, told: pd.DataFrame, problem: Any, row: pd.Series) -> None:
    """The row that the list of sweeps takes as best, and the choice among the axes of each method, are the winner."""
    if problem == told["problem"].iloc[0]:
        columns = {name: runs[name] for name in runs if runs[name].notna().any()}
        rows = add_sweep_ranks(
            pa.table({name: pa.array(each) for name, each in columns.items()}), np.zeros(len(runs), int)
        )
        best = rows.to_pandas().sort_values(RANK).iloc[0]
        assert (best["optimizer"], best["_value"], best["_measure"]) == tuple(row[["winner", "value", "measure"]])
        assert best["lr"] == row["lr"]
    pool = told[(told["problem"] == problem) & (told["optimizer"] == row["winner"])]
    choice = select_best(rank_configurations(pool, by=["impl", "lr"]).assign(problem=problem), ["problem"]).iloc[0]
    assert (choice["lr"], choice["value"], choice["measure"]) == tuple(row[["lr", "value", "measure"]])


UNSHRUNK = tuple(phase for phase in Phase if phase not in (Phase.shrink, Phase.explain))
"""A failure is shown as it was drawn: making it smaller takes minutes."""


@settings(max_examples=count_examples(4, 50), phases=UNSHRUNK)
@given(sweeps())
def test_all_that_names_a_winner_names_the_same(runs: pd.DataFrame) -> None:
    """One winner, by one number, with the same ties and choices, in terminal, verdict, figures, lists and search."""
    assert_all_agree(runs)


@pytest.mark.slow
@pytest.mark.campaign
@settings(max_examples=200, phases=UNSHRUNK)
@given(sweeps())
def test_all_that_names_a_winner_names_the_same_on_two_hundred_sweeps(runs: pd.DataFrame) -> None:
    """The same law over two hundred sweeps."""
    assert_all_agree(runs)


# ---------------------------------------------------------------------------------------------------- real sweeps

REAL = {
    "left": ("objective=rosenbrock", "optimizer=adam", "lr=1,0.15", "steps=3000", "dtype=float64"),
    "seeds": (
        "objective=rosenbrock",
        "optimizer=gd,adam",
        "lr=0.001,0.1",
        "seed=0,1,2",
        "start_noise=0.1",
        "steps=800",
    ),
    "impls": ("optimizer=gd,momentum", "impl=manual,torch", "lr=0.1,0.4", "steps=60"),
    "learning": ("objective=mlp", "optimizer=gd,adam", "lr=0.01,0.1", "seed=0,1", "steps=20"),
    "problems": ("objective=quadratic,booth", "optimizer=gd,adam", "dtype=float32,float64", "lr=0.05,0.5"),
}
"""Sweeps as users type them: one with a hit that leaves again, noisy ones, impls, no hit at all, several problems."""


LEFT = " ".join(("-m", *REAL["left"], "timing=off", "--quiet"))


@pytest.mark.parametrize("name", representatives(REAL, ["left"]))
def test_a_real_sweep_has_one_winner_everywhere(
    name: str, once: Callable[..., Path], command: Callable[..., Any]
) -> None:
    """Terminal, report and list of sweeps say the same of a sweep that was carried out by the command line."""
    out = command("show", str(once(" ".join(("-m", *REAL[name], "timing=off", "--quiet"))))).out
    best = re.findall(r"Best.*?: .*?(?= Best|$)", " ".join(out[out.index("Best") : out.index("Files:")].split()))
    folder = next(Path("outputs").glob("*/*"))
    page = command("report", str(folder), "--format", "md").out
    runs = gdbench.load(folder)
    told = select_comparable(runs)
    listed = json.loads(command("sweeps", "--json").out)[0]

    assert_all_agree(runs)
    assert best == [re.sub(r"\s+", " ", line) for line in describe_best(told, rank_configurations(told))]
    sentences = verdict_sentences(find_winners(runs, told))
    assert all(shorten_numbers(line) in page or line in page for line in sentences)
    assert f"{listed['best_optimizer']} ({listed['best_impl']})" in best[0]
    assert format_result(listed["best_value"], listed["best_measure"]) in best[0]


def test_a_hit_that_left_again_is_not_best_and_is_marked(
    once: Callable[..., Path], command: Callable[..., Any]
) -> None:
    """Adam on Rosenbrock hits at lr 1 in fewer steps and leaves again: lr 0.15, which stays, is best, as is said."""
    folder = once(LEFT)
    out = " ".join(command("show", str(folder)).out.split())
    runs = gdbench.load(folder).set_index("lr")
    told = verdict_sentences(find_winners(runs.reset_index(), select_comparable(runs.reset_index())))

    assert runs.loc[1.0, "gradient_evals_to_target"] < runs.loc[0.15, "gradient_evals_to_target"]
    assert runs.loc[1.0, "final_gap"] > 1e-6 > runs.loc[0.15, "final_gap"]
    assert f"Best: adam (manual) at lr 0.15: {runs.loc[0.15, 'gradient_evals_to_target']} gradients" in out
    assert "1 of 2 runs that reached the target left it again" in out
    assert "adam (lr 1) reached the target with fewer but left it again." in told[0]


@pytest.mark.slow
def test_a_table_that_does_not_say_what_it_is_of_gets_one_line(command: Callable[..., Any]) -> None:
    """Report and compare refuse a folder whose table has no objective; the list of sweeps goes on without a best."""
    command("-m", "lr=0.1,0.2", "steps=3", "timing=off", "--quiet")
    file = next(Path("outputs").glob("*/*")) / "runs.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["objective"]).replace_schema_metadata(None), file)
    folder = str(file.parent)

    for words in (["report", folder], ["compare", folder, folder]):
        done = command(*words)
        assert done.code == 2
        assert len(done.err.strip().splitlines()) == 1
        assert "have no objective" in done.err
    assert json.loads(command("sweeps", "--json").out)[0]["best_run_id"] is None
