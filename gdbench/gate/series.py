"""Series, each one setup that both sides run, and the source trees that are compared."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gdbench.config.overrides import code_override, format_override, search_path_override

__all__ = ["POLICIES", "Series", "SourceTree"]

POLICIES = ("gate", "advise", "off")
"""What a failing verdict does: it fails the gate, or is only reported; a series that is off is not run."""


@dataclass(frozen=True)
class Series:
    """One setup that both sides run, and the limits by which its results are judged."""

    name: str
    """Stable and unique: baselines, waivers and acceptances refer to it."""
    settings: tuple[tuple[str, Any], ...]
    """Its settings, as in ``("optimizer.beta1", 0.8)``; what is left out is the side's own default. Each side composes
    them with its own configurations."""
    policy: str = "gate"
    """``gate`` or ``advise``; the layers are never given a series that is ``off``."""
    d0: float = 0.01
    """Slowdowns up to this fraction are ignored."""
    d1: float = 0.03
    """Slowdowns from this fraction on must be detected."""
    budget_s: float = 3.0
    """Maximum seconds of timing."""
    code: str | None = None
    """The folder of the user's own configurations and code, relative to the root of a tree; None without one."""

    def get_setting(self, key: str) -> Any:
        """One of its settings; None if it does not state it."""
        return dict(self.settings).get(key)

    @property
    def overrides(self) -> list[str]:
        """Hydra overrides of the cell, untimed, on the CPU; without the tree's folder of code."""
        return ["timing=off", "device=cpu", *(format_override(key, value) for key, value in self.settings)]


@dataclass(frozen=True)
class SourceTree:
    """One of the two trees that are compared, and the interpreter that runs it."""

    root: Path
    """The top of the tree: a worktree of the base, or the working tree."""
    label: str
    """``1a2b3c4`` or ``working tree``, for messages."""
    python: Path = field(default_factory=lambda: Path(sys.executable))

    @property
    def import_path(self) -> list[str]:
        """Folders that come first in sys.path: the tree's own packages, also those in src/."""
        return [str(folder) for folder in (self.root / "src", self.root) if folder.is_dir()]

    def build_request(self, series: Series) -> tuple[list[str], list[str]]:
        """Overrides of a series in this tree: those that only Hydra understands (``Composer(fixed)``), and the rest."""
        if series.code is None:
            return [], series.overrides
        folder = (self.root / series.code).resolve()
        return [search_path_override(folder)], [*series.overrides, code_override(folder)]
