"""The path that each optimizer takes on one quadratic bowl."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gdbench.config.compose import Composer, prepare_hydra, to_plain
from gdbench.config.spec import CellSpec
from gdbench.engine.build import build_cell
from gdbench.engine.factory_import import locate
from gdbench.engine.runner import run_cell
from gdbench.errors import Unavailable
from gdbench.objectives import Objective
from website.facts import Entry, entries

__all__ = ["BOWL", "STEPS", "Walk", "bowl", "walks"]

BOWL = {"objective.n": 2, "objective.condition": 20.0, "objective.instance": 1}
STEPS = 40
RATES = "${logspace:-3,1,9}"


@dataclass(frozen=True)
class Walk:
    """The best run of an optimizer, or why it has none."""

    lr: float
    gap: float
    path: npt.NDArray[np.float64] | None
    why: str | None = None


def bowl() -> Objective:
    """The bowl that all of them walk in: two coordinates, condition 20, turned."""
    arguments = {name.partition(".")[2]: value for name, value in BOWL.items()}
    made: Objective = locate("gdbench.objectives.quadratic", "objective")(**arguments)
    return made


def walks() -> dict[str, Walk]:
    """For each optimizer the run, of nine learning rates from 1e-3 to 10, that ends lowest after ``STEPS`` steps.

    Hydra composes one configuration, for it takes longer than the runs; in it each optimizer's own file is put.
    """
    shared = {"steps": STEPS, "trace": "full", "timing": "off", "dtype": "float64", "device": "cpu", "lr": RATES}
    with prepare_hydra():
        composed = Composer()([f"{key}={value}" for key, value in {"objective": "quadratic", **shared, **BOWL}.items()])
        config = to_plain(composed.config)

    def ask(entry: Entry) -> CellSpec:
        impl = "manual" if entry.config["manual"] else "torch"
        chosen = {**config, "optimizer": entry.config, "impl": impl}
        return CellSpec.parse(chosen, {**composed.choices, "optimizer": entry.name})

    return {entry.name: _walk(ask(entry)) for entry in entries("optimizer")}


def _walk(question: CellSpec) -> Walk:
    """The run of a cell whose last gap is least, of equal ones that of the smallest rate."""
    try:
        cell = build_cell(question)
    except Unavailable as reason:
        return Walk(float("nan"), float("nan"), None, str(reason))
    answer = run_cell(cell)
    columns = answer.columns
    if set(columns["status"]) <= {"failed", "unavailable"}:
        return Walk(float("nan"), float("nan"), None, str(columns["error"][0]))
    rates, gaps = cell.hyper["lr"], columns["final_gap"]
    best = int(np.lexsort((rates, gaps))[0])  # what has no gap comes last
    return Walk(float(rates[best]), float(gaps[best]), answer.traces["x"][answer.traces["row"] == best])
