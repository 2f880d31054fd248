"""The pytest fixture with which users test their optimizers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.repositories import repository

from gdbench.gate.pytest_plugin import BenchmarkFixture
from gdbench.optimizers.sgd import gd

ROOT = Path(__file__).parents[2]
FEW = """
defaults: {steps: 20, lr: 0.1, objective: quadratic}
series:
  - {optimizer: sound}
"""
TEST = """
import torch


class Halving(torch.optim.SGD):
    pass


def test_it_converges(gdbench):
    run = gdbench("notebook_manual", Halving, lr=0.1, momentum=0.0)

    assert run.status == "target"
    assert run.steps_to(1e-3) == 16


def test_it_is_too_slow(gdbench):
    assert gdbench("notebook_manual", Halving, lr=0.1).steps_to() < 31
"""


def test_a_class_and_a_factory_and_a_name_are_run_alike() -> None:
    """Each way of giving the optimizer has the same result: a gap of 1e-6 in 31 steps."""
    bench = BenchmarkFixture()
    runs = [bench("notebook_manual", optimizer, lr=0.1) for optimizer in ("gd", gd, torch.optim.SGD)]

    assert [run.steps_to() for run in runs] == [31, 31, 31]
    assert {run.status for run in runs} == {"target"}
    assert runs[0].row == {**runs[1].row, "convergence_pass_s": runs[0].row["convergence_pass_s"]}
    assert runs[0].loss == pytest.approx(2.3e-13, rel=0.02)
    assert runs[0].gap is not None


def test_settings_reach_run_optimizer_and_objective() -> None:
    """Floats, switches and tuples are the optimizer's, dotted names the objective's."""
    settings: dict[str, Any] = {"objective.n": 5, "dtype": "float64", "steps": 7}
    run = BenchmarkFixture()(
        "rosenbrock", torch.optim.Adam, lr=0.1, betas=(0.5, 0.9), amsgrad=True, eps=1e-6, **settings
    )

    assert run.gradients == 7
    assert math.isinf(run.steps_to(1e-12))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: BenchmarkFixture()("rosenbrok", "gd", lr=0.1), pytest.fail.Exception),
        (lambda: BenchmarkFixture()("rosenbrock", gd), pytest.fail.Exception),
        (lambda: BenchmarkFixture()("rosenbrock", gd, lr=0.1, momentun=0.5), pytest.fail.Exception),
        (lambda: BenchmarkFixture()("beale", "chebyshev", lr=0.1), pytest.fail.Exception),
        (lambda: BenchmarkFixture()("notebook_manual", "gd", lr=0.1).steps_to(0.5), ValueError),
    ],
    ids=["an objective", "no lr", "a parameter", "a fact", "a rung"],
)
def test_mistakes_are_said(call: Callable[[], Any], error: type[BaseException]) -> None:
    """Usage errors are one line, as on the command line."""
    with pytest.raises(error) as raised:
        call()

    assert "\n" not in str(raised.value)


def test_a_mistyped_objective_is_one_line_of_pytest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For an unknown objective pytest prints one line, without a traceback through gdbench."""
    file = tmp_path / "test_typo.py"
    file.write_text('def test_it(gdbench):\n    gdbench("rosenbrok", "gd", lr=0.1)\n')
    pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(file)])
    lines = capsys.readouterr().out.splitlines()

    assert "gdbench: objective=rosenbrok is not known. Did you mean rosenbrock" in "\n".join(lines)
    assert len(lines) < 10


def test_pytest_gives_the_fixture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user's test passes, and one with a wrong limit fails with the number."""
    (tmp_path / "test_mine.py").write_text(TEST)
    plugins = [
        "no:gdbench",
        "no:cacheprovider",
        "gdbench.gate.pytest_plugin",
    ]  # an install has loaded it by its entry point
    words = ["-q", f"--rootdir={tmp_path}", *(word for name in plugins for word in ("-p", name))]
    code = pytest.main([*words, str(tmp_path / "test_mine.py")])
    out = capsys.readouterr().out

    assert code == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 passed" in out
    assert "assert 31 < 31" in out


@pytest.mark.slow
def test_a_step_that_became_slower_fails_the_users_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """no_slower fails if a series takes three times as long as at the last commit."""
    repository(tmp_path, FEW)
    own = tmp_path / "mine" / "own.py"
    own.write_text(
        own.read_text().replace("mean, square = 0.9", "[lr * grad for _ in range(60)]\n        mean, square = 0.9")
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(
        pytest.fail.Exception, match=r"^sound manual quadratic is slower than base [0-9a-f]{7} \(HEAD\): step \+"
    ):
        BenchmarkFixture().no_slower("sound *", config_dir="mine")
