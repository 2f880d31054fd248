from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from gdbench.cli.main import main

LIBRARIES = ("hydra", "omegaconf", "torch")
KINDS = (BuiltinFunctionType, FunctionType, type)


def modules() -> dict[str, ModuleType]:
    """The modules of these libraries that are imported."""
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in LIBRARIES}


def callables() -> dict[str, Any]:
    """Every function and class in their namespaces, and every method of hydra's and omegaconf's classes."""
    named = {}
    for name, module in modules().items():
        for key, value in list(vars(module).items()):
            if not issubclass(type(value), KINDS):  # isinstance would ask a deprecated object for its class
                continue
            named[f"{name}.{key}"] = value
            if issubclass(type(value), type) and value.__module__.partition(".")[0] in LIBRARIES[:2]:
                named |= {f"{name}.{key}.{inner}": method for inner, method in vars(value).items() if callable(method)}
    return named


def test_a_sweep_leaves_every_function_of_its_libraries_in_place(tmp_path: Path) -> None:
    """After a sweep no function, class or method of hydra, omegaconf and torch is another one than before."""
    words = ["-m", "lr=0.01,0.1", "timing=off", "steps=3", "--quiet", f"outputs={tmp_path}"]
    importlib.import_module("gdbench.sweeps.command_line")
    importlib.import_module("gdbench.sweeps.job")
    before = callables()
    assert main(words) == 0
    after = callables()

    assert len(before) > 1000
    assert [name for name in before if after.get(name) is not before[name]] == []
