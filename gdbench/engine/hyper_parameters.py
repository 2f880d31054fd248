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


def list_hyper_names(question: CellSpec) -> list[str]:
    """The names of all numbers that the factory of a method is given."""
    return [*list_swept_values(question), *list_facts(question)]


def list_facts(question: CellSpec) -> list[str]:
    """What a method needs to be told of the objective: null in its configuration, a number for its factory."""
    config = question.optimizer_config
    return [name for name in FACTS if name in config and config[name] is None]


def list_swept_values(question: CellSpec) -> dict[str, Any]:
    """The laneable hyper-parameters by the name the factory knows."""
    return {
        axis.name.removeprefix("optimizer."): axis.values
        for axis in question.axes
        if axis.name == "lr" or (axis.name.startswith("optimizer.") and axis.name != "optimizer.default_lr")
    }


def make_hyper_columns(question: CellSpec, objective: Objective) -> dict[str, Any]:
    """One column a hyper-parameter, float64: lr as given, or lr_scale times the default or 1/L; and the facts."""
    lanes = question.lanes()
    columns = {name: lanes[name if name == "lr" else f"optimizer.{name}"] for name in list_swept_values(question)}
    if np.isnan(columns["lr"]).any():
        base: Any = lanes["optimizer.default_lr"]
        if question.lr_scale_of == "L":
            if objective.smoothness is None:
                raise Unavailable(f"lr_scale_of=L: objective={question.objective} states no L; use lr_scale_of=null")
            base = 1 / objective.smoothness
        columns["lr"] = lanes["lr_scale"] * base
    if "noise" in question.around or objective.training is not None:
        columns[SEED] = lanes["seed"] + 1.0  # a plain 0 would be a structure of its own in compiled steps
    facts = {name: _read_stated(question, objective, name) for name in list_facts(question)}
    return columns | {name: make_constant(number, question.size) for name, number in facts.items()}


def _read_stated(question: CellSpec, objective: Objective, fact: str) -> float:
    """A number that an objective states of itself; Unavailable if it states none: other cells of a sweep may run."""
    number: float | None = getattr(objective, fact)
    if number is None:
        raise Unavailable(
            f"optimizer={question.optimizer} needs the {fact} of its objective, and objective={question.objective}"
            f" states none: give it as optimizer.{fact}="
        )
    return float(number)
