"""Test problems: one family a file, a factory each; what they have in common is in ``base``."""

from __future__ import annotations

import sys

from gdbench.objectives.base import Objective, Prox, cast, find_changed_data, hash_data, is_same_content, make_generator
from gdbench.objectives.flat_names import FlatPackage

__all__ = ["Objective", "Prox", "cast", "find_changed_data", "hash_data", "is_same_content", "make_generator"]

sys.modules[__name__].__class__ = FlatPackage
