from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.tiers import representatives

import gdbench
from gdbench.analysis.tuning_score import MISS
from gdbench.errors import format_install_command
from gdbench.sweeps.optuna_sweeper import SAMPLERS

optuna = pytest.importorskip("optuna")

STUDY = ("-m", "hydra/sweeper=optuna", "timing=off")
LR = "lr=tag(log,interval(1e-4,10))"


def best() -> dict[str, Any]:
    """What the latest study wrote down about its best trial."""
    (file,) = Path("outputs").glob("*/*/optimization_results.yaml")
    return yaml.safe_load(file.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "near"),
    [("objective=quadratic steps=300", (1.2, 2.0)), ("objective=rosenbrock steps=300", (5e-4, 5e-3))],
)
def test_a_study_finds_a_good_learning_rate(
    command: Callable[..., Any], problem: str, near: tuple[float, float]
) -> None:
    """Twenty-five trials of gradient descent end near the fastest stable lr, by the final gap."""
    done = command(*STUDY, *problem.split(), LR, "metric=final_gap", "hydra.sweeper.n_trials=25")

    assert done.code == 0, done.err
    assert near[0] < best()["best_params"]["lr"] < near[1]
    assert len(gdbench.load()) == 25


def test_a_study_is_one_sweep(command: Callable[..., Any]) -> None:
    """All trials lie in one folder as cells of one table, which is shown with the best trial and its command."""
    done = command(*STUDY, "optimizer=gd,adam", LR, "hydra.sweeper.n_trials=6")
    runs = gdbench.load()

    assert runs["cell"].tolist() == list(range(6))
    assert len(list(Path("outputs").glob("*/*"))) == 1
    assert {path.name for path in Path("outputs").glob("*/*/*")} - {"gdbench.diff"} == {  # of a checkout with changes
        "runs.parquet",
        "traces.parquet",
        "environment.json",
        "optimization_results.yaml",
        ".hydra",
    }
    assert len(list(Path("outputs").glob("*/*/.hydra/cell-*.yaml"))) == 6
    assert done.out.count("gdbench 0.1.0") == 1
    assert done.err.count("\n") == 6
    assert "Best of 6 trials: number " in done.out


def test_the_command_repeats_the_best_trial(command: Callable[..., Any]) -> None:
    """What is printed runs the best trial again: the same key and the same steps."""
    done = command(
        *STUDY, "optimizer=momentum", "optimizer.momentum=interval(0,0.99)", LR, "steps=50", "hydra.sweeper.n_trials=5"
    )
    words = shlex.split(done.out.splitlines()[-1])
    runs = gdbench.load()
    assert words[:3] == ["python", "-m", "gdbench"]
    assert command(*words[3:], "outputs=again").code == 0
    again = gdbench.load("again")

    assert again["run_id"][0] in runs["run_id"].tolist()
    assert again["steps_to_target"][0] == runs["steps_to_target"].min()


@pytest.mark.parametrize(
    ("sampler", "trials"), representatives([("random", 3), *((name, 12) for name in SAMPLERS)], [("random", 3)])
)
def test_studies_repeat_themselves(command: Callable[..., Any], sampler: str, trials: int) -> None:
    """Each sampler makes the same trials again, and others with another seed."""
    words = [*STUDY, LR, "steps=5", f"hydra.sweeper.n_trials={trials}", f"hydra/sweeper/sampler={sampler}", "--quiet"]
    for name, more in {"a": [], "b": [], "c": ["hydra.sweeper.sampler.seed=7"]}.items():
        done = command(*words, *more, f"outputs={name}")
        assert done == (0, "", ""), done
    first, second, third = (gdbench.load(name)["lr"].tolist() for name in "abc")

    assert first == second != third


