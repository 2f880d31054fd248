from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.config.axis import Axis
from gdbench.config.spec import CellSpec
from gdbench.errors import UsageError, did_you_mean
from gdbench.results.columns import COLUMNS, TABLE_COLUMNS, get_column
from gdbench.results.run_ids import compute_run_ids

CHOICES = {"objective": "notebook_manual", "optimizer": "gd"}
POSITIVE = st.floats(min_value=1e-300, max_value=1e300)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def config(**changed: Any) -> dict[str, Any]:
    """A composed configuration as plain containers."""
    return {
        "objective": {"_target_": "gdbench.objectives.notebook_manual"},
        "optimizer": {"manual": {"_target_": "gdbench.optimizers.gd"}, "default_lr": 0.001, "weight_decay": 0.0},
        "timing": {"name": "off", "seconds": 0.0},
        "schedule": {"_target_": None},
        "clip": {"_target_": None},
        "average": {"_target_": None},
        "noise": {"_target_": None},
        "lr": 0.1,
        "lr_scale": 1.0,
        "lr_scale_of": None,
        "points": 100,
        "steps": 100,
        "seed": 0,
        "start_noise": 0.0,
        "impl": "manual",
        "dtype": "auto",
        "device": "cpu",
        "target": 1e-6,
        "target_loss": None,
        "target_metric": "auto",
        "judge_every": "auto",
        "max_seconds": None,
        "max_sweep_seconds": None,
        "exact": False,
        "keep": None,
        "metric": "steps_to_target",
        "trials": None,
        "threads": 1,
        "trace": "log",
        "name": None,
        "resume": None,
        "retry": None,
        "outputs": "outputs",
        "code": None,
        "part": None,
        "tracker": None,
        **changed,
    }


# ---------------------------------------------------------------------------------------------------------- axes


@pytest.mark.parametrize(
    ("name", "form", "points", "expected"),
    [
        ("lr", 0.1, 100, [0.1]),
        ("lr", 1, 100, [1.0]),
        ("lr", "0.1", 100, [0.1]),
        ("lr", "1e-3", 100, [1e-3]),
        ("lr", ".5", 100, [0.5]),
        ("lr", [0.01, 0.1], 100, [0.01, 0.1]),
        ("lr", ("0.01", 0.1), 100, [0.01, 0.1]),
        ("lr", ["1e-3", "0.1"], 100, [1e-3, 0.1]),
        ("lr", [[0.1, 0.2], [0.3]], 100, [0.1, 0.2, 0.3]),
        ("lr", np.array([0.5, 0.25]), 100, [0.5, 0.25]),
        ("lr", [0.1, "interval(1,2)"], 2, [0.1, 1.0, 2.0]),
        ("lr", "interval(1,3)", 5, [1.0, 1.5, 2.0, 2.5, 3.0]),
        ("lr", " interval( 1 , 3 ) ", 3, [1.0, 2.0, 3.0]),
        ("lr", "tag(log,interval(1,100))", 3, [1.0, 10.0, 100.0]),
        ("lr", "tag(log, interval(1e-4,1))", 2, [1e-4, 1.0]),
        ("lr", "range(1,4)", 100, [1.0, 2.0, 3.0]),
        ("lr", "range(0.1,0.5,0.1)", 100, [0.1, 0.2, 0.3, 0.4]),
        ("lr", "range(1,1.3,0.1)", 100, [1.0, 1.1, 1.2]),
        ("lr", "range(5,1,-2)", 100, [5.0, 3.0]),
        ("seed", "range(0,4)", 100, [0.0, 1.0, 2.0, 3.0]),
        ("seed", [0, 7], 100, [0.0, 7.0]),
        ("seed", "interval(0,9)", 4, [0.0, 3.0, 6.0, 9.0]),
        ("optimizer.beta1", [0, 0.9], 100, [0.0, 0.9]),
        ("optimizer.my_own", [-1.0, 2.5], 100, [-1.0, 2.5]),
        ("optimizer.my_own", "-1e-3", 100, [-1e-3]),
    ],
)
def test_an_axis_reads_every_form(name: str, form: Any, points: int, expected: list[float]) -> None:
    """Numbers, lists, texts, intervals, log intervals and ranges come to the values that a person expects, exactly."""
    assert Axis(name, form, points).values.tolist() == expected


