"""What the gate compares: series, each one question asked of two sides, and the sides that answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gdbench.config.overrides import code_override, format_override, search_path_override

__all__ = ["POLICIES", "Series", "Side"]

POLICIES = ("gate", "advise", "off")
"""What a finding does: fails the gate, or is told and nothing else; what is off is not run at all."""


@dataclass(frozen=True)
class Series:
    """One comparable thing: a question that both sides answer, and how its answers are judged."""

    name: str
    """Stable and unique: what baselines, waivers and acceptances refer to."""
    settings: tuple[tuple[str, Any], ...]
    """Every setting that poses the question, as in ``("optimizer.beta1", 0.8)``; what is left out is the side's own
    default. Each side composes them with its own configurations."""
    policy: str = "gate"
    """``gate`` or ``advise``; a series that is ``off`` is in no list that a layer is given."""
    d0: float = 0.01
    """Slowdowns up to this are none."""
    d1: float = 0.03
    """Slowdowns from this on must be found."""
    budget_s: float = 3.0
    """At most so many seconds are spent on timing it."""
    code: str | None = None
    """The folder of the user's own configurations and code, relative to the root of a side; None without one."""

    def setting(self, key: str, default: Any = None) -> Any:
        """One of its settings."""
        return dict(self.settings).get(key, default)

    @property
    def words(self) -> list[str]:
        """The overrides that pose the question, untimed, on the CPU; a side's own folder of code is added by it."""
        return ["timing=off", "device=cpu", *(format_override(key, value) for key, value in self.settings)]


@dataclass(frozen=True)
class Side:
    """One of the two trees that are compared, and the interpreter that runs it."""

    root: Path
    """The top of the tree: a worktree of the base, or the working tree."""
    label: str
    """In words: ``1a2b3c4``, ``working tree``."""
    python: Path = field(default_factory=lambda: Path(sys.executable))

    @property
    def path(self) -> list[str]:
        """What Python imports from before anything installed: the tree's own packages, also where they lie in src/."""
        return [str(folder) for folder in (self.root / "src", self.root) if folder.is_dir()]

    def composing(self, series: Series) -> tuple[list[str], list[str]]:
        """Overrides for this side: those that only Hydra understands (``Composer(fixed)``), and those of the cell."""
        if series.code is None:
            return [], series.words
        folder = (self.root / series.code).resolve()
        return [search_path_override(folder)], [*series.words, code_override(folder)]
