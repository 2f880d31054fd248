"""Import the factories that configurations name, and check the arguments that they are given."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from gdbench.config.allowed_targets import check_module, check_object
from gdbench.config.validation import format_for_message
from gdbench.engine.torch_globals import Values, apply_settings, isolate_settings, run_and_diff
from gdbench.errors import UsageError
from gdbench.results.run_ids import is_number

__all__ = ["apply_settings_of", "check_arguments", "is_ours", "locate", "read_settings_of"]


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
    apply_settings(read_settings_of(factory))


def read_settings_of(factory: Callable[..., Any]) -> Values:
    """The settings of torch that the import of a factory's module changed."""
    module = sys.modules.get(str(getattr(factory, "__module__", None)))
    return {} if module is None else _set_by_import.get(module, {})


def is_ours(factory: Callable[..., Any] | None) -> bool:
    """Whether a factory is gdbench's own."""
    return str(getattr(factory, "__module__", "")).startswith("gdbench.")


def check_arguments(
    factory: Callable[..., Any], given: Mapping[str, Any], group: str, choice: str, place: str | None = None
) -> None:
    """``UsageError`` if a factory does not take parameters of these names, or takes other kinds of values.

    ``place`` is the setting under which they are given, by default the group.
    """
    place = place or group
    known = inspect.signature(factory).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for name, value in given.items():
        if name not in known:
            raise UsageError(
                f"{place}.{name} is not a parameter of {group}={choice};"
                f" {factory.__qualname__} takes: {', '.join(known) or 'none'}."
            )
        default = known[name].default
        if isinstance(default, bool) and not isinstance(value, bool):
            raise UsageError(f"{place}.{name}={format_for_message(value)} must be true or false.")
        if is_number(default) and not is_number(value):
            quotes = ", without quotes" if isinstance(value, str) and format_for_message(value) != value else ""
            raise UsageError(f"{place}.{name}={format_for_message(value)} must be a number{quotes}.")
