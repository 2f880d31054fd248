from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.folding import folded
from support.laws import CONF, CONFIGURATIONS, FACTS, MATRICES, OPTIMIZERS, SMALLER
from support.tiers import representatives

import gdbench
from gdbench.cli.reproduce import list_lines
from gdbench.config.spec import CellSpec
from gdbench.sweeps import fingerprint
from gdbench.sweeps.executor import execute
from gdbench.sweeps.job import Job
from gdbench.sweeps.progress import Silent
from gdbench.sweeps.reproduce import reproduce
from gdbench.sweeps.sweep_spec import SweepSpec

WORDS = ("objective=rosenbrock", "optimizer=adam", "lr=[0.01,0.1]", "steps=8", "timing=off", "--quiet")
PICKED = 50


@pytest.fixture
def kept(command: Callable[..., Any]) -> Path:
    """The folder of a sweep of two runs, from a process that has read no source since."""
    assert command(*WORDS).code == 0
    (made,) = Path("outputs").glob("*/*")
    return made


def edit(file: Path, old: str, new: str) -> None:
    """Change a text that is there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def forget() -> None:
    """What a new process would not know of the sources."""
    fingerprint.forget_changes()
    fingerprint._pinned.clear()


def picked(outputs: Path) -> list[Job]:
    """Fifty runs over all of conf/: the same ones each time, each objective and optimizer as likely as any.

    Hydra composes the first alone, as it takes its time; the others have their two files in its place.
    """
    chosen = random.Random(7)
    objectives = chosen.sample(sorted(set(CONFIGURATIONS) - {"fixed_delay"}), PICKED)
    optimizers = chosen.sample(sorted(set(OPTIMIZERS) - MATRICES), PICKED)
    (first,) = folded("steps=3", "lr=1e-4", "timing=off", f"outputs='{outputs}'")
    nothing = {"schedule": "constant", "clip": "none", "noise": "none", "average": "none"}
    jobs = []
    for number, (objective, optimizer) in enumerate(zip(objectives, optimizers, strict=True)):
        method = yaml.safe_load((CONF / "optimizer" / f"{optimizer}.yaml").read_text())
        config = {
            **first.config,
            "objective": CONFIGURATIONS[objective] | SMALLER.get(objective, {}),
            "optimizer": method | {fact: FACTS[fact] for fact in FACTS if method.get(fact, 0) is None},
        }
        choices = {"objective": objective, "optimizer": optimizer, **nothing}
        jobs.append(Job(CellSpec.parse(config, choices), number, (), config))
    return jobs


@pytest.mark.slow
def test_fifty_runs_over_all_of_conf_repeat_to_the_bit(tmp_path: Path) -> None:
    """Every exact column and every recorded point of runs picked over all objectives and optimizers comes out again."""
    execute(SweepSpec(), picked(tmp_path), Silent())
    runs = gdbench.load(tmp_path)
    (place,) = tmp_path.glob("*/*")
    ran = runs[runs["status"] != "unavailable"]  # which computed nothing: reproduce refuses it
    repeats = [reproduce(place, row) for _, row in ran.iterrows()]
    parted = {
        f"{row['objective']} {row['optimizer']}": list_lines(repeat)
        for (_, row), repeat in zip(ran.iterrows(), repeats, strict=True)
        if not repeat.same or repeat.sources or repeat.data or repeat.environment or repeat.stale
    }

    assert not parted
    assert len(ran) > 0.8 * PICKED
    assert len(runs) == PICKED == runs["objective"].nunique() == runs["optimizer"].nunique()
    assert (runs["status"] != "failed").all()
    assert min(repeat.columns for repeat in repeats) > 50
    assert sum(repeat.points for repeat in repeats) > 3 * PICKED


def list_files() -> list[Path]:
    """All files and folders but the index of the sweeps, by which a run is found."""
    return sorted(path for path in Path().rglob("*") if ".index" not in path.parts)


def test_a_run_repeats_with_its_lanes(command: Callable[..., Any], kept: Path) -> None:
    """``reproduce RUN`` says Reproduced, counts what it compared, exits with 0, and leaves the index alone behind."""
    before = list_files()
    done = command("reproduce", gdbench.load()["run_id"][1])

    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"Reproduced: (5|6|7)\d deterministic columns and 8 trace points are identical\.\n", done.out)
    assert list_files() == before


@pytest.mark.parametrize(("old", "new"), [("seed: 0", "seed: 4"), ("threads: 1", "threads: 2")])
def test_a_setting_that_was_changed_is_named(command: Callable[..., Any], kept: Path, old: str, new: str) -> None:
    """Another seed or number of torch's threads is no repetition: it is named, and the exit code is 1."""
    edit(kept / ".hydra" / "cell-00000.yaml", old, new)
    done = command("reproduce", gdbench.load()["run_id"][0])

    assert done.code == 1
    assert done.out.startswith("Not reproduced: ")
    assert f"Changed settings\n  {old[:-3]}  {old[-1]} -> {new[-1]}\n" in done.out


