"""Targets of the training workloads: what their factories state is what the kept table derives."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import gdbench
from experiments.training_targets import derive
from gdbench import objectives

TABLE = pd.read_csv(derive.TARGETS)


@pytest.mark.parametrize("name", derive.BUDGETS)
def test_a_workload_states_the_target_that_was_derived(name: str) -> None:
    """The factory's target is that of the best of four methods in targets.csv, for the workload as it ships."""
    rows = TABLE[TABLE["workload"] == name]
    values = rows["value"] if derive.BUDGETS[name].metric == derive.LOSS else -rows["value"]

    assert sorted(rows["optimizer"]) == sorted(derive.METHODS)
    assert (rows["steps"] == derive.BUDGETS[name].steps).all()
    assert set(rows["target"]) == {derive.format_target(derive.BUDGETS[name].metric, abs(values.min()))}
    assert getattr(objectives, name)().target_metric == rows["target"].iloc[0]


@pytest.mark.parametrize(
    ("metric", "value", "target"),
    [
        ("held_out.loss", 0.16267, "held_out.loss<=0.163"),
        ("held_out.loss", 4.921, "held_out.loss<=4.93"),
        ("held_out.accuracy", 0.96667, "held_out.accuracy>=0.966"),
    ],
)
def test_a_target_is_rounded_to_the_easier_side(metric: str, value: float, target: str) -> None:
    """To three digits: up for a loss, down for an accuracy."""
    assert derive.format_target(metric, value) == target


@pytest.mark.slow
@pytest.mark.campaign
def test_a_target_is_derived_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocol finds the values of the table, to what processors round."""
    monkeypatch.chdir(tmp_path)
    again = derive.derive_target("zipf_ratings").set_index("optimizer")["value"]
    kept = TABLE[TABLE["workload"] == "zipf_ratings"].set_index("optimizer")["value"]

    assert again.to_dict() == pytest.approx(kept.to_dict(), rel=1e-2)


def test_a_workload_with_other_data_has_no_target() -> None:
    """A target is of the data that it was derived on."""
    assert objectives.zipf_bigram(words=64).target_metric is None
    assert objectives.block_model_gcn(nodes=100).target_metric is None


def test_target_metric_auto_is_the_workloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``auto`` takes the workload's target, null none; one's own, or a target_loss, takes its place."""
    monkeypatch.chdir(tmp_path)
    own = objectives.zipf_ratings().target_metric
    given = {
        "auto": ({}, own),
        "null": ({"target_metric": None}, None),
        "own": ({"target_metric": "held_out.loss<=0.7"}, "held_out.loss<=0.7"),
        "loss": ({"target_loss": 0.5}, None),
    }
    for settings, expected in given.values():
        row = gdbench.run("zipf_ratings", optimizer="adam", lr=0.1, steps=4, timing="off", device="cpu", **settings)
        assert (None if pd.isna(row["target_metric"].iloc[0]) else row["target_metric"].iloc[0]) == expected
        assert pd.isna(row["selection_metric"].iloc[0]) == (expected is not None or "target_loss" in settings)
