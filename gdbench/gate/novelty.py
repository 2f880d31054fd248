"""Whether a series is new: only where the base's tree, as git has it, does not hold its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from gdbench.engine.git import GitError, read_git
from gdbench.gate.series import Series, Side

__all__ = ["checked_absences"]

OWN = "conf"
"""The folder of configurations of gdbench's own repository."""


def checked_absences(
    answers: Mapping[str, dict[str, Any]], series: Sequence[Series], base: Side, head: Side
) -> dict[str, dict[str, Any]]:
    """The base's answers, of which those that lack a configuration for another reason than being older are absent."""
    checked = dict(answers)
    for one in series:
        answer = answers.get(one.name, {})
        if answer.get("outcome") == "lacking" and (why := _why_not_new(one, str(answer["lacks"]), base, head)):
            checked[one.name] = {"outcome": "absent", "error": f"{answer['error']}: {why}"}
    return checked


def _why_not_new(series: Series, lacks: str, base: Side, head: Side) -> str:
    """Why a configuration that the base does not find is no sign of a new series; empty where it is one."""
    if base.root == head.root:
        return "and both sides are one tree"
    keys = {name for name, _ in series.settings}
    options = {f"{name}/{value}" for name, value in series.settings}
    if lacks in keys:
        return ""
    if lacks not in options:
        return "which a configuration that it has refers to"
    file = PurePosixPath(series.code or OWN, f"{lacks}.yaml")
    if _ls_tree(base.root, file):
        return f"its commit holds {file}, but not its worktree: is the checkout sparse?"
    if module := next((parent for parent in file.parents if _ls_tree(base.root, parent).startswith("160000")), None):
        return f"{module} is a submodule, which is not compared; start the gate in it"
    if _is_ignored(head.root, file):
        return f"git ignores {file}, so that no commit can hold it"
    return ""


def _ls_tree(root: Path, place: PurePosixPath) -> str:
    """What the commit of a worktree holds under a name: mode, kind and object; empty where it holds nothing."""
    return "" if place == PurePosixPath() else read_git(root, "ls-tree", "HEAD", "--", str(place))


def _is_ignored(root: Path, file: PurePosixPath) -> bool:
    try:
        return bool(read_git(root, "check-ignore", "--", str(file)))
    except GitError:  # which is how git says no
        return False