def test_a_null_lr_is_one_value_that_stands_for_the_default() -> None:
    """lr=null is a scalar axis of a single NaN; no other axis takes null."""
    axis = Axis("lr", None)

    assert len(axis.values) == 1
    assert np.isnan(axis.values).tolist() == [True]
    with pytest.raises(UsageError, match=r"^seed=null must be a whole number"):
        Axis("seed", None)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("lr", -1),
        ("lr", 0),
        ("lr", math.nan),
        ("lr", math.inf),
        ("lr", "abc"),
        ("lr", ""),
        ("lr", True),
        ("lr", []),
        ("lr", [0.1, None]),
        ("lr", [0.1, -1]),
        ("lr", {"a": 1}),
        ("lr", "interval(1)"),
        ("lr", "interval(-1,1)"),
        ("lr", "tag(log,interval(0,1))"),
        ("lr", "tag(log,interval(-1,1))"),
        ("lr", "tag(lin,interval(1,2))"),
        ("lr", "interval(1,1e400)"),
        ("lr", "range(1,1)"),
        ("lr", "range(1,2,0)"),
        ("lr", "range(0,1,1e-9)"),
        ("lr", "1;import os"),
        ("lr_scale", 0),
        ("seed", -1),
        ("seed", 1.5),
        ("seed", 2.0**53),
        ("seed", [0, 0.5]),
        ("optimizer.beta1", 1.0),
        ("optimizer.beta1", -0.1),
        ("optimizer.beta2", [0.9, 1.5]),
        ("optimizer.momentum", -1),
        ("optimizer.eps", math.inf),
        ("optimizer.my_own", math.nan),
    ],
)
def test_an_axis_refuses_what_is_no_number_in_its_range(name: str, form: Any) -> None:
    """Every refusal is one line that names the key, what came and what is allowed."""
    with pytest.raises(UsageError, match=rf"^{name}=.* must be ") as refusal:
        Axis(name, form)

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("points", [1, 0, 2.5, "many", None, 10**9])
def test_points_are_a_whole_number_from_two(points: Any) -> None:
    """An interval of one point, or of half a point, is refused."""
    with pytest.raises(UsageError, match=r"^points="):
        Axis("lr", "interval(1,2)", points)


@given(POSITIVE)
def test_a_number_survives_as_number_text_and_list(number: float) -> None:
    """However a number is written, its value is the same to the last bit."""
    forms = (number, repr(number), [number], [repr(number)], f"+{number!r}")

    assert {Axis("lr", form).values[0] for form in forms} == {number}


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_a_list_keeps_its_order_and_its_bits(numbers: list[float]) -> None:
    """The values of a list are the list."""
    axis = Axis("optimizer.my_own", numbers)

    assert axis.values.tolist() == numbers


@given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12), st.integers(2, 50), st.booleans())
def test_an_interval_holds_its_ends_and_even_spaces(low: float, high: float, points: int, log: bool) -> None:
    """An interval begins and ends where it says, with as many values as points, evenly spaced (in log space: tag)."""
    text = f"interval({low!r},{high!r})"
    values = Axis("lr", f"tag(log,{text})" if log else text, points).values
    steps = np.diff(np.log(values) if log else values)

    assert len(values) == points
    assert values[[0, -1]].tolist() == pytest.approx([low, high], rel=1e-12)
    assert np.allclose(steps, steps.mean(), rtol=1e-6, atol=1e-12 * (1 if log else max(low, high)))


@given(st.integers(-500, 500), st.integers(1, 300), st.integers(1, 50), st.integers(0, 6))
def test_a_range_counts_in_decimals(low: int, count: int, step: int, places: int) -> None:
    """range(a,b,step) holds the floats nearest to a + i step as written, and never b."""
    shown = [f"{each}e-{places}" for each in (low, low + count * step, step)]
    values = Axis("optimizer.my_own", f"range({','.join(shown)})").values

    assert values.tolist() == [float(f"{low + i * step}e-{places}") for i in range(count)]


@pytest.mark.parametrize("text", ["interval(1,2)", "tag(log,interval(1,2))", "range(1,9)"])
def test_a_specification_travels_unexpanded(text: str) -> None:
    """An axis keeps the form it was given in, however many values it stands for."""
    assert Axis("lr", text, 1000).given == text
    assert len(Axis("lr", text, 1000).values) > 1


# ------------------------------------------------------------------------------------------------------ questions


def test_a_question_is_the_product_of_its_axes() -> None:
    """Every combination of the axes is a lane, the first axis varying slowest."""
    question = CellSpec.parse(config(lr=[0.1, 0.2], seed=[0, 1, 2]), CHOICES)
    lanes = question.lanes()

    assert question.size == 6
    assert question.swept_axes() == ("lr", "seed")
    assert lanes["lr"].tolist() == [0.1, 0.1, 0.1, 0.2, 0.2, 0.2]
    assert lanes["seed"].tolist() == [0, 1, 2, 0, 1, 2]
    assert lanes["optimizer.weight_decay"].tolist() == [0.0] * 6


