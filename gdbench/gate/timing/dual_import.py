"""Two source trees in one process: each has its own set of module objects, and both use the same torch.

Python imports from the ``ImportedTree`` that is active; the modules of the other tree are out of ``sys.modules`` until
it is active again. So what a step imports while it runs comes from its own tree, too.

Measured on 2 cores (6 series, 20 rounds, twice): slowdowns are detectable from 1.4%, with a process per tree from 2.9%,
which is twice as much and close to d1.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
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

from gdbench.gate.timing.blocks import SharedStateError

__all__ = ["ImportedTree", "TorchStateSnapshot", "redirect_bytecode"]

PACKAGE = "gdbench"
INSTALLED = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
PATCHABLE = (torch, torch.Tensor, torch.nn.functional, torch.autograd, torch.optim, torch.optim.Optimizer, torch.func)
"""The namespaces that a side which patches torch would patch."""


class TorchStateSnapshot:
    """The names in torch's most used namespaces, and its settings, before either tree was imported."""

    def __init__(self) -> None:
        self.names = [dict(vars(namespace)) for namespace in PATCHABLE]
        self.settings = _read_settings()

    def describe_change(self) -> str | None:
        """The first torch attribute or setting that changed; None if none did. Newly added attributes are ignored."""
        for namespace, names in zip(PATCHABLE, self.names, strict=True):
            for name, value in names.items():
                now = vars(namespace).get(name)
                if now is not value and not _is_torch_code(now):
                    return f"{getattr(namespace, '__name__', namespace)}.{name} was replaced"
        now = _read_settings()
        return next((f"{name} was set to {now[name]}" for name, old in self.settings.items() if now[name] != old), None)


def _is_torch_code(value: object) -> bool:
    """Whether a function is torch's own: it replaces some of its functions when the compiler is imported."""
    code = getattr(value, "__code__", None)
    return code is not None and Path(code.co_filename).is_relative_to(Path(torch.__file__).parent)


def _read_settings() -> dict[str, Any]:
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's grad mode": torch.is_grad_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "torch's float32 precision": torch.get_float32_matmul_precision(),
    }


class ImportedTree:
    """A source tree with module objects of its own."""

    def __init__(self, label: str, root: Path, path: Sequence[str], others: Sequence[Path]) -> None:
        """``path`` comes first in sys.path, ``others`` are roots not to import from."""
        self.label, self.root = label, root.resolve()
        self.others = [other.resolve() for other in others if other.resolve() != self.root]
        self.path = [*path, *sys.path]
        self.modules: dict[str, ModuleType] = {}

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Import from this tree, and keep what was imported; raises SharedStateError if it imports from another one.

        Blocks activate a tree thousands of times, so modules are searched only when their number has changed.
        """
        outside, path, folder = _find_outside(self), sys.path[:], os.getcwd()  # noqa: PTH109 - a Path is slow to make
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
            has_grown = len(sys.modules) != count
            if has_grown:
                self.modules = {name: module for name, module in list(sys.modules.items()) if self.owns(name, module)}
            for name in self.modules:
                sys.modules.pop(name, None)
            sys.modules.update(outside)
            if has_grown:
                self._check()

    def load(self, load_ours: Callable[[], None]) -> None:
        """Make this tree's gdbench the one to import; if its path has none, the one that ``load_ours`` imports."""
        with self.activate():
            if PACKAGE not in sys.modules and PathFinder.find_spec(PACKAGE, sys.path) is None:
                load_ours()

    def _check(self) -> None:
        for name, module in self.modules.items():
            file = _locate(module)
            if file is not None and any(_is_foreign(file, other, self.root) for other in self.others):
                raise SharedStateError(f"{self.label} imported {name} from the other side, {file}")

    def owns(self, name: str, module: ModuleType) -> bool:
        """Whether each tree has its own copy of a module: gdbench, and what lies in a tree and is not installed."""
        if name == PACKAGE or name.startswith(f"{PACKAGE}."):
            return True
        file = _locate(module)
        return (
            name != "__main__"
            and file is not None
            and any(file.is_relative_to(root) for root in (self.root, *self.others))
        )


_OUTSIDE: dict[tuple[str, ...], tuple[int, dict[str, ModuleType]]] = {}


def _find_outside(tree: ImportedTree) -> dict[str, ModuleType]:
    """Loaded modules of which the tree has its own copies; searched again when the number of modules has changed."""
    roots = tuple(sorted(map(str, (tree.root, *tree.others))))
    count, modules = _OUTSIDE.get(roots, (0, {}))
    if count != len(sys.modules):
        modules = {name: module for name, module in list(sys.modules.items()) if tree.owns(name, module)}
        _OUTSIDE[roots] = len(sys.modules), modules
    return modules


def _locate(module: ModuleType) -> Path | None:
    """The file of a module; None if it has none, or is installed."""
    file = getattr(module, "__file__", None)
    places = [file] if isinstance(file, str) else list(getattr(module, "__path__", ()))
    return _resolve_uninstalled(places[0]) if places and isinstance(places[0], str) else None


@cache
def _resolve_uninstalled(file: str) -> Path | None:
    """The resolved path of a file; None if an environment has it (which may lie inside a tree, as .venv does)."""
    place = Path(file).resolve()
    return None if any(place.is_relative_to(folder) for folder in INSTALLED) else place


def _is_foreign(file: Path, other: Path, own: Path) -> bool:
    """Whether a file belongs to the other tree and not to its own, one of which may lie within the other."""
    return file.is_relative_to(other) and not (own.is_relative_to(other) and file.is_relative_to(own))


def redirect_bytecode(folder: str, roots: Sequence[Path]) -> None:
    """Write the bytecode of modules in these trees to a folder elsewhere; call before importing from them."""

    class TreeLoader(SourceFileLoader):
        def get_code(self, fullname: str) -> Any:
            before = sys.pycache_prefix, sys.dont_write_bytecode
            sys.pycache_prefix, sys.dont_write_bytecode = folder, False
            try:
                return super().get_code(fullname)
            finally:
                sys.pycache_prefix, sys.dont_write_bytecode = before

    def find_in_trees(path: str) -> FileFinder:
        place = _resolve_uninstalled(path)
        if place is None or not any(place.is_relative_to(root) for root in roots):
            raise ImportError(f"{path} is not in a source tree", path=path)
        extensions = ExtensionFileLoader, EXTENSION_SUFFIXES
        return FileFinder(path, extensions, (TreeLoader, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, find_in_trees)
    sys.path_importer_cache.clear()
