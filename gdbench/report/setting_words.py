"""How a setting, or a metric, is called in a table's header and in a sentence."""

from __future__ import annotations

__all__ = ["METRICS", "WORDED", "setting_header"]

METRICS = {
    "steps_to_target": "steps to the target",
    "gradient_evals_to_target": "gradients to the target",
    "time_to_target": "time to the target",
    "steps_to_settle": "steps to stay at the target",
    "final_gap": "final gap",
    "best_gap": "best gap",
    "final_loss": "final loss",
    "best_loss": "best loss",
}
"""What tune can seek, in words."""

WORDED = {
    **{name: f"{name.replace('_', ' ')} {{}}" for name in ("lr", "seed", "target", "target_loss", "start_noise")},
    "lr_scale": "lr_scale {}",
    "lr_scale_of": "lr_scale of {}",
    "steps": "{} steps",
    "threads": "{} threads",
    "schedule": "{} schedule",
    "clip": "clip {}",
    "noise": "noise {}",
}
"""Values that say nothing without a word beside them."""


def setting_header(name: str, shown: list[str]) -> str:
    """A setting by its last name, where no other column has that."""
    last = [other.rpartition(".")[2] for other in shown]
    alone = last.count(name.rpartition(".")[2]) == 1
    return name.rpartition(".")[2] if alone and not name.startswith(("schedule.", "clip.", "noise.")) else name