def test_a_question_takes_floats_of_the_optimizer_as_axes_and_all_else_as_constants() -> None:
    """Switches, whole numbers and words of an optimizer are constants; floats and lists of numbers are axes."""
    optimizer = {"manual": None, "default_lr": 1.0, "eps": 1e-8, "beta1": [0, 0.9], "amsgrad": True, "history": 7}
    question = CellSpec.parse(config(optimizer=optimizer), CHOICES)

    assert [axis.name for axis in question.axes if axis.name.startswith("optimizer.")] == [
        "optimizer.default_lr",
        "optimizer.eps",
        "optimizer.beta1",
    ]
    assert question.constants()["optimizer.history"] == 7
    assert question.constants()["optimizer.amsgrad"] is True
    assert "optimizer.manual" not in question.constants()


def test_a_float_written_as_a_whole_number_is_still_an_axis() -> None:
    """beta1=0 is the number 0.0 and beta1=2 is refused, though both came without a point."""
    question = CellSpec.parse(config(optimizer={"default_lr": 1.0, "beta1": 0}), CHOICES)

    assert question.lanes()["optimizer.beta1"].tolist() == [0.0]
    with pytest.raises(UsageError, match=r"^optimizer.beta1=2 must be a number from 0 to below 1"):
        CellSpec.parse(config(optimizer={"default_lr": 1.0, "beta1": 2}), CHOICES)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"steps": 0}, "steps=0 must be a whole number from 1"),
        ({"steps": 1e12}, "steps=1e+12 must be a whole number"),
        ({"steps": True}, "steps=true must be a whole number"),
        ({"steps": 1.5}, "steps=1.5 must be"),
        ({"steps": math.nan}, "steps=nan must be"),
        ({"target": 2}, "target=2 must be a number from 0 to below 1"),
        ({"target": math.nan}, "target=nan must be"),
        ({"target": None}, "target=null must be"),
        ({"target_loss": "low"}, "target_loss=low must be a number"),
        ({"target_loss": math.inf}, "target_loss=inf must be"),
        ({"start_noise": -1}, "start_noise=-1 must be a number from 0"),
        ({"threads": 0}, "threads=0 must be a whole number from 1"),
        ({"dtype": "float23"}, "dtype=float23 is not known. Did you mean float32 or float64 or float16?"),
        ({"impl": "torsh"}, "impl=torsh is not known. Did you mean torch"),
        ({"trace": "ful"}, "trace=ful is not known. Did you mean full?"),
        ({"device": "cuda:x"}, "device=cuda:x is not known."),
        ({"device": "gpu"}, "device=gpu is not known."),
        ({"lr_scale": 2.0}, "lr_scale multiplies a method's own lr: set lr=null with it"),
        ({"lr_scale_of": "L"}, "lr_scale multiplies a method's own lr"),
        ({"lr_scale_of": "mu", "lr": None}, "lr_scale_of=mu is not known."),
        ({"lrr": 1}, "lrr is not a setting. Did you mean lr"),
        ({"optimizer": None}, "optimizer is missing"),
        ({"timing": {"name": "x", "seconds": -1}}, "timing.seconds=-1 must be a number from 0"),
        ({"timing": {"name": "x", "seconds": 1, "exclusive": "no"}}, "timing.exclusive=no must be true or false"),
        ({"lr": "range(0.1,1000,0.001)", "seed": "range(0,100)"}, "99990000 runs in one cell are more than 10000000"),
    ],
)
def test_a_question_refuses_bad_settings(changed: dict[str, Any], words: str) -> None:
    """Each bad setting is refused in one line that begins with its name."""
    with pytest.raises(UsageError) as refusal:
        CellSpec.parse(config(**changed), CHOICES)

    assert str(refusal.value).startswith(words)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("key", ["lr", "objective", "schedule", "steps", "timing"])
def test_a_question_needs_every_setting(key: str) -> None:
    """A configuration that lost a key is refused by the name of that key."""
    left = {name: value for name, value in config().items() if name != key}

    with pytest.raises(UsageError, match=f"^{key} is missing"):
        CellSpec.parse(left, CHOICES)


@given(st.text(max_size=8))
def test_suggestions_come_from_what_is_known(word: str) -> None:
    """A suggestion names known words only, and one of them is found again by itself."""
    known = ("adam", "adamw", "gd")
    said = did_you_mean(word, known)

    assert set(said.removeprefix(" Did you mean ").removesuffix("?").split(" or ")) <= {*known, ""}
    assert did_you_mean("adam", known).startswith(" Did you mean adam")


# ----------------------------------------------------------------------------------------------------------- keys

CONSTANTS = {"objective": "rosenbrock", "objective.n": 2, "optimizer": "adam", "optimizer.amsgrad": False, "steps": 100}


def key(constants: dict[str, Any], **columns: float) -> bytes:
    """The key of one run."""
    return compute_run_ids(constants, {name: np.array([value]) for name, value in columns.items()})[0]


