"""Method factories: the manual or compiled method of a configuration, or torch.optim's."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from gdbench.config.schema import FACTORY_KEYS, PARAMETER_GROUPS
from gdbench.config.spec import CellSpec
from gdbench.config.user_modules import USER_ERRORS, import_from
from gdbench.engine.cell import MethodFactory
from gdbench.engine.device import resolve_device
from gdbench.engine.factory_import import apply_settings_of, check_arguments, is_ours, locate
from gdbench.engine.gc_pause import pause_gc
from gdbench.engine.group_options import check_group_options, read_groups, translate_options, with_groups
from gdbench.engine.hyper_parameters import SEED, list_facts, list_hyper_names, list_swept_values
from gdbench.engine.training.compiled_loss import CompiledLoss
from gdbench.engine.training.functional import read_buffers
from gdbench.errors import Unavailable, UsageError
from gdbench.objectives.base import Objective
from gdbench.optimizers.base import Hyper, Method, Step, first_order
from gdbench.optimizers.gradient_transforms import GradientTransform, gradient_noise, with_gradient_transform
from gdbench.optimizers.projection import with_projection
from gdbench.optimizers.schedules import with_schedule, with_torch_schedule
from gdbench.optimizers.torch_construction import (
    OptimizerSpec,
    clone_parameter,
    find_kind,
    list_lr_names,
    public_name,
    torch_arguments,
)
from gdbench.optimizers.torch_module import ComputeLoss, check_autocast, module_method, refuse_function
from gdbench.optimizers.torch_needs import read_needs
from gdbench.optimizers.torch_optim import function_method
from gdbench.optimizers.weight_averaging import with_average
from gdbench.tree import Params, tree_map

__all__ = ["MAX_SAMPLES", "make_method_factory"]


MAX_SAMPLES = 64
"""Combinations of numbers with which a method is tried before a cell is refused as a whole."""


def make_method_factory(spec: CellSpec, objective: Objective | None = None) -> MethodFactory:
    """The method factory of a cell; Unavailable where there is no such implementation or compiler.

    Methods are projected onto the domain of the objective, where it has ``project``; proximal ones are Unavailable
    where it has no ``prox``.
    """
    with import_from(spec.code):
        return _make_factory(spec, objective)


def _make_factory(spec: CellSpec, objective: Objective | None) -> MethodFactory:
    config = spec.optimizer_config
    apart = (*FACTORY_KEYS, PARAMETER_GROUPS, *list_facts(spec))
    fixed = {key: value for key, value in config.items() if key not in apart}
    is_pure = spec.impl == "manual" or (spec.impl == "compiled" and (objective is None or objective.training is None))
    block = dict(config.get("manual" if is_pure else "torch") or {})
    if not block and not (config.get("manual") or config.get("torch")):
        raise UsageError(
            f"optimizer={spec.optimizer} states neither manual nor torch: its file must name the factory of one,"
            " as in torch: {_target_: package.module.Class}."
        )
    if not block:
        there = "torch" if is_pure else "manual"
        raise Unavailable(f"optimizer={spec.optimizer} has no {spec.impl} implementation; try impl={there}")
    factory = locate(block.pop("_target_", None), f"optimizer={spec.optimizer}")
    apply_settings_of(factory)
    if is_pure:
        return _make_manual_factory(spec, factory, {**block, **fixed}, objective)
    return _make_torch_factory(spec, factory, block, fixed, objective)


def _make_manual_factory(
    spec: CellSpec, factory: Callable[..., Any], fixed: dict[str, Any], objective: Objective | None
) -> MethodFactory:
    check_arguments(factory, {**fixed, **dict.fromkeys(list_hyper_names(spec), 0.0)}, "optimizer", spec.optimizer)

    if objective is not None and objective.training is not None:
        refuse_function(objective.training)
    project = objective.project if objective else None
    ours = is_ours(factory)

    def bare(hyper: Mapping[str, Hyper]) -> Method:
        made = factory(**{**fixed, **hyper})
        method = made if isinstance(made, Method) else first_order(*made)
        return method if ours else method.as_mutating()

    schedule = _call_group_factory(spec, "schedule", steps=spec.steps)
    scheduled = with_schedule(bare, schedule) if schedule else bare
    groups = read_groups(spec, objective)
    check_group_options(groups, factory, spec.optimizer)
    whole = with_groups(scheduled, groups) if groups else scheduled
    projected = whole if project is None else lambda hyper: with_projection(whole(hyper), project)
    make = _with_average(spec, _with_gradient_transform(spec, projected, objective), objective)
    name = f"{factory.__module__}.{factory.__qualname__}"
    sample = _try_numbers(lambda numbers: _to_method(factory(**fixed, **numbers), name), spec)
    if sample.proximal and objective and objective.prox is None:
        raise Unavailable(
            f"optimizer={spec.optimizer} needs the proximal map of a part of its objective, and"
            f" objective={spec.objective} states none; try objective=lasso_proximal"
        )
    if spec.impl == "manual":
        return MethodFactory(make, name + _describe_groups(spec), sample.lanes)
    with pause_gc():  # it brings in the compiler, which takes its time
        from gdbench.engine.compile.program import Program

    program = Program(lambda **hyper: make(hyper))
    return MethodFactory(make, f"torch.compile({name})" + _describe_groups(spec), True, program)


def _try_numbers(make: Callable[[Mapping[str, float]], Method], spec: CellSpec) -> Method:
    """The method of the first numbers of a cell that ``make`` takes: those that it refuses fail their own runs alone.

    Raises what it raised for the very first numbers where it takes none.
    """
    ends = [
        dict.fromkeys(float(values[i]) for i in (0, -1, len(values) // 2))
        for values in list_swept_values(spec).values()
    ]
    first: BaseException | None = None
    for numbers in itertools.islice(itertools.product(*ends), MAX_SAMPLES):
        pairs = zip(list_swept_values(spec), numbers, strict=True)
        given = {name: 1.0 if math.isnan(number) else number for name, number in pairs}
        try:
            return make(dict.fromkeys(list_facts(spec), 1.0) | given)
        except Unavailable:  # of the implementation, whatever its numbers
            raise
        except USER_ERRORS as error:
            first = first or error
    assert first is not None
    raise first


def _to_method(made: Any, name: str) -> Method:
    """What a factory made: a Method, or the pair of functions that makes one."""
    if isinstance(made, Method):
        return made
    if isinstance(made, tuple) and len(made) == 2 and all(map(callable, made)):
        return first_order(*made)
    raise UsageError(
        f"{name} returned {type(made).__name__}; it must return a gdbench.optimizers.Method, or a pair of functions:"
        " init(x) -> state and update(k, grad, state, x) -> (x, state)."
    )


def _make_torch_factory(
    spec: CellSpec, factory: Any, block: dict[str, Any], fixed: dict[str, Any], objective: Objective | None
) -> MethodFactory:
    names = torch_arguments(block, {**fixed, **dict.fromkeys(list_hyper_names(spec), 0.0)})
    needs = read_needs(block, spec.optimizer)
    _require_lr(factory, names, spec.optimizer)
    check_arguments(factory, names, "optimizer", spec.optimizer)
    schedule = _call_group_factory(spec, "schedule", steps=spec.steps)
    project = objective.project if objective else None
    numbers = {name: float(np.nan_to_num(values[0], nan=1.0)) for name, values in list_swept_values(spec).items()}
    sample = {**fixed, **dict.fromkeys(list_facts(spec), 1.0), **numbers}
    point = objective.start_at(0) if objective else torch.ones(2, 2)
    kind = factory if isinstance(factory, type) else find_kind(factory, point, torch_arguments(block, sample))
    groups, split = read_groups(spec, objective), _split_transform(spec)

    def make_optimizer_spec(hyper: Mapping[str, Hyper]) -> OptimizerSpec:
        given = {**fixed, **hyper}
        options = translate_options(groups, given, block)
        impl = "torch" if spec.impl == "compiled" else spec.impl
        return OptimizerSpec(factory, torch_arguments(block, given), impl, kind, needs, options)

    def schedule_rates(method: Method) -> Method:
        return with_torch_schedule(method, schedule, list_lr_names(block)) if schedule else method

    def make_function_method(hyper: Mapping[str, Hyper]) -> Method:
        return schedule_rates(with_projection(function_method(make_optimizer_spec(hyper)), project))

    def make_module_method(hyper: Mapping[str, Hyper], compute_loss: ComputeLoss | None = None) -> Method:
        seed, numbers, transform = split(hyper)
        assert objective is not None
        assert objective.training is not None
        made = make_optimizer_spec(numbers)
        return schedule_rates(module_method(objective.training, int(seed) - 1, made, transform, compute_loss))

    _try_numbers(make_function_method, spec)
    if groups:
        check_group_options(translate_options(groups, sample, block), factory, spec.optimizer, known=False)
        make_optimizer_spec(sample).build(tree_map(clone_parameter, point))
    implementation = f"{public_name(factory)}({spec.impl})" + _describe_groups(spec)
    if objective is not None and objective.training is not None:
        check_autocast(objective.training, resolve_device(spec.device))
        make = _with_average(spec, make_module_method, objective)
        if spec.impl != "compiled":
            return MethodFactory(make, implementation, False, uses_module=True)
        if make_optimizer_spec(sample).uses_graph:
            raise Unavailable(
                f"{public_name(factory)} differentiates its gradient, which a compiled graph does not allow: use"
                " impl=torch"
            )
        loss = CompiledLoss(objective.training)
        compiled = _with_average(spec, partial(make_module_method, compute_loss=loss), objective)
        return MethodFactory(make, implementation, False, uses_module=True, compiled_loss=loss, compiled=compiled)
    make = _with_average(spec, _with_gradient_transform(spec, make_function_method, objective), objective)
    return MethodFactory(make, implementation, False)


def _require_lr(factory: Callable[..., Any], names: Mapping[str, Any], choice: str) -> None:
    """``UsageError`` that teaches the renaming, if a factory takes no parameter of the name lr."""
    known = inspect.signature(factory).parameters
    if "lr" in names and "lr" not in known and all(known[name].kind is not known[name].VAR_KEYWORD for name in known):
        raise UsageError(
            f"optimizer={choice}: {public_name(factory)} has no parameter lr; it takes: {', '.join(known)}."
            " Where its learning rate has another name, say so in the torch block: `learning_rate: lr`."
        )


def _call_group_factory(spec: CellSpec, group: str, **extra: Any) -> Any:
    """What a group puts around the method; None where that is nothing."""
    choice = spec.around.get(group)
    if choice is None:
        return None
    arguments = {key: value for key, value in choice.config.items() if key != "_target_"}
    factory = locate(choice.config.get("_target_"), f"{group}={choice.name}")
    apply_settings_of(factory)
    check_arguments(factory, {**arguments, **extra}, group, choice.name)
    return factory(**arguments, **extra)


def _describe_groups(spec: CellSpec) -> str:
    """What is put around the method, in words."""
    return "".join(f", {group}={choice.name}" for group, choice in spec.around.items())


def _with_gradient_transform(
    spec: CellSpec, make: Callable[[Mapping[str, Hyper]], Method], objective: Objective | None
) -> Callable[[Mapping[str, Hyper]], Method]:
    """``make``, whose methods see gradients with noise, then clipped, where the spec has them."""
    split = _split_transform(spec)
    if not {"noise", "clip"} & set(spec.around) and (objective is None or objective.training is None):
        return make

    def make_with_transform(hyper: Mapping[str, Hyper]) -> Method:
        _, numbers, transform = split(hyper)
        method = make(numbers)
        return with_gradient_transform(method, transform) if transform else method

    return make_with_transform


def _with_average(
    spec: CellSpec, make: Callable[[Mapping[str, Hyper]], Method], objective: Objective | None
) -> Callable[[Mapping[str, Hyper]], Method]:
    """``make``, whose methods are judged at the average of their weights and buffers, where the spec has one."""
    weight = _call_group_factory(spec, "average", steps=spec.steps)
    if weight is None:
        return make
    if objective is None or objective.training is None:
        return lambda hyper: with_average(make(hyper), weight)
    return lambda hyper: with_average(make(hyper), weight, read_buffers)


SplitNumbers = Callable[[Mapping[str, Hyper]], tuple[Hyper, Mapping[str, Hyper], GradientTransform | None]]


def _split_transform(spec: CellSpec) -> SplitNumbers:
    """A function that splits a method's numbers: its seed plus 1, the other numbers, and the transform of gradients."""
    noise, clip = _call_group_factory(spec, "noise"), _call_group_factory(spec, "clip")

    def split(hyper: Mapping[str, Hyper]) -> tuple[Hyper, Mapping[str, Hyper], GradientTransform | None]:
        numbers = dict(hyper)
        seed = numbers.pop(SEED, 1.0)
        if not noise and not clip:
            return seed, numbers, None
        add = gradient_noise(noise, seed) if noise else None

        def change(grad: Params, k: Step, laned: bool) -> Params:
            grad = add(grad, k, laned) if add else grad
            return clip(grad, laned) if clip else grad

        return seed, numbers, change

    return split
