"""The source files of a module: its own and those of the user's modules that it imports."""

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

__all__ = ["IMPORT", "find_source", "is_own_code", "sources", "top_package"]


IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b[ \t]*(\([^)]*\)|[^\n;#(]+)"
    r"|import[ \t]+([^\n;#]+))",
    re.MULTILINE,
)
"""A statement that imports, read off the text: a parser takes a tenth of a second for what one sweep needs. What only
looks like one, in a string, names a module that is not there, or one too many."""


@cache
def sources(modules: frozenset[str], folder: str | None = None) -> dict[str, Path]:
    """The files of these modules and of all that they import, by the name of the module; ``folder`` is the user's."""
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
            continue  # gdbench itself names all that there is
        if path := find_source(name, folder):
            found[name] = path
            left += [*_imports(name, path), *([name.rpartition(".")[0]] if "." in name else [])]
        elif "." in name:
            left.append(find_module(name))
    return found


def top_package(name: str) -> str:
    """The package, or module, at the top of a dotted name."""
    return name.partition(".")[0]


@cache
def is_own_code(top: str, folder: str | None) -> bool:
    """Whether a package or module is one that somebody works on, and not installed."""
    path = find_source(top, folder)
    return path is not None and not is_installed(path)


@cache
def find_source(name: str, folder: str | None) -> Path | None:
    """The source file of a module, found without importing anything; None where there is none.

    ``folder`` is the user's, whose modules stand in ``sys.modules`` now.
    """
    top, *below = name.split(".")
    try:
        spec = sys.modules[top].__spec__ if top in sys.modules else importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not below:
        return _python(spec.origin if spec else None)
    for folder in spec.submodule_search_locations or ():
        place = os.path.join(folder, *below)  # noqa: PTH118  (hundreds of names, most of which are no module)
        if found := _python(os.path.join(place, "__init__.py")) or _python(f"{place}.py"):  # noqa: PTH118
            return found
    return None


def _python(path: str | None) -> Path | None:
    return Path(path) if path and path.endswith(".py") and os.path.isfile(path) else None  # noqa: PTH113


def _imports(name: str, path: Path) -> list[str]:
    """The full names of what a module imports, anywhere in it; what is no module will not be found."""
    return _imports_in(name if path.name == "__init__.py" else name.rpartition(".")[0], path.read_bytes())


@lru_cache(maxsize=1024)
def _imports_in(package: str, content: bytes) -> list[str]:
    names = []
    text = importlib.util.decode_source(content).replace("\\\n", " ")
    for source, members, modules in IMPORT.findall(text):
        if modules:
            names += _names(modules)
            continue
        with contextlib.suppress(ImportError):  # dots that lead out of the package: only in a string
            base = importlib.util.resolve_name(source, package)
            names += [base, *(f"{base}.{name}" for name in _names(members))]
    return names


def _names(listed: str) -> list[str]:
    """``a as b, c`` without what they are called here."""
    return [each.split()[0] for each in re.sub(r"#.*|[()]", "", listed).split(",") if each.strip()]
