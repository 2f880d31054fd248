"""From a question to a cell: the one place where the names in a configuration become objects."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gdbench.config.schema import FACTS, NOT_ASKED
from gdbench.config.spec import Question
from gdbench.config.user_modules import USER_ERRORS, importing
from gdbench.engine.batching import check_scalar
from gdbench.engine.cell import Cell, Maker
from gdbench.engine.factories import (
    apply_settings_of,
    built_objective,
    check_arguments,
    is_ours,
    locate,
    stated_objective,
)
from gdbench.engine.gc_pause import uncollected
from gdbench.engine.random_state import preserved_globals
from gdbench.engine.torch_globals import apply_settings, isolated_settings
from gdbench.errors import Unavailable, UsageError
from gdbench.objectives.base import Objective, changed_in_place, is_same_content
from gdbench.objectives.starts import find_overflow
from gdbench.optimizers.base import Hyper, Method, Step, first_order, treat_as_mutating
from gdbench.optimizers.gradient_transforms import altered, noisy
from gdbench.optimizers.needs import read_needs
from gdbench.optimizers.projection import projected
from gdbench.optimizers.schedules import paced, scheduled
from gdbench.optimizers.torch_optim import find_kind, named, rate_names, torch_arguments, torch_optim
from gdbench.results.constant_column import constant
from gdbench.tree import Params, leaves, tree_map

SEED = "seed"
"""The name under which a method whose gradients have a noise is told its seed, among its numbers."""
MOST_SAMPLES = 64
"""Combinations of numbers with which a method is tried before a cell is refused as a whole."""

__all__ = ["build", "check", "device_of", "hyper", "locate", "stated_objective"]


@preserved_globals()
def build(question: Question) -> Cell:
    """The cell of a question. Raises Unavailable where this machine, torch or the method cannot do it."""
    device = device_of(question.device)
    built = built_objective(question)
    apply_settings(built.settings)
    stated = built.objective
    dtype = stated.dtype if question.dtype == "auto" else getattr(torch, question.dtype)
    if device.type == "mps" and dtype == torch.float64:
        raise Unavailable("MPS has no float64; use dtype=float32")
    if refusal := _beyond(question, stated, dtype):
        raise Unavailable(refusal)
    return Cell(
        stated=stated,
        maker=maker(question, stated),
        hyper=hyper(question, stated),
        seeds=question.seeds(),
        steps=question.steps,
        dtype=dtype,
        device=device,
        target=question.target,
        target_loss=question.target_loss,
        start_noise=question.start_noise,
        maximize=bool(question.optimizer_config.get("maximize", False)),
        record=question.record,
        seconds=question.timing.seconds,
        noisy="noise" in question.around,
    )


def _beyond(question: Question, stated: Objective, dtype: torch.dtype) -> str | None:
    """Which value of an objective's start or data the dtype would make infinite, in words; None if it holds them."""
    try:
        start = stated.start_at(int(question.seeds()[0]))
    except UsageError:
        raise
    except USER_ERRORS:  # a start that raises is a result: the runs will say so
        return None
    for name, tree in {"start": start, **{f"data[{name!r}]": leaf for name, leaf in stated.data.items()}}.items():
        if (value := find_overflow(tree, dtype)) is not None:
            words = str(dtype).removeprefix("torch.")
            return f"{name} of objective={question.objective} holds {value:g}, which {words} cannot; use a wider dtype"
    return None


@preserved_globals()
def check(question: Question) -> None:
    """Find what would make a cell fail as a configuration, before anything runs; ``UsageError`` in one line.

    An objective that raises is not found here: that is a result, and becomes a row.
    """
    with importing(question.code), isolated_settings():
        with _in_one_line(f"objective={question.objective}"):
            stated = stated_objective(question)
        with _in_one_line(f"optimizer={question.optimizer}"), contextlib.suppress(Unavailable):  # a row will say so
            maker(question, stated)
        with contextlib.suppress(Unavailable):
            hyper(question, stated)
        _check_value(question)


