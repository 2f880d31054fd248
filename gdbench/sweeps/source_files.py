"""Find the source files of modules and of all that they import, without importing anything."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
from functools import cache, lru_cache
from pathlib import Path

from gdbench.config.user_modules import is_installed
from gdbench.objectives.flat_names import find_module

__all__ = ["IMPORT", "find_source", "find_sources", "is_own_code", "top_package"]


IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b[ \t]*(\([^)]*\)|[^\n;#(]+)"
    r"|import[ \t]+([^\n;#]+))",
    re.MULTILINE,
)
"""An import statement, found by pattern: a parser takes 0.1 s for the files of one sweep. A match within a string names
a module that does not exist, or one too many."""


@cache
def find_sources(modules: frozenset[str], folder: str | None = None) -> dict[str, Path]:
    """The files of modules and of all that they import, by module name; ``folder`` is the user's."""
    named = {top_package(name) for name in modules}
    found: dict[str, Path] = {}
    left = sorted(modules)
    while left:
        name = left.pop()
        if (
            name in found
            or name == "gdbench"
            or not (top_package(name) in named or is_own_code(top_package(name), folder))
        ):
            continue  # gdbench's top package names all of its modules
        if path := find_source(name, folder):
            found[name] = path
            left += [*_list_imports(name, path), *([name.rpartition(".")[0]] if "." in name else [])]
        elif "." in name:
            left.append(find_module(name))
    return found


def top_package(name: str) -> str:
    """The top-level package or module of a dotted name."""
    return name.partition(".")[0]


@cache
def is_own_code(top: str, folder: str | None) -> bool:
    """Whether a package or module is not an installed one."""
    path = find_source(top, folder)
    return path is not None and not is_installed(path)


@cache
def find_source(name: str, folder: str | None) -> Path | None:
    """The source file of a module; None where there is none.

    ``folder`` is the user's, whose modules are in ``sys.modules`` now.
    """
    top, *below = name.split(".")
    try:
        spec = sys.modules[top].__spec__ if top in sys.modules else importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not below:
        return _find_python_file(spec.origin if spec else None)
    for folder in spec.submodule_search_locations or ():
        place = os.path.join(folder, *below)  # noqa: PTH118  (hundreds of names, most of which are no module)
        if found := _find_python_file(os.path.join(place, "__init__.py")) or _find_python_file(f"{place}.py"):  # noqa: PTH118
            return found
    return None


def _find_python_file(path: str | None) -> Path | None:
    return Path(path) if path and path.endswith(".py") and os.path.isfile(path) else None  # noqa: PTH113


def _list_imports(name: str, path: Path) -> list[str]:
    """The full names of all that a module imports; some may be no modules."""
    return _list_imports_in(name if path.name == "__init__.py" else name.rpartition(".")[0], path.read_bytes())


@lru_cache(maxsize=1024)
def _list_imports_in(package: str, content: bytes) -> list[str]:
    names = []
    text = importlib.util.decode_source(content).replace("\\\n", " ")
    for source, members, modules in IMPORT.findall(text):
        if modules:
            names += _split_names(modules)
            continue
        with contextlib.suppress(ImportError):  # too many dots: only in a string
            base = importlib.util.resolve_name(source, package)
            names += [base, *(f"{base}.{name}" for name in _split_names(members))]
    return names


def _split_names(listed: str) -> list[str]:
    """The names in ``a as b, c``: a and c."""
    return [name.split()[0] for name in re.sub(r"#.*|[()]", "", listed).split(",") if name.strip()]
