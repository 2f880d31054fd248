"""Starts, minimisers and data keep their values, whatever form they are given in, or are refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from support.tiers import count_examples, representatives

import gdbench
from gdbench.errors import UsageError
from gdbench.objectives import Objective
from gdbench.objectives.point_conversion import convert_point, find_overflow, widest_dtype
from gdbench.tree import leaves

pytestmark = pytest.mark.usefixtures("own_folder")


def total(x: Any) -> torch.Tensor:
    """The sum of squares of a point in any form, of what is finite."""
    return torch.stack([(leaf**2).sum() for leaf in leaves(x)]).sum()


def run(fn: Callable[..., Any] = total, **settings: Any) -> Any:
    """A short run on the CPU that is not timed and keeps its whole path."""
    return gdbench.run(fn, **{"timing": "off", "device": "cpu", "steps": 2, "trace": "full", **settings})


def first_point(runs: Any) -> list[float]:
    """The start of the first run as the trace has it."""
    traces = gdbench.load(runs.attrs["folder"], "traces")
    start: list[float] = list(traces.loc[traces["step"] == 0, "x"].iloc[0])
    return start


# ----------------------------------------------------------------------------------------- forms that are understood


FORMS: dict[str, tuple[Any, list[float], str]] = {
    "number": (3.0, [3.0], "float32"),
    "whole number": (3, [3.0], "float32"),
    "list": ([1.0, 2.0], [1.0, 2.0], "float32"),
    "tuple": ((1, 2), [1.0, 2.0], "float32"),
    "range": (range(3), [0.0, 1.0, 2.0], "float32"),
    "list of lists": ([[1, 2], [3, 4]], [1.0, 2.0, 3.0, 4.0], "float32"),
    "float32 array": (np.ones(2, np.float32), [1.0, 1.0], "float32"),
    "float64 array": (np.ones(2), [1.0, 1.0], "float64"),
    "float16 array": (np.ones(2, np.float16), [1.0, 1.0], "float16"),
    "integer array": (np.arange(3), [0.0, 1.0, 2.0], "float32"),
    "unsigned array": (np.array([2**31, 1], np.uint64), [2.0**31, 1.0], "float32"),
    "big-endian array": (np.array([1.5], ">f4"), [1.5], "float32"),
    "reversed array": (np.arange(3.0)[::-1], [2.0, 1.0, 0.0], "float64"),
    "numpy scalar": (np.float64(2), [2.0], "float64"),
    "integer tensor": (torch.tensor([1, 2]), [1.0, 2.0], "float32"),
    "half tensor": (torch.ones(2).half(), [1.0, 1.0], "float16"),
    "bfloat16 tensor": (torch.ones(2).bfloat16(), [1.0, 1.0], "bfloat16"),
    "double tensor": (torch.ones(2).double(), [1.0, 1.0], "float64"),
    "tensor with gradient": (torch.ones(2, requires_grad=True), [1.0, 1.0], "float32"),
    "part of a graph": (torch.ones(2, requires_grad=True) * 2, [2.0, 2.0], "float32"),
    "parameter": (torch.nn.Parameter(torch.ones(2)), [1.0, 1.0], "float32"),
    "view": (torch.arange(4.0)[::2], [0.0, 2.0], "float32"),
    "expanded": (torch.ones(1).expand(3), [1.0, 1.0, 1.0], "float32"),
    "negated view": (torch.view_as_complex(torch.ones(2, 2)).conj().imag, [-1.0, -1.0], "float32"),
    "dict of integers": ({"a": torch.tensor([1, 2]), "b": 3}, [1.0, 2.0, 3.0], "float32"),
    "dict of lists": ({"a": [1.0, 2.0], "b": [[3.0]]}, [1.0, 2.0, 3.0], "float32"),
    "dict of two dtypes": ({"a": torch.ones(1), "b": torch.full((1,), 0.1).double()}, [1.0, 0.1], "float64"),
    "dict of two halves": ({"a": torch.ones(1).half(), "b": torch.ones(1).bfloat16()}, [1.0, 1.0], "float32"),
    "dict with an empty tensor": ({"a": torch.ones(1), "b": torch.ones(0)}, [1.0], "float32"),
    "state_dict": (torch.nn.Linear(1, 1).requires_grad_(False).state_dict(), [], "float32"),
    "function of the seed": (lambda seed: [1.0 + seed, 2.0], [1.0, 2.0], "float32"),
}


FEW = (
    "whole number",
    "list of lists",
    "float64 array",
    "reversed array",
    "bfloat16 tensor",
    "part of a graph",
    "expanded",
    "dict of two dtypes",
    "state_dict",
    "function of the seed",
)
"""A form of each kind."""


@pytest.mark.parametrize("form", representatives(FORMS, FEW))
def test_a_start_keeps_its_values_in_every_form(form: str) -> None:
    """The trace of a run begins at the values that were given, in the dtype that they had, float32 where none."""
    given, values, dtype = FORMS[form]
    runs = run(x0=given)
    values = values or torch.cat([leaf.flatten() for leaf in given.values()]).tolist()

    assert runs[["status", "dtype"]].to_numpy().tolist()[0][1] == dtype
    assert runs["status"].isin(["budget", "plateau", "target"]).all(), runs["error"].tolist()
    assert first_point(runs) == pytest.approx(values, rel=1e-7 if dtype == "float64" else 1e-3, abs=0)


REFUSED: dict[str, tuple[Any, str]] = {
    "complex tensor": (torch.tensor([1 + 1j]), "x0 is complex (complex64), and gdbench descends in real numbers"),
    "complex number": (1j, "x0 is complex"),
    "complex array": (np.ones(2, complex), "x0 is complex"),
    "complex in a dict": ({"a": torch.ones(1), "b": torch.tensor([1j])}, "x0['b'] is complex"),
    "empty dict": ({}, "x0 is an empty dict"),
    "empty list": ([], "x0 holds no number"),
    "empty tensor": (torch.zeros(2, 0), "x0 holds no number"),
    "dict of empty tensors": ({"a": torch.zeros(0)}, "x0 holds no number"),
    "switch": (True, "x0 is true or false"),
    "mask": (torch.tensor([True, False]), "x0 is true or false"),
    "text": ("1.5", "x0 is of type str"),
    "list of text": (["1.5"], "x0 is of <U3 values"),
    "set": ({1, 2}, "x0 is of type set"),
    "ragged list": ([[1, 2], [3]], "x0 is no array of numbers"),
    "list of tensors": ([torch.ones(1), torch.ones(2)], "x0 is a list of tensors: give a dict of them, or torch.stack"),
    "nested dict": ({"a": {"b": 1}}, "x0['a'] is a dict within a dict"),
    "dict with numbers as names": ({0: 1.0}, "x0 has the key 0"),
    "nothing in a dict": ({"a": None}, "x0['a'] is of type NoneType"),
    "sparse tensor": (torch.ones(2).to_sparse(), "x0 is a nested, sparse or quantized tensor"),
    "tensor without values": (torch.ones(2, device="meta"), "x0 is on the device meta"),
    "float8": (torch.ones(2).to(torch.float8_e4m3fn), "x0 is float8_e4m3fn; allowed: float16, bfloat16"),
    "huge whole number": ([10**20], "x0 is of object values"),
    "date": (np.array(["2020"], "M8[Y]"), "x0 is of datetime64[Y] values"),
    "masked array": (np.ma.masked_array([1.0, 2.0], mask=[False, True]), "x0 has masked values"),
    "too large for float32": ([1.0, -1e300], "start of objective=total holds 1e+300, which float32 cannot"),
}
if np.longdouble(1).itemsize > 8:  # on some machines it is float64
    REFUSED["long double"] = (np.ones(1, np.longdouble), f"x0 is of {np.dtype(np.longdouble)} values")


@pytest.mark.parametrize("form", REFUSED)
@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning")
def test_what_is_no_real_point_is_refused_in_one_line(form: str) -> None:
    """A start that cannot be optimised, or not without loss, raises one line and leaves no folder."""
    given, words = REFUSED[form]
    with pytest.raises(UsageError) as refusal:
        run(x0=given)

    assert str(refusal.value).startswith(words)
    assert "\n" not in str(refusal.value)
    assert not Path("outputs").exists()


DTYPES = {"float16": np.float16, "float32": np.float32, "float64": np.float64}
ARRAYS = npst.arrays(
    st.sampled_from([np.dtype(name) for name in ("f2", "f4", "f8", "i1", "i8", "u8", "?", "c8", ">f8", ">i4")]),
    npst.array_shapes(max_dims=2, max_side=3),
)
NUMBERS = st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.booleans(), st.complex_numbers())
LEAVES = st.one_of(ARRAYS, NUMBERS, st.lists(NUMBERS, max_size=3), ARRAYS.map(lambda array: array.tolist()))
STARTS = st.one_of(LEAVES, st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=3))


def values(given: Any) -> list[complex]:
    """The numbers of a start in their order, as Python's own."""
    parts = given.values() if isinstance(given, dict) else [given]
    return [complex(number) for part in parts for number in np.asarray(part, dtype=object).ravel().tolist()]


