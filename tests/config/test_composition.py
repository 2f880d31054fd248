"""What a command line and a Python call may ask of groups, axes and Hydra's own settings, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from support.folding import folded
from support.tiers import representatives

import gdbench
from gdbench.config.axis import Axis
from gdbench.config.compose import Composer, prepare_hydra
from gdbench.config.config_folders import config_folder
from gdbench.config.schema import AROUND, GROUPS, SCALAR_SETTINGS, SWEEP_SETTINGS
from gdbench.config.sweep_axes import count_values, list_values
from gdbench.sweeps.command_line import is_value

SHORT = ("steps=2", "timing=off", "--quiet")


def options(group: str) -> list[Path]:
    """The files of a group, those first that are options of ours alone."""
    return sorted((config_folder() / group).glob("*.yaml"))


def shared(group: str) -> list[tuple[str, str, str]]:
    """Keys of a group that two of its options share, and that the group's default lacks: (key, one, other)."""
    default = {"objective": "notebook_manual", "optimizer": "gd", "timing": "quick", **AROUND}[group]
    known = {file.stem: set(yaml.safe_load(file.read_text())) for file in options(group)}
    pairs = {}
    for name, keys in known.items():
        for key in sorted(keys - known[default] - {"_target_", "manual", "torch"}):
            pairs.setdefault(key, []).append(name)
    return [(key, *names[:2]) for key, names in pairs.items() if len(names) > 1]


def refusal(done: Any) -> str:
    """The one line of a command that was refused."""
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    return str(done.err)


@pytest.mark.parametrize(
    ("group", "key", "one", "other"),
    [
        ("schedule", "over", "cosine", "linear"),
        ("objective", "n", "rosenbrock", "rastrigin"),
        pytest.param("optimizer", "momentum", "momentum", "nesterov", marks=pytest.mark.slow),
        pytest.param("noise", "sigma", "gaussian", "relative", marks=pytest.mark.slow),
    ],
)
def test_a_value_of_a_swept_group_is_set_in_each_cell(
    command: Callable[..., Any], group: str, key: str, one: str, other: str
) -> None:
    """``-m schedule=cosine,linear schedule.over=10`` runs on the command line, and asks what Python asks."""
    value = next(
        item["default"] if isinstance(item, dict) else item
        for item in [yaml.safe_load((config_folder() / group / f"{one}.yaml").read_text())[key]]
    )
    value = 4 if value is None else value
    assert command("-m", f"{group}={one},{other}", f"{group}.{key}={value}", *SHORT, "outputs=shell").code == 0
    named = {"objective": {}}.get(group, {group: [one, other]})
    objective = [one, other] if group == "objective" else None
    runs = gdbench.sweep(objective, **named, **{f"{group}.{key}": value}, steps=2, timing="off", outputs="python")

    assert gdbench.load("shell")["run_id"].tolist() == runs["run_id"].tolist()
    assert runs[f"{group}.{key}"].tolist() == [value] * 2


@pytest.mark.parametrize("group", representatives(GROUPS, ("schedule", "clip", "noise", "average")))
def test_no_value_of_a_group_is_for_hydra_to_judge(group: str) -> None:
    """Of all groups: a value that two options share and the default lacks is withheld, and composes in both cells."""
    with prepare_hydra():
        composer = Composer()
        for key, one, other in shared(group):
            word = f"{group}.{key}=1"
            configs = [composer([f"{group}={name}", word]).config for name in (one, other)]

            assert is_value(word)
            assert not is_value(f"{group}={one},{other}")
            assert [config[group][key] for config in configs] == [1, 1]


def test_an_experiment_that_sweeps_a_group_takes_values_of_it(command: Callable[..., Any]) -> None:
    """A value is set in each cell also where the axis is declared in a file."""
    words = ["-m", "experiment=momentum_rates", "optimizer=momentum,nesterov", "optimizer.momentum=0.5", "lr=0.01"]

    assert command("--dry-run", *words, "--json").code == 0


@pytest.mark.parametrize("group", [*GROUPS, "experiment"])
@pytest.mark.parametrize(
    "value",
    representatives(["[a,b]", "[[a]]", "[]", "{a:1}", "3", "true", "null"], ["[a,b]", "{a:1}", "3", "null"]),
)
@pytest.mark.parametrize("multirun", [(), ("-m",)], ids=["single", "sweep"])
def test_a_group_takes_one_name(command: Callable[..., Any], group: str, value: str, multirun: tuple[str, ...]) -> None:
    """Of all groups: a list, a dict, a number or nothing is refused in one line that names it, with -m and without."""
    if (group, value) == ("experiment", "null"):
        return
    line = refusal(command(*multirun, f"{group}={value}"))

    if value.startswith("{"):
        assert f"gives settings where a name is due: write {group}=NAME {group}.a=1." in line
        return
    assert line.startswith(f"gdbench: {group}={value} is ")
    assert f"write {group}=" in line or "chosen by its name" in line


