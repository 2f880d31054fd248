"""Methods: each file holds one family, with a factory per method; the contract is in ``base.py``.

``gdbench.optimizers.adam`` is a factory, in whichever file it is defined (see ``gdbench/objectives/flat_names.py``).
"""

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
