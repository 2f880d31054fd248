"""Lookup of factories by name: ``gdbench.objectives.rosenbrock``, in whichever file of the package it is defined."""

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
    r"^def ([a-z]\w*)\((?:[^()]|\([^()]*\))*\) -> (?:Objective|Training|Method):|^class (\w+)\(Optimizer\):",
    re.MULTILINE,
)
"""A function at the top level of a file that returns one of these, or a subclass of torch's Optimizer."""


class FlatPackage(ModuleType):
    """A package whose attributes are the factories that its files define; a file is imported when one is looked up.

    A new factory needs no registration: names are read from the text of the files (2 ms per package and process). A
    file may have the name of its factory: ``gdbench.optimizers.adam`` is always the function, also after
    ``import gdbench.optimizers.adam``; ``from gdbench.optimizers.adam import ...`` reaches the rest of the file.
    """

    @cached_property
    def modules(self) -> dict[str, str]:
        """The full name of the module that defines each factory, by the name of the factory."""
        modules = {}
        for folder in map(Path, self.__path__):
            for file in sorted(folder.rglob("*.py")):
                module = ".".join([self.__name__, *file.relative_to(folder).with_suffix("").parts])
                for names in FACTORY.findall(file.read_text(encoding="utf-8")):
                    modules["".join(names)] = module
        return modules

    def __getattr__(self, name: str) -> Any:
        """Look up a factory by name, each time anew, because its module may be reloaded."""
        if name.startswith("_") or name not in self.modules:
            raise AttributeError(
                f"module {self.__name__!r} has no attribute {name!r}: no file of it defines a function of this name"
                " whose annotation says that it returns an Objective, a Training or a Method"
            )
        return getattr(importlib.import_module(self.modules[name]), name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, except to an imported module that would hide the factory of the same name."""
        if not (isinstance(value, ModuleType) and name in vars(value)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """List the names of the package and of all factories."""
        return [*super().__dir__(), *self.modules]


def find_module(target: str) -> str:
    """Find the module that defines the object of a dotted name, without importing it."""
    package, _, name = target.rpartition(".")
    home = sys.modules.get(package)
    return home.modules.get(name, package) if isinstance(home, FlatPackage) else package
