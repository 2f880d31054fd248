"""Suites: the series of a file in conf/gate."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.config.compose import Composer, lock_hydra, to_plain
from gdbench.config.config_folders import config_folder
from gdbench.config.hydra_plugins import register_configs
from gdbench.config.spec import CellSpec
from gdbench.errors import UsageError
from gdbench.gate.series import Series, SourceTree
from gdbench.gate.suite import Suite, load_suite

SUITES = sorted(file.stem for file in (config_folder() / "gate").glob("*.yaml"))


def suite(folder: Path, text: str) -> Suite:
    """The suite that a file with this text states."""
    (folder / "gate").mkdir(exist_ok=True)
    (folder / "gate" / "mine.yaml").write_text(text)
    return load_suite("mine", folder)


@pytest.mark.parametrize("name", SUITES)
def test_every_shipped_series_poses_a_question(name: str) -> None:
    """Its overrides compose to a valid run."""
    register_configs()
    with lock_hydra():
        compose = Composer()
        for series in load_suite(name).series:
            fixed, overrides = SourceTree(Path(), "here").build_request(series)
            composed = compose(overrides)
            question = CellSpec.parse(to_plain(composed.config), composed.choices)

            assert fixed == []
            assert question.size == 1
            assert question.optimizer == series.get_setting("optimizer")


@pytest.mark.parametrize("name", ["mïne it's a&b [z] {z} (x)", '${HOME},a=b "q" 100% ~x', "tail\\"])
def test_a_side_may_lie_in_a_folder_of_any_name(own: Path, tmp_path: Path, name: str) -> None:
    """The configurations and the code of a side are found whatever the name of its folder."""
    (tmp_path / name).mkdir()
    own.rename(tmp_path / name / "mine")
    series = Series("s", (("objective", "bowl"), ("optimizer", "sign")), code="mine")
    fixed, overrides = SourceTree(tmp_path / name, "here").build_request(series)
    register_configs()
    with lock_hydra():
        config = Composer(fixed)(overrides).config

    assert config.objective["_target_"] == "own_things.bowl"
    assert config.code == str(tmp_path / name / "mine")


def test_lists_multiply_and_name(tmp_path: Path) -> None:
    """One series per combination; names state the settings that differ, and not the steps."""
    made = suite(
        tmp_path,
        "defaults: {steps: 9, d1: 0.05}\n"
        "series:\n"
        "  - {objective: rosenbrock, optimizer: [gd, adam], lr: [0.1, 0.2], dtype: float64}\n"
        "  - {objective: quadratic, objective.n: 5, optimizer: gd, policy: off, label: small}\n",
    )

    assert [one.name for one in made.series] == [
        *(f"{name} manual rosenbrock float64 lr={lr}" for name in ("gd", "adam") for lr in (0.1, 0.2)),
        "gd manual quadratic n=5 small",
    ]
    assert len(made.running) == 4
    assert made.series[0].d1 == 0.05
    assert "steps=9" in made.series[0].overrides
    assert "objective.n=5" in made.series[-1].overrides
    assert [one.name for one in made.select(["adam *lr=0.1"]).series] == ["adam manual rosenbrock float64 lr=0.1"]


def test_waivers_state_reason_and_day(tmp_path: Path) -> None:
    """A bare date in YAML is a date."""
    text = (
        "series: [{objective: beale, optimizer: gd}]\nwaivers:\n  - {series: gd *, reason: known, until: 2030-01-31}\n"
    )
    (waiver,) = suite(tmp_path, text).waivers

    assert (waiver.series, waiver.reason, waiver.until) == ("gd *", "known", datetime.date(2030, 1, 31))


MISTAKES = {
    "a key": ("seires: []", "seires is not a key of a suite. Did you mean series"),
    "no series": ("defaults: {steps: 3}", "series must be a list"),
    "no optimizer": ("series: [{objective: beale}]", "lacks its optimizer"),
    "twins": ("series: [{objective: beale, optimizer: gd}, {objective: beale, optimizer: gd, lr: 3}]", "give one of"),
    "a policy": ("series: [{objective: beale, optimizer: gd, policy: maybe}]", "policy=maybe is not known"),
    "limits": ("series: [{objective: beale, optimizer: gd, d0: 0.1}]", "d0 must be below d1"),
    "a budget": ("series: [{objective: beale, optimizer: gd, budget_s: soon}]", "budget_s=soon must be a number"),
    "no reason": ("series: [{objective: beale, optimizer: gd}]\nwaivers: [{series: gd, until: 2030-01-01}]", "reason"),
    "a day": ("series: [{objective: beale, optimizer: gd}]\nwaivers: [{series: a, reason: b, until: soon}]", "a date"),
    "no YAML": ("series: [", "cannot be read"),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_a_suite_are_one_line(tmp_path: Path, text: str, said: str) -> None:
    """The message has the file, what was given, and what is allowed."""
    with pytest.raises(UsageError) as raised:
        suite(tmp_path, text)

    assert said in str(raised.value)
    assert "mine.yaml" in str(raised.value)
    assert "\n" not in str(raised.value)


@given(value=st.one_of(st.booleans(), st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_settings_become_overrides_that_mean_the_same(value: object) -> None:
    """Hydra reads the same value as YAML."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    word = Series("s", (("lr", value),)).overrides[-1]
    (override,) = OverridesParser.create().parse_overrides([word])

    assert override.value() == value
