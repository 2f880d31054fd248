"""Methods: one family a file, a factory each; what they have in common is in ``base``."""

from __future__ import annotations

import sys

from gdbench.objectives.flat_names import FlatPackage
from gdbench.optimizers.base import (
    HESSIAN_PRODUCT,
    At,
    Hyper,
    Inner,
    Method,
    Number,
    Oracle,
    Saw,
    Seen,
    Split,
    Step,
    first_order,
    judging,
    matrix_method,
    searching,
    treat_as_mutating,
    whole,
)

__all__ = [
    "HESSIAN_PRODUCT",
    "At",
    "Hyper",
    "Inner",
    "Method",
    "Number",
    "Oracle",
    "Saw",
    "Seen",
    "Split",
    "Step",
    "first_order",
    "judging",
    "matrix_method",
    "searching",
    "treat_as_mutating",
    "whole",
]

sys.modules[__name__].__class__ = FlatPackage