def test_keys_never_change() -> None:
    """Keys that were printed once are the same in every process, on every machine and in later versions."""
    keys = compute_run_ids(CONSTANTS, {"lr": np.array([0.1, 0.01, 1e-3]), "seed": np.array([0, 0, 7])})

    assert keys.tolist() == PINNED


PINNED = [b"8521d77306edccae", b"01b58809e5cd7a61", b"faa7942967a7af6d"]

KINDS = st.one_of(st.booleans(), st.none(), FINITE, st.integers(-(2**50), 2**50), st.text(max_size=5))
ITEMS = st.dictionaries(st.text(min_size=1, max_size=5), KINDS, min_size=1, max_size=6)


@given(ITEMS, st.randoms(use_true_random=False))
def test_the_order_of_settings_does_not_matter(items: dict[str, Any], random: Any) -> None:
    """A question asked in another order has the same key."""
    shuffled = list(items.items())
    random.shuffle(shuffled)

    assert key(dict(shuffled), lr=0.1, seed=0) == key(items, seed=0, lr=0.1)


@given(FINITE | st.integers(-(2**50), 2**50))
def test_a_number_counts_the_same_as_constant_and_as_lane(number: float) -> None:
    """A number that all runs share gives the same key whether it travelled as a constant or in a lane axis."""
    assert key({**CONSTANTS, "optimizer.eps": number}, lr=0.1) == key(CONSTANTS, lr=0.1, **{"optimizer.eps": number})


def test_both_zeros_are_one_number_and_a_switch_is_none() -> None:
    """-0.0 is 0.0 in a key; true is not 1, null is not 0 and "1" is not 1."""
    assert key({}, lr=-0.0) == key({}, lr=0.0)
    assert len({key({"a": value}, lr=0.1) for value in (1, True, "1", 0, False, None, "")}) == 7


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_different_numbers_have_different_keys(first: int, second: int) -> None:
    """Any two floats of different value get different keys."""
    pair = np.array([first, second], dtype=np.uint64).view(np.float64)
    keys = compute_run_ids(CONSTANTS, {"lr": pair})

    assert (keys[0] == keys[1]) == (first == second or pair[0] == pair[1])


def test_swapped_values_are_different_questions() -> None:
    """The same two numbers under exchanged names are another question."""
    assert key({}, beta1=0.9, beta2=0.99) != key({}, beta1=0.99, beta2=0.9)
    assert key({"a": "x", "b": "y"}, lr=0.1) != key({"a": "y", "b": "x"}, lr=0.1)


def test_many_keys_are_all_different_and_cheap() -> None:
    """A grid of 300,000 runs has as many keys, of sixteen digits."""
    lr, seed = (each.ravel() for each in np.meshgrid(np.geomspace(1e-9, 1, 1000), np.arange(300)))
    keys = compute_run_ids(CONSTANTS, {"lr": lr, "seed": seed})

    assert len(np.unique(keys)) == 300_000
    assert all(int(each, 16) >= 0 and len(each) == 16 for each in keys[:1000])


# -------------------------------------------------------------------------------------------------------- columns


@pytest.mark.parametrize("columns", TABLE_COLUMNS.values(), ids=TABLE_COLUMNS)
def test_every_column_is_described_in_one_line(columns: dict[str, Any]) -> None:
    """Each column says its kind, what it means, and which way is better if any."""
    for name, column in columns.items():
        assert column.kind in ("str", "int", "float", "bool", "time", "list", "shared"), name
        assert column.better in ("", "lower", "higher"), name
        assert column.meaning, name
        assert "\n" not in column.meaning, name
        assert column.unit == "s" or not name.endswith("_s"), name


def test_a_hyper_parameter_is_described_by_its_name() -> None:
    """Columns that only some methods have are worded from their names."""
    assert get_column("optimizer.beta1").meaning == "beta1 of the optimizer"
    assert get_column("lr") is COLUMNS["lr"]


def test_what_is_around_a_method_is_asked_only_where_it_is() -> None:
    """Without a schedule, clipping or noise a question has the constants, and so the keys, that it had before them."""
    around = {"schedule": "cosine", "clip": "none", "noise": "gaussian"}
    changed = {"schedule": {"_target_": "f", "floor": 0.1}, "noise": {"_target_": "g", "sigma": 0.5}}
    bare = CellSpec.parse(config(), CHOICES | {"schedule": "constant", "clip": "none", "noise": "none"})
    wrapped = CellSpec.parse(config(**changed), CHOICES | around)
    new = {"schedule": "cosine", "schedule.floor": 0.1, "noise": "gaussian", "noise.sigma": 0.5}

    assert bare.constants() == CellSpec.parse(config(), CHOICES).constants()
    assert wrapped.constants() == bare.constants() | new