@pytest.mark.slow
def test_a_trial_that_fails_neither_stops_nor_wins(command: Callable[..., Any], own: Path) -> None:
    """The default sampler goes on past a trial that raises and one that is not to be had, and the best is sound."""
    words = ("objective=raises,bowl", "optimizer=gd,lbfgs", "impl=manual", "lr=0.1", "steps=5", "metric=final_loss")
    done = command(*STUDY, "--config-dir", str(own), *words, "hydra.sweeper.n_trials=8")
    runs = gdbench.load()

    assert done.code == 1, done.err
    assert {"failed", "unavailable"} <= set(runs["status"])
    assert best()["best_value"] == runs["final_loss"].min() < MISS


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler", [name if name == "tpe" else pytest.param(name, marks=pytest.mark.campaign) for name in SAMPLERS]
)
def test_failures_and_divergence_neither_stop_nor_win(
    command: Callable[..., Any], own: Path, tmp_path: Path, sampler: str
) -> None:
    """Trials that raise, diverge or are not to be had are rows like others, and the best is one that is sound."""
    done = command(
        *STUDY, "--config-dir", str(own), "objective=raises,bowl", "optimizer=gd,lbfgs", "lr=0.1,0.4,3.0,1e300",
        "impl=manual", "hydra.sweeper.n_trials=25", f"hydra/sweeper/sampler={sampler}", "steps=60", "metric=final_loss",
    )  # fmt: skip
    assert done.code == 1, done.err
    statuses = set(gdbench.load()["status"])

    assert {"failed", "unavailable"} <= statuses
    assert statuses & {"nonfinite", "diverged"}
    assert best()["best_params"] == {"objective": "bowl", "optimizer": "gd", "lr": "0.4"}
    assert best()["best_value"] < MISS


@pytest.mark.parametrize(
    "metric",
    representatives(
        ["steps_to_target", "gradient_evals_to_target", "final_gap", "final_loss"], ["steps_to_target", "final_loss"]
    ),
)
def test_the_metric_is_what_the_study_seeks(command: Callable[..., Any], metric: str) -> None:
    """The best value is the lowest of the metric's column."""
    assert command(*STUDY, LR, f"metric={metric}", "hydra.sweeper.n_trials=4", "--quiet", "steps=40").code == 0

    assert best()["best_value"] == gdbench.load()[metric].min()


@pytest.mark.slow
def test_time_can_be_a_metric(command: Callable[..., Any]) -> None:
    """metric=time_to_target takes the timed seconds, and asks for a clock."""
    words = ["-m", "hydra/sweeper=optuna", "lr=0.1,0.4", "metric=time_to_target", "hydra.sweeper.n_trials=2"]
    refused = command(*words, "timing=off")
    assert refused.code == 2
    assert refused.err == "gdbench: metric=time_to_target needs a clock: set timing=quick or timing=full.\n"
    assert command(*words, "timing.seconds=0.001", "--quiet").code == 0

    assert best()["best_value"] == gdbench.load()["time_to_target_s"].min()


@pytest.mark.slow
def test_seeds_are_repeats_of_a_trial(command: Callable[..., Any]) -> None:
    """seed=0,1,2 makes three lanes of each trial, and the median of them is its value."""
    words = [LR, "seed=0,1,2", "start_noise=1.0", "metric=final_loss", "hydra.sweeper.n_trials=5", "--quiet"]
    assert command(*STUDY, *words).code == 0
    runs = gdbench.load()
    losses = runs["final_loss"].where(runs["status"] != "nonfinite", np.inf)

    assert runs.groupby("cell").size().tolist() == [3] * 5
    assert best()["best_value"] == losses.groupby(runs["cell"]).median().min()


def test_spaces_are_what_hydra_calls_them(command: Callable[..., Any]) -> None:
    """Choices, ranges and intervals are sampled from, in whole numbers where the setting is no float."""
    words = [
        "objective=rosenbrock", "objective.n=range(2,7,2)", "steps=interval(10,20)", "lr=interval(1,2)",
        "optimizer=adam", "optimizer.amsgrad=true,false", "hydra.sweeper.n_trials=6", "--quiet",
    ]  # fmt: skip
    assert command(*STUDY, *words).code == 0
    runs = gdbench.load()

    assert set(runs["objective.n"]) <= {2, 4, 6}
    assert runs["steps"].between(10, 20).all()
    assert runs["lr"].between(1, 2).all()
    assert not (runs["lr"] % 1 == 0).all()
    assert set(runs["optimizer.amsgrad"].astype(str)) == {"True", "False"}


