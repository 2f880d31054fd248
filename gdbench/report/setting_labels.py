"""Names of settings and metrics in headers and sentences."""

from __future__ import annotations

__all__ = ["SETTING_PHRASES", "metric_words", "setting_header"]

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
}
"""Phrases for values that need their name beside them."""


def metric_words(metric: str) -> str:
    """A metric in words: steps to the target, held-out accuracy, final train loss."""
    return METRIC_WORDS.get(metric) or metric.replace("held_out", "held-out").replace(".", " ").replace("_", " ")


def setting_header(name: str, names: list[str]) -> str:
    """The last part of a setting's dotted name if it is unique among ``names``, else the whole name."""
    last = name.rpartition(".")[2]
    is_unique = [other.rpartition(".")[2] for other in names].count(last) == 1
    return last if is_unique and not name.startswith(("schedule.", "clip.", "noise.")) else name
