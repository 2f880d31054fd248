"""Check what a ``_target_`` names: never a part of Python's standard library."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import sysconfig
from functools import cache
from typing import Any

from gdbench.errors import UsageError

__all__ = ["check_module", "check_object"]


def check_module(target: str, where: str) -> None:
    """``UsageError`` for a name in the standard library, before anything is imported."""
    if _is_standard(target.partition(".")[0]):
        raise _make_error(target, where)


def check_object(target_object: Any, target: str, where: str) -> None:
    """``UsageError`` for an object that its module only imports from the standard library."""
    is_code = inspect.isroutine(target_object) or inspect.isclass(target_object)
    if is_code and _is_standard(str(target_object.__module__).partition(".")[0]):
        raise _make_error(target, where)


def _make_error(target: str, where: str) -> UsageError:
    return UsageError(
        f"{where}: _target_ {target} is a part of Python itself, which makes no objective and no optimizer, and is not"
        " called. Write package.module.name of a function or class that does."
    )


@cache
def _is_standard(top: str) -> bool:
    """Whether a module is the standard library's, and not a user's file of the same name before it on the path."""
    if top not in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(top)  # of a name without dots: imports nothing
    except (ImportError, ValueError):
        return True
    origin = (spec.origin if spec else None) or "built-in"
    return origin in ("built-in", "frozen") or origin.startswith(
        (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    )
