"""A run that fails is a row of its own: its siblings have the rows that they have without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from support.cells import Tiny, parabola, plain, small
from support.laws import CONF, OPTIMIZERS
from support.tiers import representatives
from torch import Tensor

import gdbench
from gdbench.engine.failure_isolation import Failure, Isolation, observe_runs
from gdbench.engine.runner import run_cell
from gdbench.errors import Unavailable
from gdbench.objectives import Objective
from gdbench.optimizers import Hyper, Method
from gdbench.optimizers.sgd import gd
from gdbench.results.columns import is_exact

pytestmark = pytest.mark.usefixtures("own_folder")


def sweep(*objective: Any, **asked: Any) -> pd.DataFrame:
    """A sweep on the CPU that is not timed."""
    return gdbench.sweep(*objective, **{"timing": "off", "device": "cpu", "steps": 5, "trace": "none", **asked})


def assert_equal_rows(some: pd.DataFrame, others: pd.DataFrame) -> None:
    """Keys, statuses and exact columns are equal, but for how many shared a program."""
    names = [name for name in some if is_exact(str(name)) and name not in ("lanes", "implementation")]
    pd.testing.assert_frame_equal(
        some[names].reset_index(drop=True), others[names].reset_index(drop=True), check_dtype=False
    )


def test_torch_refuses_one_momentum_and_runs_the_others() -> None:
    """Nesterov's method without momentum is unavailable in torch.optim; the momenta beside it have their results."""
    runs = sweep("quadratic", optimizer="nesterov", impl="torch", **{"optimizer.momentum": [0, 0.5, 0.9]})
    alone = sweep("quadratic", optimizer="nesterov", impl="torch", **{"optimizer.momentum": [0.5, 0.9]})

    assert runs["status"].tolist() == ["unavailable", "budget", "budget"]
    assert runs["error"][0].endswith("Nesterov momentum requires a momentum and zero dampening")
    assert runs["error"][1:].isna().all()
    assert_equal_rows(runs[1:], alone)


def test_a_refused_first_value_does_not_refuse_the_sweep(own: Path, command: Callable[..., Any]) -> None:
    """From the command line: a factory that raises for the first of three numbers fails that run alone, exit 1."""
    (own / "picky.py").write_text(
        "from gdbench.optimizers.sgd import gd\n"
        "def picky(lr, keep=1.0):\n"
        "    if isinstance(keep, float) and keep < 0.5:\n"
        "        raise ValueError('keep must be at least a half')\n"
        "    return gd(lr)\n"
    )
    (own / "optimizer" / "picky.yaml").write_text(
        "# Picky\nmanual: {_target_: picky.picky}\ntorch: null\ndefault_lr: 0.1\nkeep: 1.0\n"
    )
    words = ("--config-dir", str(own), "optimizer=picky", "objective=quadratic", "steps=5", "timing=off", "--quiet")
    done = command("-m", *words, "optimizer.keep=0.1,0.6,0.9")
    runs = gdbench.load("outputs")
    refused = command(*words, "optimizer.keep=0.1")

    assert done.code == 1
    assert runs["status"].tolist() == ["failed", "budget", "budget"]
    assert done.err.splitlines()[-1] == (
        "gdbench: 1 of 3 runs have no result: 1 failed (ValueError: keep must be at least a half)."
    )
    assert refused.code == 2


METHODS = sorted(
    path.stem for path in CONF.glob("optimizer/*.yaml") if path.stem not in ("ista", "fista") and path.stem != "lbfgs"
)
BAD: dict[str, dict[str, Any]] = {
    "lr beyond float32": {"lr": [0.01, 1e39, 0.02]},
    "lr of the largest double": {"lr": [1.7e308, 0.01, 0.02]},
}