def test_lists_in_sweeps_and_from_python_are_refused_as_well(command: Callable[..., Any]) -> None:
    """A list among the names of a sweep, and a dict from Python, are no names."""
    line = refusal(command("-m", "optimizer=[gd,adam],momentum"))
    assert line == (
        "gdbench: optimizer=[gd,adam] is a list, and a run has one optimizer: for a run of each write"
        " optimizer=gd,adam.\n"
    )
    with pytest.raises(gdbench.UsageError, match=r"optimizer=\{a:1\} gives settings where a name is due"):
        gdbench.sweep(optimizer={"a": 1})


@pytest.mark.parametrize("name", representatives(SCALAR_SETTINGS, list(SCALAR_SETTINGS)[::3]))
def test_a_setting_of_one_value_takes_no_list(command: Callable[..., Any], name: str) -> None:
    """Of all settings that are no axis: a list without -m is refused, with what gives a run of each."""
    line = refusal(command(f"{name}=[1,2]"))

    assert line.startswith(f"gdbench: {name}")
    if name not in SWEEP_SETTINGS:
        assert f"{name}=[1,2] is a list, and a run has one {name}: for a run of each write {name}=1,2." in line


@pytest.mark.parametrize(
    "name", representatives([name for name in SWEEP_SETTINGS if name != "code"], ("name", "metric"))
)  # code: which nobody sets
def test_what_a_sweep_has_once_is_not_swept(command: Callable[..., Any], name: str) -> None:
    """Where a sweep is kept, what it is called and what ranks it are no axes: the second value would be dropped."""
    for words in ([], ["hydra/sweeper=optuna", "lr=1,2"]):
        line = refusal(command("-m", "steps=2", *words, f"{name}=a,b"))
        assert f"{name}=a,b: a sweep has one {name}" in line


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("objective=quadratic objective.n=range(0,1e12)", "1000000000000 cells (1000000000000 of objective.n)"),
        ("objective=quadratic objective.n=shuffle(range(0,1e12))", "1000000000000 cells"),
        ("objective=quadratic objective.n=range(0,1000) steps=range(1,1001)", "1000000 cells (1000 of objective.n, "),
        ("optimizer=lbfgs impl=torch optimizer.history_size=range(0,1e12)", "1000000000000"),
        ("lr=range(0,1e12)", "1000000000000 values"),
        ("seed=range(0,1e12)", "1000000000000 values"),
        ("steps=range(1,10,0)", "counts to no end"),
        ("steps=range(1,inf)", "counts to no end"),
    ],
)
@pytest.mark.parametrize("sweeper", [(), ("hydra/sweeper=optuna",)], ids=["lanes", "optuna"])
def test_absurdly_many_cells_are_refused_at_once(
    command: Callable[..., Any], words: str, count: str, sweeper: tuple[str, ...]
) -> None:
    """The count is told, and nothing enumerated; Optuna samples a range as it is, and refuses what it must list."""
    if sweeper and "shuffle" not in words:
        return
    assert count in refusal(command("-m", *sweeper, *words.split()))
    assert not Path("outputs").exists()


def test_python_refuses_absurdly_many_cells_as_well() -> None:
    """A range of Python's is counted, not listed."""
    with pytest.raises(gdbench.UsageError, match="1000000000000 cells"):
        gdbench.sweep("quadratic", **{"objective.n": range(10**12)})


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-7, 7), st.sampled_from([1, 10, 100]))
@example(2, 0, -1, 100)
def test_a_range_has_the_values_of_an_axis(start: int, stop: int, step: int, parts: int) -> None:
    """Cells and lanes of one range have the same values, as many as were counted, and never its end."""
    words = ",".join(str(number / parts if parts > 1 else number) for number in (start, stop, step or 1))
    (override,) = OverridesParser.create().parse_overrides([f"steps=range({words})"])
    values = [float(value) for value in list_values(override)]

    assert count_values(override) == len(values)
    assert not values or values == Axis("objective.a", f"range({words})").values.tolist()
    if parts == 1:
        assert values == list(override.sweep_iterator())


