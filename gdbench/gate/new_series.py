"""Whether a series is new: only if the base's tree, as committed, does not contain its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from gdbench.engine.git import GitError, read_git
from gdbench.gate.series import Series, SourceTree

__all__ = ["check_absences"]

CONF = "conf"
"""The folder of configurations of gdbench's own repository."""


def check_absences(
    answers: Mapping[str, dict[str, Any]], series: Sequence[Series], base: SourceTree, head: SourceTree
) -> dict[str, dict[str, Any]]:
    """The base's answers; one that lacks a configuration for another reason than its age becomes ``absent``."""
    checked = dict(answers)
    for one in series:
        answer = answers.get(one.name, {})
        if answer.get("outcome") == "lacking" and (why := _explain_not_new(one, str(answer["lacks"]), base, head)):
            checked[one.name] = {"outcome": "absent", "error": f"{answer['error']}: {why}"}
    return checked


def _explain_not_new(series: Series, lacks: str, base: SourceTree, head: SourceTree) -> str:
    """Why a series is not new although the base does not find a configuration of it; empty if it is new."""
    if base.root == head.root:
        return "and both sides are one tree"
    keys = {name for name, _ in series.settings}
    options = {f"{name}/{value}" for name, value in series.settings}
    if lacks in keys:
        return ""
    if lacks not in options:
        return "which a configuration that it has refers to"
    file = PurePosixPath(series.code or CONF, f"{lacks}.yaml")
    if _list_entry(base.root, file):
        return f"its commit holds {file}, but not its worktree: is the checkout sparse?"
    if module := next((parent for parent in file.parents if _list_entry(base.root, parent).startswith("160000")), None):
        return f"{module} is a submodule, which is not compared; start the gate in it"
    if _is_ignored(head.root, file):
        return f"git ignores {file}, so that no commit can hold it"
    return ""


def _list_entry(root: Path, path: PurePosixPath) -> str:
    """Mode, kind and object of a path in the commit of a worktree; empty if it has none."""
    return "" if path == PurePosixPath() else read_git(root, "ls-tree", "HEAD", "--", str(path))


def _is_ignored(root: Path, file: PurePosixPath) -> bool:
    try:
        return bool(read_git(root, "check-ignore", "--", str(file)))
    except GitError:  # exit code 1: not ignored
        return False