def _check_value(question: Question) -> None:
    """``UsageError`` unless the objective's value is a scalar that leaves alone what it is computed from."""
    built = built_objective(question)
    apply_settings(built.settings)
    stated = built.objective
    used = stated.to(stated.dtype, "cpu")
    try:
        start = used.start_at(0)
        point = tree_map(lambda leaf: leaf.clone().requires_grad_(), start)
        value = used.value(point)
    except UsageError as error:
        raise UsageError(f"objective={question.objective}: {error}") from None
    except USER_ERRORS:
        return
    changed = changed_in_place(used, stated)
    if not all(map(is_same_content, leaves(start), map(torch.detach, leaves(point)))):
        changed = "the point x"
    if changed:
        raise UsageError(
            f"objective={question.objective} changes {changed} in place: it must compute with new tensors"
            " (x.clamp(-1, 1) rather than x.data.clamp_(-1, 1))."
        )
    try:
        check_scalar(value, point)
    except UsageError as error:
        raise UsageError(f"objective={question.objective}: {error}") from None
    except USER_ERRORS:
        return
    if question.dtype == "auto" and (refusal := _beyond(question, stated, stated.dtype)):
        raise UsageError(f"{refusal}, such as dtype=float64.")  # a dtype that was asked for makes a row that says so


@contextlib.contextmanager
def _in_one_line(what: str) -> Iterator[None]:
    """Turn what a factory raises into one clear line."""
    try:
        yield
    except UsageError:
        raise
    except USER_ERRORS as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"{what} cannot be made ({words}).") from error


def device_of(name: str) -> torch.device:
    """The device of that name, ``auto`` meaning the accelerator if there is one; Unavailable if it is not there."""
    seen = ["cpu"]
    if torch.cuda.is_available():
        seen = [*(f"cuda:{index}" for index in range(torch.cuda.device_count())), *seen]
    if torch.backends.mps.is_available():
        seen = ["mps", *seen]
    if name == "auto":
        name = seen[0]
    if name not in seen and not (name == "cuda" and "cuda:0" in seen):
        raise Unavailable(
            f"device={name} is not there (torch sees: {', '.join(seen)}). Use device=auto to take what there is."
        )
    return torch.device("cuda:0" if name == "cuda" else name)


# ----------------------------------------------------------------------------------------------------- optimizers


@dataclass(frozen=True)
class _Made:
    """A maker: calls ``eager``, or has the program compile it, and says what really runs."""

    eager: Callable[[Mapping[str, Hyper]], Method]
    resolved: str
    lanes: bool
    program: Any = None
    """The compiled program, where there is one."""

    @property
    def compiled(self) -> bool:
        return self.program is not None

    @property
    def compile_s(self) -> float:
        return float(self.program.compile_s) if self.program else 0.0

    def __call__(self, hyper: Mapping[str, Hyper]) -> Method:
        method: Method = self.program.method(hyper) if self.program else self.eager(hyper)
        return method

    def in_lanes(self, hyper: Mapping[str, Hyper], look: Any) -> Any:
        return self.program.in_lanes(hyper, look)


def maker(question: Question, objective: Objective | None = None) -> Maker:
    """The maker of a question's methods; Unavailable where there is no such twin, implementation or compiler.

    Methods are kept in the domain of the objective, where it gives a way to ``project``; proximal ones are Unavailable
    where it gives no ``prox``.
    """
    with importing(question.code):
        return _maker(question, objective)


def _maker(question: Question, objective: Objective | None) -> Maker:
    config = question.optimizer_config
    fixed = {key: value for key, value in config.items() if key not in (*NOT_ASKED, *_facts(question))}
    block = dict(config.get("manual" if question.impl in ("manual", "compiled") else "torch") or {})
    if not block and not (config.get("manual") or config.get("torch")):
        raise UsageError(
            f"optimizer={question.optimizer} states neither manual nor torch: its file must name the factory of one,"
            " as in torch: {_target_: package.module.Class}."
        )
    if not block:
        there = "torch" if question.impl in ("manual", "compiled") else "manual"
        raise Unavailable(f"optimizer={question.optimizer} has no {question.impl} implementation; try impl={there}")
    factory = locate(block.pop("_target_", None), f"optimizer={question.optimizer}")
    apply_settings_of(factory)
    if question.impl in ("manual", "compiled"):
        return _manual(question, factory, {**block, **fixed}, objective)
    return _torch(question, factory, block, fixed, objective)


