"""What a trainer reads off a sweep: metrics against lr, the best of k trials, time to a target, tables, both sides."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

import gdbench
from gdbench.analysis.metric_comparison import compare_metrics
from gdbench.analysis.time_to_result import summarise_time_to_result
from gdbench.report.build import Report, build_report
from gdbench.report.inputs import read_inputs
from gdbench.report.sweep_comparison import build_comparison, combine_inputs
from gdbench.report.table_formats import latex_table
from gdbench.report.terminal.sweep import render_sweep
from gdbench.results.costs import select_comparable

TARGET = "held_out.accuracy>=0.75"
LRS = (0.01, 0.1, 1.0)
SHARED: dict[str, Any] = {"device": "cpu", "steps": 20, "judge_every": 4, "timing": "off"}


def share_right(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The share of samples whose class has the highest output."""
    return (outputs.argmax(1) == targets).float().mean()


def clouds(splits: tuple[str, ...] = ("train", "held_out", "test")) -> gdbench.Training:
    """Two noisy clouds, with more features than a few samples determine."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(96) % 2
    inputs = torch.randn(96, 20, generator=generator) + 0.6 * targets[:, None]
    parts = {name: slice(32 * place, 32 * place + 32) for place, name in enumerate(splits)}
    return gdbench.Training(
        module=lambda: torch.nn.Linear(20, 2),
        **{name: (inputs[part], targets[part]) for name, part in parts.items()},
        metrics={"accuracy": share_right},
        batch=8,
    )


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with a target on a metric, over two methods, three learning rates and three seeds."""
    outputs = tmp_path_factory.mktemp("outputs")
    axes = {"optimizer": ["gd", "adam"], "lr": list(LRS), "seed": [0, 1, 2]}
    gdbench.sweep(clouds(), **axes, target_metric=TARGET, outputs=outputs, **SHARED)
    return outputs


@pytest.fixture(scope="module")
def report(outputs: Path) -> Report:
    """Its report."""
    return build_report(read_inputs([outputs]))


@pytest.fixture(scope="module")
def train_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of a workload that has training data alone."""
    outputs = tmp_path_factory.mktemp("train-only")
    gdbench.sweep(clouds(("train",)), optimizer=["gd", "adam"], lr=[0.01, 0.1], seed=[0, 1], outputs=outputs, **SHARED)
    return outputs


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
def test_metrics_are_drawn_against_lr(report: Report, metric: str) -> None:
    """A point is the median over seeds of the best held-out value of a learning rate, with their range."""
    table = find_figure(report, f"training-lr-{metric}")
    assert len(table) == 2 * len(LRS)
    for row in table.to_dict(orient="records"):
        runs = report.data.compared
        mine = runs[(runs["optimizer"] == row["optimizer"]) & (runs["lr"] == row["lr"])][f"best.held_out.{metric}"]
        assert (row["value"], row["lo"], row["hi"]) == (mine.median(), mine.min(), mine.max())


def test_the_best_of_k_trials_is_a_curve(report: Report) -> None:
    """All trials include the best; of one trial the median one counts; more are never worse."""
    by_lr = find_figure(report, "training-lr-accuracy")
    for optimizer, rows in find_figure(report, "training-trials-accuracy").groupby("optimizer"):
        values = np.sort(by_lr.loc[by_lr["optimizer"] == optimizer, "value"])
        assert rows["k"].tolist() == [1, 2, 3]
        assert rows["median"].tolist()[::2] == [values[1], values[2]]
        assert rows["median"].is_monotonic_increasing


# ----------------------------------------------------------------------------------------------- time to a result


def test_time_to_result_counts_hits_and_steps(report: Report) -> None:
    """Medians over seeds of the first judged step at the target, in steps and epochs; the fewest steps are bold."""
    table = find_table(report, "time-to-result")
    best = report.data.best_runs
    for row in table.to_dict(orient="records"):
        mine = best[best["optimizer"] == row["optimizer"]]
        steps = mine["steps_to_target"].astype(float).fillna(np.inf)
        assert (row["hits"], row["seeds"]) == (mine["steps_to_target"].notna().sum(), 3)
        assert (row["steps"], row["steps_lo"], row["steps_hi"]) == (steps.median(), steps.min(), steps.max())
        assert row["epochs"] == row["steps"] / 4
    assert table.loc[table["steps_best"], "steps"].eq(table["steps"].min()).all()
    (shown,) = [table for table in report.tables if table.name == "time-to-result"]
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


def test_a_table_for_a_paper_has_a_row_a_method(report: Report) -> None:
    """A workload's metrics are columns, on test data at the selected step, the best in bold."""
    (table,) = [table for table in report.tables if table.name == "metrics"]
    (header,) = [name for name in table.table if name != "optimizer"]
    assert header.endswith(", accuracy ↑")
    runs = report.data.best_runs
    medians = runs.groupby("optimizer")["selected.test.accuracy"].median()
    shown = table.table.set_index("optimizer")[header].str.split(" ").str[0].astype(float)
    assert shown.to_dict() == pytest.approx(medians.to_dict(), abs=5e-3)
    assert table.bold[header] == [medians[name] == medians.max() for name in table.table["optimizer"]]
    assert r"accuracy $\uparrow$" in latex_table(table)


