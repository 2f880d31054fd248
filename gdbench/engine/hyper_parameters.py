"""The hyper-parameters of a method, one value for each run."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdbench.config.schema import FACTS
from gdbench.config.spec import CellSpec
from gdbench.errors import Unavailable
from gdbench.objectives.base import Objective
from gdbench.results.constant_column import make_constant

__all__ = ["SEED", "list_facts", "list_hyper_names", "list_swept_values", "make_hyper_columns"]


SEED = "seed"
"""The name among a method's numbers of its run's seed plus 1, where gradients have a noise or a module is trained."""


def list_hyper_names(spec: CellSpec) -> list[str]:
    """The names of all numbers that the factory of a method is given."""
    return [*list_swept_values(spec), *list_facts(spec)]


def list_facts(spec: CellSpec) -> list[str]:
    """What a method needs to be told of the objective: null in its configuration, a number for its factory."""
    config = spec.optimizer_config
    return [name for name in FACTS if name in config and config[name] is None]


def list_swept_values(spec: CellSpec) -> dict[str, Any]:
    """The laneable hyper-parameters by the name the factory knows."""
    return {
        axis.name.removeprefix("optimizer."): axis.values
        for axis in spec.axes
        if axis.name == "lr" or (axis.name.startswith("optimizer.") and axis.name != "optimizer.default_lr")
    }


def make_hyper_columns(spec: CellSpec, objective: Objective) -> dict[str, Any]:
    """One column a hyper-parameter, float64: lr as given, or lr_scale times the default or 1/L; and the facts."""
    lanes = spec.lanes()
    columns = {name: lanes[name if name == "lr" else f"optimizer.{name}"] for name in list_swept_values(spec)}
    if np.isnan(columns["lr"]).any():
        base: Any = lanes["optimizer.default_lr"]
        if spec.lr_scale_of == "L":
            if objective.smoothness is None:
                raise Unavailable(f"lr_scale_of=L: objective={spec.objective} states no L; use lr_scale_of=null")
            base = 1 / objective.smoothness
        columns["lr"] = lanes["lr_scale"] * base
    if "noise" in spec.around or objective.training is not None:
        columns[SEED] = lanes["seed"] + 1.0  # a plain 0 would be a structure of its own in compiled steps
    facts = {name: _read_stated(spec, objective, name) for name in list_facts(spec)}
    return columns | {name: make_constant(number, spec.size) for name, number in facts.items()}


def _read_stated(spec: CellSpec, objective: Objective, fact: str) -> float:
    """A number that an objective states of itself; Unavailable if it states none: other cells of a sweep may run."""
    number: float | None = getattr(objective, fact)
    if number is None:
        raise Unavailable(
            f"optimizer={spec.optimizer} needs the {fact} of its objective, and objective={spec.objective}"
            f" states none: give it as optimizer.{fact}="
        )
    return float(number)
