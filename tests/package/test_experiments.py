"""Each folder of experiments/ is a truth: what it says it found is found again, and is what theory says."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from support.tiers import representatives

from experiments import record
from experiments.record import HOME, NAMES, ExperimentRun
from gdbench.config.compose import Composer, lock_hydra, to_plain
from gdbench.config.hydra_plugins import register_configs
from gdbench.config.spec import CellSpec
from gdbench.gate.baseline import build_series, read_baseline
from gdbench.sweeps.job_runner import compute_run_keys, make_empty_answer

Rerun = Callable[[str], ExperimentRun]


@pytest.fixture(scope="module")
def rerun(tmp_path_factory: pytest.TempPathFactory) -> Rerun:
    """An experiment that has run again; each runs once."""
    known: dict[str, ExperimentRun] = {}

    def recorded(name: str) -> ExperimentRun:
        if name not in known:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("sys.argv", ["gdbench"])
                known[name] = record.run_experiment(name, tmp_path_factory.mktemp(name))
        return known[name]

    return recorded


def readme(name: str) -> str:
    """The page of an experiment."""
    return (HOME / name / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", representatives(NAMES, ("gd_rate",)))
def test_an_experiment_runs_again_as_it_is_kept(name: str, rerun: Rerun) -> None:
    """A rerun finds what was expected, what theory says, and what page and picture show."""
    check_expected(name, rerun(name))
    check_theory(name, rerun(name))
    check_page(name, rerun(name))
    check_picture(name, rerun(name))


def check_expected(name: str, rerun: ExperimentRun) -> None:
    """Keys, statuses, hits and counts are equal on every machine; losses to 1e-6, as processors sum in other orders."""
    found = pd.read_csv(io.StringIO(rerun.expected.to_csv(index=False)), dtype=str)
    expected = pd.read_csv(HOME / name / "expected.csv", dtype=str)
    assert list(found) == list(expected)
    rounded = [column for column in record.ROUNDED if column in found]
    pd.testing.assert_frame_equal(found.drop(columns=rounded), expected.drop(columns=rounded))
    for column in rounded:
        np.testing.assert_allclose(found[column].astype(float), expected[column].astype(float), rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_what_an_experiment_expects_is_a_baseline_of_the_gate(name: str) -> None:
    """``gate --baseline experiments/NAME/expected.csv`` asks each run's own question again: its key says so."""
    table = read_baseline(HOME / name / "expected.csv")
    rows = list(zip(build_series(table), table["run_id"], strict=True))
    register_configs()
    with lock_hydra():
        compose = Composer()
        for series, run in rows[:: max(1, len(rows) // 2)]:
            composed = compose(series.overrides)
            question = CellSpec.parse(to_plain(composed.config), composed.choices)

            assert compute_run_keys(question, make_empty_answer(question, "failed", ""))[0].decode() == run


def check_theory(name: str, rerun: ExperimentRun) -> None:
    """Each published number lies within its stated tolerance, and each number found has one to be compared with."""
    numbers = rerun.result.numbers
    assert set(numbers) == {truth.quantity for truth in record.load_truths(name)}
    assert numbers
    for each in record.load_truths(name):
        assert each.holds(numbers[each.quantity]), f"{each.quantity}: {numbers[each.quantity]}, not {each.interval}"


def check_page(name: str, rerun: ExperimentRun) -> None:
    """The README holds sentence, truths and table as the rerun makes them, and the commands that make them."""
    assert f"{record.BEGIN}\n\n{record.format_page(rerun)}\n\n{record.END}" in readme(name)
    assert f"{record.format_command(name)}\n" in readme(name)
    assert f"{record.format_command(name, full=True)}\n" in readme(name)
    assert "](picture.svg)" in readme(name)


def check_picture(name: str, rerun: ExperimentRun) -> None:
    """What the rerun draws has the form of the picture that is kept: as many words and lines, and no point off it."""
    drawn, kept = rerun.picture(), (HOME / name / "picture.svg").read_text(encoding="utf-8")
    assert "NaN" not in drawn
    tags = [[element.tag for element in ElementTree.fromstring(text).iter()] for text in (drawn, kept)]
    if "status" in getattr(record.load_code(name), "FRAGILE", ()):  # rounding decides a few runs, and processors round
        assert set(tags[0]) == set(tags[1])
        assert len(tags[0]) == pytest.approx(len(tags[1]), rel=0.05)
    else:
        assert tags[0] == tags[1]


def test_the_index_names_every_experiment_with_its_question() -> None:
    """experiments/README.md is what record.py makes of the folders' pages."""
    assert record.format_index() == (HOME / "README.md").read_text(encoding="utf-8")


def test_a_number_outside_its_tolerance_does_not_hold() -> None:
    """A truth refuses what lies beyond it on either side, and NaN."""
    truth = record.Truth.about("x", 2.0, 0.1, "a paper")
    assert truth.holds(2.05)
    assert not any(map(truth.holds, (1.89, 2.11, float("nan"))))


# ----------------------------------------------------------------------------------------------------- the notebook


@pytest.fixture(scope="module", params=["manual", "torch"])
def trace(request: pytest.FixtureRequest, rerun: Rerun) -> Callable[[str, float], pd.DataFrame]:
    """The trace of a notebook objective at a learning rate, by hand and by torch.optim."""
    runs, traces = rerun("notebook").runs, rerun("notebook").traces
    keys = runs[runs["impl"] == request.param].set_index(["objective", "lr"])["run_id"]
    return lambda objective, lr: traces[traces["run_id"] == keys[objective, lr]].set_index("step")


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