def test_a_study_goes_on_where_it_was_kept(command: Callable[..., Any]) -> None:
    """With storage and a name a second command adds trials to the first one's, and proposes no start-up twice."""
    kept = ["hydra.sweeper.storage=sqlite:///kept.db", "hydra.sweeper.study_name=kept", "hydra.sweeper.n_trials=2"]
    first, second = (command(*STUDY, LR, *kept, f"outputs={name}") for name in "ab")
    lrs = [*gdbench.load("a")["lr"], *gdbench.load("b")["lr"]]

    assert "Best of 2 trials" in first.out
    assert "Best of 4 trials" in second.out
    assert len(set(lrs)) == 4


@pytest.mark.parametrize("launcher", representatives(["basic", "joblib"], ["basic"]))
def test_a_launcher_runs_trials_side_by_side(command: Callable[..., Any], launcher: str) -> None:
    """A launcher carries n_jobs trials at a time, and gives one table all the same."""
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = [f"hydra/launcher={launcher}", *(["hydra.launcher.n_jobs=1"] if launcher == "joblib" else [])]
    done = command(*STUDY, LR, *words, "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=4", "--json")

    assert done.code == 0, done.err
    assert [row["cell"] for row in json.loads(done.out)] == [0, 1, 2, 3]
    assert "failed" not in {row["status"] for row in json.loads(done.out)}


MISTAKES = [
    ("lr=0.1", "there is nothing to sample: give 'lr=tag(log,interval(1e-4,1))'"),
    ("lr=interval(1,0)", "lr=interval(1,0) must lead from a lower to a higher number."),
    ("lr=-1,1", "lr=-1 must be a positive number"),
    ("lr=1,2 hydra.sweeper.n_trials=0", "hydra.sweeper.n_trials=0 must be a whole number from 1."),
    ("lr=1,2 hydra.sweeper.n_jobs=many", "hydra.sweeper.n_jobs=many must be a whole number from 1."),
    ("lr=1,2 hydra.sweeper.direction=maximize", "hydra.sweeper.direction=maximize: of every metric less is better"),
    ("lr=1,2 hydra.sweeper.sampler.seed=abc", "Optuna refuses the study: "),
    ("lr=1,2 hydra.sweeper.storage=nowhere", "Optuna refuses the study: "),
    ("lr=1,2 hydra/sweeper/sampler=moon", "hydra/sweeper/sampler=moon is not known. Allowed: "),
    ("lr=1,2 optimizer=gd,adamm", "optimizer=adamm is not known."),
    ("lr=1,2 optimizer=gd,momentum optimizer.momentum=interval(0,1)", "optimizer.momentum is not a setting"),
    ("lr=1,2 metric=speed", "metric=speed is not known."),
]


@pytest.mark.parametrize(("line", "words"), representatives(MISTAKES, MISTAKES[::2]))
def test_a_mistake_is_one_clear_line(command: Callable[..., Any], tmp_path: Path, line: str, words: str) -> None:
    """Whatever a study cannot be made of is refused in one line, before a folder is made."""
    done = command(*STUDY, *line.split())

    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"gdbench: {words}")
    assert not (tmp_path / "outputs").exists()


def test_without_optuna_one_line_says_what_to_install(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where Optuna is missing the refusal names the extra, and leaves no folder."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = command(*STUDY, LR)

    assert done.code == 2
    assert done.err == f"gdbench: hydra/sweeper=optuna needs Optuna: {format_install_command('optuna')}\n"
    assert not (tmp_path / "outputs").exists()


def test_optuna_is_loaded_only_when_asked_for(shell: Callable[..., Any]) -> None:
    """A sweep without Optuna does not import it."""
    program = """
import sys
from gdbench.cli.main import main
assert main(["-m", "lr=0.1,0.2", "timing=off", "--quiet"]) == 0
assert "optuna" not in sys.modules
"""
    assert shell("-c", program).code == 0
