"""Every schedule, clipping, noise and kind of method can be put on the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.cells import plain
from support.folding import folded
from support.laws import OPTIMIZERS
from support.tiers import representatives

from gdbench.engine import build
from gdbench.engine.runner import run_cell
from gdbench.sweeps.job import Job

CONF = Path(__file__).parents[2] / "conf"


def options(group: str) -> list[str]:
    """The options of a group that conf/ ships."""
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


GROUPS = ("schedule", "clip", "noise", "average")
CHANGED = ("schedule=cosine", "clip=norm", "noise=gaussian", "average=ema")
KINDS = [
    ("gd", "manual"),
    ("adam", "manual"),
    ("adam", "torch"),
    ("adam", "foreach"),
    ("asgd", "torch"),
    ("schedule_free_sgd", "manual"),
    ("armijo", "manual"),
    ("lbfgs", "torch"),
    ("bfgs", "manual"),
    ("adahessian", "manual"),
    ("muon", "manual"),
    ("ista", "manual"),
    ("fista", "manual"),
]
"""A method of every kind: by gradient, judged elsewhere, searching, by Hessian products, of matrices, proximal."""


def objective_for(optimizer: str) -> str:
    """An objective that the method can run on."""
    needs_facts = any(fact in OPTIMIZERS[optimizer].hyper for fact in ("smoothness", "strong_convexity"))
    kinds = {"ista": "lasso_proximal", "fista": "lasso_proximal", "muon": "notebook_matrix"}
    return kinds.get(optimizer, "quadratic" if needs_facts else "rosenbrock")


def cells(optimizer: str, impl: str, *words: str) -> list[Job]:
    """Cells of a few steps with the clock on."""
    asked = [f"objective={objective_for(optimizer)}", f"optimizer={optimizer}", f"impl={impl}", "lr=1e-3", *words]
    return folded(*asked, "steps=20", "trace=none", "timing=quick", "timing.seconds=1e-6")


def check_timed(job: Job) -> None:
    """A run with the clock on has a step time and no error."""
    columns: Any = run_cell(build.build_cell(job.spec)).columns
    names = ("status", "error", "timing_error", "timed", "step_s")
    told = {name: plain(columns[name], 0) if name in columns else None for name in names}

    assert told["error"] is told["timing_error"] is None, (job.overrides, told)
    if told["status"] != "nonfinite":  # which are never timed
        assert told["timed"] is True
        assert told["step_s"] > 0


@pytest.mark.parametrize("group", GROUPS)
def test_options_are_timed(group: str) -> None:
    """Every third schedule, clipping and noise has its step time beside its result; the others below, in turn."""
    some = options(group)[::3]
    jobs = cells("gd", "manual", f"{group}={','.join(some)}")

    assert len(jobs) == len(some)
    for job in jobs:
        check_timed(job)


@pytest.mark.parametrize(
    ("optimizer", "impl"), representatives(KINDS, [("adam", "manual"), ("asgd", "torch"), ("armijo", "manual")])
)
def test_every_kind_of_method_is_timed_with_all_around_it(optimizer: str, impl: str) -> None:
    """Schedule, clipping and noise together are timed with each kind of method."""
    (job,) = cells(optimizer, impl, *CHANGED)

    check_timed(job)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "optimizer"),
    [
        pytest.param(number, optimizer, marks=() if number % 3 == 0 else pytest.mark.campaign)
        for number, optimizer in enumerate(options("optimizer"))
    ],
)
def test_every_method_is_timed_with_changing_options(number: int, optimizer: str) -> None:
    """No option fails under the clock with the methods that meet it: each method has one of every group, in turn."""
    impl = "torch" if optimizer in ("lbfgs", "sparse_adam") else "manual"
    around = [f"{group}={options(group)[number % len(options(group))]}" for group in GROUPS]
    (job,) = cells(optimizer, impl, *around)

    check_timed(job)
