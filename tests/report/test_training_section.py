"""The report of training runs: curves on train and held-out data, and the table of metrics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gdbench
from gdbench.analysis.training_metrics import summarise_metrics
from gdbench.analysis.training_results import find_directions
from gdbench.report.build import Report, build_report
from gdbench.report.charts.training_curves import list_banded_splits
from gdbench.report.charts.vega_lite import name_figure
from gdbench.report.inputs import read_inputs
from gdbench.report.report_data import ReportData
from gdbench.report.table_formats import format_markdown, latex_table
from gdbench.report.training_section import make_training_figures
from gdbench.report.training_tables import make_training_tables
from gdbench.report.writer import write_report

pytest_plugins = ["support.training_reports"]
SEEDS = (0, 1, 2)


def test_losses_on_train_and_held_out_data_share_a_panel(training_report: Report) -> None:
    """One colour a method, solid on train data and dashed on held-out data, medians and quartiles of the traces."""
    figure = next(figure for figure in training_report.figures if figure.name == "training-loss")
    assert figure.chart is not None
    (line,) = (layer for layer in figure.chart.chart["layer"] if layer["mark"]["type"] == "line")
    assert line["encoding"]["color"]["field"] == "optimizer"
    assert line["encoding"]["strokeDash"]["field"] == "split"
    assert line["encoding"]["strokeDash"]["scale"]["domain"] == ["train", "held-out"]

    traces, runs = training_report.data.traces, training_report.data.best_runs
    for (optimizer, split), rows in figure.table.groupby(["optimizer", "split"]):
        mine = traces[traces["run_id"].isin(runs.loc[runs["optimizer"] == optimizer, "run_id"])]
        expected = mine.groupby("step")[f"{str(split).replace('-', '_')}.loss"].median()
        assert rows.set_index("step")["value"].to_dict() == pytest.approx(expected.to_dict())
        assert rows["value"].between(rows["lo"], rows["hi"]).all()
        assert set(rows["runs"]) == {len(SEEDS)}
    assert figure.table.groupby(["optimizer", "split"]).ngroups == 4
    assert "; band: quartiles" in figure.rule


def test_each_metric_is_drawn_on_train_and_held_out_data(training_report: Report) -> None:
    """A metric is a group of figures, the loss first, whose tabs are its axes; both splits share a panel."""
    section = training_report.sections[0]
    assert section.title == "Training"
    curves = [figure for figure in section.figures if "step" in figure.table]
    assert [(figure.group, figure.tab) for figure in curves] == [
        (f"training-{metric}", axis) for metric in ("loss", "accuracy", "wrong") for axis in ("steps", "epochs")
    ]
    for figure in curves:
        assert set(figure.table["split"]) == {"train", "held-out"}
        assert (figure.table["lo"] <= figure.table["hi"]).all()


def test_an_epoch_is_a_pass_over_the_training_data(training_report: Report) -> None:
    """32 samples in batches of 8 are 4 steps an epoch."""
    figure = next(figure for figure in training_report.figures if figure.name == "training-loss-epochs")
    assert (figure.table["x"] == figure.table["step"] / 4).all()


def test_curves_go_against_seconds_and_gradients_where_these_say_more(train_only_sweep: Path) -> None:
    """Timed runs have an axis of seconds, the steps times the time of a step; methods with two gradients a step one."""
    inputs = read_inputs([train_only_sweep])
    runs = inputs.runs.assign(step_s=0.5, gradient_evals=2 * inputs.runs["steps"])
    figures = make_training_figures(ReportData(replace(inputs, runs=runs)))
    tabs = {figure.tab: figure.table for figure in figures if figure.group == "training-loss"}
    assert list(tabs) == ["steps", "epochs", "gradients", "seconds"]
    assert (tabs["seconds"]["x"] == tabs["seconds"]["step"] * 0.5).all()
    assert (tabs["gradients"]["x"] == tabs["gradients"]["step"] * 2).all()


def test_many_methods_have_bands_on_held_out_data_only() -> None:
    """With four methods the bands of eight lines would hide each other; with seven none is drawn."""
    rows = [
        {"optimizer": f"m{number}", "split": split, "runs": 3} for number in range(7) for split in ("train", "held-out")
    ]
    table = pd.DataFrame(rows)
    assert list_banded_splits(table[:6]) == ["train", "held-out"]
    assert list_banded_splits(table[:8]) == ["held-out"]
    assert list_banded_splits(table) == []


def test_the_direction_of_a_metric_follows_from_its_best_values(training_report: Report) -> None:
    """Losses and metrics of ``lower_is_better`` are best where lowest, all others where highest."""
    runs = training_report.data.compared
    assert [list(find_directions(runs, name).values()) for name in ("loss", "accuracy", "wrong")] == [[1], [-1], [1]]


def test_the_table_has_medians_and_ranges_with_the_best_in_bold(training_report: Report, training_sweep: Path) -> None:
    """Cells are those of the runs; the best median of each metric is bold, in Markdown and LaTeX too."""
    table = next(table for table in training_report.tables if table.name == "training")
    assert table.numbers is not None
    runs = training_report.data.best_runs
    for row in table.numbers.to_dict(orient="records"):
        mine = runs[runs["optimizer"] == row["optimizer"]]
        columns = {
            "train_final": "final.train.",
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
    assert "| **" in format_markdown(training_report)
    assert r"\textbf{" in latex_table(table)
    assert "6 seeds" in table.rule


def test_files_hold_figures_and_numbers(training_report: Report, tmp_path: Path) -> None:
    """The page shows the best in bold and the loss where it ranks, and the CSV has a number a cell."""
    inputs = training_report.inputs
    by_loss = replace(inputs, runs=inputs.runs.assign(selection_metric="held_out.loss"))
    forms = ["html", "md", "tables"]
    write_report(inputs, tmp_path, forms, build=lambda *_: replace(training_report, inputs=by_loss))
    assert "held-out loss</button>" in (tmp_path / "report.html").read_text()
    table = pd.read_csv(tmp_path / "tables" / "training.csv")
    assert table["held_out_best_lo"].dtype == float
    assert {"figure-training-loss.csv", "figure-training-accuracy.csv"} <= {
        file.name for file in (tmp_path / "tables").iterdir()
    }
    assert "<strong>" in (tmp_path / "report.html").read_text()


def test_nothing_is_said_of_gaps(training_report: Report) -> None:
    """A workload has no minimum: the ladder of targets and other figures of gaps are left out."""
    assert "Targets and precision" not in [section.title for section in training_report.sections]
    assert not any("gap" in figure.title.lower() for figure in training_report.figures)


@pytest.mark.slow
def test_other_runs_have_no_training_section(training_sweep: Path, tmp_path: Path) -> None:
    """Functions have no such section, and beside a workload they are not part of it."""
    gdbench.sweep(
        "rosenbrock", optimizer=["gd", "adam"], lr=[0.1], steps=20, device="cpu", timing="off", outputs=tmp_path
    )
    alone = build_report(read_inputs([tmp_path]))
    assert "Training" not in [section.title for section in alone.sections]

    both = build_report(read_inputs([tmp_path, training_sweep]))
    training = next(section for section in both.sections if section.title == "Training")
    assert not any(training.tables[-1].table["problem"].str.contains("rosenbrock"))
    assert not any(training.figures[0].table["problem"].str.contains("rosenbrock"))
    assert "Targets and precision" in [section.title for section in both.sections]


@pytest.mark.slow
def test_without_traces_the_table_remains(training_sweep: Path) -> None:
    """With trace=none, also where other sweeps are traced, there are no curves, and tables are made from the runs."""
    inputs = read_inputs([training_sweep])
    data = ReportData(replace(inputs, traces=inputs.traces.head(0)))
    others = ReportData(replace(inputs, traces=inputs.traces[["run_id", "step", "loss", "gap"]]))
    for given in (data, others):
        assert not [figure for figure in make_training_figures(given) if figure.group == "training-loss"]
    assert [table.name for table in make_training_tables(data)] == ["metrics", "time-to-result", "training"]


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
def test_every_figure_is_vega_lite(training_report: Report) -> None:
    """Each chart of the section satisfies the schema of Vega-Lite."""
    for figure in training_report.sections[0].figures:
        assert figure.chart is not None
        figure.chart.to_altair().to_dict(validate=True)


def test_names_of_files_have_no_separators() -> None:
    """A metric of a folder from elsewhere cannot name a file outside of the report."""
    assert name_figure("training", "../a_b") == "training----a-b"
