"""The options of a gate, and the trees and suites that follow from them."""

from __future__ import annotations

import contextlib
import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gdbench.config.config_folders import check_own_names
from gdbench.errors import UsageError
from gdbench.gate.exact_measures import ExactResult
from gdbench.gate.git_worktree import NoRepository, find_repository, open_worktree, resolve_base
from gdbench.gate.series import SourceTree
from gdbench.gate.suite import Suite, load_suite

__all__ = ["WORKING_TREE", "GateRequest", "find_dropped_series", "find_head", "load_head_suite", "open_base"]

WORKING_TREE = "your working tree"
NOT_IN_HEAD, OFF_IN_HEAD = "the base's suite holds it, yours does not", "the base's suite runs it, in yours it is off"


@dataclass(frozen=True)
class GateRequest:
    """Options of the command line."""

    base: str | None = None
    suite: str = "default"
    config_dir: Path | None = None
    only: tuple[str, ...] = ()
    base_python: Path | None = None
    baseline: Path | None = None
    allow_same: bool = False
    time: str = "gate"
    """The time layer: ``gate``, ``advise`` or ``off``."""
    inconclusive: str = "fail"
    outputs: str = "outputs"

    def has_series(self, name: str) -> bool:
        """Whether a series is selected by ``only``, names or patterns; all are if it is empty."""
        return not self.only or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.only)


def find_head(request: GateRequest) -> SourceTree:
    """The working tree; with a baseline and outside of a repository, the current folder."""
    if request.baseline:
        with contextlib.suppress(NoRepository):
            return SourceTree(find_repository(Path.cwd()), WORKING_TREE)
        return SourceTree(Path.cwd(), WORKING_TREE)
    return SourceTree(find_repository(Path.cwd()), WORKING_TREE)


def load_head_suite(request: GateRequest) -> Suite:
    """The requested suite as the working tree has it, with the selected series."""
    folder = _find_own_folder(request, find_head(request))
    if folder is None:
        return load_suite(request.suite).select(request.only)
    return load_suite(request.suite, request.config_dir, folder).select(request.only)


def _find_own_folder(request: GateRequest, head: SourceTree) -> str | None:
    """The user's own folder, relative to the repository; None without one."""
    if request.config_dir is None:
        return None
    folder, root = request.config_dir.resolve(), head.root.resolve()
    if not folder.is_dir():
        raise UsageError(f"--config-dir {request.config_dir} is no folder.")
    check_own_names(folder)
    if not folder.is_relative_to(root):
        raise UsageError(
            f"--config-dir {request.config_dir} must lie in the repository {head.root}: its past is compared."
        )
    return str(folder.relative_to(root))


@contextlib.contextmanager
def open_base(request: GateRequest, head: SourceTree) -> Iterator[tuple[SourceTree, str]]:
    """The base's tree and its description; a worktree is removed when the context ends."""
    python = request.base_python
    if python and not os.access(python, os.X_OK):
        raise UsageError(f"--base-python {python} is no program that can be started.")
    if python and not request.base:
        yield replace(head, label=str(python), python=python), f"{python} on the same tree"
        return
    base = resolve_base(head.root, request.base, request.outputs, request.allow_same or bool(python))
    with open_worktree(head.root, base.commit) as tree:
        yield replace(tree, python=python) if python else tree, f"{base.short} ({base.how})"


def find_dropped_series(request: GateRequest, base: SourceTree, head: SourceTree) -> list[ExactResult]:
    """A result for each series that the base's own suite runs and the head's does not, or for an unreadable suite."""
    if base.root == head.root:
        return []
    try:
        before = _load_base_suite(request, base, head)
    except UsageError as error:
        return [ExactResult(f"suite {request.suite}", "unmeasured", why=f"the base's suite cannot be read: {error}")]
    now = load_head_suite(replace(request, only=()))
    running, stated = {one.name for one in now.running}, {one.name for one in now.series}
    return [
        ExactResult(one.name, "missing", why=OFF_IN_HEAD if one.name in stated else NOT_IN_HEAD)
        for one in (before.running if before else ())
        if one.name not in running and request.has_series(one.name)
    ]


def _load_base_suite(request: GateRequest, base: SourceTree, head: SourceTree) -> Suite | None:
    """The suite of that name in the base's own tree; None if it has none of its own."""
    code = _find_own_folder(request, head)
    folder = base.root / (code or "conf")
    has_suites = code is not None or (base.root / "gdbench" / "gate").is_dir()
    if not has_suites or not (folder / "gate" / f"{request.suite}.yaml").is_file():
        return None
    return load_suite(request.suite, folder, code)
