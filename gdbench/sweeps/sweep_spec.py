"""What a sweep is asked to run, as data: command line and Python API make it, the planner makes cells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.override_parser.types import Override

from gdbench.config.compose import Composer
from gdbench.config.overrides import code_override
from gdbench.sweeps.python_objective import PythonObjective

__all__ = ["SweepSpec", "list_code_override", "list_repeated", "parse_spec", "to_command", "to_overrides"]

NOT_REPEATED = ("code=", "resume=", "retry=")
"""Overrides that say which sweep to continue, and where code lies on this machine."""


@dataclass(frozen=True)
class SweepSpec:
    """The overrides of a sweep, each parsed once, and the folder of the user's own configurations and code."""

    overrides: Mapping[str, Override] = field(default_factory=dict)
    """The last override of each key: a choice of a group, the value of a setting, or an axis."""
    given: Sequence[str] = ()
    """The overrides as they came, to be recorded."""
    config_dir: Path | None = None
    """The folder of --config-dir."""
    objective: PythonObjective | None = None
    """The objective that was given from Python, in place of a named one."""
    kind: str = "sweep"
    """``run``, ``sweep``, ``tune`` or ``optuna``: the name of the sweep's folder where it was given none."""

    @property
    def axes(self) -> dict[str, Override]:
        """The overrides with several values, in the order in which they were given."""
        return {key: override for key, override in self.overrides.items() if override.is_sweep_override()}

    @property
    def fixed_overrides(self) -> dict[str, Override]:
        """The overrides that all cells share."""
        return {key: override for key, override in self.overrides.items() if not override.is_sweep_override()}


def parse_spec(
    words: Sequence[str],
    composer: Composer,
    *,
    declared: Sequence[str] = (),
    config_dir: Path | None = None,
    objective: PythonObjective | None = None,
    kind: str = "sweep",
) -> SweepSpec:
    """The sweep that overrides describe; ``declared`` are the axes of an experiment, which ``words`` may replace."""
    latest = composer.parse_latest([*declared, *words])
    tracker = latest.get("tracker")
    if tracker is not None and tracker.is_sweep_override():  # nobody wants a run for each tracker
        latest["tracker"] = composer.parse(f"tracker=[{','.join(tracker.sweep_string_iterator())}]")
    if config_dir is not None:
        latest.pop("code", None)
    return SweepSpec(latest, tuple(words), config_dir, objective, kind)


def list_code_override(config_dir: Path | None) -> list[str]:
    """The override by which cells find the code in the user's folder, if there is one."""
    return [code_override(config_dir)] if config_dir else []


def to_overrides(spec: SweepSpec) -> list[str]:
    """The overrides that all cells share, as text; a cell finds the user's code by the last of them."""
    return [
        *(str(override.input_line) for override in spec.fixed_overrides.values()),
        *list_code_override(spec.config_dir),
    ]


def to_command(spec: SweepSpec) -> list[str]:
    """The words of the command line that repeats a sweep."""
    multirun = ["-m"] if spec.kind == "sweep" else []
    code = ["--config-dir", str(spec.config_dir)] if spec.config_dir else []
    return [*multirun, *code, *list_repeated(spec)]


def list_repeated(spec: SweepSpec) -> list[str]:
    """The overrides as they came, without those that name a sweep to continue."""
    return [word for word in spec.given if not word.startswith(NOT_REPEATED)]
