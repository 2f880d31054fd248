"""What conf/ and the code say of each objective, method and setting: the only source of the reference."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from gdbench.cli.list import read_headline
from gdbench.config.config_folders import config_folder
from gdbench.engine.factory_import import locate
from gdbench.errors import UsageError
from gdbench.objectives import Objective
from gdbench.objectives.training import Training
from gdbench.objectives.training_objective import build_training_objective
from website import axes

__all__ = ["Entry", "Setting", "by_family", "entries", "settings"]


@dataclass(frozen=True)
class Setting:
    """A key of a configuration, its default as it is written there, and the comment beside it."""

    name: str
    default: str
    comment: str


@dataclass(frozen=True)
class Entry:
    """One file of ``conf/<group>/``."""

    group: str
    file: Path

    @property
    def name(self) -> str:
        """What stands behind ``objective=`` or ``optimizer=``."""
        return self.file.stem

    @property
    def headline(self) -> str:
        """The line that ``python -m gdbench list`` shows."""
        return read_headline(self.file)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The file's content."""
        return dict(yaml.safe_load(self.file.read_text(encoding="utf-8")))

    @property
    def target(self) -> str | None:
        """The factory's full name: of a method without one of ours, torch's class."""
        if self.group != "optimizer":
            return self.config.get("_target_")
        ours, torchs = self.config.get("manual"), self.config.get("torch")
        return str((ours or torchs)["_target_"])

    @property
    def factory(self) -> Callable[..., Any]:
        """What makes it."""
        return locate(self.target, f"{self.group}={self.name}")

    @property
    def family(self) -> str:
        """The file, or folder, of gdbench that holds its factory."""
        parts = self.factory.__module__.split(".")
        return parts[2] if parts[0] == "gdbench" else parts[0]

    @property
    def words(self) -> str:
        """The factory's docstring; of a class of torch's, what our configuration says, for torch has its own pages."""
        return inspect.getdoc(self.factory) or "" if str(self.target).startswith("gdbench.") else ""

    @property
    def settings(self) -> list[Setting]:
        """Its own keys."""
        return [each for each in settings(self.file) if each.name not in ("_target_", "manual", "torch", "default_lr")]

    @cached_property
    def made(self) -> Objective | str:
        """The objective at its defaults; or why it cannot be had here."""
        arguments = {name: value for name, value in self.config.items() if name != "_target_"}
        try:
            made = self.factory(**arguments)
        except UsageError as reason:
            return str(reason)
        objective: Objective = build_training_objective(made) if isinstance(made, Training) else made
        return objective

    @cached_property
    def is_separable(self) -> bool:
        """Whether it is an objective that was built, and one of separate coordinates."""
        return isinstance(self.made, Objective) and self.made.training is None and axes.is_separable(self.made)

    @property
    def starts_on_diagonal(self) -> bool:
        """Whether it is an objective that was built, and starts on a diagonal of a minimum."""
        return isinstance(self.made, Objective) and self.made.training is None and axes.starts_on_diagonal(self.made)


@cache
def entries(group: str) -> list[Entry]:
    """Every file of a group, by name; each objective is built once, for all pages."""
    return [Entry(group, file) for file in sorted((config_folder() / group).glob("*.yaml"))]


def by_family(given: list[Entry]) -> Mapping[str, list[Entry]]:
    """The same by family, both in order of their names."""
    families = sorted({each.family for each in given})
    return {family: [each for each in given if each.family == family] for family in families}


def settings(file: Path) -> list[Setting]:
    """The keys at the top of a file that are plain values, as they stand there."""
    return list(_settings(file.read_text(encoding="utf-8")))


def _settings(text: str) -> Iterator[Setting]:
    for line in text.splitlines():
        if found := re.fullmatch(r"(\w+): *([^#\s][^#]*?|)\s*(?:#\s*(.*))?", line):
            name, default, comment = found.groups()
            if default:
                yield Setting(name, default, comment or "")
