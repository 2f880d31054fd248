"""The report of training runs: curves on train and held-out data, and the table of metrics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import gdbench
from gdbench.analysis.training_metrics import find_directions, summarise_metrics
from gdbench.report.build import Report, build_report
from gdbench.report.charts.vega_lite import name_figure
from gdbench.report.inputs import read_inputs
from gdbench.report.sweep_comparison import build_comparison, combine_inputs
from gdbench.report.table_formats import format_markdown, latex_table
from gdbench.report.writer import write_report

SEEDS = (0, 1, 2)


def share_right(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The share of samples whose class has the highest output."""
    return (outputs.argmax(1) == targets).float().mean()


def blobs() -> gdbench.Training:
    """Two noisy clouds, with more features than a few samples determine."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(96) % 2
    inputs = torch.randn(96, 20, generator=generator) + targets[:, None]
    parts = {"train": slice(0, 32), "held_out": slice(32, 64), "test": slice(64, 96)}
    return gdbench.Training(
        module=lambda: torch.nn.Linear(20, 2),
        **{name: (inputs[part], targets[part]) for name, part in parts.items()},
        metrics={"accuracy": share_right, "wrong": lambda *pair: 1 - share_right(*pair)},
        lower_is_better=["wrong"],
        batch=8,
    )


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of a small workload over two methods, two learning rates and three seeds."""
    outputs = tmp_path_factory.mktemp("outputs")
    shared: dict[str, Any] = {"outputs": outputs, "device": "cpu", "steps": 20, "judge_every": 4, "timing": "off"}
    gdbench.sweep(blobs(), optimizer=["gd", "adam"], lr=[0.01, 0.1], seed=list(SEEDS), **shared)
    return outputs


@pytest.fixture(scope="module")
def report(outputs: Path) -> Report:
    """Its report."""
    return build_report(read_inputs([outputs]))


def test_losses_on_train_and_held_out_data_share_a_panel(report: Report) -> None:
    """One colour a method, solid on train data and dashed on held-out data, medians and quartiles of the traces."""
    figure = next(figure for figure in report.figures if figure.name == "training-loss")
    assert figure.chart is not None
    (line,) = (layer for layer in figure.chart.chart["layer"] if layer["mark"]["type"] == "line")
    assert line["encoding"]["color"]["field"] == "optimizer"
    assert line["encoding"]["strokeDash"]["field"] == "split"
    assert line["encoding"]["strokeDash"]["scale"]["domain"] == ["train", "held-out"]

    traces, runs = report.data.traces, report.data.best_runs
    for (optimizer, split), rows in figure.table.groupby(["optimizer", "split"]):
        mine = traces[traces["run_id"].isin(runs.loc[runs["optimizer"] == optimizer, "run_id"])]
        expected = mine.groupby("step")[f"{str(split).replace('-', '_')}.loss"].median()
        assert rows.set_index("step")["value"].to_dict() == pytest.approx(expected.to_dict())
        assert rows["value"].between(rows["lo"], rows["hi"]).all()
        assert set(rows["runs"]) == {len(SEEDS)}
    assert figure.table.groupby(["optimizer", "split"]).ngroups == 4
    assert "; band: quartiles" in figure.rule


def test_each_metric_has_a_figure_of_held_out_data(report: Report) -> None:
    """The figures are tabs of one group, the loss first, and metrics other than the loss are those of held-out data."""
    section = report.sections[0]
    assert section.title == "Training"
    assert [figure.tab for figure in section.figures] == ["loss", "accuracy", "wrong"]
    assert len({figure.group for figure in section.figures}) == 1
    for figure in section.figures[1:]:
        assert set(figure.table["split"]) == {"held-out"}
        assert (figure.table["lo"] <= figure.table["hi"]).all()


def test_the_direction_of_a_metric_follows_from_its_best_values(report: Report) -> None:
    """Losses and metrics of ``lower_is_better`` are best where lowest, all others where highest."""
    runs = report.data.compared
    assert [list(find_directions(runs, name).values()) for name in ("loss", "accuracy", "wrong")] == [[1], [-1], [1]]


def test_the_table_has_medians_and_ranges_with_the_best_in_bold(report: Report, outputs: Path) -> None:
    """Cells are those of the runs; the best median of each metric is bold, in Markdown and LaTeX too."""
    table = report.sections[0].tables[0]
    assert table.numbers is not None
    runs = report.data.best_runs
    for row in table.numbers.to_dict(orient="records"):
        mine = runs[runs["optimizer"] == row["optimizer"]]
        columns = {
            "held_out_final": "final.held_out.",
            "held_out_best": "best.held_out.",
            "selected_test": "selected.test.",
        }
        for name, prefix in columns.items():
            values = mine[prefix + row["metric"]]
            assert row[name] == pytest.approx(values.median())
            assert (row[f"{name}_lo"], row[f"{name}_hi"]) == pytest.approx((values.min(), values.max()))
    for header, name in (("held-out, final", "held_out_final"), ("test", "selected_test")):
        for metric, rows in table.numbers.groupby("metric"):
            best = rows[name].max() if metric == "accuracy" else rows[name].min()
            assert [table.bold[header][place] for place in rows.index] == rows[name].eq(best).tolist()
    assert "| **" in format_markdown(report)
    assert r"\textbf{" in latex_table(table)
    assert "6 seeds" in table.rule


