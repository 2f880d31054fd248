"""The parameter groups of a configuration: found for its objective, and turned into numbers of methods or of torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gdbench.config.schema import PARAMETER_GROUPS
from gdbench.config.spec import CellSpec
from gdbench.engine.factory_import import check_arguments
from gdbench.objectives.base import Objective
from gdbench.objectives.training_objective import make_seeded_module
from gdbench.optimizers.base import Hyper, Method
from gdbench.optimizers.method_groups import group_methods
from gdbench.optimizers.parameter_groups import LR_SCALE, ParameterGroup, assign_groups, parse_rules
from gdbench.optimizers.torch_construction import torch_arguments

__all__ = ["check_group_options", "read_groups", "translate_options", "with_groups"]


def read_groups(spec: CellSpec, objective: Objective | None) -> list[ParameterGroup]:
    """The parameter groups that a configuration asks for; none where it asks for none.

    Raises UsageError for rules or options that are not known, or do not fit the parameters.
    """
    given = spec.optimizer_config.get(PARAMETER_GROUPS)
    if given is None or objective is None:
        return []
    rules = parse_rules(given)
    training = objective.training
    module = None if training is None else make_seeded_module(training, 0)[0]
    return assign_groups(rules, objective.start_at(0), module)


def check_group_options(
    groups: Sequence[ParameterGroup], factory: Callable[..., Any], choice: str, known: bool = True
) -> None:
    """``UsageError`` if a factory takes other kinds of values than a group's options have, or no such options.

    Without ``known``, options that it does not take are not refused.
    """
    names = inspect.signature(factory).parameters
    for group in groups:
        options = {name: value for name, value in remove_lr_scale(group.options).items() if known or name in names}
        check_arguments(factory, options, "optimizer", choice, f"optimizer.groups.{group.rule}")


def replace_numbers(hyper: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a group: those of the method, with the options in their place."""
    numbers = {**hyper, **remove_lr_scale(options)}
    if LR_SCALE in options:
        numbers["lr"] = hyper["lr"] * options[LR_SCALE]
    return numbers


def remove_lr_scale(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are numbers of the method itself."""
    return {name: value for name, value in options.items() if name != LR_SCALE}


def translate_options(
    groups: Sequence[ParameterGroup], hyper: Mapping[str, Any], block: Mapping[str, Any]
) -> list[ParameterGroup]:
    """The groups with options by the names that torch knows, for a method with these hyper-parameters.

    Options that the method does not have, such as use_muon of a package, are passed on as they are.
    """
    shared = torch_arguments(block, hyper)

    def translate(group: ParameterGroup) -> ParameterGroup:
        own = torch_arguments(block, replace_numbers(hyper, group.options))
        return replace(group, options={name: value for name, value in own.items() if shared.get(name, ...) != value})

    return [translate(group) for group in groups]


def with_groups(
    make: Callable[[Mapping[str, Hyper]], Method], groups: Sequence[ParameterGroup]
) -> Callable[[Mapping[str, Hyper]], Method]:
    """``make``, with the numbers of each group for the parameters of that group."""
    names = [group.names for group in groups]

    def make_method(hyper: Mapping[str, Hyper]) -> Method:
        return group_methods([make(replace_numbers(hyper, group.options)) for group in groups], names)

    return make_method