def test_an_edited_optimizer_of_the_users_is_named(command: Callable[..., Any], own: Path) -> None:
    """A source file that is not what it was is named by its module, whether git knows it or not."""
    words = ("objective=bowl", "optimizer=sign", "lr=0.3", "steps=4", "timing=off", "--quiet")
    assert command(*words, "--config-dir", str(own)).code == 0
    edit(own / "own_things.py", "per_run(lr * factor, x)", "per_run(lr * factor * 1.5, x)")
    forget()
    done = command("reproduce", gdbench.load()["run_id"][0])
    forget()

    assert done.code == 1
    assert "the trajectory first differs at step 1." in done.out
    assert "Changed source files (digests)\n  own_things  " in done.out
    assert "Environment" not in done.out


def test_a_fact_of_the_environment_is_named(command: Callable[..., Any], kept: Path) -> None:
    """Another torch, machine or switch is named, also where the result is the same."""
    file = kept / "environment.json"
    then = json.loads(file.read_text())
    then["packages"]["torch"], then["threads"], then["determinism"]["cudnn_benchmark"] = "2.0.0", 77, "yes"
    file.write_text(json.dumps(then))
    done = command("reproduce", gdbench.load()["run_id"][0])

    assert done.code == 0
    assert "packages.torch               2.0.0 -> 2." in done.out
    assert "threads                      77 -> " in done.out
    assert "determinism.cudnn_benchmark  yes -> False" in done.out


def test_what_cannot_be_repeated_says_why(command: Callable[..., Any], kept: Path) -> None:
    """Without its configuration, or with a Python function for objective, one line and exit code 2."""
    gdbench.run(lambda x: (x**2).sum(), x0=[1.0], steps=2, timing="off", name="own")
    row = gdbench.load().sort_values("started_at").iloc[-1]
    function = command("reproduce", row["run_id"])
    (kept / ".hydra" / "cell-00000.yaml").unlink()
    lost = command("reproduce", gdbench.load(kept)["run_id"][0])

    assert "its objective is a Python function" in function.err
    assert "without a cell's configuration" in lost.err
    assert {function.code, lost.code} == {2}
    assert {function.err.count("\n"), lost.err.count("\n")} == {1}


# --------------------------------------------------------------------------------------------------- compare --settings


def test_diff_of_two_runs_names_settings_and_results(command: Callable[..., Any], kept: Path) -> None:
    """Two runs of one sweep differ in lr, and in what came of it; the environment they share is not spoken of."""
    a, b = gdbench.load()["run_id"]
    done = command("compare", "--settings", a, b)
    told = json.loads(command("compare", "--settings", a, b, "--json").out)

    assert "Configuration\n  lr  0.01 -> 0.1\n" in done.out
    assert "The trajectories first differ at step 1." in done.out
    assert "Environment" not in done.out
    assert told["configuration"] == [{"name": "lr", "a": 0.01, "b": 0.1}]
    assert {"final_loss", "grad_norm"} <= {each["name"] for each in told["results"]} <= set(gdbench.load())
    assert told["environment"] == told["sources"] == []