def test_latex_alone_is_printed(command: Callable[..., Any], outputs: Path, tmp_path: Path) -> None:
    """--format latex prints all tables for booktabs, that of metrics first; with --to it is a file."""
    printed = command("report", str(outputs), "--format", "latex")
    written = command("report", str(outputs), "--format", "latex", "--to", str(tmp_path / "here"))
    assert printed.code == written.code == 0
    assert printed.out.startswith("% For a preamble with \\usepackage{booktabs}.\n\n% Methods and workloads\n")
    assert r"\textbf{" in printed.out
    assert (tmp_path / "here" / "report.tex").read_text() == printed.out.removesuffix("\n")


def test_a_workload_without_held_out_data_has_a_section(train_only: Path) -> None:
    """Curves, tables and learning rates are those of the training data."""
    report = build_report(read_inputs([train_only]))
    assert report.sections[0].title == "Training"
    assert set(find_figure(report, "training-accuracy")["split"]) == {"train"}
    assert set(find_figure(report, "training-lr-accuracy")["split"]) == {"train"}
    (table,) = [table for table in report.tables if table.name == "training"]
    assert [name for name in table.table if "," in name] == ["train, final"]
    assert "on training data at the last step" in next(table.rule for table in report.tables if table.name == "metrics")


# ------------------------------------------------------------------------------------------------------- terminal


def test_the_terminal_shows_what_a_trainer_wants(outputs: Path) -> None:
    """80 columns hold held-out and test metrics, medians over seeds; wider ones the range and the train loss too."""
    runs = gdbench.load(outputs)
    usual, wide = (print_sweep(runs, outputs, width) for width in (80, 200))
    assert usual.split("\n\n")[1].splitlines()[0].endswith("held-out accuracy  test accuracy")
    assert max(map(len, usual.split("\n\n")[1].splitlines())) <= 80
    assert "final train loss" in wide.split("\n\n")[1]
    assert "target 1e-06" not in wide
    best = runs[(runs["optimizer"] == "adam") & (runs["lr"] == 0.1)]["best.held_out.accuracy"]
    row = next(line for line in wide.splitlines() if line.startswith("adam") and " 0.1 " in line)
    assert f"{best.median():.3f}"[:4] in row


def test_without_held_out_data_the_terminal_shows_train_metrics(train_only: Path) -> None:
    """The last value on training data stands where there is no other."""
    text = print_sweep(gdbench.load(train_only), train_only, 80)
    assert "train accuracy" in text
    assert "held-out" not in text


# ------------------------------------------------------------------------------------------------------ two sides


def test_two_sweeps_are_compared_by_metrics(outputs: Path) -> None:
    """Equal sides are the same on every metric, in a table and in a sentence."""
    inputs = read_inputs([outputs])
    report = build_comparison(combine_inputs(inputs, inputs))
    table = find_table(report, "metric-changes")
    assert set(table["metric"]) == {"loss", "accuracy"}
    assert set(table["outcome"]) == {"same"}
    assert "By metrics, of 4 medians of problem, metric and optimizer: the same on 4." in report.sentences


@pytest.mark.parametrize(
    ("seeds", "shift", "outcome"), [(6, -0.1, "worse"), (6, 0.1, "better"), (3, -0.1, "not enough to tell")]
)
def test_a_side_is_better_by_paired_seeds(outputs: Path, seeds: int, shift: float, outcome: str) -> None:
    """A metric that is higher for every one of six common seeds is better, as higher is better; three are too few."""
    run = gdbench.load(outputs).query("optimizer == 'adam' and lr == 0.1 and seed == 0")
    runs = pd.concat([run.assign(seed=seed, run_id=f"r{seed}") for seed in range(seeds)], ignore_index=True)
    sides = [runs.assign(side="a"), runs.assign(side="b")]
    name = "selected.test.accuracy"
    sides[1][name] = sides[1][name] + shift * (1 + sides[1]["seed"] / 10)
    sides = [side.assign(run_id=side["run_id"] + side["side"]) for side in sides]
    table = compare_metrics(select_comparable(pd.concat(sides, ignore_index=True), ["side"])).set_index("metric")
    assert table.loc["accuracy", "outcome"] == outcome
    assert table.loc["loss", "outcome"] == "same"
