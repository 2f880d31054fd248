"""What the noise of a clock could have decided is said not to be told apart, in the best, the verdict and its table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import gdbench
from gdbench.analysis.winners import find_winners
from gdbench.report.result_text import describe_best
from gdbench.report.summary_text import verdict_sentences, verdict_table
from gdbench.results.costs import select_comparable

STEP_S = 1e-5


@pytest.fixture(scope="module")
def untimed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Runs of gd by two impls, and of nesterov by one, without a clock."""
    place = tmp_path_factory.mktemp("untimed")
    asked: dict[str, Any] = {"timing": "off", "trace": "none", "outputs": str(place)}
    gdbench.sweep(optimizer="gd", impl=["manual", "torch"], lr=[0.1, 0.12], **asked)
    gdbench.sweep(optimizer="nesterov", lr=0.1, **asked)
    return gdbench.load(Path(place))


def timed(runs: pd.DataFrame, step_s: list[float], spread: float = 0.0, processes: int = 1) -> pd.DataFrame:
    """The runs as if each had been timed so, its blocks' quartiles a part of it to each side."""
    step = pd.Series(step_s, index=runs.index)
    return runs.assign(
        timed=True, step_s=step, step_s_lo=step * (1 - spread), step_s_hi=step * (1 + spread), sweep="s",
        time_to_target_s=step * runs["steps_to_target"],
        process=[f"p{place % processes}" for place in range(len(runs))],
    )  # fmt: skip


def told(runs: pd.DataFrame) -> tuple[str, str, pd.DataFrame]:
    """The line of the best, the sentence of the verdict, and the rows of its table in seconds."""
    chosen = select_comparable(runs)
    table = find_winners(runs, chosen)
    shown = verdict_table(table, list(chosen["problem"].unique())).table
    return describe_best(chosen)[0], verdict_sentences(table)[0], shown[shown["cost"] == "seconds"]


@pytest.mark.parametrize(("factor", "spread", "apart"), [(1.05, 0.0, False), (1.5, 0.0, True), (1.5, 0.3, False)])
def test_impls_within_the_noise_of_the_clock_are_not_told_apart(
    untimed: pd.DataFrame, factor: float, spread: float, apart: bool
) -> None:
    """Impls of the same work differ in time by more than 10%, and more than a run's own blocks do, or not at all."""
    gd = untimed[untimed["optimizer"] == "gd"]
    slower = gd["impl"].eq("torch").map({True: factor, False: 1.0})
    line, sentence, seconds = told(timed(gd, (STEP_S * slower).tolist(), spread))

    assert ("torch gives the same result, in the same time within noise." in line) == (not apart)
    words = r"By time: gd manual \(lr 0\.12\), 260 µs, tied within noise with (its lr 0\.1; )?gd torch\."
    assert bool(re.search(words, sentence)) == (not apart)
    assert seconds["statistically tied"].tolist() == ["" if apart else "gd torch"]


def test_methods_within_the_noise_of_the_clock_are_not_told_apart(untimed: pd.DataFrame) -> None:
    """Nesterov needs 23 steps and gd 26: where its steps take 13% more, neither is called faster."""
    one_impl = untimed[untimed["impl"] == "manual"]
    dearer = one_impl["optimizer"].eq("nesterov").map({True: 1.13, False: 1.0})
    _, sentence, _ = told(timed(one_impl, (STEP_S * dearer).tolist()))
    _, far, _ = told(timed(one_impl, (STEP_S * dearer**9).tolist()))

    assert "tied within noise with" in sentence
    assert "By time: gd manual (lr 0.12), 260 µs" in far
    assert "tied within noise with nesterov" not in far


def test_configurations_of_one_method_within_the_noise_are_named(untimed: pd.DataFrame) -> None:
    """gd takes 26 steps at lr 0.12 and 31 at lr 0.1: the lr that a noisy clock prefers is not named alone."""
    gd = untimed[(untimed["optimizer"] == "gd") & (untimed["impl"] == "manual")]
    steps = gd["steps_to_target"].astype(float)
    _, sentence, _ = told(timed(gd, (STEP_S / steps).tolist()))

    assert "tied within noise with its lr 0.1" in sentence


def test_untimed_impls_and_those_of_several_processes_are_not_ranked_by_a_clock(untimed: pd.DataFrame) -> None:
    """Without times, or with times of two processes, an impl that does the same is named without a word on time."""
    gd = untimed[untimed["optimizer"] == "gd"]
    apart = timed(gd, [STEP_S * (1 + 3 * place) for place in range(len(gd))], processes=2)

    for runs in (gd, apart):
        line = describe_best(select_comparable(runs))[0]
        assert " gives the same result." in line
        assert "in time" not in line


def test_one_number_of_runs_stands_in_all_rows_of_a_verdict(untimed: pd.DataFrame) -> None:
    """In gradients and in seconds the verdict counts the same runs of a problem: those of all impls."""
    gd = timed(untimed, [STEP_S] * len(untimed))
    table = find_winners(gd, select_comparable(gd))

    assert set(table["cost"]) == {"steps", "gradients", "seconds"}
    assert set(table["runs"]) == {len(untimed)}
    assert table["reached"].nunique() == 1
