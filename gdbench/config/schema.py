"""The schema of ``conf/config.yaml``: the settings, the groups and the values that are known."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

__all__ = [
    "AROUND",
    "DTYPES",
    "FACTORY_KEYS",
    "FACTS",
    "GROUPS",
    "IMPLS",
    "METRICS",
    "SCALAR_SETTINGS",
    "SETTINGS",
    "SWEEP_SETTINGS",
    "TRACES",
    "Settings",
    "Timing",
]


IMPLS = ("auto", "manual", "torch", "foreach", "fused", "capturable", "differentiable", "compiled")
"""Who may carry a method out; auto: the first of manual and torch that the method has."""
DTYPES = ("auto", "float32", "float64", "float16", "bfloat16")
TRACES = ("log", "full", "none")
METRICS = (
    *("steps_to_target", "gradient_evals_to_target", "time_to_target", "steps_to_settle"),
    *("final_gap", "best_gap", "final_loss", "best_loss"),
)
"""What a search can rank by; lower is better in all of them (``gdbench.analysis.tuning_metric``)."""
FACTORY_KEYS = ("_target_", "manual", "torch", "default_lr")
"""Keys of an objective or optimizer that say how it is made, not what is asked of it."""
FACTS = ("smoothness", "strong_convexity", "minimum")
"""Parameters of an optimizer that are null where the objective's own is meant."""
AROUND = {"schedule": "constant", "clip": "none", "noise": "none"}
"""Groups of what is put around a method, and the option of each that puts nothing there: its ``_target_`` is null."""
GROUPS = ("objective", "optimizer", "timing", *AROUND)
"""Settings that are an option of a group, with its own settings below it."""


@dataclass
class Timing:
    """How much of the clock a cell gets."""

    name: str = "quick"
    seconds: float = 0.5
    """The time budget of a cell; 0 times nothing."""
    exclusive: bool = True
    """Whether timed cells that a launcher carries take turns on each machine."""


@dataclass
class Settings:
    """The schema of ``conf/config.yaml``: what a user may set. The values are checked by ``CellSpec.parse``."""

    objective: Any = None
    optimizer: Any = None
    timing: Timing = field(default_factory=Timing)
    schedule: Any = None
    clip: Any = None
    noise: Any = None
    lr: Any = 0.1
    lr_scale: Any = 1.0
    lr_scale_of: Any = None
    points: Any = 100
    steps: Any = 100
    seed: Any = 0
    start_noise: Any = 0.0
    impl: Any = "auto"
    dtype: Any = "auto"
    device: Any = "auto"
    target: Any = 1e-6
    target_loss: Any = None
    metric: Any = "steps_to_target"
    """What a search ranks by; no part of the question, as the runs are the same whatever is made of them."""
    trials: Any = None
    """How many points a search tries in each row; None: what suits the number of ranges."""
    threads: Any = 1
    trace: Any = "log"
    name: Any = None
    outputs: Any = "outputs"
    resume: Any = None
    retry: Any = None
    tracker: Any = None
    """What the sweep is copied to when it has ended; no part of the question."""
    code: Any = None
    """A folder of the user's own code (that of --config-dir), importable wherever the cell runs."""
    part: Any = None
    """Where a launched job writes its part of a sweep; set by the sweeper."""


SETTINGS = tuple(each.name for each in fields(Settings) if each.name not in ("code", "part"))
"""What a user may set."""
SWEEP_SETTINGS = ("code", "metric", "name", "outputs", "resume", "retry", "trials")
"""Settings that a sweep has once, for all of its cells."""
SCALAR_SETTINGS = tuple(
    each.name for each in fields(Settings) if each.name not in (*GROUPS, "lr", "lr_scale", "seed", "tracker", "part")
)
"""Settings that are no axis within a cell, and so take no list."""
