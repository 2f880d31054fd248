"""How a setting is called in a table's header and in a sentence."""

from __future__ import annotations

__all__ = ["WORDED", "setting_header"]

WORDED = {
    **{name: f"{name.replace('_', ' ')} {{}}" for name in ("lr", "seed", "target", "target_loss", "start_noise")},
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
