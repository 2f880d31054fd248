"""The path that each optimizer takes on one quadratic bowl: a sweep of gdbench's own, kept until the code changes."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

import gdbench
from gdbench.build import locate
from gdbench.config import config_folder
from gdbench.objectives import Objective
from website.facts import entries

__all__ = ["BOWL", "STEPS", "Walk", "bowl", "walks"]

BOWL = {"objective.n": 2, "objective.condition": 20.0, "objective.instance": 1}
STEPS = 40
RATES = "${logspace:-3,1,9}"
KEPT = Path(__file__).parent.parent / ".cache" / "site"
"""In the checkout, and ignored by git; to remove it costs half a minute."""


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
    made: Objective = locate("gdbench.objectives.quadratic.quadratic", "objective")(**arguments)
    return made


def walks() -> dict[str, Walk]:
    """For each optimizer the run, of nine learning rates from 1e-3 to 10, that ends lowest after ``STEPS`` steps."""
    runs, traces = _tables()
    best = runs.sort_values(["final_gap", "lr"]).groupby("optimizer").head(1).set_index("optimizer")
    paths = traces.sort_values("step").groupby("run")["x"]
    return {str(name): _walk(row, paths) for name, row in best.iterrows()}


def _walk(row: pd.Series, paths: pd.core.groupby.SeriesGroupBy) -> Walk:
    if row["status"] in ("failed", "unavailable"):
        return Walk(float("nan"), float("nan"), None, str(row["error"]))
    return Walk(float(row["lr"]), float(row["final_gap"]), np.stack(list(paths.get_group(row["run"]))))


def _tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and traces of the sweep, which runs where it was not kept."""
    files = [KEPT / f"{_code()}-{name}.parquet" for name in ("runs", "traces")]
    if not all(file.is_file() for file in files):
        KEPT.mkdir(parents=True, exist_ok=True)
        for old in KEPT.glob("*.parquet"):
            old.unlink()
        for file, table in zip(files, _swept(), strict=True):
            table.to_parquet(file)
    return pd.read_parquet(files[0]), pd.read_parquet(files[1])


def _swept() -> tuple[pd.DataFrame, pd.DataFrame]:
    names = {impl: [] for impl in ("manual", "torch")}
    for each in entries("optimizer"):
        names["manual" if each.config["manual"] else "torch"].append(each.name)
    shared = {"lr": RATES, "steps": STEPS, "record": "full", "timing": "off", "dtype": "float64", "device": "cpu"}
    made = []
    with tempfile.TemporaryDirectory() as outputs:
        for impl, chosen in names.items():
            runs = gdbench.sweep("quadratic", optimizer=chosen, impl=impl, outputs=outputs, **shared, **BOWL)
            made.append((runs, gdbench.load(runs.attrs["folder"], "traces")))
    runs, traces = (pd.concat(each) for each in zip(*made, strict=True))
    return runs[["run", "optimizer", "lr", "status", "final_gap", "error"]], traces[["run", "step", "x"]]


def _code() -> str:
    """A digest of all that decides the paths: the package, its configurations and this file."""
    files = [*Path(gdbench.__file__).parent.rglob("*.py"), *config_folder().rglob("*.yaml"), Path(__file__)]
    told = hashlib.sha256()
    for file in sorted(files):
        told.update(file.read_bytes())
    return told.hexdigest()[:16]
