"""Import the factories that configurations name, and build each objective once a sweep."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch

from gdbench.config.allowed_targets import check_module, check_object
from gdbench.config.spec import CellSpec
from gdbench.config.user_modules import import_from
from gdbench.config.validation import format_for_message
from gdbench.engine.function_digest import NOT_COMPARABLE, digest_or_reason
from gdbench.engine.random_state import FACTORY_STEP, seed_globals
from gdbench.engine.torch_globals import Values, apply_settings, isolate_settings, run_and_diff
from gdbench.errors import UsageError
from gdbench.objectives.base import Objective, cast, hash_data
from gdbench.results.run_ids import is_number

__all__ = [
    "BuiltObjective",
    "apply_settings_of",
    "build_objective",
    "check_arguments",
    "forget_objectives",
    "is_ours",
    "load_objective",
    "locate",
]


def locate(target: Any, where: str) -> Callable[..., Any]:
    """The object that ``_target_`` names; ``UsageError`` if there is none."""
    if callable(target):
        return target  # type: ignore[no-any-return]
    if target is None:
        raise UsageError(f"{where}: its file names no factory: write _target_: package.module.name into it.")
    check_module(str(target), where)
    module, _, name = str(target).rpartition(".")
    try:
        found = getattr(_import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{where}: _target_ {target} cannot be imported ({error})."
            " Write package.module.name; a module of your own must lie in the folder given by --config-dir."
        ) from None
    if not callable(found):
        raise UsageError(f"{where}: _target_ {target} is not a function or class.")
    check_object(found, str(target), where)
    return found  # type: ignore[no-any-return]


_set_by_import: WeakKeyDictionary[ModuleType, Values] = WeakKeyDictionary()
"""What a module set of torch's globals when it was imported: it holds for the cells that name the module alone."""


def _import_module(name: str) -> ModuleType:
    """The module of a name; what its import sets of torch's globals is noted, and undone."""
    if name in sys.modules:
        return sys.modules[name]
    with isolate_settings():
        module, changes = run_and_diff(lambda: importlib.import_module(name))
    _set_by_import[module] = changes
    return module


def apply_settings_of(factory: Callable[..., Any]) -> None:
    """Set torch's globals as the import of a factory's module has set them."""
    apply_settings(_read_settings_of(factory))


def _read_settings_of(factory: Callable[..., Any]) -> Values:
    module = sys.modules.get(str(getattr(factory, "__module__", None)))
    return {} if module is None else _set_by_import.get(module, {})


class BuiltObjective(NamedTuple):
    """An objective, what its factory and that one's import set of torch's globals, and the digest of its content."""

    objective: Objective
    settings: Values
    digest: str
    factory: Callable[..., Any] | None = None


_objectives: dict[tuple[int, str], BuiltObjective] = {}
"""Objectives by the id of their factory, which stands in them and so stays alive, and their arguments."""

_imports: dict[str, ModuleSpec | None] = {}
"""The import of each of our modules when objectives were last let go of; a reload replaces it."""


def forget_objectives() -> None:
    """Let go of objectives whose factories may read other files now: all but ours, and ours after a reload."""
    now = {name: module.__spec__ for name, module in list(sys.modules.items()) if name.startswith("gdbench.")}
    if any(_imports.get(name, spec) is not spec for name, spec in now.items()):
        _objectives.clear()
    _imports.update(now)
    for key, built in list(_objectives.items()):
        if not is_ours(built.factory):
            del _objectives[key]


def load_objective(question: CellSpec) -> Objective:
    """The objective as stated; built once a sweep for each configuration, and never changed: ``to`` makes copies."""
    return build_objective(question).objective


def build_objective(question: CellSpec) -> BuiltObjective:
    """The objective as stated, with what its factory set and the digest of its content."""
    config = dict(question.objective_config)
    target = config.pop("_target_", None)
    if isinstance(target, Objective):
        return BuiltObjective(target, {}, str(config.get("code", "")))
    with import_from(question.code):
        factory = locate(target, f"objective={question.objective}")
        check_arguments(factory, config, "objective", question.objective)
        # As JSON, for 1, 1.0 and true are equal in Python, and lists cannot be hashed.
        key = id(factory), json.dumps(config, sort_keys=True, default=repr)
        if key not in _objectives:
            with isolate_settings():
                apply_settings_of(factory)
                objective, changes = run_and_diff(lambda: _call_factory(factory, config))
            changes = {**_read_settings_of(factory), **changes}
            _objectives[key] = BuiltObjective(objective, changes, _digest_content(objective, factory), factory)
        return _objectives[key]


def _digest_content(objective: Objective, factory: Callable[..., Any]) -> str:
    """The digest of an objective's data; of a user's, which may hold what it read elsewhere, of all that it is.

    Ours count in float32: some are made by ``exp`` or ``pow``, whose last bit in float64 depends on the processor, and
    a sweep has the same cells on every node of a cluster.
    """
    ours = is_ours(factory)
    counted = replace(objective, data=cast(objective.data, torch.float32, "cpu")) if ours else objective
    data = hash_data(counted) if objective.data else ""
    whole = "" if ours else digest_or_reason(objective)
    return data if whole.startswith(NOT_COMPARABLE) else data + whole


def is_ours(factory: Callable[..., Any] | None) -> bool:
    """Whether a factory is gdbench's own."""
    return str(getattr(factory, "__module__", "")).startswith("gdbench.")


def _call_factory(factory: Callable[..., Any], arguments: Mapping[str, Any]) -> Objective:
    with seed_globals(0, FACTORY_STEP):  # what a factory draws is the same in every process, whatever was made before
        objective = factory(**arguments)
    if not isinstance(objective, Objective):
        name = getattr(factory, "__qualname__", str(factory))
        raise UsageError(f"{name} returned {type(objective).__name__}; it must return a gdbench.objectives.Objective.")
    return objective


def check_arguments(factory: Callable[..., Any], given: Mapping[str, Any], group: str, choice: str) -> None:
    """``UsageError`` if a factory does not take parameters of these names, or takes other kinds of values."""
    known = inspect.signature(factory).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for name, value in given.items():
        if name not in known:
            raise UsageError(
                f"{group}.{name} is not a parameter of {group}={choice};"
                f" {factory.__qualname__} takes: {', '.join(known) or 'none'}."
            )
        default = known[name].default
        if isinstance(default, bool) and not isinstance(value, bool):
            raise UsageError(f"{group}.{name}={format_for_message(value)} must be true or false.")
        if is_number(default) and not is_number(value):
            quotes = ", without quotes" if isinstance(value, str) and format_for_message(value) != value else ""
            raise UsageError(f"{group}.{name}={format_for_message(value)} must be a number{quotes}.")