def check_siblings(optimizer: str, impl: str, bad: dict[str, Any], worst: int | None = None, **more: Any) -> None:
    """Compare the rows beside a bad value with those of a sweep without it, and its own row with that of it alone."""
    ((name, values),) = bad.items()
    worst = int(np.argmax(values)) if worst is None else worst
    good = [value for value in values if value != values[worst]]
    asked = {"optimizer": optimizer, "impl": impl, **more}
    needs_facts = any(fact in OPTIMIZERS[optimizer].hyper for fact in ("smoothness", "strong_convexity"))
    objective = "quadratic" if needs_facts else "rosenbrock"
    together = sweep(objective, **asked, **{name: values})
    without = sweep(objective, **asked, **{name: good})
    alone = sweep(objective, **asked, **{name: values[worst]})
    siblings = together.drop(index=worst)

    if (siblings["lanes"] > 1).all() == (without["lanes"] > 1).all():
        assert_equal_rows(siblings, without)
    else:  # run by run where they went in lanes: equal but for rounding
        assert siblings[["run_id", "status"]].to_numpy().tolist() == without[["run_id", "status"]].to_numpy().tolist()
        assert siblings["final_loss"].tolist() == pytest.approx(without["final_loss"].tolist(), rel=1e-3)
    assert together["run_id"][worst] == alone["run_id"][0]
    if "failed" in (together["status"][worst], alone["status"][0]):
        assert together["status"][worst] == alone["status"][0]


CASES = [
    ("gd", "manual", "lr beyond float32"),  # which torch bears: it leaves the finite
    ("gd", "torch", "lr beyond float32"),
    ("adagrad", "manual", "lr beyond float32"),  # which torch refuses
    ("adagrad", "torch", "lr of the largest double"),
    ("newton_cg", "manual", "lr of the largest double"),
]


@pytest.mark.parametrize(("optimizer", "impl", "case"), representatives(CASES, CASES[:1] + CASES[3:4]))
def test_a_bad_value_leaves_its_siblings_alone(optimizer: str, impl: str, case: str) -> None:
    """Beside a number that the dtype cannot hold, good numbers have the very rows that they have without it."""
    check_siblings(optimizer, impl, BAD[case])


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.parametrize("optimizer", METHODS)
@pytest.mark.parametrize("impl", ["manual", "torch", "foreach"])
def test_a_bad_value_leaves_its_siblings_alone_in_every_method(optimizer: str, impl: str) -> None:
    """The same over all of conf/optimizer, in float32 and in half precision."""
    check_siblings(optimizer, impl, BAD["lr beyond float32"])
    check_siblings(optimizer, impl, {"lr": [0.01, 1e6, 0.02]}, dtype="float16")


NUMBERS = [
    (path.stem, name, value)
    for path in sorted(CONF.glob("optimizer/*.yaml"))
    if path.stem in METHODS
    for name, value in yaml.safe_load(path.read_text()).items()
    if isinstance(value, float) and name != "default_lr"
]


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.parametrize(("optimizer", "name", "value"), NUMBERS)
def test_zero_of_any_number_leaves_its_siblings_alone(optimizer: str, name: str, value: float) -> None:
    """The same of every other number of every method: 0, by which one may divide, beside the default and 0.9 of it."""
    values = [value or 0.5, 0.0, 0.9 * (value or 0.5)]
    for impl in ("manual", "torch"):
        check_siblings(optimizer, impl, {f"optimizer.{name}": values}, worst=1, lr=0.01)


@pytest.mark.parametrize("impl", representatives(["manual", "torch"], ["manual"]))
def test_schedules_and_half_precision_keep_runs_apart(impl: str) -> None:
    """An lr out of range in float16 fails, or leaves the finite, alone; with a schedule around the method too."""
    check_siblings("adam", impl, {"lr": [0.01, 1e6, 0.02]}, dtype="float16", schedule="cosine")


def test_a_failed_run_is_timed_out_of_its_siblings_way() -> None:
    """With the clock on, the first lr being out of range, the others are timed."""
    runs = sweep("quadratic", optimizer="adagrad", lr=[1e39, 0.1], timing="quick", **{"timing.seconds": 0.05})

    assert runs["status"].tolist() == ["failed", "budget"]
    assert runs["timed"].tolist() == [False, True]
    assert runs["warmup_s"].notna().all()


# ------------------------------------------------------------------------------------------------- lanes that raise


def fragile(x: Tensor) -> Tensor:
    """A parabola of lanes that raises as soon as one of them is far out."""
    if bool((x.abs() > 100).any()):
        raise ArithmeticError("too far")
    return x**2


