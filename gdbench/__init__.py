"""Benchmarks of gradient descent in PyTorch: which variant, at which learning rate, gets there first.

``gdbench.sweep(...)`` and ``gdbench.run(...)`` make tables of runs, ``gdbench.load(path)`` reads those on disk, and
``gdbench.plot`` draws them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdbench.errors import UsageError
    from gdbench.objectives.base import Objective
    from gdbench.objectives.training import Training
    from gdbench.report import plotting as plot
    from gdbench.results.columns import COLUMNS
    from gdbench.results.load import load
    from gdbench.sweeps.api import run, sweep, tune

__version__ = "0.1.0"
__all__ = ["COLUMNS", "Objective", "Training", "UsageError", "load", "plot", "run", "sweep", "tune"]

_HOMES = {
    "run": "gdbench.sweeps.api",
    "sweep": "gdbench.sweeps.api",
    "tune": "gdbench.sweeps.api",
    "load": "gdbench.results.load",
    "Objective": "gdbench.objectives.base",
    "Training": "gdbench.objectives.training",
    "COLUMNS": "gdbench.results.columns",
    "UsageError": "gdbench.errors",
}

_MODULES = {"plot": "gdbench.report.plotting"}


class _Lazy(property):
    """Imports what is named when it is used: neither ``--help`` nor a shell that lists the names waits for torch.

    A shell looks at the value of every name that it offers, but for properties; a module's ``__getattr__`` would import
    all of them.
    """

    def __init__(self, name: str) -> None:
        """``name`` is that of the attribute."""
        super().__init__(self._import, self._set, self._forget)
        self.name = name

    def _import(self, package: ModuleType) -> Any:
        if self.name not in vars(package):
            import importlib

            home = importlib.import_module(_MODULES.get(self.name) or _HOMES[self.name])
            vars(package)[self.name] = home if self.name in _MODULES else getattr(home, self.name)
        return vars(package)[self.name]

    def _set(self, package: ModuleType, value: Any) -> None:
        vars(package)[self.name] = value

    def _forget(self, package: ModuleType) -> None:
        vars(package).pop(self.name, None)


class _Package(ModuleType):
    """The package with the names of its API as properties."""

    def __dir__(self) -> list[str]:
        """The names of the API alone: the modules behind them are none of it."""
        return [*__all__, *(name for name in vars(self) if name.startswith("__"))]


for _name in __all__:
    setattr(_Package, _name, _Lazy(_name))
sys.modules[__name__].__class__ = _Package
