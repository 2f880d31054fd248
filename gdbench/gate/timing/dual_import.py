"""Two source trees in one process: each has its own set of module objects, and both drive the same torch.

A ``Tree`` that is entered is what Python imports from; the modules of another tree are out of sight meanwhile. So a
step that imports something while it runs gets its own side's, too.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    PathFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from gdbench.gate.timing.errors import Entangled

__all__ = ["Globals", "Tree", "keep_bytecode", "load_package"]

PACKAGE = "gdbench"
INSTALLED = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
HOLDERS = (torch, torch.Tensor, torch.nn.functional, torch.autograd, torch.optim, torch.optim.Optimizer, torch.func)
"""What a side that patches torch would patch."""


class Globals:
    """What both sides share of torch, as it was before either was imported."""

    def __init__(self) -> None:
        """Take down every name in torch's most used namespaces, and its settings."""
        self.names = [dict(vars(holder)) for holder in HOLDERS]
        self.settings = _settings()

    def changed(self) -> str | None:
        """What is no longer as it was, if anything is. A name that is new (torch imports lazily) is none of it."""
        for holder, names in zip(HOLDERS, self.names, strict=True):
            for name, value in names.items():
                now = vars(holder).get(name)
                if now is not value and not _of_torch(now):
                    return f"{getattr(holder, '__name__', holder)}.{name} was replaced"
        now = _settings()
        return next((f"{name} was set to {now[name]}" for name, old in self.settings.items() if now[name] != old), None)


def _of_torch(value: object) -> bool:
    """Whether code of torch stands behind a name: it rewrites some of its own when the compiler is imported."""
    code = getattr(value, "__code__", None)
    return code is not None and Path(code.co_filename).is_relative_to(Path(torch.__file__).parent)


def _settings() -> dict[str, Any]:
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's grad mode": torch.is_grad_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "torch's float32 precision": torch.get_float32_matmul_precision(),
    }


class Tree:
    """A source tree with modules of its own."""

    def __init__(self, label: str, root: Path, path: Sequence[str], others: Sequence[Path], fallback: Path) -> None:
        """``path`` is imported from first; ``others`` are the roots it must not touch; ``fallback`` holds a gdbench."""
        self.label, self.root = label, root.resolve()
        self.others = [other.resolve() for other in others if other.resolve() != self.root]
        self.path = [*path, *sys.path]
        self.fallback = fallback
        self.modules: dict[str, ModuleType] = {}

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Import from this tree, and find what was imported from it; raises Entangled if it reaches into another.

        Blocks enter by the thousand, so modules are looked through only when their number has changed.
        """
        outside, path, folder = _outside(self), sys.path[:], os.getcwd()  # noqa: PTH109 - a Path is slow to make
        for name in outside:
            del sys.modules[name]
        sys.modules.update(self.modules)
        count = len(sys.modules)
        sys.path[:] = self.path
        os.chdir(self.root)
        try:
            yield
        finally:
            os.chdir(folder)
            self.path, sys.path[:] = sys.path[:], path
            grown = len(sys.modules) != count
            if grown:
                self.modules = {name: module for name, module in list(sys.modules.items()) if self.owns(name, module)}
            for name in self.modules:
                sys.modules.pop(name, None)
            sys.modules.update(outside)
            if grown:
                self._check()

    def load(self) -> None:
        """Make this tree's gdbench the one to import; where its path has none, the one at ``fallback``."""
        with self.entered():
            if PACKAGE not in sys.modules and PathFinder.find_spec(PACKAGE, sys.path) is None:
                load_package(self.fallback)

    def _check(self) -> None:
        for name, module in self.modules.items():
            place = _place(module)
            if place is not None and any(_within(place, other, self.root) for other in self.others):
                raise Entangled(f"{self.label} imported {name} from the other side, {place}")

    def owns(self, name: str, module: ModuleType) -> bool:
        """Whether a module is one side's alone: gdbench, and what lies in a tree without having been installed."""
        if name == PACKAGE or name.startswith(f"{PACKAGE}."):
            return True
        place = _place(module)
        return (
            name != "__main__"
            and place is not None
            and any(place.is_relative_to(root) for root in (self.root, *self.others))
        )


_AROUND: dict[tuple[str, ...], tuple[int, dict[str, ModuleType]]] = {}


def _outside(tree: Tree) -> dict[str, ModuleType]:
    """The modules outside of every tree that a tree has its own of; looked for again when there are more of any."""
    roots = tuple(sorted(map(str, (tree.root, *tree.others))))
    count, found = _AROUND.get(roots, (0, {}))
    if count != len(sys.modules):
        found = {name: module for name, module in list(sys.modules.items()) if tree.owns(name, module)}
        _AROUND[roots] = len(sys.modules), found
    return found


def _place(module: ModuleType) -> Path | None:
    """Where a module was loaded from; None of one that has no file, or that was installed."""
    file = getattr(module, "__file__", None)
    places = [file] if isinstance(file, str) else list(getattr(module, "__path__", ()))
    return _of_a_tree(places[0]) if places and isinstance(places[0], str) else None


@cache
def _of_a_tree(file: str) -> Path | None:
    """A file, unless it belongs to an environment (which may lie inside a tree, as .venv does)."""
    place = Path(file).resolve()
    return None if any(place.is_relative_to(folder) for folder in INSTALLED) else place


def _within(place: Path, other: Path, own: Path) -> bool:
    """Whether a place is the other tree's and not this one's, one of which may lie within the other."""
    return place.is_relative_to(other) and not (own.is_relative_to(other) and place.is_relative_to(own))


def keep_bytecode(folder: str, roots: Sequence[Path]) -> None:
    """Keep the bytecode of what lies in trees in a folder apart, so that no tree is littered; call before importing."""

    class Loader(SourceFileLoader):
        def get_code(self, fullname: str) -> Any:
            before = sys.pycache_prefix, sys.dont_write_bytecode
            sys.pycache_prefix, sys.dont_write_bytecode = folder, False
            try:
                return super().get_code(fullname)
            finally:
                sys.pycache_prefix, sys.dont_write_bytecode = before

    def finder(path: str) -> FileFinder:
        place = _of_a_tree(path)
        if place is None or not any(place.is_relative_to(root) for root in roots):
            raise ImportError(f"{path} belongs to no tree", path=path)
        extensions = ExtensionFileLoader, EXTENSION_SUFFIXES
        return FileFinder(path, extensions, (Loader, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, finder)
    sys.path_importer_cache.clear()


def load_package(folder: Path) -> None:
    """Make the gdbench in a folder the one that is imported, without making anything else in that folder importable."""
    package = folder / PACKAGE
    spec = importlib.util.spec_from_file_location(
        PACKAGE, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
