"""What is swept is seen: every setting of the schema tells its runs apart, wherever runs are shown or matched."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.tiers import representatives

import gdbench
from gdbench.analysis.run_comparison import compare_runs
from gdbench.config.schema import Settings
from gdbench.report.terminal.sweep import render_sweep
from gdbench.report.terminal.tuning import render_tuning
from gdbench.results.costs import select_comparable
from gdbench.results.run_settings import find_differing_settings, format_distinct, name_configurations, name_objectives

SWEPT: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "objective": (["quadratic", "rosenbrock"], {}),
    "objective.condition": ([10, 100], {}),
    "objective.spectrum": (["uniform", "geometric"], {}),
    "optimizer": (["momentum", "adam"], {}),
    "optimizer.momentum": ([0.5, 0.9], {}),
    "optimizer.dampening": ([0.0, 0.5], {}),
    "optimizer.maximize": ([True, False], {}),
    "impl": (["manual", "torch"], {}),
    "lr": ([0.1, 0.10000000000000002], {}),
    "lr_scale": ([0.5, 1.0], {"lr": None}),
    "lr_scale_of": ([None, "L"], {"lr": None}),
    "schedule": (["constant", "cosine"], {}),
    "schedule.over": ([None, 5], {"schedule": "cosine"}),
    "clip": (["none", "norm"], {}),
    "clip.max_norm": ([1.0, 2.0], {"clip": "norm"}),
    "average": (["none", "ema"], {}),
    "average.decay": ([0.9, 0.99], {"average": "ema"}),
    "noise": (["none", "gaussian"], {}),
    "noise.sigma": ([0.1, 0.2], {"noise": "gaussian"}),
    "steps": ([5, 6], {}),
    "seed": ([0, 1], {"start_noise": 0.1}),
    "start_noise": ([0.1, 0.2], {}),
    "dtype": (["float32", "float64"], {}),
    "target": ([1e-3, 1e-6], {}),
    "target_loss": ([0.1, 0.2], {}),
    "target_metric": (["held_out.accuracy>=0.5", "held_out.accuracy>=0.6"], {"objective": "digits_mlp"}),
    "judge_every": ([1, 2], {}),
    "exact": ([False, True], {"judge_every": 2}),
    "threads": ([1, 2], {}),
}
"""Two values of each setting, and what else it needs."""
NO_QUESTION = {
    *(
        "timing",
        "points",
        "trials",
        "max_seconds",
        "max_sweep_seconds",
        "metric",
        "trace",
        "keep",
        "name",
        "outputs",
        "resume",
        "retry",
        "tracker",
        "code",
        "part",
    ),
    "device",  # a second one is not on every machine
}
"""Settings that ask nothing of a run: the same run comes out, however they are set."""
GROUPS = ("objective", "optimizer", "schedule", "clip", "noise", "average")


def sweep(name: str, tmp_path: Path) -> pd.DataFrame:
    """A sweep of two methods over two values of a setting."""
    values, others = SWEPT[name]
    given = {"objective": "quadratic", "optimizer": ["momentum", "gd"], "steps": 5, "timing": "off", **others}
    if name.startswith("optimizer"):
        given["optimizer"] = "momentum"
    objective = values if name == "objective" else given.pop("objective")
    given.pop("objective", None)
    axis = {} if name == "objective" else {name: values}
    return gdbench.sweep(objective, **{**given, **axis}, outputs=str(tmp_path))


def shown(renderable: Any) -> str:
    """What a wide terminal shows."""
    file = io.StringIO()
    Console(file=file, width=400, highlight=False).print(renderable)
    return file.getvalue()


def rows_by_settings(runs: pd.DataFrame) -> list[tuple[str, ...]]:
    """Each run by its problem and the settings that the table shows."""
    names = name_objectives(runs)
    rows = []
    for problem, group in runs.groupby(names, sort=False):
        columns = [format_distinct(group[name]) for name in find_differing_settings(group)]
        rows += [(str(problem), *texts) for texts in zip(*columns, strict=True)] if columns else [(str(problem),)]
    return rows


def test_every_setting_of_the_schema_is_tried() -> None:
    """A setting that is added to the schema is added to this law, or said to ask nothing."""
    covered = {name for name in SWEPT if "." not in name}

    assert covered | NO_QUESTION == {field.name for field in fields(Settings)}
    assert {name.partition(".")[0] for name in SWEPT if "." in name} == set(GROUPS)


FAST = ("impl", "lr_scale", "schedule.over", "noise", "seed")
"""A setting of each kind: a word, what makes another, of a group, a group itself, a seed; numbers are a law below."""


@pytest.mark.parametrize("name", representatives(SWEPT, FAST))
def test_swept_setting_is_seen_in_table_report_and_comparison(name: str, tmp_path: Path) -> None:
    """Rows of a swept setting are told apart in the table, none is a repeat in a report, and all match themselves."""
    runs = sweep(name, tmp_path)
    text = shown(render_sweep(runs, tmp_path))
    told = select_comparable(runs)
    same = compare_runs(runs, runs)

    assert len(set(rows_by_settings(runs))) == len(runs)
    assert len(told) == len(runs)
    assert not told.duplicated(["problem", "solver", "configuration", "seed"]).any()
    assert (len(same), set(same["verdict"])) == (len(runs), {"same"})
    if not name.startswith(("objective", "schedule.over", "lr_scale_of")):  # of null nothing is said
        assert any(value in text.splitlines()[-3] for value in format_distinct(pd.Series(SWEPT[name][0])))


TUNED = [name for name in SWEPT if not name.startswith(("lr", "seed"))]


@pytest.mark.parametrize("name", representatives(TUNED, ("clip",)))
def test_swept_setting_is_seen_in_tune(name: str, tmp_path: Path) -> None:
    """Each value of a swept setting is a row of its own in the table of a search, or a tuned number of one row."""
    values, others = SWEPT[name]
    axis = {} if name == "objective" else {name: values}
    given = {"objective": "quadratic", "optimizer": "momentum", "steps": 5, **others, **axis}
    objective = given.pop("objective")
    objective = values if name == "objective" else objective
    is_tuned = name in ("optimizer.momentum", "optimizer.dampening")
    trials = 4 if is_tuned else 2
    winners = gdbench.tune(objective, **given, lr=[0.1, 0.2], trials=trials, outputs=str(tmp_path))
    rows = rows_by_settings(winners)

    assert len(set(rows)) == len(winners) == (1 if is_tuned else 2)
    assert shown(render_tuning(winners, tmp_path, 400)).count("momentum") >= 1


@pytest.mark.slow
def test_a_swept_scale_is_shown_as_such_wherever_its_lr_is(command: Callable[..., Any], tmp_path: Path) -> None:
    """Of lr_scale=0.5,1 table, best, verdict, list of sweeps, tune and its table name the scale beside the lr."""
    words = ("objective=quadratic", "optimizer=gd", "lr=null", "timing=off", f"outputs={tmp_path}")
    table = command("-m", *words, "lr_scale=0.5,1", "lr_scale_of=null,L").out
    folder = str(next(tmp_path.glob("*/*")))
    page = " ".join(command("report", folder, "--format", "md").out.split())
    listed = command("sweeps", "--outputs", str(tmp_path)).out
    tuned = " ".join(command("tune", *words, "lr_scale=tag(log,interval(0.1,1000))", "trials=9").out.split())

    assert re.search(r"lr +lr_scale +lr_scale_of +status", table)
    assert "Best: gd (manual) at lr 1, lr_scale 1, lr_scale of L: final gap" in " ".join(table.split())
    assert "Its lr_scale is at the edge of the grid: try larger values." in page
    assert "gd (lr 1 lr_scale 1 lr_scale_of L) ends lowest" in page
    assert "gd lr 1 lr_scale 1 lr_scale_of L, final gap" in listed
    assert re.search(r"optimizer +lr +lr_scale|optimizer +lr_scale +lr|lr_scale +lr +status", tuned)
    assert re.search(r"gd at lr_scale \S+, lr \S+, final gap", tuned)


def test_an_lr_is_the_same_question_however_it_came_about(tmp_path: Path) -> None:
    """Where some runs had their lr given, configurations are named by that alone, and match those that were scaled."""
    scaled = gdbench.sweep(optimizer="gd", lr=None, lr_scale=[50.0, 100.0], timing="off", outputs=str(tmp_path))
    given_lr = gdbench.sweep(optimizer="gd", lr=scaled["lr"].tolist(), timing="off", outputs=str(tmp_path))
    together = select_comparable(gdbench.load(tmp_path))

    assert scaled["run_id"].tolist() == given_lr["run_id"].tolist()
    assert scaled["lr_scale"].tolist() == [50.0, 100.0]
    assert given_lr["lr_scale"].isna().all()
    assert len(together) == 2
    assert set(compare_runs(scaled, given_lr)["verdict"]) == {"same"}


def test_swept_setting_is_seen_in_json(command: Callable[..., Any]) -> None:
    """What the README's example sweeps is in every row of --json: schedule, clip, and the condition of the problem."""
    words = ("schedule=constant,cosine", "clip=none,norm", "objective.condition=10,100", "objective=quadratic")
    done = command("-m", *words, "steps=5", "timing=off", "--json")
    rows = [(row["schedule"], row["clip"], row["objective.condition"]) for row in json.loads(done.out)]

    assert len(set(rows)) == len(rows) == 8