def try_call(call: Callable[[], Any]) -> tuple[Any, str]:
    """What a call returned, or the words of its refusal."""
    try:
        return call(), ""
    except UsageError as refusal:
        return None, str(refusal)


@settings(max_examples=count_examples(75, 300), deadline=None)
@given(given=STARTS)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_a_converted_point_has_the_values_that_were_given(given: Any) -> None:
    """Whatever is given becomes floating tensors of the same numbers, or is refused in one line."""
    point, refusal = try_call(lambda: convert_point("x0", given))
    if point is None:
        assert "\n" not in refusal
        return
    numbers = [number for leaf in leaves(point) for number in leaf.double().flatten().tolist()]
    wanted = [float(number.real) for number in values(given)]

    assert all(leaf.is_floating_point() and not leaf.requires_grad for leaf in leaves(point))
    assert not any(number.imag for number in values(given))
    assert np.array_equal(numbers, wanted, equal_nan=True)
    assert widest_dtype(given) in (torch.float16, torch.float32, torch.float64)


@settings(
    max_examples=count_examples(10, 25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(given=STARTS)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_a_run_starts_where_it_was_told_to_or_refuses(given: Any) -> None:
    """Through the public API: the row's start holds the given numbers, rounded to its dtype, or one line says no."""
    runs, refusal = try_call(lambda: run(x0=given, steps=1))
    if runs is None:
        assert "\n" not in refusal
        return
    rounded = np.array([number.real for number in values(given)]).astype(DTYPES[runs["dtype"][0]])

    assert np.array_equal(first_point(runs), rounded.astype(float), equal_nan=True)


def test_a_start_that_is_not_finite_is_told_of() -> None:
    """NaN and inf are values as others: the run is nonfinite at step 0."""
    for start in ([float("nan")], [float("inf")], {"a": [1.0], "b": [-float("inf")]}):
        runs = run(x0=start)

        assert runs[["status", "status_step"]].to_numpy().tolist() == [["nonfinite", 0]]


def test_a_dtype_that_cannot_hold_the_start_is_a_row_of_its_own() -> None:
    """Where several dtypes are asked for, the one that would make the start infinite is unavailable, the others run."""
    runs = run(x0=[1e5, 1.0], dtype=["float16", "float32"])

    assert runs["status"].tolist() == ["unavailable", "budget"]
    assert runs["error"][0] == "start of objective=total holds 100000, which float16 cannot; use a wider dtype"


def test_the_largest_value_beyond_a_dtype_is_found() -> None:
    """Values that round to the largest number of a dtype are held by it; infinite ones are not its fault."""
    doubles = torch.tensor([65519.0, torch.inf, torch.nan], dtype=torch.float64)

    assert find_overflow(doubles, torch.float16) is None
    assert find_overflow({"a": doubles, "b": torch.tensor([-7e4, 65504.0])}, torch.float16) == pytest.approx(7e4)
    assert find_overflow(torch.ones(0), torch.float16) is None


def test_the_tensor_of_the_user_stays_as_it_is() -> None:
    """A start that is a parameter keeps its values, its gradient and its place in autograd."""
    start = torch.nn.Parameter(torch.ones(2))
    start.grad = torch.full((2,), 7.0)
    run(x0=start, impl="torch")

    assert start.tolist() == [1.0, 1.0]
    assert start.requires_grad
    assert start.grad.tolist() == [7.0, 7.0]


def test_x0_is_for_functions_alone() -> None:
    """A start for an objective that has one is refused."""
    with pytest.raises(UsageError, match=r"^x0= is the start of a function"):
        gdbench.run("rosenbrock", x0=[1.0, 2.0])
    with pytest.raises(UsageError, match=r"dataclasses\.replace"):
        gdbench.run(Objective(fn=total, start=torch.ones(2)), x0=[1.0, 2.0])


# ------------------------------------------------------------------------------------------- Objective, and YAML's


def test_an_objective_converts_what_it_is_stated_with() -> None:
    """Lists, arrays and numbers of an Objective are tensors of the same values; numbers of numpy are floats."""
    stated = Objective(
        fn=total,
        start={"a": [1, 2], "b": np.float32(3)},
        minimisers=({"b": 0.0, "a": [0.0, 0.0]},),
        minimum=np.float64(0),
        smoothness=torch.tensor(2.0),
        data={"A": np.eye(2), "labels": [0, 1]},
    )

    assert [leaf.dtype for leaf in leaves(stated.start)] == [torch.float64, torch.float32]
    assert list(stated.minimisers[0]) == ["a", "b"]
    assert (stated.minimum, stated.smoothness) == (0.0, 2.0)
    assert type(stated.minimum) is type(stated.smoothness) is float
    assert [tensor.dtype for tensor in stated.data.values()] == [torch.float64, torch.int64]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"start": torch.tensor([1j])}, "start is complex"),
        ({"minimisers": torch.zeros(2)}, "minimisers[0] is not of the shape of start: a tensor of shape []"),
        ({"minimisers": ([0.0, 0.0, 0.0],)}, "minimisers[0] is not of the shape of start"),
        ({"minimisers": ({"a": 0.0},)}, "minimisers[0] is not of the form of start: {a: []}"),
        ({"minimum": 1j}, "minimum=1j must be a real number"),
        ({"minimum": "low"}, "minimum='low' must be a real number"),
        ({"data": {"n": 3}}, "data['n'] is of type int: data are tensors"),
        ({"data": {"n": "text"}}, "data['n'] is of type str: data are tensors"),
    ],
)
def test_an_objective_refuses_what_it_cannot_keep(changed: dict[str, Any], words: str) -> None:
    """What would be cast, broadcast or dropped silently is refused where it is stated."""
    with pytest.raises(UsageError) as refusal:
        Objective(**{"fn": total, "start": torch.ones(2), **changed})

    assert str(refusal.value).startswith(words)


