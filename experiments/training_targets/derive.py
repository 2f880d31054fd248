"""Derive the targets of the training workloads: ``python -m experiments.training_targets.derive [NAME ...]``.

The target of a workload is what the best of four tuned methods reaches within its budget: the median over seeds of the
best held-out value, at the learning rate of each method that makes it best, rounded to three digits to the easier side.
Writes ``targets.csv``, a row per workload and method; the factories in ``gdbench/objectives/workloads`` state the
targets, and a test holds them to the table.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import gdbench

TARGETS = Path(__file__).with_name("targets.csv")
METHODS = ("gd", "momentum", "rmsprop", "adam")
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0)
SEEDS = (0, 1, 2)
ACCURACY, LOSS = "held_out.accuracy", "held_out.loss"


@dataclass(frozen=True)
class Budget:
    """What a workload's methods may spend, and the metric that its target is on."""

    metric: str = LOSS
    steps: int = 100
    judge_every: int = 10
    impl: str = "auto"


BUDGETS = {
    "block_model_gcn": Budget(steps=150),
    "diabetes_mlp": Budget(steps=150),
    "poisson_pinn": Budget(steps=150),
    "zipf_ratings": Budget(steps=150),
    "zipf_bigram": Budget(steps=150),
    "digits_mlp": Budget(ACCURACY),
    "digits_vae": Budget(),
    "digits_autoencoder": Budget(),
    "digits_cnn": Budget(ACCURACY),
    "char_gru": Budget(judge_every=20),
    "char_transformer": Budget(judge_every=20, impl="torch"),  # lanes cost more than modules here
}
"""The cheapest first."""


def derive_target(name: str) -> pd.DataFrame:
    """Tune the four methods on a workload: a row each with its best learning rate, its value, and the target."""
    budget = BUDGETS[name]
    winners = gdbench.tune(
        name,
        optimizer=list(METHODS),
        lr=list(RATES),
        trials=len(RATES),
        seed=list(SEEDS),
        steps=budget.steps,
        judge_every=budget.judge_every,
        impl=budget.impl,
        metric=budget.metric,
        target_metric=None,
        timing="off",
        trace="none",
        device="cpu",
    )
    best = winners.iloc[0]
    columns = winners[["optimizer", "lr", "value", "edges"]].assign(
        workload=name, metric=budget.metric, steps=budget.steps, judge_every=budget.judge_every
    )
    return columns.assign(target=format_target(budget.metric, float(best["value"])))


def format_target(metric: str, value: float) -> str:
    """Format a target: the value rounded to three digits, up for a loss, down for an accuracy."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    rounded = (math.floor(value / unit + 1e-9) if metric == ACCURACY else math.ceil(value / unit - 1e-9)) * unit
    return f"{metric}{'>=' if metric == ACCURACY else '<='}{rounded:.3g}"


def write_targets(names: list[str]) -> None:
    """Derive the targets of some workloads and write them beside those of the others."""
    for name in names:
        rows = derive_target(name)
        others = pd.read_csv(TARGETS).query("workload != @name") if TARGETS.exists() else rows.head(0)
        order = ["workload", "metric", "steps", "judge_every", "optimizer", "lr", "value", "edges", "target"]
        table = pd.concat([others, rows], ignore_index=True)[order]
        table.sort_values("workload", kind="stable").to_csv(TARGETS, index=False)
        print(f"{name}: {rows['target'].iloc[0]} by {rows['optimizer'].iloc[0]}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Derives the targets of the training workloads.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="workloads; default: all")
    write_targets(parser.parse_args().names or list(BUDGETS))
