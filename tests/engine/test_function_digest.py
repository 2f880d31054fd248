"""Two functions that differ in anything they compute with have two digests; one that is made twice has one."""

from __future__ import annotations

import copy
import functools
import os
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.processes import ROOT, Processes
from support.tiers import representatives

import gdbench
from gdbench import Objective
from gdbench.engine.function_digest import NOT_COMPARABLE, digest, digest_or_reason
from gdbench.engine.function_walk import Undigestible
from gdbench.sweeps.python_objective import NeverDone

SCALE = 1


class Scaled:
    """A callable object with an attribute."""

    def __init__(self, value: Any) -> None:
        """Keep the value."""
        self.value = value

    def __call__(self, x: Any) -> Any:
        """Use it."""
        return (x, self.value)

    def method(self, x: Any) -> Any:
        """Use it too."""
        return (x, self.value)


class Slotted:
    """The same without a dictionary of attributes."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        """Keep the value."""
        self.value = value

    def __call__(self, x: Any) -> Any:
        """Use it."""
        return (x, self.value)


def closing(value: Any) -> Any:
    """A function that closes over the value."""

    def function(x: Any) -> Any:
        return (x, value)

    return function


def defaulted(value: Any) -> Any:
    """A function with the value as a default."""

    def function(x: Any, value: Any = value) -> Any:
        return (x, value)

    return function


def keyword(value: Any) -> Any:
    """A function with the value as the default of a keyword."""

    def function(x: Any, *, value: Any = value) -> Any:
        return (x, value)

    return function


def with_global(value: Any) -> Any:
    """A function whose code names the value as a global."""

    def function(x: Any) -> Any:
        return (x, SCALE)

    return types.FunctionType(function.__code__, {"SCALE": value, "__name__": "mine"})


def calling(value: Any) -> Any:
    """A function that calls another one, which names the value as a global."""

    def function(x: Any) -> Any:
        return SCALE(x)  # type: ignore[operator]

    return types.FunctionType(function.__code__, {"SCALE": with_global(value), "__name__": "mine"})


def in_module(value: Any) -> Any:
    """A function that takes the value from a module of one's own."""

    def function(x: Any) -> Any:
        return (x, SCALE.value)  # type: ignore[attr-defined]

    module = types.ModuleType("mine_too")
    module.__file__ = "/home/me/mine_too.py"
    module.value = value  # type: ignore[attr-defined]
    return types.FunctionType(function.__code__, {"SCALE": module, "__name__": "mine"})


def attribute(value: Any) -> Any:
    """A function with the value as an attribute of its own."""

    def function(x: Any) -> Any:
        return x

    function.value = value  # type: ignore[attr-defined]
    return function


def class_attribute(value: Any) -> Any:
    """A class that holds the value."""
    return type("Mine", (), {"value": value, "__call__": lambda self, x: (x, self.value)})


MAKERS: dict[str, Callable[[Any], Any]] = {
    "closure": closing,
    "lambda": lambda value: lambda x: (x, value),
    "inner lambda": lambda value: lambda x: (lambda: (x, value))(),
    "default": defaulted,
    "keyword default": keyword,
    "global": with_global,
    "global of what it calls": calling,
    "module": in_module,
    "attribute": attribute,
    "class": class_attribute,
    "object": Scaled,
    "object with slots": Slotted,
    "bound method": lambda value: Scaled(value).method,
    "partial": lambda value: functools.partial(closing(0), value),
    "keyword of a partial": lambda value: functools.partial(closing(0), y=value),
    "cached": lambda value: functools.lru_cache(closing(value)),
    "wrapped": lambda value: functools.wraps(closing(0))(closing(value)),
    "vmap": lambda value: torch.func.vmap(closing(value)),
    "objective": lambda value: Objective(fn=closing(value), start=torch.ones(2)),
    "smooth": lambda value: Objective(fn=closing(0), smooth=closing(value), start=torch.ones(2)),
    "prox": lambda value: Objective(fn=closing(0), prox=closing(value), start=torch.ones(2)),
    "project": lambda value: Objective(fn=closing(0), project=closing(value), start=torch.ones(2)),
    "batch": lambda value: Objective(fn=closing(0), batch=closing(value), start=torch.ones(2)),
    "start": lambda value: Objective(fn=closing(0), start=closing(value)),
}
"""Every place at which a function may hold a value."""


def tensors(numbers: list[float], dtype: torch.dtype) -> torch.Tensor:
    """A tensor of some numbers."""
    return torch.tensor(numbers, dtype=torch.float64).to(dtype)