def test_lanes_that_raise_as_a_whole_are_split() -> None:
    """Of lanes of one program those that raise alone fail; the others have the results of a sweep without them."""
    rates = [0.1, 5.0, 0.2, 0.3, 7.0, 0.4]
    columns = run_cell(small(parabola(fn=fragile), lr=rates)).columns
    without = run_cell(small(parabola(fn=fragile), lr=[0.1, 0.2, 0.3, 0.4])).columns
    good = [0, 2, 3, 5]

    assert columns["status"][[1, 4]].tolist() == ["failed", "failed"]
    assert columns["error"].tolist() == [None, "ArithmeticError: too far", None, None, "ArithmeticError: too far", None]
    assert columns["final_loss"][good].tolist() == without["final_loss"].tolist()
    assert columns["implementation"][1] == "tiny, run by run: lanes of one program raised (ArithmeticError: too far)"
    assert columns["lanes"][1] == 1
    assert [plain(columns["status_step"], row) for row in (1, 4)] == [None, None]


def test_traces_of_split_lanes_name_their_own_rows() -> None:
    """What is traced of a run stays its own when lanes are split."""
    rates = [0.1, 5.0, 0.2, 0.3]
    traces = run_cell(small(parabola(fn=fragile), lr=rates, steps=5, trace="full")).traces
    ends = {int(row): float(x[-1]) for row, x in zip(traces["row"], traces["x"], strict=True)}

    assert ends == pytest.approx({row: (1 - 2 * rates[row]) ** 5 for row in (0, 2, 3)})


def test_many_lanes_that_raise_are_not_all_run_alone() -> None:
    """Beyond a number of runs that are taken out, the rest fails as a group, in bounded time."""
    cell = small(parabola(fn=lambda x: fragile(x)), lr=np.linspace(5, 6, 16))
    pieces = observe_runs(cell, np.arange(16), True, np.empty(0, np.int64), lambda steps: None, Isolation(most=3))

    assert sorted(int(row) for rows, _ in pieces for row in rows) == list(range(16))
    assert all(isinstance(outcome, Failure) for _, outcome in pieces)
    assert sum(len(rows) == 1 for rows, _ in pieces) <= 5


def test_a_start_that_raises_fails_its_seed_alone() -> None:
    """Where one seed's start lies where the objective raises, the others run."""

    def start(seed: int) -> Tensor:
        return torch.tensor(1000.0 if seed == 0 else 1.0, dtype=torch.float64)

    columns = run_cell(small(parabola(fn=fragile, start=start), lr=0.1, seeds=[0, 1, 2])).columns

    assert columns["status"].tolist()[0] == "failed"
    assert set(columns["status"].tolist()[1:]) <= {"target", "budget"}


def test_a_method_that_raises_alone_is_not_hidden_by_lanes() -> None:
    """A number that a method divides by raises alone where lanes would go on with inf: such runs go one by one."""

    def dividing(lr: Hyper, keep: Hyper = 1.0) -> Method:
        return gd(lr / keep)

    cell = small(parabola(), Tiny(dividing), lr=[0.1, 0.1, 0.1])
    cell = cell.take(np.arange(3))
    cell.hyper["keep"] = np.array([1.0, 0.0, 2.0])  # type: ignore[index]
    columns = run_cell(cell).columns

    assert columns["status"].tolist() == ["budget", "failed", "budget"]
    assert columns["error"][1] == "ZeroDivisionError: float division by zero"


# ------------------------------------------------------------------------------------ failed or unavailable, and why


def test_what_torch_does_not_have_is_unavailable_in_every_row() -> None:
    """A method that cannot be had is a row of that name for each run."""

    def missing(lr: float) -> Method:
        raise Unavailable("not here")

    columns = run_cell(small(parabola(), Tiny(missing, lanes=False), lr=[0.1, 0.2])).columns

    assert columns["status"].tolist() == ["unavailable"] * 2
    assert columns["error"].tolist() == ["not here"] * 2
    assert columns["traceback"].tolist() == [None] * 2


