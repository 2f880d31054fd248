"""Details of one objective or optimizer, as ``list objectives NAME`` prints them: they are built to be described."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdbench.config.compose import Composer, prepare_hydra
from gdbench.config.config_folders import find_config_dir
from gdbench.config.overrides import format_value
from gdbench.config.schema import FACTORY_KEYS, IMPLS
from gdbench.errors import Unavailable, list_few
from gdbench.sweeps.planner import plan_overrides
from gdbench.sweeps.sweep_spec import list_code_override

if TYPE_CHECKING:
    from gdbench.config.spec import CellSpec
    from gdbench.objectives.base import Objective
    from gdbench.objectives.training import Training
    from gdbench.sweeps.job import Job

__all__ = ["describe_objective", "describe_optimizer"]

TRIAL_OBJECTIVES = ("notebook_manual", "notebook_matrix", "lasso_proximal")
"""Where an optimizer is tried, the first that it can take: a number, a matrix, and one that has a proximal map."""
FEW = 6
"""Coordinates of a point that are printed; of a longer one, its size."""


def describe_objective(name: str, config_dir: Path | None) -> dict[str, Any]:
    """Dimension, start, minimum, constants, dtype and settings of an objective with its default settings."""
    from gdbench.engine.objective_factory import load_objective
    from gdbench.tree import numel

    (job,) = _plan_jobs([[f"objective={name}"]], config_dir)
    objective = load_objective(job.spec)
    start = objective.start_at(0)
    facts = {
        "dimension": numel(start),
        "start": "drawn from the seed" if callable(objective.start) else _format_point(start),
        **_describe_minimum(objective),
        "smoothness": objective.smoothness,
        "strong_convexity": objective.strong_convexity,
        "dtype": str(objective.dtype).removeprefix("torch."),
        "gradient": "of a batch in each step" if objective.batch else None,
        "source": objective.source or None,
        "factory": _name_factory(job.spec),
        **(_describe_training(objective.training) if objective.training else {}),
    }
    settings = _list_settings("objective", job.config["objective"])
    return {**{key: value for key, value in facts.items() if value is not None}, "settings": settings}


def _name_factory(spec: CellSpec) -> str:
    """The module and name of the function that makes an objective."""
    from gdbench.config.user_modules import import_from
    from gdbench.engine.factory_import import locate

    with import_from(spec.code):
        factory = locate(spec.objective_config["_target_"], f"objective={spec.objective}")
    return f"{factory.__module__}.{factory.__qualname__}"


def describe_optimizer(name: str, config_dir: Path | None) -> dict[str, Any]:
    """The default lr, the settings, and what carries each implementation out on the CPU, or why none does."""
    pairs = itertools.product(IMPLS[1:], TRIAL_OBJECTIVES)
    jobs = _plan_jobs(
        [[f"optimizer={name}", f"impl={impl}", f"objective={where}"] for impl, where in pairs], config_dir
    )
    config = jobs[0].config["optimizer"]
    trials = {impl: [job.spec for job in jobs if job.spec.impl == impl] for impl in IMPLS[1:]}
    return {
        "default_lr": config.get("default_lr"),
        "settings": _list_settings("optimizer", config),
        "implementations": {impl: _describe_implementation(specs) for impl, specs in trials.items()},
    }


def _describe_implementation(specs: Sequence[CellSpec]) -> str:
    """The function or class that takes a step of the first of these cells that can; else why the first cannot.

    The step is not compiled.
    """
    from gdbench.engine.build import build_cell
    from gdbench.engine.descent import descent

    reasons = []
    for spec in specs:
        try:
            cell = build_cell(spec)
            descent(cell.make_method.eager(cell.solo_hyper(0)), cell.oracle(laned=False), cell.start(0), range(1))
        except Unavailable as reason:
            reasons.append(f"unavailable: {reason}")
        else:
            return cell.make_method.implementation
    return reasons[0]


def _plan_jobs(choices: Sequence[Sequence[str]], config_dir: Path | None) -> list[Job]:
    """The cells of these overrides, on the CPU and with all other settings at their defaults."""
    folder = find_config_dir(config_dir)
    with prepare_hydra([folder] if folder else []):
        composer = Composer(config_dir=folder)
        shared = ["device=cpu", *list_code_override(folder)]
        return [job for words in choices for job in plan_overrides([*words, *shared], composer)]


def _list_settings(group: str, config: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a group's option as they are written on the command line, with their defaults."""
    return {f"{group}.{key}": format_value(value) for key, value in config.items() if key not in FACTORY_KEYS}


def _describe_minimum(objective: Objective) -> dict[str, Any]:
    """The minimum, how it is known, and where it is taken."""
    if objective.minimum is None:
        return {"minimum": "unknown"}
    return {
        "minimum": objective.minimum,
        "minimum_kind": objective.minimum_kind,
        "minimisers": "; ".join(_format_point(point) for point in objective.minimisers) or None,
    }


def _describe_training(training: Training) -> dict[str, Any]:
    """The samples of each split, the batch, and the metrics of a workload."""
    return {
        "splits": ", ".join(training.list_splits()),
        "train_samples": training.samples,
        "batch": training.batch,
        "steps_per_epoch": training.steps_per_epoch,
        "metrics": ", ".join(["loss", *training.metrics]),
        "selection": f"held_out.{training.selection}" if training.held_out is not None else None,
    }


def _format_point(point: Any) -> str:
    """The coordinates of a small point, else the shapes of its tensors."""
    named = list(point.items()) if isinstance(point, Mapping) else [("", point)]
    if len(named) == 1 and named[0][1].numel() <= FEW:
        return format_value([float(f"{number:.6g}") for number in named[0][1].double().flatten().tolist()])
    shapes = [f"{name} {list(tensor.shape)}".strip() for name, tensor in named]
    return list_few(shapes, FEW)
