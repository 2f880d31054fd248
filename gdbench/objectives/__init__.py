"""Test problems: each file holds one family, with a factory per problem; the contract is in ``base.py``.

``gdbench.objectives.rosenbrock`` is a factory, in whichever file it is defined (see ``flat_names.py``).
"""

from __future__ import annotations

import sys

from gdbench.objectives.base import Objective, Prox, cast, find_changed_data, hash_data, is_same_content, make_generator
from gdbench.objectives.flat_names import FlatPackage

__all__ = ["Objective", "Prox", "cast", "find_changed_data", "hash_data", "is_same_content", "make_generator"]

sys.modules[__name__].__class__ = FlatPackage
