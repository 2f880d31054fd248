"""What is said of times: nothing across processes, in the words, tables and JSON of compare and report."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import gdbench
from gdbench.analysis.optimizer_comparison import NOT_COMPARABLE, compare_optimizers
from gdbench.analysis.winners import find_winners
from gdbench.report.inputs import read_inputs
from gdbench.report.summary_text import verdict_sentences
from gdbench.report.sweep_comparison import build_comparison as report_of
from gdbench.report.sweep_comparison import combine_inputs
from gdbench.results.costs import select_comparable

TIMED = ("timing.seconds=0.02", "--quiet")
REPEATS, LOADED = 40, 10
JUDGED = ("better", "worse")


@pytest.fixture
def twice(command: Callable[..., Any]) -> list[Path]:
    """Two sweeps of one command, timed."""
    for name in ("first", "second"):
        words = ("-m", "optimizer=gd", "impl=manual,torch", "lr=0.1,1.1", f"outputs={name}", *TIMED)
        assert command(*words).code == 0
    return [next(Path(name).glob("*/*")) for name in ("first", "second")]


@pytest.mark.slow
def test_compare_shows_both_times_and_judges_neither(command: Callable[..., Any], twice: list[Path]) -> None:
    """Words, table, figure and JSON say that times are not comparable; both stand there, with their ratio."""
    folders = [str(folder) for folder in twice]
    printed = command("compare", *folders, "--format", "md").out
    runs = json.loads(command("compare", *folders, "--json").out)
    report = report_of(combine_inputs(*(read_inputs([folder]) for folder in twice)))
    figure = next(figure for figure in report.figures if figure.name == "changes-seconds")
    rows = [line for line in printed.splitlines() if line.startswith("|") and " seconds " in line]

    assert f"In seconds: {NOT_COMPARABLE}" in printed
    assert len(rows) == 2  # one method by two impls
    assert all(NOT_COMPARABLE in row and not any(word in row for word in JUDGED) for row in rows)
    assert {run["time_verdict"] for run in runs if run["time_to_target_s_a"]} == {NOT_COMPARABLE}
    assert {run["verdict"] for run in runs} == {"same"}
    assert NOT_COMPARABLE in figure.title
    assert set(figure.table["outcome"]) == {NOT_COMPARABLE}
    assert "Nothing differs." in printed


@pytest.mark.slow
def test_a_report_of_several_processes_has_no_verdict_on_time(command: Callable[..., Any]) -> None:
    """One sweep says who is fastest; two sweeps as one report say that their times were not taken together."""
    for name in ("gd", "adam"):
        assert command("-m", f"optimizer={name}", "lr=0.1,1.1", f"outputs={name}", f"name={name}", *TIMED).code == 0
    folders = [next(Path(name).glob("*/*")) for name in ("gd", "adam")]
    alone = command("report", str(folders[0]), "--format", "md").out
    together = command("report", *map(str, folders), "--format", "md").out

    assert "By time: gd" in alone
    assert "By time:" not in together
    assert f"Times were measured in 2 processes: {NOT_COMPARABLE}." in together


def test_cells_of_a_launcher_are_told_apart_by_their_process(command: Callable[..., Any]) -> None:
    """Rows of one sweep that two processes timed, as those of a launcher, have no verdict on time."""
    runs = gdbench.sweep(optimizer="gd", impl=["manual", "torch"], lr=0.1, **{"timing.seconds": 0.02})
    assert runs["process"].nunique() == 1
    apart = runs.assign(process=["a", "b"], step_time_ratio_lo=1.0, step_time_ratio_hi=2.0)

    assert "seconds" in set(find_winners(runs, select_comparable(runs))["cost"])
    assert "seconds" not in set(find_winners(apart, select_comparable(apart))["cost"])
    assert "measured in 2 processes" in verdict_sentences(find_winners(apart, select_comparable(apart)))[0]


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Processes that keep cores busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.campaign
def test_forty_repeats_of_one_command_give_no_verdict_on_time(
    shell: Callable[..., Any], command: Callable[..., Any], tmp_path: Path
) -> None:
    """One command in 40 processes, 10 of them under load: of all pairs none is better or worse in any cost."""
    words = ("-m", "gdbench", "-m", "optimizer=gd,momentum,adam", "lr=0.01,0.1,1.1", "timing.seconds=0.1", "--quiet")
    for number in range(REPEATS):
        with load(2 if number < LOADED else 0):
            assert shell(*words, f"outputs=o{number}").code == 0
    tables = [gdbench.load(tmp_path / f"o{number}") for number in range(REPEATS)]
    pairs = [(a, b) for a in range(REPEATS) for b in (a + 1, a + 7) if b < REPEATS]
    found = [
        compare_optimizers(
            select_comparable(pd.concat([tables[a].assign(side="a"), tables[b].assign(side="b")]), ["side"])
        )
        for a, b in pairs
    ]
    outcomes = pd.concat(found).groupby("cost")["outcome"].value_counts()
    times = pd.concat(found).query("cost == 'seconds'")
    print(outcomes, (times["b"] / times["a"]).describe(), times["ratio"].describe(), sep="\n\n")
    printed = command("compare", "o0", f"o{REPEATS - 1}", "--format", "md").out

    assert set(outcomes["seconds"].index) == {NOT_COMPARABLE}
    assert set(outcomes["gradients"].index) == set(outcomes["steps"].index) == {"same"}
    assert f"In seconds: {NOT_COMPARABLE}" in printed
    assert not any(f"b is {word}" in printed for word in JUDGED)