def _manual(
    question: Question, factory: Callable[..., Any], fixed: dict[str, Any], objective: Objective | None
) -> Maker:
    check_arguments(factory, {**fixed, **dict.fromkeys(_hyper_names(question), 0.0)}, "optimizer", question.optimizer)

    project = objective.project if objective else None
    ours = is_ours(factory)

    def bare(hyper: Mapping[str, Hyper]) -> Method:
        made = factory(**fixed, **hyper)
        method = projected(made if isinstance(made, Method) else first_order(*made), project)
        return method if ours else treat_as_mutating(method)

    schedule = _surrounding(question, "schedule", steps=question.steps)
    make = _on_changed_gradients(question, scheduled(bare, schedule) if schedule else bare)
    name = f"{factory.__module__}.{factory.__qualname__}"
    sample = _sample(lambda numbers: _method(factory(**fixed, **numbers), name), question)
    if sample.proximal and objective and objective.prox is None:
        raise Unavailable(
            f"optimizer={question.optimizer} needs the proximal map of a part of its objective, and"
            f" objective={question.objective} states none; try objective=lasso_proximal"
        )
    if question.impl == "manual":
        return _Made(make, name + _surroundings(question), sample.lanes)
    with uncollected():  # it brings in the compiler, which takes its time
        from gdbench.engine.compile.program import Program

    program = Program(lambda **hyper: make(hyper))
    return _Made(make, f"torch.compile({name})" + _surroundings(question), True, program)