NUMBERS = st.lists(st.integers(-9, 9).map(float), max_size=4)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.complex_numbers(allow_nan=False, max_magnitude=9),
)
ARRAYS = st.one_of(
    st.builds(tensors, NUMBERS, st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64])),
    st.builds(lambda numbers, dtype: np.array(numbers, dtype), NUMBERS, st.sampled_from(["<f4", "<f8", "<i8"])),
)
VALUES = st.recursive(
    PLAIN | ARRAYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.sets(PLAIN, max_size=3),
        inner.map(Scaled),
        inner.map(Slotted),
        inner.map(closing),
    ),
    max_leaves=6,
)


def spelled(value: Any) -> Any:
    """A value in a form in which two are equal only if they are the same: with types, and the bits of numbers."""
    kind = type(value).__name__
    if isinstance(value, torch.Tensor):
        return kind, str(value.dtype), tuple(value.shape), bytes(value.flatten().view(torch.uint8).numpy())
    if isinstance(value, np.ndarray):
        return kind, value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (list, tuple)):
        return kind, tuple(map(spelled, value))
    if isinstance(value, set):
        return kind, tuple(sorted(map(repr, map(spelled, value))))
    if isinstance(value, dict):
        return kind, tuple((key, spelled(each)) for key, each in value.items())
    if isinstance(value, (Scaled, Slotted)):
        return kind, spelled(value.value)
    if isinstance(value, types.FunctionType):
        return kind, spelled(value.__closure__[0].cell_contents)  # type: ignore[index]
    return kind, repr(value)


def rebuilt(value: Any) -> Any:
    """An equal value that shares nothing with it."""
    if isinstance(value, types.FunctionType):
        return closing(rebuilt(value.__closure__[0].cell_contents))  # type: ignore[index]
    if isinstance(value, (list, tuple)):
        return type(value)(map(rebuilt, value))
    if isinstance(value, dict):
        return {key: rebuilt(each) for key, each in value.items()}
    if isinstance(value, (Scaled, Slotted)):
        return type(value)(rebuilt(value.value))
    return copy.deepcopy(value)


@settings(max_examples=150)
@given(st.sampled_from(sorted(MAKERS)), VALUES, VALUES)
def test_a_digest_is_of_the_value_wherever_a_function_holds_it(place: str, value: Any, other: Any) -> None:
    """Made twice it is the same; with another value, at any place, it is another."""
    make = MAKERS[place]

    assert digest(make(value)) == digest(make(rebuilt(value)))
    assert (digest(make(value)) == digest(make(other))) == (spelled(value) == spelled(other))


@settings(max_examples=20)
@given(VALUES)
def test_a_digest_is_of_the_place_too(value: Any) -> None:
    """The same value at another place is another function; a lambda and a function of one body are one."""
    digests = {place: digest(make(value)) for place, make in MAKERS.items()}

    assert digests.pop("lambda") == digests["closure"]
    assert len(set(digests.values())) == len(digests)


