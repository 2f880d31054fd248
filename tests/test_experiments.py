"""Each folder of experiments/ is a truth: what it says it found is found again."""

from __future__ import annotations

import io
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gdbench

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
NAMES = sorted(path.parent.name for path in EXPERIMENTS.glob("*/expected.csv"))
RECORD: dict[str, Any] = runpy.run_path(str(EXPERIMENTS / "record.py"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where an experiment's rerun lies; each runs once."""
    known: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in known:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("sys.argv", ["gdbench"])
                known[name] = RECORD["rerun"](name, tmp_path_factory.mktemp(name))
        return known[name]

    return folder


def readme(name: str) -> str:
    """The page of an experiment."""
    return (EXPERIMENTS / name / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_finds_what_it_expects(name: str, folders: Callable[[str], Path]) -> None:
    """Keys, statuses, hits and counts are equal on every machine; losses to 1e-6, as processors sum in other orders."""
    found = pd.read_csv(io.StringIO(RECORD["findings"](folders(name)).to_csv(index=False)), dtype=str)
    expected = pd.read_csv(EXPERIMENTS / name / "expected.csv", dtype=str)
    assert list(found) == list(expected)
    pd.testing.assert_frame_equal(found[RECORD["EXACT"]], expected[RECORD["EXACT"]])
    for column in RECORD["ROUNDED"]:
        np.testing.assert_allclose(found[column].astype(float), expected[column].astype(float), rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_an_experiment_shows_its_table(name: str, folders: Callable[[str], Path]) -> None:
    """The README holds the table that the rerun makes, and the command that makes it."""
    assert RECORD["markdown"](RECORD["findings"](folders(name))) in readme(name)
    assert f"python -m gdbench -m experiment={name}\n" in readme(name)


# ----------------------------------------------------------------------------------------------------- the notebook


@pytest.fixture(scope="module", params=["manual", "torch"])
def trace(request: pytest.FixtureRequest, folders: Callable[[str], Path]) -> Callable[[str, float], pd.DataFrame]:
    """The trace of a notebook objective at a learning rate, by hand and by torch.optim."""
    runs, traces = (gdbench.load(folders("notebook"), table) for table in ("runs", "traces"))
    keys = runs[runs["impl"] == request.param].set_index(["objective", "lr"])["run"]
    return lambda objective, lr: traces[traces["run"] == keys[objective, lr]].set_index("step")


def test_the_notebooks_loops_come_out_digit_for_digit(trace: Callable[[str, float], pd.DataFrame]) -> None:
    """The loop by hand prints x after its step and y before it; the loop with SGD prints both before."""
    for objective, later in (("notebook_manual", 1), ("notebook_sgd", 0)):
        steps = trace(objective, 0.1)
        lines = [
            f"x = {steps['x'][step + later][0]} | y = {steps['loss'][step]} | step = {step}\n"
            for step in range(0, 100, 10)
        ]
        assert f"```\n{''.join(lines)}```" in readme("notebook")


def test_the_notebooks_gradients_come_out_digit_for_digit(trace: Callable[[str, float], pd.DataFrame]) -> None:
    """The gradients at the start are 20; 1, 0.5, 0.3333 ...; 2 ... 24; told by the first step that a trace keeps."""
    square = trace("notebook_square", 0.1)
    assert f"```\n{square['grad_norm'][0]:.0f}.\n" in readme("notebook")
    for objective, digits in (("notebook_log", "{:.4f}"), ("notebook_matrix", "{:.0f}.")):
        x = trace(objective, 0.1)["x"]
        gradient = (np.array(x[0]) - np.array(x[1])) / 0.1
        assert f"\n{' '.join(map(digits.format, gradient))}\n" in readme("notebook")


def test_the_notebooks_one_step_comes_out_digit_for_digit(trace: Callable[[str, float], pd.DataFrame]) -> None:
    """One step of 0.001 takes the matrix to 0.998 ... 11.976, as numpy prints float32."""
    after = np.array(trace("notebook_matrix", 0.001)["x"][1], dtype=np.float32)
    assert f"\n{' '.join(map(str, after))}\n" in readme("notebook")
