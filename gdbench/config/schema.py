"""Schema of ``conf/config.yaml``: settings, groups, and allowed values."""

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
    "KEEP_CHOICES",
    "METRICS",
    "PARAMETER_GROUPS",
    "SCALAR_SETTINGS",
    "SETTINGS",
    "SWEEP_SETTINGS",
    "TRACES",
    "Settings",
    "Timing",
]


IMPLS = ("auto", "manual", "torch", "foreach", "fused", "capturable", "differentiable", "compiled")
"""Implementations of a method; auto: the first of manual and torch that it has."""
DTYPES = ("auto", "float32", "float64", "float16", "bfloat16")
TRACES = ("log", "full", "none")
KEEP_CHOICES = ("best",)
METRICS = (
    *("steps_to_target", "gradient_evals_to_target", "time_to_target", "steps_to_settle"),
    *("final_gap", "best_gap", "final_loss", "best_loss"),
)
"""Metrics of a search; lower is better (``gdbench.analysis.tuning_score``)."""
FACTORY_KEYS = ("_target_", "manual", "torch", "default_lr")
"""Keys of an objective or optimizer that name its factory or default; all others are its parameters."""
PARAMETER_GROUPS = "groups"
"""The key of an optimizer under which its parameter groups stand, options by rule; null where there are none."""
FACTS = ("smoothness", "strong_convexity", "minimum")
"""Parameters of an optimizer that default to the objective's own constant where they are null."""
AROUND = {"schedule": "constant", "clip": "none", "noise": "none", "average": "none"}
"""Groups that wrap a method, with the option of each that does nothing: its ``_target_`` is null."""
GROUPS = ("objective", "optimizer", "timing", *AROUND)
"""Settings that choose an option of a group, with settings of its own below it."""


@dataclass
class Timing:
    """The timing of a cell."""

    name: str = "quick"
    seconds: float = 0.5
    """The time budget of a cell in seconds; 0: no timing."""
    exclusive: bool = True
    """Whether timed cells of a launcher run one at a time on each machine."""


@dataclass
class Settings:
    """The settings of ``conf/config.yaml``; their values are checked by ``CellSpec.parse``."""

    objective: Any = None
    optimizer: Any = None
    timing: Timing = field(default_factory=Timing)
    schedule: Any = None
    clip: Any = None
    noise: Any = None
    average: Any = None
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
    target_metric: Any = "auto"
    judge_every: Any = "auto"
    exact: Any = False
    keep: Any = None
    metric: Any = "steps_to_target"
    """The metric of a search; no part of a cell's fingerprint, as it does not change the runs."""
    trials: Any = None
    """Points that a search tries in each row; None: by the number of ranges."""
    threads: Any = 1
    trace: Any = "log"
    name: Any = None
    outputs: Any = "outputs"
    resume: Any = None
    retry: Any = None
    tracker: Any = None
    """Trackers to which a finished sweep is exported."""
    max_seconds: Any = None
    """Seconds by the clock that a cell may take; no part of its fingerprint, as it does not change what has ended."""
    max_sweep_seconds: Any = None
    code: Any = None
    """The folder of the user's code (--config-dir), importable wherever the cell runs."""
    part: Any = None
    """Where a launched job writes its part of a sweep; set by gdbench."""


SETTINGS = tuple(field.name for field in fields(Settings) if field.name not in ("code", "part"))
"""Settings of users."""
SWEEP_SETTINGS = ("code", "max_seconds", "max_sweep_seconds", "metric", "name", "outputs", "resume", "retry", "trials")
"""Settings that all cells of a sweep share."""
SCALAR_SETTINGS = tuple(
    name for name in (*SETTINGS, "code") if name not in (*GROUPS, "lr", "lr_scale", "seed", "tracker")
)
"""Settings with one value in a cell, which take no list."""
