"""Factories by their bare names: ``gdbench.objectives.rosenbrock``, whichever file of the package defines it."""

from __future__ import annotations

import importlib
import re
import sys
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["FlatPackage", "find_module"]

FACTORY = re.compile(
    r"^def ([a-z]\w*)\((?:[^()]|\([^()]*\))*\) -> (?:Objective|Method):|^class (\w+)\(Optimizer\):", re.MULTILINE
)
"""A function at the top level of a file that returns an Objective or a Method, or a subclass of torch's Optimizer."""


class FlatPackage(ModuleType):
    """A package whose attributes are the factories that its files define; a file is imported when one is asked for.

    A new factory needs no registration: names are read from the text of the files (4 ms, once a process). A file may
    have the name of its factory: ``gdbench.optimizers.adam`` is the function, and
    ``from gdbench.optimizers.adam import ...`` reaches everything else.
    """

    @cached_property
    def modules(self) -> dict[str, str]:
        """The full name of the module that defines each factory."""
        modules = {}
        for folder in map(Path, self.__path__):
            for file in sorted(folder.rglob("*.py")):
                module = ".".join([self.__name__, *file.relative_to(folder).with_suffix("").parts])
                for names in FACTORY.findall(file.read_text(encoding="utf-8")):
                    modules["".join(names)] = module
        return modules

    def __getattr__(self, name: str) -> Any:
        """The factory of that name; it is looked up anew each time, because its module may be reloaded."""
        if name.startswith("_") or name not in self.modules:
            raise AttributeError(
                f"module {self.__name__!r} has no attribute {name!r}: no file of it defines a function of this name"
                " whose annotation says that it returns an Objective or a Method"
            )
        return getattr(importlib.import_module(self.modules[name]), name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, but for a module that would hide the factory of its own name once it is imported."""
        if not (isinstance(value, ModuleType) and name in vars(value)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """The names of the package and of all factories."""
        return [*super().__dir__(), *self.modules]


def find_module(target: str) -> str:
    """The module that defines the object of a dotted name, which nothing imports for that."""
    package, _, name = target.rpartition(".")
    home = sys.modules.get(package)
    return home.modules.get(name, package) if isinstance(home, FlatPackage) else package
