"""What Hydra and OmegaConf say of a mistake in paragraphs, as one line in our words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml  # type: ignore[import-untyped]
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from gdbench.installation import install_command
from gdbench.schema import Run, UsageError, nearest

__all__ = ["reworded"]

EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}
"""Launchers that are installed on demand, with the extra that brings each."""


def reworded(error: Exception) -> UsageError:
    """What Hydra and OmegaConf say in paragraphs, in one line and our words."""
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        if group == "hydra/launcher" and name in EXTRAS:
            return UsageError(f"{group}={name} is not installed: {install_command(EXTRAS[name])}")
        return UsageError(
            f"{group}={name} is not known.{nearest(name, error.options)} {_where_listed(group, error.options)}"
        )
    if isinstance(error, OverrideParseException):
        return UsageError(
            f"{error.override} cannot be read ({_line(error)}). Write KEY=VALUE, in quotes where it holds ( or ,."
        )
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        place = error.problem_mark
        return UsageError(f"{place.name} cannot be read: line {place.line + 1}, {error.problem}.")
    text = f"{error} {error.__cause__ or ''}"
    if match := re.search(r"(?:Sweep parameters|Ambiguous value for argument) '(.*?)'", text):
        return UsageError(f"{match.group(1)} is a sweep: add -m, or write a list such as lr=[0.01,0.1].")
    if match := re.search(r"(?:Could not override '|full_key: )([\w.]+)", text):
        if re.search(r"is not in struct|not in '", text):
            return UsageError(_unknown_key(match.group(1)))
        return UsageError(f"{match.group(1)}: {_line(error.__cause__ or error)}.")
    if isinstance(error, (ConfigCompositionException, HydraException, OmegaConfBaseException, ValueError)):
        return UsageError(f"{_line(error)}. See python -m gdbench --help.")
    raise error


def _where_listed(group: str, options: Sequence[str]) -> str:
    if group in ("objective", "optimizer"):
        return f"All: python -m gdbench list {group}s"
    return f"Allowed: {', '.join(options)}."


def _unknown_key(key: str) -> str:
    group = key.partition(".")[0]
    if group == "hydra":
        return f"{key} is not a setting of Hydra's. See them with: python -m gdbench --cfg hydra; add one as +{key}=..."
    if "." in key:
        see = f"python -m gdbench {group}=NAME --cfg job -p {group}"
        return f"{key} is not a setting of the chosen {group}. See its settings with: {see}"
    known = [name for name in Run.__dataclass_fields__ if name not in ("code", "part")]
    return f"{key} is not a setting.{nearest(key, known)} Allowed: {', '.join(known)}."


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".:") if str(error).strip() else type(error).__name__
