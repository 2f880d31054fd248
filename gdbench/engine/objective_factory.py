"""Build the objective that a configuration names, once a sweep."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.machinery import ModuleSpec
from typing import Any, NamedTuple

import torch

from gdbench.config.spec import CellSpec
from gdbench.config.user_modules import import_from
from gdbench.engine.factory_import import apply_settings_of, check_arguments, is_ours, locate, read_settings_of
from gdbench.engine.function_digest import NOT_COMPARABLE, digest_or_reason
from gdbench.engine.random_state import FACTORY_STEP, seed_globals
from gdbench.engine.torch_globals import Values, isolate_settings, run_and_diff
from gdbench.errors import UsageError
from gdbench.objectives.base import Objective, cast, hash_data
from gdbench.objectives.training import Training
from gdbench.objectives.training_objective import build_training_objective

__all__ = ["BuiltObjective", "build_objective", "forget_objectives", "load_objective"]


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


def load_objective(spec: CellSpec) -> Objective:
    """The objective as stated; built once a sweep for each configuration, and never changed: ``to`` makes copies."""
    return build_objective(spec).objective


def build_objective(spec: CellSpec) -> BuiltObjective:
    """The objective as stated, with what its factory set and the digest of its content."""
    config = dict(spec.objective_config)
    target = config.pop("_target_", None)
    if isinstance(target, Objective):
        return BuiltObjective(target, {}, str(config.get("code", "")))
    with import_from(spec.code):
        factory = locate(target, f"objective={spec.objective}")
        check_arguments(factory, config, "objective", spec.objective)
        # As JSON, for 1, 1.0 and true are equal in Python, and lists cannot be hashed.
        key = id(factory), json.dumps(config, sort_keys=True, default=repr)
        if key not in _objectives:
            with isolate_settings():
                apply_settings_of(factory)
                objective, changes = run_and_diff(lambda: _call_factory(factory, config))
            changes = {**read_settings_of(factory), **changes}
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


def _call_factory(factory: Callable[..., Any], arguments: Mapping[str, Any]) -> Objective:
    with seed_globals(0, FACTORY_STEP):  # what a factory draws is the same in every process, whatever was made before
        objective = factory(**arguments)
        if isinstance(objective, Training):
            objective = build_training_objective(objective)
    if not isinstance(objective, Objective):
        name = getattr(factory, "__qualname__", str(factory))
        raise UsageError(
            f"{name} returned {type(objective).__name__}; it must return a gdbench.objectives.Objective or a"
            " gdbench.Training."
        )
    return objective
