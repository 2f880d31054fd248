"""Selection by metrics on held-out data: what tune, Optuna and the ranking of a sweep go by, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import ROOT
from omegaconf import OmegaConf
from support.tiers import representatives
from torch import Tensor, nn

import gdbench
from gdbench import Training
from gdbench.analysis.optimizer_comparison import compare_optimizers
from gdbench.analysis.tuning_score import score_cell
from gdbench.config.target_metric import TargetMetric
from gdbench.engine.training.target_reached import compute_shortfall
from gdbench.report.build import build_report
from gdbench.report.inputs import read_inputs
from gdbench.results.costs import select_comparable
from gdbench.results.ranking import rank_configurations

RATES = [0.003, 0.01, 0.03, 0.1, 0.3]
DIGITS = ["objective=digits_mlp", "objective.hidden=4", "steps=4", "judge_every=2", "timing=off", "device=cpu"]


pytestmark = pytest.mark.usefixtures("own_folder")


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of targets that are the largest of the outputs."""
    return (outputs.argmax(-1) == targets).float().mean()


def overfitting(**more: Any) -> Training:
    """A workload whose training labels are noise in part: the lowest train loss is not the best held-out accuracy."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(160, 20, generator=generator)
    clean = (inputs[:, 0] > 0).long()
    noisy = torch.where(torch.rand(160, generator=generator) < 0.3, 1 - clean, clean)
    return Training(
        **{
            "module": lambda: nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 2)),
            "train": (inputs[:40], noisy[:40]),
            "held_out": (inputs[40:100], clean[40:100]),
            "test": (inputs[100:], clean[100:]),
            "metrics": {"accuracy": accuracy, "wrong": lambda *pair: 1 - accuracy(*pair)},
            "lower_is_better": ["wrong"],
            "batch": 20,
            **more,
        }
    )


SHARED: dict[str, Any] = {"steps": 60, "judge_every": 10, "timing": "off", "seed": [0, 1, 2], "device": "cpu"}


@pytest.mark.parametrize(
    ("metric", "column", "sign"),
    [
        ("held_out.accuracy", "best.held_out.accuracy", -1),
        ("held_out.wrong", "best.held_out.wrong", 1),
        ("final.held_out.loss", "final.held_out.loss", 1),
    ],
)
def test_tune_goes_by_a_held_out_metric(metric: str, column: str, sign: int) -> None:
    """The chosen learning rate has the best median of the metric, whose direction is the workload's."""
    winners = gdbench.tune(overfitting(), optimizer="adam", lr=RATES, trials=5, metric=metric, **SHARED)
    runs = gdbench.load(winners.attrs["folder"])
    medians = runs.groupby("lr")[column].median()
    row = winners.iloc[0]

    assert row["value"] == pytest.approx((sign * medians).min() * sign)
    assert medians[row["lr"]] == row["value"]
    assert medians.nunique() > 2
    assert runs.groupby("lr")["final_loss"].median().idxmin() != row["lr"]
    assert set(runs.loc[runs["lr"] == row["lr"], "tuned_for"]) == {metric}


def test_trials_that_miss_the_target_are_ranked_by_how_near_they_came() -> None:
    """The best trial has the highest held-out accuracy, not the lowest train loss; no run is at its target."""
    winners = gdbench.tune(
        overfitting(), optimizer="adam", lr=RATES, trials=5, target_metric="held_out.accuracy>=0.999", **SHARED
    )
    runs = gdbench.load(winners.attrs["folder"])
    medians = runs.groupby("lr")["best.held_out.accuracy"].median()

    assert medians[winners.iloc[0]["lr"]] == medians.max()
    assert runs["target_shortfall"].to_numpy(float) == pytest.approx((0.999 - runs["best.held_out.accuracy"]) / 0.999)
    assert not runs["status"].eq("target").any()


def test_a_shortfall_is_that_of_all_conditions_at_one_step() -> None:
    """The largest lacking part at a step counts, and the step at which it is least; NaN is infinitely far."""
    target = TargetMetric.parse("held_out.accuracy>=0.5 & train.loss<=0.2 & held_out.loss<=0")
    nan = float("nan")
    values = {
        "held_out.accuracy": torch.tensor([[0.4, 0.6, nan], [0.25, 0.45, nan]]).numpy(),
        "train.loss": torch.tensor([[0.1, 0.2, 0.1], [0.1, 0.3, 0.1]]).numpy(),
        "held_out.loss": torch.tensor([[0.0, -1.0, 0.0], [0.1, 0.0, 0.0]]).numpy(),
    }

    assert compute_shortfall(target, values).tolist() == pytest.approx([0.2, 0.0, float("inf")])


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """The runs of a sweep that is ranked by the loss on held-out data, and of one ranked by the accuracy."""
    given = {**SHARED, "optimizer": ["adam", "gd"], "lr": RATES, "outputs": tmp_path_factory.mktemp("outputs")}
    return {
        "held_out.loss": gdbench.sweep(overfitting(), **given),
        "held_out.accuracy": gdbench.sweep(overfitting(), metric="held_out.accuracy", **given),
    }


def test_runs_without_a_target_are_ranked_on_held_out_data(sweeps: dict[str, pd.DataFrame]) -> None:
    """The workload's own metric ranks them, or that of metric=, best first, with its value as it is."""
    for metric, sign in (("held_out.loss", 1), ("held_out.accuracy", -1)):
        table = rank_configurations(select_comparable(sweeps[metric]))
        medians = sweeps[metric].groupby(["optimizer", "lr"])[f"best.{metric}"].median()

        assert set(table["measure"]) == {metric}
        assert (sign * table["value"]).is_monotonic_increasing
        assert table["value"].tolist() == [medians[row.optimizer, row.lr] for row in table.itertuples()]
        assert (table["value_lo"] <= table["value"]).all()
        assert (table["value"] <= table["value_hi"]).all()


