"""Run experiments and record their results: ``python -m experiments.record NAME ...``, or ``--all``.

Runs ``conf/experiment/NAME.yaml`` (at the smaller size that ``finding.py`` names, if any), writes the columns that a
rerun must repeat to ``expected.csv``, redraws ``picture.svg``, and writes sentence, truths and table to the README,
between the lines ``<!-- recorded -->`` and ``<!-- end -->``. ``tests/package/test_experiments.py`` compares them. With
``--full`` it runs the configuration at full size, only prints the result, and exits with 1 if a truth does not hold.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import pandas as pd
import torch

import gdbench
from experiments.truth import ExperimentResult, Truth
from gdbench.config.overrides import format_override
from gdbench.gate.baseline import OPTIONAL_SETTINGS
from gdbench.sweeps.command_line import run_command

HOME = Path(__file__).parent
NAMES = sorted(path.parent.name for path in HOME.glob("*/finding.py"))
EXACT = [
    *("run_id", "objective", "optimizer", "impl", "dtype", "device", "lr", "seed", "steps"),
    *("status", "status_step", "best_step", "steps_to_target", "gradient_evals_to_target"),
    *(f"hit_1e-{power:02d}" for power in range(1, 13)),
    *("gradient_evals", "function_evals"),
]
"""Columns that are equal on every machine, except those that ``finding.py`` calls FRAGILE."""
ROUNDED = ["start_loss", "final_loss", "best_loss"]
"""Columns whose last digits depend on the processor."""
UNWRITTEN = {"judge_every": 1, "exact": False, "average": "none"}
"""Settings that are not written down where all runs have these values."""
BEGIN, END = "<!-- recorded -->", "<!-- end -->"

HEAD = """# Experiments

Questions with a lasting answer. Each is a configuration (`conf/experiment/NAME.yaml`), a page, and a `finding.py` that
computes the answer and states what it must be according to theory or a paper, with a tolerance. The tests repeat all of
them. `python -m experiments.record NAME` repeats one and records the result.
"""


@dataclass(frozen=True)
class ExperimentRun:
    """The tables of an experiment's sweep, just run."""

    name: str
    runs: pd.DataFrame
    traces: pd.DataFrame

    @cached_property
    def result(self) -> ExperimentResult:
        """The result that ``finding.py`` computes."""
        found: ExperimentResult = load_code(self.name).find(self.runs, self.traces)
        return found

    @property
    def expected(self) -> pd.DataFrame:
        """The columns that a rerun must repeat."""
        fragile = getattr(load_code(self.name), "FRAGILE", ())
        also = getattr(load_code(self.name), "ALSO_EXACT", ())
        settings = [*OPTIONAL_SETTINGS, *(name for name in self.runs if "." in name)]
        given = [name for name in settings if self.runs[name].notna().any() and not self._is_default(name)]
        return self.runs[[name for name in (*EXACT, *also, *ROUNDED, *given) if name not in fragile]]

    def _is_default(self, name: str) -> bool:
        """Whether all runs have the default of a setting that is not written down where it does nothing."""
        return name in UNWRITTEN and bool((self.runs[name] == UNWRITTEN[name]).all())

    def picture(self) -> str:
        """Draw the picture, as SVG."""
        return str(load_code(self.name).draw(self.runs, self.traces))


def load_code(name: str) -> ModuleType:
    """Import ``finding.py`` of an experiment."""
    return importlib.import_module(f"experiments.{name}.finding")


def load_truths(name: str) -> Sequence[Truth]:
    """List the truths of an experiment."""
    return getattr(load_code(name), "TRUTHS", ())


def format_command(name: str, full: bool = False) -> str:
    """Word the command that repeats an experiment, at the size of the tests or at full size."""
    smaller = [] if full else getattr(load_code(name), "SMALL", ())
    return " ".join(["python -m gdbench -m", f"experiment={name}", *smaller])


