"""What a trainer reads off a sweep: metrics against lr, the best of k trials, time to a target, tables, both sides."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import gdbench
from gdbench.analysis.metric_comparison import compare_metrics
from gdbench.analysis.time_to_result import summarise_time_to_result
from gdbench.report.build import Report
from gdbench.report.inputs import read_inputs
from gdbench.report.metric_changes import describe_metric_changes, make_metric_change_tables
from gdbench.report.report_data import ReportData
from gdbench.report.sweep_comparison import build_comparison, combine_inputs
from gdbench.report.table_formats import latex_table
from gdbench.report.terminal.sweep import render_sweep
from gdbench.report.training_section import make_metric_lr_figures, make_training_figures
from gdbench.report.training_tables import make_training_tables
from gdbench.results.costs import select_comparable

pytest_plugins = ["support.training_reports"]
LRS = (0.01, 0.1, 1.0)
TARGET = "held_out.accuracy>=0.75"


@pytest.fixture(scope="module")
def comparison(training_sweep: Path) -> Report:
    """A sweep compared with itself."""
    inputs = read_inputs([training_sweep])
    return build_comparison(combine_inputs(inputs, inputs))


def print_sweep(runs: pd.DataFrame, folder: Path, width: int) -> str:
    """The sweep's table in a terminal of this width, as plain text."""
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(render_sweep(runs, folder, width), crop=False)
    return file.getvalue()


def find_table(report: Report, name: str) -> pd.DataFrame:
    """The numbers of a table of a report."""
    (table,) = [table for table in report.tables if table.name == name]
    return table.table if table.numbers is None else table.numbers


def find_figure(report: Report, name: str) -> pd.DataFrame:
    """The numbers of a figure of a report."""
    (figure,) = [figure for figure in report.figures if figure.name == name]
    return figure.table


# --------------------------------------------------------------------------------------------------------- tuning


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_metrics_are_drawn_against_lr(training_report: Report, metric: str) -> None:
    """A point is the median over seeds of the best held-out value of a learning rate, with their range."""
    table = find_figure(training_report, f"training-lr-{metric}")
    assert len(table) == 2 * len(LRS)
    for row in table.to_dict(orient="records"):
        runs = training_report.data.compared
        mine = runs[(runs["optimizer"] == row["optimizer"]) & (runs["lr"] == row["lr"])][f"best.held_out.{metric}"]
        assert (row["value"], row["lo"], row["hi"]) == (mine.median(), mine.min(), mine.max())


def test_the_best_of_k_trials_is_a_curve(training_report: Report) -> None:
    """All trials include the best; of one trial the median one counts; more are never worse."""
    by_lr = find_figure(training_report, "training-lr-accuracy")
    for optimizer, rows in find_figure(training_report, "training-trials-accuracy").groupby("optimizer"):
        values = np.sort(by_lr.loc[by_lr["optimizer"] == optimizer, "value"])
        assert rows["k"].tolist() == [1, 2, 3]
        assert rows["median"].tolist()[::2] == [values[1], values[2]]
        assert rows["median"].is_monotonic_increasing


# ----------------------------------------------------------------------------------------------- time to a result


def test_time_to_result_counts_hits_and_steps(training_report: Report) -> None:
    """Medians over seeds of the first judged step at the target, in steps and epochs; the fewest steps are bold."""
    table = find_table(training_report, "time-to-result")
    best = training_report.data.best_runs
    for row in table.to_dict(orient="records"):
        mine = best[best["optimizer"] == row["optimizer"]]
        steps = mine["steps_to_target"].astype(float).fillna(np.inf)
        assert (row["hits"], row["seeds"]) == (mine["steps_to_target"].notna().sum(), 3)
        assert (row["steps"], row["steps_lo"], row["steps_hi"]) == (steps.median(), steps.min(), steps.max())
        assert row["epochs"] == row["steps"] / 4
    assert table.loc[table["steps_best"], "steps"].eq(table["steps"].min()).all()
    (shown,) = [table for table in training_report.tables if table.name == "time-to-result"]
    assert TARGET in shown.rule
    assert "Runs were judged every 4 steps, the resolution of all columns." in shown.rule