OWN_CLASSES = """
import torch

class Stumbles(torch.optim.SGD):
    def step(self, closure=None):
        raise RuntimeError("not today")

class Refuses(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        if lr > 0.15:
            raise ValueError("too large an lr")
        super().__init__(params, lr=lr)
"""


def test_an_error_of_a_users_optimizer_is_failed(own: Path, command: Callable[..., Any]) -> None:
    """From the command line: what a class of the user's raises is ``failed`` with its traceback, never unavailable."""
    (own / "classes.py").write_text(OWN_CLASSES)
    for name in ("Stumbles", "Refuses"):
        (own / "optimizer" / f"{name.lower()}.yaml").write_text(
            f"# {name}\nmanual: null\ntorch: {{_target_: classes.{name}}}\ndefault_lr: 0.1\n"
        )
    words = ("-m", "--config-dir", str(own), "impl=torch", "steps=3", "timing=off", "--quiet", "lr=0.1,0.2")
    done = command(*words, "optimizer=stumbles,refuses")
    runs = gdbench.load("outputs")

    assert done.code == 1
    assert runs["status"].tolist() == ["failed", "failed", "budget", "failed"]
    assert runs["error"].tolist()[0] == "RuntimeError: not today"
    assert runs["error"].tolist()[3] == "ValueError: too large an lr"
    assert 'classes.py", line 6, in step' in runs["traceback"][0]
    assert pd.isna(runs["traceback"][2])


@pytest.mark.parametrize("lr", ["0.1", "0.1,0.2"])
def test_an_error_of_a_users_step_is_failed_when_compiled(own: Path, command: Callable[..., Any], lr: str) -> None:
    """From the command line: a compiler cannot follow a step that raises, but the step is what failed."""
    (own / "steps.py").write_text(
        "from gdbench.optimizers import first_order\n"
        "def stumbling(lr):\n"
        "    def update(k, grad, state, x):\n"
        "        raise ArithmeticError('not today')\n"
        "    return first_order(lambda x: (), update)\n"
    )
    (own / "optimizer" / "stumbling.yaml").write_text(
        "# Stumbling\nmanual: {_target_: steps.stumbling}\ntorch: null\ndefault_lr: 0.1\n"
    )
    words = ("-m", "--config-dir", str(own), "optimizer=stumbling", "steps=3", "timing=off", "--quiet", f"lr={lr}")
    done = command(*words, "impl=compiled")
    runs = gdbench.load("outputs")

    assert done.code == 1
    assert set(runs["status"]) == {"failed"}
    assert set(runs["error"]) == {"ArithmeticError: not today"}


def test_show_prints_where_a_run_failed(own: Path, command: Callable[..., Any]) -> None:
    """``show RUN`` of a failed run has its traceback; its error stays one line."""
    command("--config-dir", str(own), "objective=raises", "steps=3", "timing=off", "--quiet")
    row = gdbench.load("outputs").iloc[0]
    shown = command("show", row["run_id"])

    assert "\n" not in row["error"]
    assert shown.code == 0
    assert "# traceback\nTraceback (most recent call last):" in shown.out
    assert "in fn\n    raise ArithmeticError" in shown.out