def test_best_names_the_problem_and_every_setting_that_differs(command: Callable[..., Any]) -> None:
    """Two conditions in two dtypes are four problems, each with its best, named by momentum and schedule."""
    words = ("objective=quadratic", "objective.condition=10,100", "optimizer=momentum", "optimizer.momentum=0.5,0.9")
    done = command("-m", *words, "schedule=constant,cosine", "dtype=float32,float64", "steps=40", "timing=off")
    text = done.out[done.out.index("Best") : done.out.index("Files:")].replace(" \n", " ").replace(",\n", ", ")
    best = [f"Best {line}" for line in " ".join(text.split()).split("Best ")[1:]]

    assert [line.partition(":")[0] for line in best] == [
        f"Best on quadratic condition={condition} {dtype}"
        for condition in (10, 100)
        for dtype in ("float32", "float64")
    ]
    assert all("momentum 0." in line and " schedule" in line for line in best)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, unique=True))
def test_distinct_texts_keep_different_numbers_apart(numbers: list[float]) -> None:
    """Texts of different numbers differ, however near they are; those of equal numbers do not."""
    texts = format_distinct(pd.Series(numbers, dtype=float))

    assert len(set(texts)) == len(set(numbers))


def test_null_is_a_value_of_a_parameter() -> None:
    """A parameter that is null in some runs of its option and a number in others tells them apart."""
    runs = pd.DataFrame(
        {
            "objective": "quadratic",
            "optimizer": "gd",
            "lr": 0.1,
            "schedule": ["cosine", "cosine", "constant"],
            "schedule.over": [np.nan, 5.0, np.nan],
            "seed_used": False,
        }
    )

    assert name_configurations(runs).nunique() == 3
    assert "schedule.over" in find_differing_settings(runs)