def test_a_seed_that_misses_is_never() -> None:
    """A run that did not reach the target counts as never, also where the others were timed."""
    runs = pd.DataFrame(
        {
            "problem": "p",
            "solver": "a",
            "configuration": "lr 1",
            "target_metric": TARGET,
            "judge_every": 5,
            "run_id": ["r0", "r1", "r2"],
            "seed": [0, 1, 2],
            "steps_to_target": [10.0, 20.0, np.nan],
            "gradient_evals_to_target": [10.0, 20.0, np.nan],
            "time_to_target_s": [0.1, 0.2, np.nan],
        }
    )
    (row,) = summarise_time_to_result(runs).to_dict(orient="records")
    assert (row["hits"], row["steps"], row["steps_hi"]) == (2, 20, np.inf)
    assert (row["seconds"], row["seconds_hi"]) == (0.2, np.inf)
    (untimed,) = summarise_time_to_result(runs.assign(time_to_target_s=np.nan)).to_dict(orient="records")
    assert np.isnan([untimed["seconds"], untimed["epochs"]]).all()


# --------------------------------------------------------------------------------------------------------- tables


def test_a_table_for_a_paper_has_a_row_a_method(training_report: Report) -> None:
    """A workload's metrics are columns, on test data at the selected step, the best in bold."""
    (table,) = [table for table in training_report.tables if table.name == "metrics"]
    headers = [name for name in table.table if name != "optimizer"]
    assert [header.rpartition(", ")[2] for header in headers] == ["accuracy ↑", "wrong ↓"]
    medians = training_report.data.best_runs.groupby("optimizer")["selected.test.accuracy"].median()
    shown = table.table.set_index("optimizer")[headers[0]].str.split(" ").str[0].astype(float)
    assert shown.to_dict() == pytest.approx(medians.to_dict(), abs=5e-3)
    assert table.bold[headers[0]] == [medians[name] == medians.max() for name in table.table["optimizer"]]
    assert r"accuracy $\uparrow$" in latex_table(table)


def test_latex_alone_is_printed(command: Callable[..., Any], train_only_sweep: Path) -> None:
    """--format latex prints all tables for booktabs, that of metrics first, with the best in bold."""
    printed = command("report", str(train_only_sweep), "--format", "latex")
    assert printed.code == 0
    assert printed.out.startswith("% For a preamble with \\usepackage{booktabs}.\n\n% Methods and workloads\n")
    assert r"\textbf{" in printed.out


@pytest.mark.slow
def test_latex_is_written_where_it_is_asked_for(command: Callable[..., Any], train_only_sweep: Path) -> None:
    """With --to the tables are the file report.tex."""
    printed = command("report", str(train_only_sweep), "--format", "latex")
    written = command("report", str(train_only_sweep), "--format", "latex", "--to", "here")
    assert written.code == 0
    assert Path("here/report.tex").read_text() == printed.out.removesuffix("\n")


def test_a_workload_without_held_out_data_has_a_section(train_only_sweep: Path) -> None:
    """Curves, tables and learning rates are those of the training data."""
    data = ReportData(read_inputs([train_only_sweep]))
    figures = [*make_training_figures(data), *make_metric_lr_figures(data)]
    assert {"training-accuracy", "training-lr-accuracy"} <= {figure.name for figure in figures}
    assert all(set(figure.table["split"]) == {"train"} for figure in figures if "split" in figure.table)
    paper, metrics = make_training_tables(data)
    assert [name for name in metrics.table if "," in name] == ["train, final"]
    assert "on training data at the last step" in paper.rule


# ------------------------------------------------------------------------------------------------------- terminal