def test_diff_of_two_sweeps_names_what_they_ask(command: Callable[..., Any], kept: Path) -> None:
    """Of sweeps the values of each setting, the facts of the environment and the results are compared."""
    assert command(*WORDS[1:], "objective=beale", "name=other").code == 0
    (other,) = Path("outputs").glob("*/*_other")
    edit(other / "environment.json", '"python": "3', '"python": "2')
    done = command("compare", "--settings", str(kept), str(other))

    assert (done.code, done.err) == (0, "")
    assert "\n  objective    rosenbrock -> beale\n" in done.out
    assert "Environment\n  python  3." in done.out
    assert "Result: 2 only a, 2 only b" in done.out
    assert command("compare", "--settings", str(kept), str(kept)).out.splitlines()[-1].startswith("Nothing differs")


AXES = ("lr=0.1,0.2", "seed=0,1", "optimizer.weight_decay=0.0,0.1", "steps=5,6", "objective=beale,rosenbrock")


@pytest.mark.parametrize("axes", representatives([" ".join(AXES), *AXES], [" ".join(AXES)]))
def test_diff_of_one_value_with_several(command: Callable[..., Any], axes: str) -> None:
    """A setting that has several values in one sweep and one in the other is shown with all of them."""
    two = dict(axis.split("=") for axis in axes.split())
    one = {name: values.partition(",")[0] for name, values in two.items()}
    command("-m", "timing=off", "steps=5", *axes.split(), "name=two", "--quiet")
    command("-m", "timing=off", "steps=5", *(f"{name}={value}" for name, value in one.items()), "name=one", "--quiet")
    done = command("compare", "--settings", "two", "one", "--json")

    assert (done.code, done.err) == (0, "")
    shown = {difference["name"]: difference for difference in json.loads(done.out)["configuration"]}
    for name, values in two.items():
        assert [str(value) for value in shown[name]["a"]] == values.split(",")
        assert str(shown[name]["b"]) == one[name]


def test_diff_refuses_what_is_neither(command: Callable[..., Any], kept: Path) -> None:
    """A folder that is not there, or a key of no run, is one line and exit code 2."""
    refused = [command("compare", "--settings", word, str(kept)) for word in ("not/there", "ffffeeee")]

    assert [each.code for each in refused] == [2, 2]
    assert [each.err.count("\n") for each in refused] == [1, 1]
    assert "SWEEP=not/there is no sweep of outputs." in refused[0].err
    assert "RUN=ffffeeee must name one run" in refused[1].err


def test_a_run_that_was_unavailable_is_not_reproduced(command: Callable[..., Any]) -> None:
    """It has computed nothing: one line names the reason and what to write."""
    command("optimizer=lbfgs,gd", "impl=manual", "steps=2", "timing=off", "--quiet")
    runs = gdbench.load()
    (run,) = runs.loc[runs["status"] == "unavailable", "run_id"]
    done = command("reproduce", run)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"gdbench: run {run} was unavailable and computed nothing that could be reproduced (")
    assert "optimizer=lbfgs has no manual implementation" in done.err


def test_a_run_that_failed_is_said_to_fail_again(command: Callable[..., Any], tmp_path: Path) -> None:
    """Where a run raises again what it raised, that is what was reproduced."""
    (tmp_path / "mine" / "optimizer").mkdir(parents=True)
    (tmp_path / "mine" / "optimizer" / "broken.yaml").write_text(
        "manual: {_target_: broken_code.broken}\ntorch: null\n"
    )
    (tmp_path / "mine" / "broken_code.py").write_text(
        "from gdbench.optimizers.base import Method\n\n"
        "def broken(lr) -> Method:\n    def step(*given):\n        raise ValueError('no')\n"
        "    return Method(lambda x: None, step)\n"
    )
    words = ("optimizer=broken", "--config-dir", "mine", "lr=0.1", "steps=2", "timing=off", "--quiet")
    assert command(*words).code == 1
    done = command("reproduce", gdbench.load()["run_id"][0], "--trust")

    assert done.code == 0, done
    assert "Reproduced: it fails again;" in done.out