@pytest.mark.parametrize(
    ("word", "instead"),
    [
        ("hydra.run.dir=elsewhere", "outputs=FOLDER"),
        ("hydra.sweep.dir=elsewhere", "outputs=FOLDER"),
        ("hydra.sweep.subdir=${hydra.job.num}", "outputs=FOLDER"),
        ("hydra.output_subdir=x", ".hydra/"),
        ("hydra.job.name=x", "name=NAME"),
        ("hydra.job.chdir=true", "folder"),
        ("hydra.job.num=3", "numbers"),
        ("hydra.job.id=3", "numbers"),
        ("+hydra.job.env_set.A=1", "NAME=VALUE python"),
        ("hydra.job.env_copy=[HOME]", "NAME=VALUE python"),
        ("hydra.job.config.override_dirname.kv_sep=x", "outputs=FOLDER"),
        ("hydra/job_logging=default", "no log"),
        ("hydra.verbose=true", "no log"),
    ],
)
@pytest.mark.parametrize("multirun", [(), ("-m",)], ids=["single", "sweep"])
def test_a_setting_of_hydras_without_effect_says_so(
    command: Callable[..., Any], word: str, instead: str, multirun: tuple[str, ...]
) -> None:
    """Hydra's own folders, names and logs are refused in one line that names what to use, before any is made."""
    line = refusal(command(*multirun, word, "lr=0.1", *SHORT))

    assert "has no effect" in line
    assert instead in line
    assert not list(Path().iterdir())


def test_a_file_that_sets_what_has_no_effect_is_refused_too(command: Callable[..., Any], own: Path) -> None:
    """An experiment of the user's own that sets hydra.sweep.dir is told the same as the command line."""
    (own / "experiment").mkdir()
    (own / "experiment" / "mine.yaml").write_text("# @package _global_\nhydra: {sweep: {dir: elsewhere}}\n")

    for multirun in ([], ["-m"]):
        line = refusal(command(*multirun, "experiment=mine", "--config-dir", str(own)))
        assert line.startswith("gdbench: hydra.sweep.dir=elsewhere has no effect")


@pytest.mark.parametrize("key", ["hydra/launcher", "hydra/sweeper", "hydra.run.dir", "hydra.verbose"])
def test_hydras_settings_are_for_the_command_line(key: str) -> None:
    """From Python a sweep runs in this process: a launcher would be ignored, so it is refused."""
    with pytest.raises(gdbench.UsageError, match=f"{key} is for the command line"):
        gdbench.sweep(**{key: "joblib"})


def test_a_plan_runs_no_trials(command: Callable[..., Any]) -> None:
    """Optuna's cells are not known beforehand: plan says so, and runs none."""
    assert "Optuna proposes each cell" in refusal(
        command("--dry-run", "-m", "hydra/sweeper=optuna", "lr=interval(0.1,1)")
    )
    assert not Path("outputs").exists()


def test_a_folder_named_by_hydras_search_path_serves_a_sweep(
    command: Callable[..., Any], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells of a sweep are composed with the search path of the command line."""
    monkeypatch.syspath_prepend(own)
    words = [f"hydra.searchpath=[file://{own}]", "objective=bowl,notebook_square", *SHORT]

    assert command("-m", *words).code == 0
    assert gdbench.load()["objective"].tolist() == ["bowl", "notebook_square"]


def test_no_cell_is_lost_where_a_swept_key_comes_with_its_group() -> None:
    """The order of a group and its value does not matter."""
    first, second = (
        [job.config["schedule"]["over"] for job in folded(*words)]
        for words in (
            ("schedule=cosine,linear", "schedule.over=10,20"),
            ("schedule.over=10,20", "schedule=cosine,linear"),
        )
    )

    assert sorted(first) == sorted(second) == [10, 10, 20, 20]


def test_a_sweeper_of_anybodys_still_has_every_word(command: Callable[..., Any]) -> None:
    """Hydra's own sweeper runs each value as a sweep of its own, with all that the command line says."""
    assert command("-m", "hydra/sweeper=basic", "optimizer=gd,adam", "lr=0.1,0.2", *SHORT).code == 0
    runs = gdbench.load()

    assert sorted(zip(runs["optimizer"], runs["lr"], runs["steps"], strict=True)) == [
        ("adam", 0.1, 2), ("adam", 0.2, 2), ("gd", 0.1, 2), ("gd", 0.2, 2)
    ]  # fmt: skip
    assert runs["sweep"].nunique() == 4


def test_a_configuration_that_is_shown_is_no_sweep(command: Callable[..., Any]) -> None:
    """--cfg prints all values that were given, and refuses a sweep, of which it could print one value only."""
    assert "over: 10" in command("--cfg", "job", "schedule=cosine", "schedule.over=10").out
    assert "lr=0.1,0.2 is a sweep, and --cfg shows one" in refusal(command("--cfg", "job", "-m", "lr=0.1,0.2"))
