"""Benchmarks of gradient descent in PyTorch: which variant, at which learning rate, gets there first.

``gdbench.sweep(...)`` and ``gdbench.run(...)`` make tables of runs, ``gdbench.load(path)`` reads those on disk, and
``gdbench.plot`` draws them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdbench import plot
    from gdbench.api import run, sweep, tune
    from gdbench.objectives import Objective
    from gdbench.records import load
    from gdbench.schema import COLUMNS, UsageError

__version__ = "0.1.0"
__all__ = ["COLUMNS", "Objective", "UsageError", "load", "plot", "run", "sweep", "tune"]

_HOMES = {
    "run": "gdbench.api",
    "sweep": "gdbench.api",
    "tune": "gdbench.api",
    "load": "gdbench.records",
    "Objective": "gdbench.objectives",
    "COLUMNS": "gdbench.schema",
    "UsageError": "gdbench.schema",
}


def __getattr__(name: str) -> Any:
    """Import what is named when it is named: ``python -m gdbench --help`` must not wait for torch."""
    import importlib

    if name == "plot":
        return importlib.import_module("gdbench.plot")
    if name not in _HOMES:
        raise AttributeError(f"module 'gdbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
