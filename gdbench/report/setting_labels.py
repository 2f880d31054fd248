"""Names of settings and metrics in headers and sentences."""

from __future__ import annotations

import pandas as pd

__all__ = ["SETTING_PHRASES", "is_ranked_by_loss", "metric_header", "metric_headers", "metric_words", "setting_header"]

METRIC_WORDS = {
    "steps_to_target": "steps to the target",
    "gradient_evals_to_target": "gradients to the target",
    "time_to_target": "time to the target",
    "steps_to_settle": "steps to stay at the target",
    "final_gap": "final gap",
    "best_gap": "best gap",
    "final_loss": "final loss",
    "best_loss": "best loss",
}
"""The metrics that ``tune`` can minimise, beside those of training workloads."""

METRIC_PREFIXES = {"best.held_out.": "held-out ", "selected.test.": "test ", "final.train.": "train "}
"""Prefixes of the columns of metrics that tables of runs show, and of their headers."""

SETTING_PHRASES = {
    **{name: f"{name.replace('_', ' ')} {{}}" for name in ("lr", "seed", "target", "target_loss", "start_noise")},
    "lr_scale": "lr_scale {}",
    "lr_scale_of": "lr_scale of {}",
    "steps": "{} steps",
    "target_metric": "target {}",
    "judge_every": "judged every {} steps",
    "selection_metric": "ranked by {}",
    "threads": "{} threads",
    "schedule": "{} schedule",
    "clip": "clip {}",
    "noise": "noise {}",
    "average": "average {}",
}
"""Phrases for values that need their name beside them."""


def metric_words(metric: str) -> str:
    """A metric in words: steps to the target, held-out accuracy, final train loss."""
    return METRIC_WORDS.get(metric) or metric.replace("held_out", "held-out").replace(".", " ").replace("_", " ")


def setting_header(name: str, names: list[str]) -> str:
    """The last part of a setting's dotted name if it is unique among ``names``, else the whole name."""
    last = name.rpartition(".")[2]
    is_unique = [other.rpartition(".")[2] for other in names].count(last) == 1
    return last if is_unique and not name.startswith(("schedule.", "clip.", "noise.", "average.")) else name


def metric_headers(runs: pd.DataFrame) -> dict[str, str]:
    """The headers of the metrics that tables of training runs show, by column, the loss last.

    These are the best on held-out data and those on test data at the selected step, else the last on training data. The
    loss is shown where it ranks the runs, or where there is no other metric.
    """
    names = {prefix: _list_metrics(runs, prefix) for prefix in METRIC_PREFIXES}
    if names["best.held_out."]:
        del names["final.train."]
    return {name: metric_header(name) for columns in names.values() for name in columns}


def metric_header(name: str) -> str:
    """The header of a column of a metric, as held-out accuracy."""
    prefix = next(prefix for prefix in METRIC_PREFIXES if name.startswith(prefix))
    return METRIC_PREFIXES[prefix] + name.removeprefix(prefix).replace("_", " ")


def is_ranked_by_loss(runs: pd.DataFrame) -> bool:
    """Whether the held-out loss ranks some of these training runs."""
    ranks = [runs[name].astype(str) for name in ("selection_metric", "metric") if name in runs]
    return any(bool(names.str.endswith("held_out.loss").any()) for names in ranks)


def _list_metrics(runs: pd.DataFrame, prefix: str) -> list[str]:
    names = [name for name in map(str, runs) if name.startswith(prefix) and runs[name].notna().any()]
    if is_ranked_by_loss(runs):
        return sorted(names, key=lambda name: name.endswith(".loss"))
    return [name for name in names if not name.endswith(".loss")] or names
