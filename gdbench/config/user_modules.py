"""Import the modules of a user's configuration folder: by folder, from their source as it is, with its digest.

Two folders may hold modules of the same name, and a file may be edited while the process lives. So each folder has its
own modules, which are in ``sys.modules`` only while gdbench works with that folder. They are compiled from the text of
their files (a .pyc is identified by a whole second and a size), and the digest of that text is stored with them.
``forget_changed`` drops those whose file has changed, and all that may have imported them.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import sys
import sysconfig
import threading
from collections.abc import Iterator, Sequence
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

__all__ = ["USER_ERRORS", "digest_source", "find_loaded_digest", "forget_changed", "import_from", "is_installed"]

INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
LAYERED = {"site-packages", "dist-packages"}
"""Where packages of an environment below this one lie, which sysconfig does not know of."""

USER_ERRORS = (Exception, SystemExit)
"""Exceptions of user code that fail a run; ``sys.exit`` would otherwise end the sweep without a row."""

_modules: dict[str, dict[str, ModuleType]] = {}
"""The modules of each folder, by name."""
_digests: dict[str, dict[str, str]] = {}
"""For each folder, the digest of the source that each of its modules was compiled from."""
_active: list[str] = []
"""The folders whose modules are in ``sys.modules`` now, the innermost last."""
_lock = threading.RLock()


def is_installed(path: str | Path) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    return str(path).startswith(INSTALLED) or bool(LAYERED & set(Path(path).parts))


def digest_source(content: bytes) -> str:
    """The digest of a module's source."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@contextlib.contextmanager
def import_from(folder: str | None) -> Iterator[None]:
    """Import from a folder, whose modules are in ``sys.modules`` meanwhile; None: no folder.

    The folder stays on ``sys.path`` for later imports; other modules with names of the folder's are removed and
    restored.
    """
    if folder is None:
        yield
        return
    with _lock:  # held throughout, as the process shares sys.modules
        if _active and _active[-1] == folder:
            yield
            return
        aside, finder = _set_aside(folder), _Finder(folder)
        others = set(sys.modules)
        sys.modules.update(_modules.get(folder, {}))
        _put_first(folder)
        _active.append(folder)
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            _active.pop()
            # Only new modules: asking all of a process's 5,000 modules takes as long as composing a cell.
            new = {name: sys.modules[name] for name in sys.modules.keys() - others}
            _modules[folder] = own = {name: module for name, module in new.items() if _is_within(module, folder)}
            for name in own:
                del sys.modules[name]
            sys.modules.update(aside)


def forget_changed() -> bool:
    """Drop the modules of every folder in which a source has changed; returns whether any had."""
    with _lock:
        stale = [folder for folder in _digests if folder not in _active and _is_changed(folder)]
        for folder in stale:
            del _digests[folder]
            _modules.pop(folder, None)
    importlib.invalidate_caches()  # a new file may be missing in the cached listing of its folder
    return bool(stale)


def find_loaded_digest(folder: str | None, name: str) -> str | None:
    """The digest of the source that a module of a folder was compiled from; None where it was not imported."""
    return None if folder is None else _digests.get(folder, {}).get(name)


def _is_changed(folder: str) -> bool:
    """Whether a module of a folder failed to import, or its file has changed since."""
    modules = _modules.get(folder, {})
    return any(_digest_file(modules.get(name)) != digest for name, digest in _digests[folder].items())


def _digest_file(module: ModuleType | None) -> str | None:
    try:
        return digest_source(Path(str(module.__file__)).read_bytes()) if module else None
    except OSError:
        return None


def _put_first(folder: str) -> None:
    """Move a folder to the front of ``sys.path``."""
    if sys.path[:1] != [folder]:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
        sys.path.insert(0, folder)


def _set_aside(folder: str) -> dict[str, ModuleType]:
    """Remove and return the modules with names of the folder's from ``sys.modules``, except installed ones."""
    tops = {name for name in _list_provided(folder) if _is_replaceable(sys.modules.get(name))}
    if not tops:  # nearly always; searching all that torch has imported takes longer than all else here
        return {}
    aside = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in tops}
    for name in aside:
        del sys.modules[name]
    return aside


def _list_provided(folder: str) -> set[str]:
    """The names of the modules and packages in a folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return {
            entry.name.removesuffix(".py")
            for entry in entries
            if (entry.name.endswith(".py") and entry.name.removesuffix(".py").isidentifier())
            or (entry.name.isidentifier() and entry.is_dir() and _holds_python(entry.path))
        } - {"gdbench", "__main__"}
    return set()


def _holds_python(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(".py") for entry in entries)


def _is_replaceable(module: ModuleType | None) -> bool:
    if module is None or module.__name__.partition(".")[0] in sys.stdlib_module_names:
        return False
    file = getattr(module, "__file__", None)
    return file is None or not is_installed(file)


def _is_within(module: Any, folder: str) -> bool:
    """Whether a module was imported by our finder from this folder."""
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    return isinstance(loader, _Loader) and loader.folder == folder


class _Loader(SourceFileLoader):
    """Compiles a module from the text of its file, and stores the digest of the text."""

    folder = ""

    def get_code(self, fullname: str) -> CodeType:
        content = self.get_data(self.path)
        _digests.setdefault(self.folder, {})[fullname] = digest_source(content)
        code: CodeType = self.source_to_code(content, self.path)
        return code


class _Finder:
    """Finds the modules of one folder before all other finders, except names of the standard library."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.loader = type("_FolderLoader", (_Loader,), {"folder": folder})

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in sys.stdlib_module_names:
            return None
        for place in [self.folder] if path is None else path:
            if Path(place).is_relative_to(self.folder):
                spec = FileFinder(place, (self.loader, [".py"])).find_spec(name, target)
                if spec is not None and spec.loader is not None:
                    return spec
        return None
