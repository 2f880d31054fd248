"""What a gate was asked for, and the two sides and suites that follow from it."""

from __future__ import annotations

import contextlib
import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gdbench.config.config_folders import check_own_names
from gdbench.errors import UsageError
from gdbench.gate.exact_measures import Finding
from gdbench.gate.git_worktree import NoRepository, base_of, repository, worktree
from gdbench.gate.series import Side
from gdbench.gate.suite import Suite, load_suite

__all__ = ["WORKING_TREE", "Asked", "based", "dropped", "head_of", "suite_of"]

WORKING_TREE = "your working tree"
GONE, OFF = "the base's suite holds it, yours does not", "the base's suite runs it, in yours it is off"


@dataclass(frozen=True)
class Asked:
    """What the command line asked for."""

    base: str | None = None
    suite: str = "default"
    config_dir: Path | None = None
    only: tuple[str, ...] = ()
    base_python: Path | None = None
    baseline: Path | None = None
    allow_same: bool = False
    time: str = "gate"
    """``gate``, ``advise`` or ``off``: what the time layer may do."""
    inconclusive: str = "fail"
    outputs: str = "outputs"

    def wants(self, series: str) -> bool:
        """Whether a series is one of those that were asked for by name or pattern; all are without any."""
        return not self.only or any(fnmatch.fnmatchcase(series, pattern) for pattern in self.only)


def head_of(asked: Asked) -> Side:
    """The working tree; without a repository, the folder in which we are."""
    if asked.baseline:
        with contextlib.suppress(NoRepository):
            return Side(repository(Path.cwd()), WORKING_TREE)
        return Side(Path.cwd(), WORKING_TREE)
    return Side(repository(Path.cwd()), WORKING_TREE)


def suite_of(asked: Asked) -> Suite:
    """The suite that was asked for, as the working tree has it."""
    folder = _own_folder(asked, head_of(asked))
    if folder is None:
        return load_suite(asked.suite).only(asked.only)
    return load_suite(asked.suite, asked.config_dir, folder).only(asked.only)


def _own_folder(asked: Asked, head: Side) -> str | None:
    """The user's own folder within the repository; None without one."""
    if asked.config_dir is None:
        return None
    folder, root = asked.config_dir.resolve(), head.root.resolve()
    if not folder.is_dir():
        raise UsageError(f"--config-dir {asked.config_dir} is no folder.")
    check_own_names(folder)
    if not folder.is_relative_to(root):
        raise UsageError(
            f"--config-dir {asked.config_dir} must lie in the repository {head.root}: its past is compared."
        )
    return str(folder.relative_to(root))


@contextlib.contextmanager
def based(asked: Asked, head: Side) -> Iterator[tuple[Side, str]]:
    """The base's side, while the context lasts, and what it is."""
    python = asked.base_python
    if python and not os.access(python, os.X_OK):
        raise UsageError(f"--base-python {python} is no program that can be started.")
    if python and not asked.base:
        yield replace(head, label=str(python), python=python), f"{python} on the same tree"
        return
    base = base_of(head.root, asked.base, asked.outputs, asked.allow_same or bool(python))
    with worktree(head.root, base.commit) as side:
        yield replace(side, python=python) if python else side, f"{base.short} ({base.how})"


def dropped(asked: Asked, base: Side, head: Side) -> list[Finding]:
    """Series that the base's own suite runs and the head's does not; a suite that cannot be read may hold any."""
    if base.root == head.root:
        return []
    try:
        before = _base_suite(asked, base, head)
    except UsageError as error:
        return [Finding(f"suite {asked.suite}", "unmeasured", why=f"the base's suite cannot be read: {error}")]
    whole = suite_of(replace(asked, only=()))
    running, stated = {one.name for one in whole.running}, {one.name for one in whole.series}
    return [
        Finding(one.name, "missing", why=OFF if one.name in stated else GONE)
        for one in (before.running if before else ())
        if one.name not in running and asked.wants(one.name)
    ]


def _base_suite(asked: Asked, base: Side, head: Side) -> Suite | None:
    """The suite of that name in the base's own tree; None where it has none of its own."""
    code = _own_folder(asked, head)
    folder = base.root / (code or "conf")
    ours = code is not None or (base.root / "gdbench" / "gate").is_dir()
    if not ours or not (folder / "gate" / f"{asked.suite}.yaml").is_file():
        return None
    return load_suite(asked.suite, folder, code)
