from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest

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


@pytest.fixture
def before() -> dict[str, Any]:
    """The namespaces before a sweep."""
    importlib.import_module("gdbench.sweeps.command_line")
    importlib.import_module("gdbench.sweeps.job_runner")
    return callables()


def sweep(tmp_path: Path) -> None:
    """Run a sweep as the command line does."""
    assert main(["-m", "lr=0.01,0.1", "timing=off", "steps=3", "--quiet", f"outputs={tmp_path}"]) == 0


def test_a_sweep_leaves_every_function_of_its_libraries_in_place(tmp_path: Path, before: dict[str, Any]) -> None:
    """After a sweep no function, class or method of hydra, omegaconf and torch is another one than before."""
    sweep(tmp_path)
    after = callables()

    assert len(before) > 1000
    assert [name for name in before if after.get(name) is not before[name]] == []


@pytest.mark.parametrize(
    "place", ["config.hydra_loader.read_config", "sweeps.planner.make_job", "sweeps.job_runner.run_cell"]
)
def test_no_function_of_its_libraries_is_replaced_during_a_sweep(
    place: str, tmp_path: Path, before: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Hydra reads a file, cells are planned and a cell runs, no function of the libraries is another one."""
    module, _, name = f"gdbench.{place}".rpartition(".")
    inner, during = getattr(importlib.import_module(module), name), {}

    def look(*args: Any, **options: Any) -> Any:
        during.update(callables())
        return inner(*args, **options)

    monkeypatch.setattr(f"gdbench.{place}", look)
    sweep(tmp_path)

    assert [name for name in before if during.get(name) is not before[name]] == []