def test_the_terminal_shows_what_a_trainer_wants(training_sweep: Path) -> None:
    """80 columns hold held-out and test metrics, medians over seeds; wider ones the range and the train loss too."""
    runs = gdbench.load(training_sweep)
    usual, wide = (print_sweep(runs, training_sweep, width) for width in (80, 200))
    assert usual.split("\n\n")[1].splitlines()[0].endswith("held-out accuracy  test accuracy")
    assert max(map(len, usual.split("\n\n")[1].splitlines())) <= 80
    assert "final train loss" in wide.split("\n\n")[1]
    assert "target 1e-06" not in wide
    best = runs[(runs["optimizer"] == "adam") & (runs["lr"] == 0.1)]["best.held_out.accuracy"]
    row = next(line for line in wide.splitlines() if line.startswith("adam") and " 0.1 " in line)
    assert f"{best.median():.3f}"[:4] in row


def test_without_held_out_data_the_terminal_shows_train_metrics(train_only_sweep: Path) -> None:
    """The last value on training data stands where there is no other."""
    text = print_sweep(gdbench.load(train_only_sweep), train_only_sweep, 80)
    assert "train accuracy" in text
    assert "held-out" not in text


# ------------------------------------------------------------------------------------------------------ two sides


@pytest.mark.slow
def test_two_sweeps_are_compared_by_metrics(comparison: Report) -> None:
    """Equal sides are the same on every metric, in a table and in a sentence."""
    table = find_table(comparison, "metric-changes")
    assert set(table["metric"]) == {"loss", "accuracy", "wrong"}
    assert set(table["outcome"]) == {"same"}
    assert "By metrics, of 6 medians of problem, metric and optimizer: the same on 6." in comparison.sentences


@pytest.mark.slow
def test_two_sides_differ_by_rings(comparison: Report) -> None:
    """In a comparison a method has one colour on both sides; side b has rings, as its dash is that of the data."""
    figure = next(figure for figure in comparison.figures if figure.name == "training-loss")
    assert figure.chart is not None
    assert any("fill" in layer["encoding"] for layer in figure.chart.chart["layer"])
    assert "Rings: gd · b, adam · b." in figure.rule


@pytest.mark.parametrize(
    ("seeds", "shift", "outcome", "sentence"),
    [
        (6, -0.1, "worse", "b is worse on 1"),
        (6, 0.1, "better", "b is better on 1"),
        (3, -0.1, "not enough to tell", "3 seeds: not enough to tell on 1"),
    ],
)
def test_a_side_is_better_by_paired_seeds(
    training_sweep: Path, seeds: int, shift: float, outcome: str, sentence: str
) -> None:
    """A metric that is higher for every one of six common seeds is better, as higher is better; three are too few."""
    run = gdbench.load(training_sweep).query("optimizer == 'adam' and lr == 0.1 and seed == 0")
    runs = pd.concat([run.assign(seed=seed, run_id=f"r{seed}") for seed in range(seeds)], ignore_index=True)
    sides = [runs.assign(side="a"), runs.assign(side="b")]
    name = "selected.test.accuracy"
    sides[1][name] = sides[1][name] + shift * (1 + sides[1]["seed"] / 10)
    sides = [side.assign(run_id=side["run_id"] + side["side"]) for side in sides]
    table = compare_metrics(select_comparable(pd.concat(sides, ignore_index=True), ["side"]))
    assert dict(zip(table["metric"], table["outcome"], strict=True)) == {
        **dict.fromkeys(("loss", "wrong"), "same"),
        "accuracy": outcome,
    }
    first, *others = describe_metric_changes(table)
    assert first == f"By metrics, of 3 medians of problem, metric and optimizer: {sentence}, the same on 2."
    assert len(others) == (seeds == 6)
    (shown,) = make_metric_change_tables(table)
    assert shown.table["b is"].iloc[0] == outcome