def test_files_hold_figures_and_numbers(outputs: Path, tmp_path: Path) -> None:
    """The page shows the best in bold, and the CSV has a number a cell."""
    write_report(read_inputs([outputs]), tmp_path, ["html", "md", "tables"])
    table = pd.read_csv(tmp_path / "tables" / "training.csv")
    assert table["held_out_best_lo"].dtype == float
    assert {"figure-training-loss.csv", "figure-training-accuracy.csv"} <= {
        file.name for file in (tmp_path / "tables").iterdir()
    }
    assert "<strong>" in (tmp_path / "report.html").read_text()


def test_nothing_is_said_of_gaps(report: Report) -> None:
    """A workload has no minimum: the ladder of targets and other figures of gaps are left out."""
    assert "Targets and precision" not in [section.title for section in report.sections]
    assert not any("gap" in figure.title.lower() for figure in report.figures)


@pytest.mark.slow
def test_other_runs_have_no_training_section(outputs: Path, tmp_path: Path) -> None:
    """Functions have no such section, and beside a workload they are not part of it."""
    gdbench.sweep(
        "rosenbrock", optimizer=["gd", "adam"], lr=[0.1], steps=20, device="cpu", timing="off", outputs=tmp_path
    )
    alone = build_report(read_inputs([tmp_path]))
    assert "Training" not in [section.title for section in alone.sections]

    both = build_report(read_inputs([tmp_path, outputs]))
    training = next(section for section in both.sections if section.title == "Training")
    assert not any(training.tables[0].table["problem"].str.contains("rosenbrock"))
    assert not any(training.figures[0].table["problem"].str.contains("rosenbrock"))
    assert "Targets and precision" in [section.title for section in both.sections]


@pytest.mark.slow
def test_without_traces_the_table_remains(outputs: Path) -> None:
    """With trace=none there are no curves, and the table has its numbers from the runs."""
    inputs = read_inputs([outputs])
    section = build_report(replace(inputs, traces=inputs.traces.head(0))).sections[0]
    assert section.title == "Training"
    assert not section.figures
    assert len(section.tables) == 1


def test_two_sides_differ_by_rings(outputs: Path) -> None:
    """In a comparison a method has one colour on both sides; side b has rings, as its dash is that of the data."""
    inputs = read_inputs([outputs])
    compared = build_comparison(combine_inputs(inputs, inputs))
    figure = next(figure for figure in compared.figures if figure.name == "training-loss")
    assert figure.chart is not None
    assert any("fill" in layer["encoding"] for layer in figure.chart.chart["layer"])


def make_runs(**values: list[float]) -> pd.DataFrame:
    """Runs of several methods with these final and best held-out accuracies, one a seed."""
    rows = [
        {
            "problem": "p",
            "solver": name,
            "configuration": "lr 1",
            "run_id": f"{name}{seed}",
            "seed": seed,
            "value": value,
        }
        for name, column in values.items()
        for seed, value in enumerate(column)
    ]
    table = pd.DataFrame(rows)
    return table.assign(**{f"{kind}.held_out.accuracy": table["value"] for kind in ("final", "best")})


def test_methods_that_a_test_does_not_tell_apart_are_tied() -> None:
    """With enough seeds what differs by chance is bold too; with fewer only what is equal."""
    good = [0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97]
    near = [value + shift for value, shift in zip(good, [0.01, -0.02] * 4, strict=True)]
    poor = [value - 0.1 for value in good]
    many = summarise_metrics(make_runs(good=good, near=near, poor=poor), {"accuracy": {"p": -1.0}})
    assert many["final_best"].tolist() == [True, True, False]
    few = summarise_metrics(make_runs(good=good[:3], same=good[:3], poor=poor[:3]), {"accuracy": {"p": -1.0}})
    assert few["final_best"].tolist() == [True, True, False]


def test_a_run_without_a_value_counts_as_the_worst() -> None:
    """Seeds that became nonfinite are not left out of a median."""
    table = summarise_metrics(make_runs(half=[0.9, np.nan, np.nan], full=[0.5, 0.6, 0.7]), {"accuracy": {"p": -1.0}})
    assert table["final"].tolist() == [-np.inf, 0.6]
    assert table["final_best"].tolist() == [False, True]


@pytest.mark.slow
def test_every_figure_is_vega_lite(report: Report) -> None:
    """Each chart of the section satisfies the schema of Vega-Lite."""
    for figure in report.sections[0].figures:
        assert figure.chart is not None
        figure.chart.to_altair().to_dict(validate=True)


def test_names_of_files_have_no_separators() -> None:
    """A metric of a folder from elsewhere cannot name a file outside of the report."""
    assert name_figure("training", "../a_b") == "training----a-b"
