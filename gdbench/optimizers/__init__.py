"""Methods: one family a file, a factory each; what they have in common is in ``base``."""

from __future__ import annotations

import sys

from gdbench.objectives.flat_names import FlatPackage
from gdbench.optimizers.base import (
    HESSIAN_PRODUCT,
    CompositeParts,
    GradientInfo,
    Hyper,
    InnerProduct,
    Method,
    Oracle,
    RunNumber,
    Step,
    StepFields,
    StepInfo,
    compute_output_info,
    first_order,
    line_search_method,
    matrix_method,
    tree_method,
)

__all__ = [
    "HESSIAN_PRODUCT",
    "CompositeParts",
    "GradientInfo",
    "Hyper",
    "InnerProduct",
    "Method",
    "Oracle",
    "RunNumber",
    "Step",
    "StepFields",
    "StepInfo",
    "compute_output_info",
    "first_order",
    "line_search_method",
    "matrix_method",
    "tree_method",
]

sys.modules[__name__].__class__ = FlatPackage