@pytest.mark.parametrize(
    "changed",
    [
        {"start": torch.tensor([1.0, 2.5])},
        {"start": torch.tensor([1.0, 2.0], dtype=torch.float64)},
        {"data": {"a": torch.tensor([3.0])}},
        {"data": {"b": torch.tensor([2.0])}},
        {"minimum": 1.0},
        {"minimisers": (torch.tensor([0.5, 0.5]),)},
        {"smoothness": 3.0},
        {"strong_convexity": 0.5},
        {"dtype": torch.float64},
        {"laned": True},
        {"minimum_kind": "lower_bound"},
        {"batch": lambda data, seed, k: data},
        {"project": lambda x: x},
        {"prox": lambda x, t: x},
        {"smooth": lambda x: x.sum()},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_everything_that_an_objective_states_is_in_its_digest(changed: dict[str, Any]) -> None:
    """An objective that differs in one field is another one."""

    def objective(**more: Any) -> Objective:
        given = {"start": torch.tensor([1.0, 2.0]), "data": {"a": torch.tensor([2.0])}, "minimum": 0.0, **more}
        return Objective(fn=closing(1), **given)

    assert digest(objective()) == digest(objective())
    assert digest(objective()) != digest(objective(**changed))


def test_a_digest_follows_a_function_that_names_itself() -> None:
    """Recursion, and objects that hold one another, come to an end."""

    def factorial(n: int) -> int:
        return n * factorial(n - 1) if n else 1

    ring: list[Any] = [1]
    ring.append(ring)

    assert digest(factorial) == digest(factorial)
    assert digest(ring) != digest([1, [1]])


@pytest.mark.parametrize("what", ["lock", "file", "generator"])
def test_what_has_no_content_is_named(what: str) -> None:
    """A lock, an open file or a generator anywhere in a function is Undigestible, and it says where it was found."""
    with Path(__file__).open() as file:
        held = {"lock": threading.Lock(), "file": file, "generator": (n for n in range(3))}[what]
        for make in MAKERS.values():
            with pytest.raises(Undigestible, match=r"holds a \w+\.\w+$"):
                digest(make({"deep": [held]}))

    assert digest_or_reason(closing(threading.Lock())) == (
        f"{NOT_COMPARABLE}a lock, closure 'value', function closing.<locals>.function holds a _thread.lock"
    )


SAMPLES: list[Any] = [
    {"b", "a", "c", 1, 2.5, None},
    {"x": {"one", "two"}, "y": [frozenset({"p", "q"})]},
    torch.arange(5),
    np.arange(3),
    np.random.default_rng(3),
    torch.Generator().manual_seed(2),
    torch.nn.functional.relu,
    torch.sin,
    np.sin,
    functools.partial(sorted, key=len),
    Scaled({"k", "l"}),
    lambda x: x in {"r", "s", "t"},
]


def digests() -> str:
    """The digests of all samples at all places, in one line."""
    return " ".join(digest(make(sample)) for make in MAKERS.values() for sample in SAMPLES) + "\n"


PRINTS = "import test_function_digest as this; print(this.digests(), end='')"


def test_a_digest_is_the_same_in_another_process(processes: Processes) -> None:
    """No address and no id enters: a process has the digests of another one."""
    done = processes.fork("-c", PRINTS, cwd=Path(__file__).parent).communicate()

    assert done == (0, digests(), "")


@pytest.mark.slow
def test_a_digest_is_the_same_with_other_hashes(processes: Processes) -> None:
    """Nor does the order of a hash table, which differs from start to start of Python."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    env = {"PYTHONHASHSEED": "12345", "PYTHONPATH": paths}
    done = processes.start_python("-c", PRINTS, cwd=Path(__file__).parent, env=env)

    assert done.communicate() == (0, digests(), "")


# ---------------------------------------------------------------------------------------------------- through sweeps

WEIGHTS = {"w": torch.tensor([1.0, 1.0])}


def weighted(x: torch.Tensor) -> torch.Tensor:
    """A function with a global that may change."""
    return (WEIGHTS["w"] * x**2).sum()


@pytest.mark.parametrize(
    "make",
    representatives(
        ["closure", "default", "partial", "object", "global", "objective"], ["closure", "global", "object"]
    ),
)
def test_the_same_name_never_returns_another_functions_results(
    make: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one ``name=``, a function with other numbers in it runs anew; the same one does not."""
    monkeypatch.chdir(tmp_path)

    def of(weight: torch.Tensor) -> Any:
        def loss(x: torch.Tensor, w: torch.Tensor = weight) -> torch.Tensor:
            return ((w if make == "default" else weight) * x**2).sum()

        if make == "global":
            monkeypatch.setitem(WEIGHTS, "w", weight)
            return weighted
        if make == "partial":
            return functools.partial(lambda x, w: (w * x**2).sum(), w=weight)
        if make == "object":
            return type("Loss", (), {"__call__": lambda self, x: (self.w * x**2).sum(), "w": weight})()
        return Objective(fn=loss, start=torch.tensor([2.0, 2.0])) if make == "objective" else loss

    losses, started = [], []
    for numbers in ([1.0, 1.0], [600.0, 736.25], [600.0, 736.25]):
        objective = of(torch.tensor(numbers))
        start = None if make == "objective" else [2.0, 2.0]
        runs = gdbench.run(objective, x0=start, steps=2, lr=1e-4, timing="off", name="mine")
        losses.append(float(runs["start_loss"][0]))
        started.append(runs["started_at"][0])

    assert losses == [8.0, 5345.0, 5345.0]
    assert started[1] == started[2]


def test_a_function_that_cannot_be_compared_runs_each_time_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock in what it closes over makes a cell never done; where its sweep is gone on with, one line says why."""
    monkeypatch.chdir(tmp_path)
    lock = threading.Lock()

    def locked(x: torch.Tensor) -> torch.Tensor:
        with lock:
            return (x**2).sum()

    started = []
    for _ in range(2):
        with pytest.warns(NeverDone, match=r"^objective=locked runs each time, .*closure 'lock'.*_thread\.lock\)$"):
            runs = gdbench.run(locked, x0=[1.0], steps=2, timing="off", name="mine")
        started.append(runs["started_at"][0])

    assert started[0] != started[1]
    assert len(list(Path("outputs").glob("*/*"))) == 1
    gdbench.run(locked, x0=[1.0], steps=2, timing="off")  # nothing to say where nothing is gone on with
