"""What one run or cell changes in place, or sets in torch, does not reach the next one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.tiers import representatives

import gdbench
from gdbench import Objective
from gdbench.engine import build
from gdbench.engine.runner import run_cell
from gdbench.engine.torch_globals import SETTINGS, apply_settings, isolate_settings, read_settings
from gdbench.optimizers import first_order

IN_PLACE = """
import torch
from gdbench.objectives import Objective
from gdbench.optimizers import Method, first_order


def mutates(lr) -> Method:
    def update(k, grad, state, x):
        x.data.sub_(lr * grad)
        return x, state

    return first_order(lambda x: (), update)


def through_numpy(lr) -> Method:
    def update(k, grad, state, x):
        x.detach().numpy()[...] -= float(lr) * grad.numpy()
        return x, state

    return first_order(lambda x: (), update)


def state_too(lr) -> Method:
    def update(k, grad, last, x):
        last.data.copy_(x)
        x.data.sub_(lr * grad)
        return x, last

    return first_order(lambda x: x.clone(), update)


def sets_dtype() -> Objective:
    torch.set_default_dtype(torch.float64)
    return Objective(fn=lambda x: (x**2).sum() * torch.tensor(1.1).double(), start=torch.ones(2))


def plain() -> Objective:
    return Objective(fn=lambda x: (x**2).sum() * torch.tensor(1.1).double(), start=torch.ones(2))
"""
METHODS = ("mutates", "through_numpy", "state_too")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with optimizers that work in place, and an objective whose factory sets the default dtype."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine"
    for group in ("optimizer", "objective"):
        (mine / group).mkdir(parents=True)
    (mine / "in_place.py").write_text(IN_PLACE)
    for name in METHODS:
        (mine / "optimizer" / f"{name}.yaml").write_text(
            f"manual: {{_target_: in_place.{name}}}\ntorch: null\ndefault_lr: 0.1\n"
        )
    for name in ("sets_dtype", "plain"):
        (mine / "objective" / f"{name}.yaml").write_text(f"_target_: in_place.{name}\n")
    return mine


@pytest.fixture(autouse=True)
def unchanged_settings() -> Iterator[None]:
    """A test that fails leaves torch's settings as they were too."""
    before = read_settings()
    yield
    apply_settings(before)


# ------------------------------------------------------------------------------------------------------- in place


@pytest.mark.parametrize("name", representatives(METHODS, ("state_too",)))
def test_an_optimizer_that_works_in_place_leaves_the_rows_of_others_alone(
    command: Callable[..., Any], folder: Path, name: str
) -> None:
    """Every run starts from the true start, whatever ran before it, in solo cells too; so does the timed pass."""
    words = ["objective=rosenbrock", "dtype=float64", "lr=0.001,0.0005", "steps=20", "timing=quick", "--quiet"]
    words += ["timing.seconds=0.02", "--config-dir", str(folder)]
    assert command("-m", f"optimizer={name},gd", *words).code == 0
    together = gdbench.load()
    assert command("-m", "optimizer=gd", *words, "outputs=alone").code == 0
    alone = gdbench.load("alone")
    others = together[together["optimizer"] != name]

    assert together["start_loss"].tolist() == pytest.approx([24.2] * 4, rel=1e-12)
    assert others["final_loss"].tolist() == alone["final_loss"].tolist()
    mine = together[together["optimizer"] == name]
    assert mine["final_loss"].tolist() == pytest.approx(alone["final_loss"].tolist(), rel=1e-12)
    assert mine["error"].isna().all()