def run_experiment(name: str, outputs: str | Path = "outputs", full: bool = False) -> ExperimentRun:
    """Run an experiment as the command line does."""
    words = format_command(name, full).split()[3:]
    given = [format_override("outputs", str(outputs)), format_override("name", name)]
    result = run_command([*words, *given])
    runs = gdbench.load(result.folder)
    if (runs["status"] == "failed").any():
        raise SystemExit(f"experiment={name} failed.")
    return ExperimentRun(name, runs, gdbench.load(result.folder, "traces"))


def format_page(recorded: ExperimentRun) -> str:
    """Format the README's recorded part: the sentence, the truths and the table."""
    result = recorded.result
    table = format_runs(recorded.runs) if result.table is None else to_markdown(result.table)
    parts = [result.sentence, to_markdown(compare_with_truths(recorded)), table]
    return "\n\n".join(part for part in parts if part)


def compare_with_truths(recorded: ExperimentRun) -> pd.DataFrame:
    """Build a table of the truths and the measured numbers."""
    numbers = recorded.result.numbers
    rows = [
        (truth.quantity, truth.interval, truth.format_number(numbers[truth.quantity]), truth.source)
        for truth in load_truths(recorded.name)
    ]
    return pd.DataFrame(rows, columns=["quantity", "must be", "found", "says"])


def format_runs(runs: pd.DataFrame) -> str:
    """Format all runs as a Markdown table; impls with equal results share a row."""
    table = runs[["objective", "optimizer", "impl", "lr", "status", "steps_to_target", "best_step"]].astype("string")
    table["final_loss"] = runs["final_loss"].map("{:.4g}".format)
    at = " @" + runs["status_step"].astype("string")
    table["status"] += at.fillna("")
    same = [name for name in table if name != "impl"]
    return to_markdown(table.fillna("").groupby(same, sort=False)["impl"].agg(_join_unique).reset_index())


def _join_unique(names: pd.Series) -> str:
    return ", ".join(dict.fromkeys(names))


def to_markdown(table: pd.DataFrame) -> str:
    """Format a table as Markdown; an empty one as no text."""
    header = [str(name).replace("_", " ") for name in table]
    rows = [header, ["---"] * len(header), *table.astype(object).fillna("").to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(format_cell, row))} |" for row in rows) if len(table) else ""


def format_cell(value: object) -> str:
    """Format a number with four digits, and escape text."""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def insert_into_readme(readme: Path, words: str) -> None:
    """Replace the text of a README between the lines ``BEGIN`` and ``END``."""
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text:
        raise SystemExit(f"{readme} has no line {BEGIN}.")
    whole = re.compile(f"{BEGIN}\n.*?{END}", re.DOTALL)
    readme.write_text(whole.sub(lambda _: f"{BEGIN}\n\n{words}\n\n{END}", text, count=1), encoding="utf-8")


def record(name: str) -> None:
    """Run one experiment and write its files."""
    recorded = run_experiment(name)
    insert_into_readme(HOME / name / "README.md", format_page(recorded))
    recorded.expected.to_csv(HOME / name / "expected.csv", index=False)
    (HOME / name / "picture.svg").write_text(recorded.picture(), encoding="utf-8")
    check_truths(recorded)


def check_truths(recorded: ExperimentRun) -> None:
    """Exit with the first truth that does not hold."""
    for truth in load_truths(recorded.name):
        found = recorded.result.numbers[truth.quantity]
        if not truth.holds(found):
            raise SystemExit(f"{recorded.name}: {truth.quantity} is {found}, not {truth.interval}.")


def format_index() -> str:
    """Format ``experiments/README.md``: one line per experiment, with the title of its README."""
    lines = [f"- [{name}]({name}/README.md): {_read_title(name)}" for name in NAMES]
    return "\n".join([HEAD, *lines, ""])


def _read_title(name: str) -> str:
    return (HOME / name / "README.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Runs experiments and writes down what they find.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="folders of experiments/")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--full", action="store_true", help="at full size, where the tests run a smaller one")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as in every run, because findings repeat runs
    for name in NAMES if options.all else options.names:
        if options.full:
            recorded = run_experiment(name, full=True)
            print(format_page(recorded))
            check_truths(recorded)
        else:
            record(name)
            print(f"{name}: recorded")
    (HOME / "README.md").write_text(format_index(), encoding="utf-8")