@pytest.mark.slow
def test_a_worker_brings_its_traceback_home(own: Path, command: Callable[..., Any]) -> None:
    """What fails in a cell that a launcher carries is told like one that ran here."""
    words = ("-m", "--config-dir", str(own), "objective=raises,bowl", "steps=3", "timing=off", "--quiet")
    command(*words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=1")
    runs = gdbench.load("outputs")

    assert runs["status"].tolist() == ["failed", "budget"]
    assert runs["traceback"].notna().tolist() == [True, False]


def test_a_long_traceback_keeps_its_end() -> None:
    """Of a traceback of any length the last part is kept, which names the line that raised."""

    def deep(left: int) -> None:
        if not left:
            raise ValueError("x" * 50_000 + " the end")
        deep(left - 1)

    try:
        deep(10)
    except ValueError as error:
        failure = Failure.from_exception(error)

    assert failure.traceback is not None
    assert len(failure.traceback) <= 20_004
    assert failure.traceback.rstrip().endswith("the end")
    assert len(failure.error) == 500


@pytest.mark.parametrize(
    ("words", "code", "last"),
    [
        pytest.param(("optimizer=gd", "lr=0.1,0.2"), 0, None, marks=pytest.mark.slow),
        (
            ("optimizer=gd,lbfgs", "impl=manual"),
            0,
            "1 of 2 runs have no result: 1 unavailable (optimizer=lbfgs has no manual",
        ),
        (
            ("optimizer=lbfgs", "impl=manual", "lr=0.1,0.2"),
            1,
            "2 of 2 runs have no result: 2 unavailable (optimizer=lbfgs has no",
        ),
        pytest.param(
            ("optimizer=adagrad", "lr=0.1,1e39"),
            1,
            "1 of 2 runs have no result: 1 failed (RuntimeError: value cannot",
            marks=pytest.mark.slow,
        ),
        (
            ("optimizer=adagrad,lbfgs", "impl=manual", "lr=0.1,1e39"),
            1,
            "3 of 4 runs have no result: 1 failed, 2 unavailable (RuntimeError: value cannot be",
        ),
    ],
    ids=["all ran", "some unavailable", "none could run", "some failed", "both"],
)
@pytest.mark.parametrize("form", representatives(["--quiet", "--json", None], [None]))
def test_a_sweep_says_what_could_not_run_in_its_last_line(
    words: tuple[str, ...], code: int, last: str | None, form: str | None, command: Callable[..., Any]
) -> None:
    """Exit 0 where all ran or some were unavailable, 1 where one failed or none could run; the last line says which."""
    done = command("-m", *words, "impl=manual", "steps=3", "timing=off", *([form] if form else []))
    lines = [line for line in done.err.splitlines() if line.startswith("gdbench:")]

    assert done.code == code
    assert len(lines) == (last is not None)
    if last:
        assert done.err.splitlines()[-1].startswith(f"gdbench: {last}")


# ------------------------------------------------------------------------------------------- knowledge is no burden


def test_minimisers_do_not_break_a_function_that_knows_one_dtype() -> None:
    """A function that closes over float64 tensors runs with its minimisers stated as it does without them."""
    matrix = torch.diag(torch.tensor([1.0, 10.0], dtype=torch.float64))
    stated = {"fn": lambda x: (matrix @ x) @ x, "start": torch.ones(2).double(), "minimum": 0.0, "dtype": torch.float64}
    known = sweep(Objective(**stated, minimisers=([0.0, 0.0],)), lr=[0.01, 0.05])
    unknown = sweep(Objective(**stated), lr=[0.01, 0.05])
    nowhere = sweep(Objective(**{**stated, "minimum": None}, minimisers=([0.0, 0.0],)), lr=[0.01, 0.05])

    assert known["status"].tolist() == unknown["status"].tolist() == nowhere["status"].tolist() == ["budget"] * 2
    assert known["final_loss"].tolist() == unknown["final_loss"].tolist()
    assert known["distance"].notna().all()
    assert (known["gap_floor"] == unknown["gap_floor"]).all()
    assert "gap_floor from the start: f fails near its minimisers (RuntimeError:" in known["implementation"][0]


def test_minimisers_where_f_is_infinite_leave_targets_as_they_are() -> None:
    """Where f overflows or is undefined in float32 near a stated minimiser, hits are still told."""
    huge = Objective(
        fn=lambda x: (x / 1e30).square().sum() * 1e50,
        start=[1e5, 1e5],
        minimum=0.0,
        minimisers=([0.0, 0.0],),
        dtype=torch.float64,
    )
    runs = sweep(huge, lr=0.1)

    assert runs["status"].isin(["budget", "plateau", "target"]).all()
    assert np.isfinite(runs["gap_floor"]).all()


def test_a_failed_row_tells_of_no_event() -> None:
    """A run below its stated minimum has failed; that it also diverged stands in no column."""
    lying = Objective(fn=lambda x: x.square().sum(), start=[1.0], minimum=2.0)
    runs = sweep(lying, lr=[1.5, 0.1])

    assert runs["status"].tolist() == ["failed", "failed"]
    assert runs["status_step"].isna().all()