def test_a_point_that_was_changed_in_place_is_traced_as_it_was(folder: Path) -> None:
    """Traces of an optimizer that works in place are those of the same steps with new tensors."""
    traces = []
    for name in ("mutates", "gd"):
        runs = gdbench.sweep(
            "rosenbrock", config_dir=folder, optimizer=name, lr=1e-3, steps=9, trace="full", dtype="float64",
            timing="off", outputs=name,
        )  # fmt: skip
        traces.append(np.stack(gdbench.load(runs.attrs["folder"], "traces")["x"].tolist()))

    np.testing.assert_allclose(traces[0], traces[1], rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_copy_of_an_objective_shares_no_memory_with_it(dtype: torch.dtype) -> None:
    """Start, data and minimisers are copied even where neither dtype nor device differs; each start is a new one."""
    array = np.ones(3, dtype=np.float64)
    objective = Objective(
        fn=lambda x, a: (a * x["w"]).sum(),
        start={"w": torch.from_numpy(array)},
        data={"a": torch.from_numpy(array)},
        minimisers=({"w": torch.from_numpy(array)},),
    )
    copy = objective.to(dtype, "cpu")
    for tensor in (copy.start["w"], copy.data["a"], copy.minimisers[0]["w"], objective.start_at(0)["w"]):
        tensor.data.fill_(7)
    seeded = replace(objective, start=lambda seed: objective.start)
    seeded.to(torch.float64, "cpu").start_at(0)["w"].data.fill_(7)
    seeded.start_at(0)["w"].data.fill_(7)

    assert array.tolist() == [1.0] * 3


def test_a_start_of_the_users_is_never_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor given as x0, or the array that it shares its memory with, holds after a sweep what it held before."""
    monkeypatch.chdir(tmp_path)
    array = np.array([3.0, 4.0])
    for start in (torch.from_numpy(array), {"w": torch.from_numpy(array)}):
        gdbench.sweep(
            lambda x: ((x["w"] if isinstance(x, dict) else x) ** 2).sum(),
            x0=start,
            impl=["manual", "torch"],
            lr=[0.1, 0.2],
            steps=3,
            timing="off",
        )

    assert array.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda x, a: (x.data.clamp_(-1, 1) ** 2).sum() + (x**2).sum(), "the point x"),
        (lambda x, a: (x**2).sum() + a.add_(1).sum(), "its data 'a'"),
    ],
)
def test_an_objective_that_changes_what_it_is_given_is_refused(
    function: Any, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that writes to x or to its data is one clear line before anything runs."""
    monkeypatch.chdir(tmp_path)
    objective = Objective(fn=function, start=torch.full((2,), 3.0), data={"a": torch.zeros(2)})
    with pytest.raises(gdbench.UsageError, match=f"changes {what} in place: it must compute with new tensors"):
        gdbench.sweep(objective, timing="off")

    assert not Path("outputs").exists()


def test_data_that_changes_only_later_fails_the_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the function writes to its data in the middle of a run, the cell has failed, and says why."""
    monkeypatch.chdir(tmp_path)

    def creeps(x: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            a += (x.abs().max() < 2).to(a.dtype)
        return ((x - a) ** 2).sum()

    objective = Objective(fn=creeps, start=torch.full((2,), 3.0), data={"a": torch.zeros(2)})
    runs = gdbench.sweep(objective, lr=[0.1, 0.2], steps=10, timing="off")

    assert runs["status"].tolist() == ["failed"] * 2
    assert runs["error"].str.contains("its data 'a' changed in place while the cell ran").all()


@given(st.integers(0, 2**16), st.sampled_from(["x", "state", "both", "alias"]))
def test_a_copy_of_a_methods_state_is_free_of_the_original(seed: int, written: str) -> None:
    """Steps that write to x, to state or to one tensor that is both move a copy alone, and keep its aliases."""
    start = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def update(k: Any, grad: torch.Tensor, state: torch.Tensor, x: torch.Tensor) -> Any:
        if written in ("state", "both", "alias"):
            state.data.mul_(0.5)
        if written in ("x", "both"):
            x.data.sub_(0.1 * grad)
        return x, state

    method = first_order(lambda x: x if written == "alias" else x.clone(), update).as_mutating()
    x = start.clone()
    state = method.init(x)
    there = method.copy(x, state)
    update(0, start, there[1], there[0])

    assert torch.equal(x, start)
    assert torch.equal(state, start)
    assert (there[0] is there[1]) == (written == "alias")


# ---------------------------------------------------------------------------------------------------------- globals

OTHER: dict[str, Any] = {
    "grad_mode": False,
    "default_dtype": torch.float64,
    "default_device": torch.device("meta"),
    "threads": 3,
    "deterministic_algorithms": (True, True),
    "anomaly_mode": (True, False),
    "float32_matmul_precision": "medium",
    "flush_denormal": True,
    "warn_always": True,
    "autocast_cpu": (True, torch.float16),
    "autocast_cuda": (True, torch.bfloat16),
    "autocast_cache": False,
    "autograd_multithreading": False,
    "backends.opt_einsum.strategy": "greedy",
    "backends.quantized.engine": "onednn",
}
"""Another value of each setting that is no switch."""
ELSEWHERE = {
    "set_num_interop_threads": "can be set once a process",
    "set_printoptions": "how tensors are shown",
    "set_rng_state": "random numbers, which are set anew for each step",
    "set_default_tensor_type": "default dtype and device",
    "set_deterministic_debug_mode": "deterministic algorithms",
    "set_detect_anomaly": "anomaly mode",
}
"""Setters of torch that need no setting of their own, and why."""
FORMER = ("set_autocast_cpu", "set_autocast_gpu", "set_autocast_ipu", "set_autocast_xla")
COVERED = {
    "set_anomaly_enabled", "set_autocast_cache_enabled", "set_autocast_dtype", "set_autocast_enabled",
    "set_default_device", "set_default_dtype", "set_float32_matmul_precision", "set_flush_denormal",
    "set_grad_enabled", "set_multithreading_enabled", "set_num_threads", "set_warn_always",
}  # fmt: skip


def other(name: str) -> Any:
    """A value of a setting that it does not have now."""
    now = SETTINGS[name].read()
    if isinstance(now, bool):
        return not now
    return OTHER.get(name) or ("ieee" if now != "ieee" else "tf32")


def test_every_setter_of_torch_is_known() -> None:
    """A function of torch that sets something for the process is restored after a cell, or listed with the reason."""
    setters = {name for module in (torch, torch.autograd) for name in dir(module) if name.startswith("set_")}

    assert {name for name in setters if not name.startswith(FORMER)} <= COVERED | set(ELSEWHERE)


@pytest.mark.parametrize("name", SETTINGS)
def test_what_a_cell_sets_in_torch_ends_with_it(name: str) -> None:
    """Every setting is after a cell what it was before it, whatever the cell has made of it."""
    before = read_settings()
    with isolate_settings():
        SETTINGS[name].write(other(name))
        changed = SETTINGS[name].read() != before[name]
    after = read_settings()

    assert changed or name == "flush_denormal", "the test has shown nothing"
    assert after == before


@pytest.mark.parametrize("name", ["grad_mode", "default_dtype", "threads", "deterministic_algorithms", "anomaly_mode"])
def test_the_next_cell_does_not_see_what_one_has_set(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second cell of a sweep sees what the first one saw, and the caller what it had set."""
    monkeypatch.chdir(tmp_path)
    before, seen = read_settings(), []

    def leaves_it(x: torch.Tensor) -> torch.Tensor:
        value = (x**2).sum()
        seen.append(SETTINGS[name].read())
        SETTINGS[name].write(other(name) if seen[-1] == seen[0] else seen[-1])
        return value

    runs = gdbench.sweep(leaves_it, x0=torch.ones(2), optimizer=["gd", "momentum"], steps=1, timing="off")

    assert len(runs) == 2
    assert read_settings() == before
    assert seen[0] == before[name]


def test_gradients_are_on_whatever_the_caller_has_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under no_grad or inference mode a sweep gives what it gives elsewhere."""
    monkeypatch.chdir(tmp_path)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            runs = gdbench.run("rosenbrock", optimizer="adam", lr=0.01, steps=5, timing="off")
        assert runs["status"].tolist() == ["budget"]


@pytest.mark.slow
def test_a_factory_that_sets_the_default_dtype_sets_it_for_its_own_cell(folder: Path) -> None:
    """Its own cell computes 1.1 in float64, first or second of a sweep; another cell computes it in float32."""
    before, exact, rounded = read_settings(), 2 * 1.1, 2 * float(np.float32(1.1))
    for names in (["sets_dtype", "plain"], ["plain", "sets_dtype"]):
        runs = gdbench.sweep(names, config_dir=folder, dtype="float64", steps=1, timing="off")

        assert runs.groupby("objective")["start_loss"].first().to_dict() == {"plain": rounded, "sets_dtype": exact}
    assert read_settings() == before


def test_a_cell_that_is_run_twice_gives_one_answer(folder: Path) -> None:
    """The same cell object can be run again: nothing of it was used up."""
    from support.folding import folded

    (job,) = folded("objective=rosenbrock", "optimizer=gd", "dtype=float64", "lr=[0.001,0.002]", "timing=off")
    cell = build.build_cell(job.spec)
    first, second = (run_cell(cell).columns["final_loss"].tolist() for _ in range(2))

    assert first == second