def _sample(make: Callable[[Mapping[str, float]], Method], question: Question) -> Method:
    """The method of the first numbers of a cell that ``make`` takes: those that it refuses fail their own runs alone.

    Raises what it raised for the very first numbers where it takes none.
    """
    ends = [dict.fromkeys(float(values[i]) for i in (0, -1, len(values) // 2)) for values in _named(question).values()]
    first: BaseException | None = None
    for numbers in itertools.islice(itertools.product(*ends), MOST_SAMPLES):
        pairs = zip(_named(question), numbers, strict=True)
        given = {name: 1.0 if math.isnan(number) else number for name, number in pairs}
        try:
            return make(dict.fromkeys(_facts(question), 1.0) | given)
        except Unavailable:  # of the implementation, whatever its numbers
            raise
        except USER_ERRORS as error:
            first = first or error
    assert first is not None
    raise first


def _method(made: Any, name: str) -> Method:
    """What a factory made: a Method, or the pair of functions that makes one."""
    if isinstance(made, Method):
        return made
    if isinstance(made, tuple) and len(made) == 2 and all(map(callable, made)):
        return first_order(*made)
    raise UsageError(
        f"{name} returned {type(made).__name__}; it must return a gdbench.optimizers.Method, or a pair of functions:"
        " init(x) -> state and update(k, grad, state, x) -> (x, state)."
    )


def _torch(
    question: Question, factory: Any, block: dict[str, Any], fixed: dict[str, Any], objective: Objective | None
) -> Maker:
    names = torch_arguments(block, {**fixed, **dict.fromkeys(_hyper_names(question), 0.0)})
    needs = read_needs(block, question.optimizer)
    _insist_on_rate(factory, names, question.optimizer)
    check_arguments(factory, names, "optimizer", question.optimizer)
    schedule = _surrounding(question, "schedule", steps=question.steps)
    project = objective.project if objective else None
    numbers = {name: float(np.nan_to_num(values[0], nan=1.0)) for name, values in _named(question).items()}
    sample = {**fixed, **dict.fromkeys(_facts(question), 1.0), **numbers}
    kind = factory
    if not isinstance(factory, type):
        point = objective.start_at(0) if objective else torch.ones(2, 2)
        kind = find_kind(factory, point, torch_arguments(block, sample))

    def bare(hyper: Mapping[str, Hyper]) -> Method:
        method = torch_optim(factory, torch_arguments(block, {**fixed, **hyper}), question.impl, kind, needs)
        method = projected(method, project)
        return paced(method, schedule, rate_names(block)) if schedule else method

    _sample(bare, question)
    resolved = f"{named(factory)}({question.impl})" + _surroundings(question)
    return _Made(_on_changed_gradients(question, bare), resolved, False)


def _insist_on_rate(factory: Callable[..., Any], names: Mapping[str, Any], choice: str) -> None:
    """``UsageError`` that teaches the renaming, if a factory takes no parameter of the name lr."""
    known = inspect.signature(factory).parameters
    if "lr" in names and "lr" not in known and all(known[name].kind is not known[name].VAR_KEYWORD for name in known):
        raise UsageError(
            f"optimizer={choice}: {named(factory)} has no parameter lr; it takes: {', '.join(known)}."
            " Where its learning rate has another name, say so in the torch block: `learning_rate: lr`."
        )


def _surrounding(question: Question, group: str, **told: Any) -> Any:
    """What a group puts around the method; None where that is nothing."""
    choice = question.around.get(group)
    if choice is None:
        return None
    arguments = {key: value for key, value in choice.config.items() if key != "_target_"}
    factory = locate(choice.config.get("_target_"), f"{group}={choice.name}")
    apply_settings_of(factory)
    check_arguments(factory, {**arguments, **told}, group, choice.name)
    return factory(**arguments, **told)


def _surroundings(question: Question) -> str:
    """What is put around the method, in words."""
    return "".join(f", {group}={choice.name}" for group, choice in question.around.items())


def _on_changed_gradients(
    question: Question, make: Callable[[Mapping[str, Hyper]], Method]
) -> Callable[[Mapping[str, Hyper]], Method]:
    """``make``, whose methods see gradients with noise, then clipped, where the question asks for it."""
    noise, clip = _surrounding(question, "noise"), _surrounding(question, "clip")
    if not noise and not clip:
        return make

    def made(hyper: Mapping[str, Hyper]) -> Method:
        numbers = dict(hyper)
        add = noisy(noise, numbers.pop(SEED)) if noise else None

        def change(grad: Params, k: Step, laned: bool) -> Params:
            grad = add(grad, k, laned) if add else grad
            return clip(grad, laned) if clip else grad

        return altered(make(numbers), change)

    return made


def _hyper_names(question: Question) -> list[str]:
    return [*_named(question), *_facts(question)]


def _facts(question: Question) -> list[str]:
    """What a method needs to be told of the objective: null in its configuration, a number for its factory."""
    config = question.optimizer_config
    return [name for name in FACTS if name in config and config[name] is None]


def _named(question: Question) -> dict[str, Any]:
    """The laneable hyper-parameters by the name the factory knows."""
    return {
        axis.name.removeprefix("optimizer."): axis.values()
        for axis in question.axes
        if axis.name == "lr" or (axis.name.startswith("optimizer.") and axis.name != "optimizer.default_lr")
    }


def hyper(question: Question, objective: Objective) -> dict[str, Any]:
    """One column a hyper-parameter, float64: lr as given, or lr_scale times the default or 1/L; and the facts."""
    lanes = question.lanes()
    columns = {name: lanes[name if name == "lr" else f"optimizer.{name}"] for name in _named(question)}
    if np.isnan(columns["lr"]).any():
        base: Any = lanes["optimizer.default_lr"]
        if question.lr_scale_of == "L":
            if objective.smoothness is None:
                raise Unavailable(f"lr_scale_of=L: objective={question.objective} states no L; use lr_scale_of=null")
            base = 1 / objective.smoothness
        columns["lr"] = lanes["lr_scale"] * base
    if "noise" in question.around:
        columns[SEED] = lanes["seed"] + 1.0  # a plain 0 would be a structure of its own in compiled steps
    facts = {name: _stated(question, objective, name) for name in _facts(question)}
    return columns | {name: constant(number, question.size) for name, number in facts.items()}


def _stated(question: Question, objective: Objective, fact: str) -> float:
    """A number that an objective states of itself; Unavailable if it states none: other cells of a sweep may run."""
    number: float | None = getattr(objective, fact)
    if number is None:
        raise Unavailable(
            f"optimizer={question.optimizer} needs the {fact} of its objective, and objective={question.objective}"
            f" states none: give it as optimizer.{fact}="
        )
    return float(number)
