"""Factories by their bare names, ``gdbench.objectives.rosenbrock``, in whichever file they stand."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from support.processes import Done

import gdbench.objectives
import gdbench.optimizers
from gdbench.objectives.flat_names import FlatPackage, find_module
from gdbench.sweeps.source_files import find_sources

ROOT = Path(__file__).parents[2]
PACKAGES = (gdbench.objectives, gdbench.optimizers)
every_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)


def definitions(package: ModuleType) -> list[str]:
    """The names of the package's public factories of objectives, workloads and methods, by Python's own parser."""
    files = Path(package.__path__[0]).rglob("*.py")
    nodes = [node for file in files for node in ast.parse(file.read_text()).body]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.returns is not None]
    makers = [node for node in functions if ast.unparse(node.returns) in ("Objective", "Training", "Method")]  # type: ignore[arg-type]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef) and "Optimizer" in map(ast.unparse, node.bases)]
    return [node.name for node in (*makers, *classes) if not node.name.startswith("_")]


@every_package
def test_every_factory_has_its_name_to_itself(package: FlatPackage) -> None:
    """Each factory is found by its name, and no two files of a package define one of the same name."""
    count = Counter(definitions(package))

    assert not [name for name, times in count.items() if times > 1], "give one of them another name"
    assert set(package.modules) == set(count)
    for name, module in package.modules.items():
        assert getattr(package, name) is getattr(importlib.import_module(module), name)
        assert find_module(f"{package.__name__}.{name}") == module == getattr(package, name).__module__


@pytest.mark.parametrize("group", ["objective", "optimizer"])
def test_every_configuration_names_its_factory_flat(group: str) -> None:
    """No configuration says in which file its factory stands."""
    package = gdbench.objectives if group == "objective" else gdbench.optimizers
    for file in sorted((ROOT / "conf" / group).glob("*.yaml")):
        content = yaml.safe_load(file.read_text())
        blocks = [content] if group == "objective" else [content["manual"], content["torch"]]
        for target in [block["_target_"] for block in blocks if block]:
            place, _, name = target.rpartition(".")
            assert place in (package.__name__, "torch.optim"), f"{file.name}: write {package.__name__}.{name}"
            assert place == "torch.optim" or name in package.modules, (
                f"{file.name}: no function {name} of {package.__name__} says what it returns"
            )


def test_a_factory_is_not_hidden_by_the_file_of_its_name() -> None:
    """``gdbench.optimizers.adam`` is the function, also after its file of the same name has been imported."""
    module = importlib.import_module("gdbench.optimizers.adam")

    assert inspect.isfunction(gdbench.optimizers.adam)
    assert module is sys.modules["gdbench.optimizers.adam"]
    assert module.adam is gdbench.optimizers.adam


def test_a_name_that_no_file_defines_is_an_attribute_error() -> None:
    """The message says what a function must have to be found."""
    with pytest.raises(AttributeError, match="no attribute 'rosenbrok': no file of it defines a function of this name"):
        _ = gdbench.objectives.rosenbrok


def test_one_factory_imports_one_family(shell: Callable[..., Done]) -> None:
    """A package imports none of its families, and a factory its own alone."""
    code = (
        "import sys, gdbench.objectives as package; package.booth;"
        "print(*sorted(set(package.modules.values()) & set(sys.modules) - {'gdbench.objectives.instances'}))"
    )

    assert shell("-c", code).out.split() == ["gdbench.objectives.bowl_shaped"]


def test_names_are_offered_to_a_shell() -> None:
    """``dir`` has the factories beside what the package defines itself."""
    assert {"booth", "Objective"} <= set(dir(gdbench.objectives))
    assert {"adam", "first_order"} <= set(dir(gdbench.optimizers))


def test_sources_follow_a_flat_name_to_its_file(tmp_path: Path) -> None:
    """Code that imports a factory by its flat name depends on the family's file, and on no other family."""
    (tmp_path / "own_bowl.py").write_text("from gdbench.objectives import booth\n")
    sys.path.insert(0, str(tmp_path))
    try:
        found = find_sources(frozenset({"own_bowl"}))
    finally:
        sys.path.remove(str(tmp_path))

    assert "gdbench.objectives.bowl_shaped" in found
    assert "gdbench.objectives.valley_shaped" not in found