def test_complex_data_follow_the_dtype_of_the_run() -> None:
    """Data may be complex: in float32 they are complex64, so that the loss stays in the dtype that was asked for."""
    seen = []

    def fn(x: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
        loss = (x * phase).abs().square().sum()
        seen.append(loss.dtype)
        return loss

    run(Objective(fn=fn, start=[1.0, 2.0], data={"phase": torch.tensor([1j, 2.0], dtype=torch.complex128)}))

    assert set(seen) == {torch.float32}


YAML_FACTORIES = """
import torch
from gdbench.objectives import Objective

def whole():
    return Objective(fn=lambda x: ((x - 1.5) ** 2).sum(), start=torch.tensor([1, 2]))

def drawn():
    return Objective(fn=lambda x: (x ** 2).sum(), start=lambda seed: [1 + seed, 2])

def turned():
    return Objective(fn=lambda x: (x.abs() ** 2).sum(), start=lambda seed: torch.tensor([1j]))
"""


def test_a_factory_of_a_users_folder_may_start_from_whole_numbers(own: Path, command: Callable[..., Any]) -> None:
    """From the command line: integers and lists are the start that they say; a complex one is refused in one line."""
    (own / "forms.py").write_text(YAML_FACTORIES)
    for name in ("whole", "drawn", "turned"):
        (own / "objective" / f"{name}.yaml").write_text(f"# {name}\n_target_: forms.{name}\n")
    done = command("-m", "--config-dir", str(own), "objective=whole,drawn", "steps=2", "timing=off", "--quiet")
    refused = command("--config-dir", str(own), "objective=turned", "timing=off")

    assert (done.code, done.err) == (0, "")
    assert gdbench.load("outputs")["start_loss"].tolist() == [0.5, 5.0]
    assert refused.code == 2
    assert refused.err.startswith("gdbench: objective=turned: start(0) is complex")
    assert len(refused.err.splitlines()) == 1


# --------------------------------------------------------------------------------------- the caller's gradient mode


@pytest.mark.parametrize("impl", ["manual", "torch"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_api_works_whatever_the_gradient_mode(mode: Any, impl: str) -> None:
    """Under no_grad and inference_mode a run is what it is without, from tensors made there too; the mode stays."""
    plain = run(x0=torch.tensor([1.0, 2.0]), impl=impl, lr=[0.1, 0.2])
    with mode():
        inside = run(x0=torch.tensor([1.0, 2.0]), impl=impl, lr=[0.1, 0.2])
        stated = run(Objective(fn=total, start=torch.tensor([1.0, 2.0]), data={}), impl=impl, lr=[0.1, 0.2])
        assert not torch.is_grad_enabled()

    assert inside["final_loss"].tolist() == stated["final_loss"].tolist() == plain["final_loss"].tolist()
    assert inside["run_id"].tolist() == plain["run_id"].tolist()


def test_data_made_in_inference_mode_are_data_as_others() -> None:
    """Autograd may save the data of an objective that was stated in inference mode."""
    with torch.inference_mode():
        stated = Objective(fn=lambda x, A: (A @ x).square().sum(), start=torch.ones(2), data={"A": torch.eye(2)})
        runs = run(stated)

    assert runs["status"].tolist() == ["budget"]


# ------------------------------------------------------------------------------------------------ unused leaves


@pytest.mark.parametrize("impl", ["manual", "torch", "foreach"])
@pytest.mark.parametrize("lr", [0.1, [0.1, 0.2]])
def test_a_leaf_that_the_loss_does_not_use_has_the_gradient_zero(impl: str, lr: Any) -> None:
    """It stays where it starts, alone and in lanes, by every impl."""
    runs = run(lambda p: (p["a"] ** 2).sum(), x0={"a": [1.0], "b": [5.0]}, impl=impl, lr=lr, steps=3)
    ends = gdbench.load(runs.attrs["folder"], "traces").query("step == 3")["x"]

    assert runs["status"].isin(["budget", "target"]).all()
    assert [float(end[1]) for end in ends] == [5.0] * len(runs)


def test_weight_decay_reaches_unused_leaves_alike() -> None:
    """A zero gradient is not none: manual and torch shrink an unused leaf by weight decay by the same numbers."""
    ends = [
        gdbench.load(runs.attrs["folder"], "traces")["x"].iloc[-1].tolist()
        for impl in ("manual", "torch")
        for runs in [
            run(
                lambda p: (p["a"] ** 2).sum(),
                x0={"a": np.ones(1), "b": np.full(1, 5.0)},
                optimizer="adamw",
                impl=impl,
                **{"optimizer.weight_decay": 0.1},
            )
        ]
    ]

    assert ends[0] == pytest.approx(ends[1], rel=1e-12)
    assert ends[0][1] < 5


def test_a_hessian_product_passes_over_unused_leaves() -> None:
    """Methods by Hessian products run on a dict of which the loss uses a part, or uses it linearly."""
    runs = run(
        lambda p: (p["a"] ** 4).sum() + p["c"].sum(), x0={"a": [1.0], "b": [5.0], "c": [1.0]}, optimizer="sophia"
    )

    assert runs["status"].tolist() == ["budget"]
