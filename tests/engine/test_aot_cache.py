"""Steps in lanes as libraries: kept from one process to the next, under a name that tells all that matters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.processes import Done
from torch import Tensor

from gdbench.engine.compile.aot_cache import load_or_build, read_library
from gdbench.engine.compile.op_trace import UntraceableError, trace_operations

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="libraries are made on Linux alone")

LANES = (torch.linspace(0, 1, 5), torch.tensor(2.0))
PLAIN = """
import sys, torch
from gdbench.engine.compile.aot_cache import load_or_build

torch.set_num_threads(1)
library = kept(lambda x, k, name: ({"x": x * k + 1}, name, k), (torch.ones(1009), torch.tensor(3.0), "same"))
tree, name, k = library(torch.arange(4.0), torch.tensor(2.0), "same")
print(tree["x"].tolist(), name, float(k), "torch._inductor" in sys.modules)
"""


def recorded(code: Callable[..., Tensor]) -> str:
    """The record of a function of lanes and a number."""
    return trace_operations(lambda *given: [code(*given)], LANES)


def shifted(by: float) -> Callable[[Tensor, Tensor], Tensor]:
    """A function that brings a tensor along."""
    tensor = torch.full([5], by)
    return lambda x, k: x + tensor


CODES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": lambda x, k: x + k,
    "product": lambda x, k: x * k,
    "swapped": lambda x, k: k * x,
    "number": lambda x, k: x * 2.0,
    "whole number": lambda x, k: x * 2,
    "other number": lambda x, k: x * 3.0,
    "one tensor": shifted(1.0),
    "another tensor": shifted(2.0),
    "in place": lambda x, k: x.clone().add_(k).add_(k),
    "of a copy": lambda x, k: (x.clone().add_(k), x.clone().add_(k))[1],
    "view": lambda x, k: x[1:] * k,
    "other view": lambda x, k: x[:-1] * k,
    "other dtype": lambda x, k: x.double() * k,
}
LOOKING: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "branch": lambda x, k: x if x.sum() > 0 else -x,
    "item": lambda x, k: x * x[0].item(),
    "list": lambda x, k: x * x.tolist()[0],
    "numpy": lambda x, k: x * float(x.numpy()[0]),
    "chosen": lambda x, k: x[x > 0.5],
    "random": lambda x, k: x + torch.rand_like(x),
}


def test_other_codes_have_other_records() -> None:
    """What computes something else is called something else; the same is called the same."""
    records = {name: recorded(code) for name, code in CODES.items()}

    assert len(set(records.values())) == len(CODES)
    assert records == {name: recorded(code) for name, code in CODES.items()}


@pytest.mark.parametrize("name", LOOKING)
def test_what_looks_at_numbers_has_no_record(name: str) -> None:
    """Code that goes by numbers, or draws them, is not told by its operations."""
    with pytest.raises(UntraceableError):
        recorded(LOOKING[name])
    assert load_or_build(LOOKING[name], LANES) is None


def test_what_brings_much_along_has_no_record() -> None:
    """A library holds few numbers."""
    much = torch.ones(10_000)

    with pytest.raises(UntraceableError, match="many numbers"):
        recorded(lambda x, k: x + much[:5])


def test_a_damaged_library_is_none(tmp_path: Path) -> None:
    """What does not end with its digest is not loaded, and what is not there neither."""
    library = tmp_path / "library.so"
    assert read_library(library) is None
    library.write_bytes(b"half of a library")
    assert read_library(library) is None


@pytest.mark.slow
def test_a_library_is_made_once_and_loaded_without_a_compiler(shell: Callable[..., Done], tmp_path: Path) -> None:
    """What one process makes another one loads; a damaged library is none."""
    env = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    assert shell("-c", PLAIN, env=env) == (0, "[1.0, 3.0, 5.0, 7.0] same 2.0 True\n", "")
    (library,) = tmp_path.glob("gdbench/*")
    assert shell("-c", PLAIN, env=env) == (0, "[1.0, 3.0, 5.0, 7.0] same 2.0 False\n", "")

    whole = library.read_bytes()
    library.write_bytes(whole[: len(whole) // 2])
    assert read_library(library) is None  # and it is made anew


def test_what_goes_by_the_number_of_lanes_has_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it tried again: what is kept says that there is none."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    code: Callable[[Tensor], Tensor] = lambda x: x * 2 if len(x) > 500 else x  # noqa: E731

    assert load_or_build(code, (torch.ones(1009),)) is None
    (nothing,) = tmp_path.glob("gdbench/*")
    before = nothing.stat().st_mtime_ns
    assert load_or_build(code, (torch.ones(1009),)) is None
    assert nothing.stat().st_mtime_ns == before
