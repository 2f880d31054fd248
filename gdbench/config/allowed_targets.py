"""Which objects a ``_target_`` may name: never a function of Python's own library."""

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
    """``UsageError`` for a name in Python's own library, told before anything is imported."""
    if _is_standard(target.partition(".")[0]):
        raise _make_error(target, where)


def check_object(found: Any, target: str, where: str) -> None:
    """``UsageError`` for what a module only imports from Python's own library."""
    if (inspect.isroutine(found) or inspect.isclass(found)) and _is_standard(str(found.__module__).partition(".")[0]):
        raise _make_error(target, where)


def _make_error(target: str, where: str) -> UsageError:
    return UsageError(
        f"{where}: _target_ {target} is a part of Python itself, which makes no objective and no optimizer, and is not"
        " called. Write package.module.name of a function or class that does."
    )


@cache
def _is_standard(top: str) -> bool:
    """Whether a module is Python's own; a user's file of the same name that comes before it is not."""
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