def test_rankings_by_different_metrics_are_not_mixed(sweeps: dict[str, pd.DataFrame]) -> None:
    """Sweeps of one workload that go by different metrics are different problems."""
    runs = pd.concat([rows.assign(run_id=metric + rows["run_id"]) for metric, rows in sweeps.items()])

    assert set(select_comparable(runs)["problem"].str.rpartition("selection metric ")[2]) == set(sweeps)


def test_sweeps_are_compared_by_the_metric_that_ranks_them(sweeps: dict[str, pd.DataFrame]) -> None:
    """A side with a higher accuracy is better, and differences, not ratios, are tested."""
    runs = sweeps["held_out.accuracy"]
    higher = runs.assign(selection_value=runs["selection_value"] + 0.05, run_id="b" + runs["run_id"])
    both = [runs.assign(side="a"), higher.assign(side="b")]
    seeds = [
        table.assign(seed=table["seed"] + 3 * shift, run_id=f"{shift}" + table["run_id"])
        for table in both
        for shift in range(2)
    ]
    table = compare_optimizers(select_comparable(pd.concat(seeds), ["side"]))
    table = table[table["cost"] == "gradients"]

    assert set(table["measure"]) == {"held_out.accuracy"}
    assert set(table["outcome"]) == {"better"}
    assert (table["b"] - table["a"]).tolist() == pytest.approx([0.05, 0.05])
    assert table["ratio"].isna().all()


def test_another_sweeper_minimises_the_metric(sweeps: dict[str, pd.DataFrame]) -> None:
    """The score of a cell is the metric, with a minus where the highest value is the best."""
    runs = sweeps["held_out.accuracy"]

    assert (
        score_cell(runs, "held_out.accuracy")
        == -runs.groupby(["optimizer", "lr"])["best.held_out.accuracy"].median().max()
    )
    assert score_cell(runs, "held_out.loss") > 0


@pytest.mark.slow
def test_the_verdict_is_by_the_held_out_metric(sweeps: dict[str, pd.DataFrame]) -> None:
    """The report's sentence has the metric in words, and its value as it is."""
    runs = sweeps["held_out.accuracy"]
    best = runs.groupby(["optimizer", "lr"])["best.held_out.accuracy"].median().max()
    (sentence,) = build_report(read_inputs([Path(runs.attrs["folder"])])).sentences

    assert f"is best: held-out accuracy {best:.4g} (median of 3 seeds" in sentence


def test_test_data_are_shown_and_select_nothing(command: Callable[..., Any]) -> None:
    """The terminal has held-out and test accuracy of the choice, and a metric on test data is refused in one line."""
    done = command("tune", *DIGITS, "optimizer=gd,adam", "lr=0.01,0.1", "trials=2", "metric=held_out.accuracy")
    table = done.out.splitlines()

    assert done.code == 0, done.err
    assert table[0].startswith("gdbench")
    assert "tuned for the highest held-out accuracy" in table[0]
    assert "held-out accuracy  test accuracy" in done.out
    assert "; test accuracy 0." in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*DIGITS, "metric=test.accuracy"], "metric=test.accuracy: test data select nothing"),
        ([*DIGITS, "metric=selected.test.loss"], "give metric=held_out.loss."),
        ([*DIGITS, "metric=held_out.acuracy"], "held_out.acuracy is not a metric of this workload. Did you mean"),
        ([*DIGITS, "metric=best.accuracy"], "of a training workload also held_out.NAME"),
        (["objective=rosenbrock", "metric=held_out.loss"], "metric=held_out.loss is for training workloads"),
    ],
    ids=lambda value: "" if isinstance(value, list) else value,
)
def test_a_metric_that_is_not_there_is_refused(command: Callable[..., Any], words: list[str], message: str) -> None:
    """In one line, with code 2, by tune and by a plain sweep."""
    for verb in ("tune", "run"):
        done = command(verb, *words)

        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert message in done.err


@pytest.mark.parametrize("name", representatives(["classification", "language", "all_training"], ["classification"]))
def test_an_experiment_of_workloads_is_one_command(command: Callable[..., Any], name: str) -> None:
    """Its cells are planned, each on a workload."""
    done = command("run", "--dry-run", f"experiment={name}")

    assert done.code == 0, done.err
    assert "optimizer=adam" in done.out


def test_a_tuned_comparison_of_workloads_is_one_command(command: Callable[..., Any]) -> None:
    """Seven methods and five seeds on three workloads, cut short: the choice by held-out loss, its test value shown."""
    words = ["steps=2", "judge_every=2", "points=2", "trials=2", "optimizer=adam", "objective=zipf_ratings", "--json"]
    done = command("tune", "experiment=training_comparison", *words)
    (row,) = json.loads(done.out)
    experiment = OmegaConf.load(ROOT / "conf" / "experiment" / "training_comparison.yaml")
    axes = {key: str(value).count(",") + 1 for key, value in experiment.hydra.sweeper.params.items()}

    assert (row["metric"], row["trials"], row["seeds"]) == ("held_out.loss", 2, 5)
    assert row["selected.test.loss"] > 0
    assert (axes["objective"], axes["optimizer"], axes["seed"]) == (3, 7, 5)
