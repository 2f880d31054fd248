"""Test problems: one family a file, a factory each; what they have in common is in ``base``."""

from __future__ import annotations

from gdbench.objectives.base import Objective, Prox, cast, changed_in_place, fingerprint, is_same_content, seeded

__all__ = ["Objective", "Prox", "cast", "changed_in_place", "fingerprint", "is_same_content", "seeded"]
