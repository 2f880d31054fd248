"""Keeps what an experiment found: ``python experiments/record.py notebook``.

Runs ``conf/experiment/<name>.yaml``, writes the columns that a rerun must repeat to its ``expected.csv``, redraws its
picture, and prints the table for its README. ``tests/test_experiments.py`` compares.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pandas as pd

import gdbench
from gdbench.cli import main
from gdbench.sweeper import Lanes

HOME = Path(__file__).parent
EXACT = [
    *("run", "objective", "optimizer", "impl", "dtype", "device", "lr", "seed", "steps"),
    *("status", "event_step", "best_step", "steps_to_target", "gradients_to_target"),
    *(f"hit_1e-{power:02d}" for power in range(1, 13)),
    *("gradients", "evaluations"),
]
"""Columns that are equal wherever the experiment runs."""
ROUNDED = ["start_loss", "final_loss", "best_loss"]
"""Columns whose last digits depend on how a processor sums."""


def rerun(name: str, outputs: str | Path = "outputs") -> Path:
    """Run an experiment as the command line does; returns the sweep's folder."""
    if main(["-m", f"experiment={name}", f"outputs={outputs}", f"name={name}", "--quiet"]) or not Lanes.folder:
        raise SystemExit(f"experiment={name} failed.")
    return Lanes.folder


def findings(folder: Path) -> pd.DataFrame:
    """The columns of a sweep that a rerun must repeat."""
    return gdbench.load(folder)[[*EXACT, *ROUNDED]]


def markdown(found: pd.DataFrame) -> str:
    """The findings as a table for people; impls that found the same share a row."""
    shown = found[["objective", "optimizer", "impl", "lr", "status", "steps_to_target", "best_step"]].astype("string")
    shown["final_loss"] = found["final_loss"].map("{:.4g}".format)
    at = " @" + found["event_step"].astype("string")
    shown["status"] += at.fillna("")
    same = [name for name in shown if name != "impl"]
    shown = shown.fillna("").groupby(same, sort=False)["impl"].agg(", ".join).reset_index()
    header = [name.replace("_", " ") for name in shown]
    rows = [header, ["---"] * len(header), *shown.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        sweep = rerun(each)
        found = findings(sweep)
        found.to_csv(HOME / each / "expected.csv", index=False)
        if (HOME / each / "picture.py").exists():
            runpy.run_path(str(HOME / each / "picture.py"))["draw"](sweep)
        print(markdown(found))
