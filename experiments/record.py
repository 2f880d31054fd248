"""Keeps what an experiment found: ``python -m experiments.record NAME ...``, or ``--all``.

Runs ``conf/experiment/NAME.yaml`` (with the smaller size that ``finding.py`` names, if any), writes the columns that a
rerun must repeat to ``expected.csv``, redraws ``picture.svg``, and puts sentence, truths and table into the README,
between the lines ``<!-- recorded -->`` and ``<!-- end -->``. ``tests/package/test_experiments.py`` compares. With
``--full`` it runs the configuration as it stands, only prints what that finds, and ends with 1 where a truth does not
hold.
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
from experiments.truth import Finding, Truth
from gdbench.config.overrides import format_override
from gdbench.gate.baseline import OPTIONAL_SETTINGS
from gdbench.sweeps.invocation import run_words

HOME = Path(__file__).parent
NAMES = sorted(path.parent.name for path in HOME.glob("*/finding.py"))
EXACT = [
    *("run_id", "objective", "optimizer", "impl", "dtype", "device", "lr", "seed", "steps"),
    *("status", "status_step", "best_step", "steps_to_target", "gradient_evals_to_target"),
    *(f"hit_1e-{power:02d}" for power in range(1, 13)),
    *("gradient_evals", "function_evals"),
]
"""Columns that are equal wherever the experiment runs, but for those that its ``finding.py`` calls FRAGILE."""
ROUNDED = ["start_loss", "final_loss", "best_loss"]
"""Columns whose last digits depend on how a processor sums."""
BEGIN, END = "<!-- recorded -->", "<!-- end -->"

HEAD = """# Experiments

Questions with a lasting answer. Each is one configuration (`conf/experiment/NAME.yaml`), one page, and a `finding.py`
that computes the answer and states what theory or a paper says it must be, with its tolerance. The tests run all of
them again. `python -m experiments.record NAME` repeats one and writes down what came of it.
"""


@dataclass(frozen=True)
class Recorded:
    """The sweep of an experiment, as it has just run."""

    name: str
    runs: pd.DataFrame
    traces: pd.DataFrame

    @cached_property
    def finding(self) -> Finding:
        """What it found."""
        found: Finding = code(self.name).find(self.runs, self.traces)
        return found

    @property
    def expected(self) -> pd.DataFrame:
        """The columns that a rerun must repeat."""
        fragile = getattr(code(self.name), "FRAGILE", ())
        also = getattr(code(self.name), "ALSO_EXACT", ())
        posed = [*OPTIONAL_SETTINGS, *(name for name in self.runs if "." in name)]
        given = [name for name in posed if self.runs[name].notna().any()]
        return self.runs[[name for name in (*EXACT, *also, *ROUNDED, *given) if name not in fragile]]

    def picture(self) -> str:
        """The SVG file."""
        return str(code(self.name).draw(self.runs, self.traces))


def code(name: str) -> ModuleType:
    """``finding.py`` of an experiment."""
    return importlib.import_module(f"experiments.{name}.finding")


def truths(name: str) -> Sequence[Truth]:
    """What an experiment must find."""
    return getattr(code(name), "TRUTHS", ())


def command(name: str, full: bool = False) -> str:
    """The command line that repeats an experiment, at the size of the tests or in full."""
    smaller = [] if full else getattr(code(name), "SMALL", ())
    return " ".join(["python -m gdbench -m", f"experiment={name}", *smaller])


def rerun(name: str, outputs: str | Path = "outputs", full: bool = False) -> Recorded:
    """Run an experiment as the command line does."""
    words = command(name, full).split()[3:]
    given = [format_override("outputs", str(outputs)), format_override("name", name)]
    result = run_words([*words, *given])
    runs = gdbench.load(result.folder)
    if (runs["status"] == "failed").any():
        raise SystemExit(f"experiment={name} failed.")
    return Recorded(name, runs, gdbench.load(result.folder, "traces"))


def page(recorded: Recorded) -> str:
    """What the README shows: the sentence, the truths and the table."""
    found = recorded.finding
    table = all_runs(recorded.runs) if found.table is None else markdown(found.table)
    parts = [found.sentence, markdown(compared(recorded)), table]
    return "\n\n".join(each for each in parts if each)


def compared(recorded: Recorded) -> pd.DataFrame:
    """Each truth beside what was found."""
    numbers = recorded.finding.numbers
    rows = [
        (each.quantity, each.words, each.shown(numbers[each.quantity]), each.source) for each in truths(recorded.name)
    ]
    return pd.DataFrame(rows, columns=["quantity", "must be", "found", "says"])


def all_runs(runs: pd.DataFrame) -> str:
    """All runs as a table for people; impls that found the same share a row."""
    shown = runs[["objective", "optimizer", "impl", "lr", "status", "steps_to_target", "best_step"]].astype("string")
    shown["final_loss"] = runs["final_loss"].map("{:.4g}".format)
    at = " @" + runs["status_step"].astype("string")
    shown["status"] += at.fillna("")
    same = [name for name in shown if name != "impl"]
    return markdown(shown.fillna("").groupby(same, sort=False)["impl"].agg(_each_once).reset_index())


def _each_once(names: pd.Series) -> str:
    return ", ".join(dict.fromkeys(names))


def markdown(table: pd.DataFrame) -> str:
    """A table of a README; nothing for an empty one."""
    header = [str(name).replace("_", " ") for name in table]
    rows = [header, ["---"] * len(header), *table.astype(object).fillna("").to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(cell, row))} |" for row in rows) if len(table) else ""


def cell(value: object) -> str:
    """A number with the digits that a reader needs."""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def put(readme: Path, words: str) -> None:
    """Put words between the lines of a README that are kept for them."""
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text:
        raise SystemExit(f"{readme} has no line {BEGIN}.")
    whole = re.compile(f"{BEGIN}\n.*?{END}", re.DOTALL)
    readme.write_text(whole.sub(lambda _: f"{BEGIN}\n\n{words}\n\n{END}", text, count=1), encoding="utf-8")


def record(name: str) -> None:
    """Run one experiment and write down what came of it."""
    recorded = rerun(name)
    put(HOME / name / "README.md", page(recorded))
    recorded.expected.to_csv(HOME / name / "expected.csv", index=False)
    (HOME / name / "picture.svg").write_text(recorded.picture(), encoding="utf-8")
    insist(recorded)


def insist(recorded: Recorded) -> None:
    """End with the first truth that does not hold."""
    for each in truths(recorded.name):
        found = recorded.finding.numbers[each.quantity]
        if not each.holds(found):
            raise SystemExit(f"{recorded.name}: {each.quantity} is {found}, not {each.words}.")


def index() -> str:
    """``experiments/README.md``: each experiment in one line, by the title of its page."""
    lines = [f"- [{name}]({name}/README.md): {_title(name)}" for name in NAMES]
    return "\n".join([HEAD, *lines, ""])


def _title(name: str) -> str:
    return (HOME / name / "README.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Runs experiments and writes down what they find.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="folders of experiments/")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--full", action="store_true", help="at full size, where the tests run a smaller one")
    asked = parser.parse_args()
    torch.set_num_threads(1)  # as in every run, where findings walk a path again
    for each in NAMES if asked.all else asked.names:
        if asked.full:
            found = rerun(each, full=True)
            print(page(found))
            insist(found)
        else:
            record(each)
            print(f"{each}: recorded")
    (HOME / "README.md").write_text(index(), encoding="utf-8")
