"""Test problems: one family a file, a factory each; what they have in common is in ``base``."""

from __future__ import annotations

import sys

from gdbench.objectives.base import Objective, Prox, cast, changed_in_place, fingerprint, is_same_content, seeded
from gdbench.objectives.flat_names import FlatPackage

__all__ = ["Objective", "Prox", "cast", "changed_in_place", "fingerprint", "is_same_content", "seeded"]

sys.modules[__name__].__class__ = FlatPackage
