"""Objectives, starts and torch-like classes that are not of the usual form: each runs, or is refused in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Done
from support.laws import objective
from support.tiers import representatives
from test_optimizer_copy import all_classes

import gdbench
from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.errors import describe_exception
from gdbench.optimizers.torch_needs import CLOSURE, GRAPH
from gdbench.optimizers.torch_optim import torch_optim

torch.set_num_threads(1)

IMPLS = ["manual", "torch", "foreach", "fused", "differentiable"]
ROWS = torch.tensor([0, 2])


def embed(x: Any, sparse: bool) -> torch.Tensor:
    """The squares of two rows of a table, whose gradient may be a sparse tensor."""
    return torch.nn.functional.embedding(ROWS, x["rows"], sparse=sparse).pow(2).sum() + (x["bias"] ** 2).sum()


def run_table(fn: Callable[[Any], torch.Tensor], optimizer: str, **more: Any) -> Any:
    """The rows of a few steps on a table and a vector."""
    start = {"rows": torch.ones(4, 2), "bias": torch.ones(3)}
    settings = {"lr": 0.1, "steps": 4, "timing": "off", **more}
    return gdbench.sweep(fn, x0=start, optimizer=optimizer, outputs=None, **settings)


@pytest.mark.parametrize("optimizer", representatives(["momentum", "adamw"], ["adamw"]))
def test_a_sparse_gradient_is_a_gradient(optimizer: str) -> None:
    """Every impl has the same trajectory with a sparse gradient and the same dense one."""
    sparse, dense = (
        run_table(lambda x, kind=kind: embed(x, sparse=kind), optimizer, impl=IMPLS) for kind in (True, False)
    )

    assert set(sparse.status) <= {"budget", "plateau", "unavailable"}
    assert (sparse.status == "budget").sum() >= 4
    assert sparse.final_loss.tolist() == pytest.approx(dense.final_loss.tolist(), nan_ok=True)


def test_a_sparse_gradient_of_a_bare_tensor_is_dense_too() -> None:
    """A start that is one tensor is served as a dict is, with the clock on, in lanes of several rates."""
    fn = lambda x: torch.nn.functional.embedding(ROWS, x, sparse=True).pow(2).sum()  # noqa: E731
    runs = gdbench.sweep(
        fn, x0=torch.ones(4, 2), optimizer="adam", lr=[0.1, 0.2], steps=4, timing="quick", impl="manual", outputs=None
    )

    assert runs.status.tolist() == ["budget"] * 2
    assert runs.step_s.notna().all()


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_a_parameter_that_is_not_used_has_gradient_zero(optimizer: str) -> None:
    """In every impl the gradient of a leaf that the loss does not use is zero, with equal trajectories."""
    runs = run_table(lambda x: (x["rows"] ** 2).sum(), optimizer, impl=IMPLS)
    ran = runs[runs.status != "unavailable"]

    assert len(ran) >= 4
    assert ran.final_loss.tolist() == pytest.approx([ran.final_loss.iloc[0]] * len(ran), rel=1e-5)


WEIGHT = torch.ones((), requires_grad=True)


@pytest.mark.parametrize(
    ("fn", "start", "said"),
    [
        (lambda x: WEIGHT * 2, torch.ones(2), "the objective does not depend on x"),
        (lambda x: WEIGHT * 2, {"a": torch.ones(2)}, "the objective does not depend on x"),
        (lambda x: torch.tensor(1.0), torch.ones(2), "the objective is not differentiable"),
        (lambda x: x, torch.nn.Linear(2, 1), "x0= is a module: give dict(module.named_parameters())"),
        (lambda x: x, [torch.ones(2), torch.ones(3)], "x0 is a list of tensors: give a dict of them"),
        (lambda x: x, (torch.ones(2), torch.ones(3)), "x0 is a list of tensors: give a dict of them"),
        (lambda x: x, {"a": {"b": torch.ones(2)}}, "x0['a'] is a dict within a dict: name its tensors in one dict"),
        (lambda x: x, torch.nn.Linear(2, 1).parameters(), "x0 is of type generator; give a number, a list"),
    ],
)
def test_what_cannot_be_descended_is_refused_in_one_line(fn: Any, start: Any, said: str) -> None:
    """An objective without x, or a start of another form, is refused with what is allowed."""
    with pytest.raises(gdbench.UsageError) as refused:
        gdbench.run(fn, x0=start, optimizer="gd", steps=3, timing="off", outputs=None)

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


CLASSES = """
import torch


class Stepping(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    def moved(self, scale=lambda leaf: 1.0):
        for leaf in self.param_groups[0]["params"]:
            with torch.no_grad():
                leaf.sub_(self.param_groups[0]["lr"] * leaf.grad / scale(leaf))


class Optional(Stepping):
    def step(self, closure=None):
        loss = None if closure is None else closure()
        self.moved()
        return loss


class Needing(Stepping):
    def step(self, closure=None):
        if closure is None:
            raise RuntimeError("Needing requires closure.")
        closure()
        self.moved()


class Newton(Stepping):
    def step(self, closure=None):
        leaves = self.param_groups[0]["params"]
        curvature = torch.autograd.grad([leaf.grad for leaf in leaves], leaves, [torch.ones_like(l) for l in leaves])
        found = {id(leaf): diagonal for leaf, diagonal in zip(leaves, curvature)}
        self.moved(lambda leaf: found[id(leaf)])


class Modular(Stepping):
    def __init__(self, params, lr=0.1):
        self.names = [name for name, _ in params.named_parameters()]
"""


@pytest.fixture
def classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with torch-like classes, and a YAML file for each way to name them."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "mine"
    (folder / "optimizer").mkdir(parents=True)
    (folder / "odd_classes.py").write_text(CLASSES)
    blocks = {
        "optional": "{_target_: odd_classes.Optional}",
        "optional_closure": "{_target_: odd_classes.Optional, _closure_: true}",
        "bare_needing": "{_target_: odd_classes.Needing}",
        "needing": "{_target_: odd_classes.Needing, _closure_: true}",
        "bare_newton": "{_target_: odd_classes.Newton}",
        "newton": "{_target_: odd_classes.Newton, _create_graph_: true}",
        "modular": "{_target_: odd_classes.Modular}",
        "mistyped": "{_target_: odd_classes.Needing, _closures_: true}",
        "both": "{_target_: odd_classes.Needing, _closure_: true, _create_graph_: true}",
    }
    for name, block in blocks.items():
        (folder / "optimizer" / f"{name}.yaml").write_text(f"# {name}\nmanual: null\ntorch: {block}\ndefault_lr: 0.1\n")
    return folder


def test_closures_and_graphs_are_handed_over_where_they_are_asked_for(
    command: Callable[..., Done], classes: Path
) -> None:
    """`_closure_` and `_create_graph_` make classes run; what they ask for is counted, and runs can be timed."""
    names = "optional,optional_closure,needing,newton,bare_needing,bare_newton,modular"
    done = command("-m", "--config-dir", str(classes), f"optimizer={names}", "impl=torch", "objective=notebook_manual",
                   "steps=4", "lr=0.1", "timing=quick")  # fmt: skip
    rows = gdbench.load("outputs").set_index("optimizer")
    failed = rows[rows.status == "failed"].error

    assert done.code == 1
    assert rows.loc[["optional", "optional_closure", "needing"]].final_loss.nunique() == 1
    assert rows.loc[["optional", "optional_closure", "needing", "newton"]].gradient_evals.tolist() == [4, 4, 4, 12]
    assert rows.loc["newton"].final_loss != rows.loc["optional"].final_loss
    assert rows.loc[["optional", "needing", "newton"]].timing_error.isna().all()
    assert f"`{CLOSURE}: true` in the torch block of its YAML file gives its step a closure" in failed["bare_needing"]
    assert f"`{GRAPH}: true` in the torch block of its YAML file gives it a gradient" in failed["bare_newton"]
    assert "odd_classes.Modular cannot be made from a list of parameters" in failed["modular"]


@pytest.mark.parametrize(("name", "said"), [("mistyped", "torch._closures_=True is not known"), ("both", "exclude")])
def test_needs_that_are_not_known_are_refused(
    command: Callable[..., Done], classes: Path, name: str, said: str
) -> None:
    """Another key of that form, or two of them, is a mistake: one line, exit code 2."""
    done = command("--config-dir", str(classes), f"optimizer={name}", "impl=torch", "steps=3", "timing=off")

    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["AdaHessian", "SophiaH"])
def test_a_class_that_differentiates_the_gradient_walks_as_in_torch(name: str) -> None:
    """With `_create_graph_` a class has the trajectory of `backward(create_graph=True)`, and can be copied."""
    cls = getattr(pytest.importorskip("pytorch_optimizer"), name)
    of, method = objective("dict"), torch_optim(cls, {"lr": 1e-3}, needs=frozenset({GRAPH}))
    torch.manual_seed(0)
    x, state = descent(method, oracle(of, laned=False), of.start_at(0), range(3))
    method.copy(x, state)
    point = {key: leaf.requires_grad_() for key, leaf in of.start_at(0).items()}
    theirs = cls(list(point.values()), lr=1e-3)
    torch.manual_seed(0)
    for _ in range(3):
        slopes = torch.autograd.grad(of.value(point), list(point.values()), create_graph=True)
        for leaf, slope in zip(point.values(), slopes, strict=True):
            leaf.grad = slope
        theirs.step()

    for key, leaf in point.items():
        assert torch.allclose(x[key], leaf, rtol=1e-12, atol=1e-12)


def test_classes_of_pytorch_optimizer_run_or_say_why_not() -> None:
    """Those that need a graph or a closure run with it; each that cannot says why in one line, with what helps."""
    package = pytest.importorskip("pytorch_optimizer")
    of = objective("dict")
    ask = oracle(of, laned=False)
    method = torch_optim(package.AliG, {"max_lr": 0.01}, needs=frozenset({CLOSURE}))
    x, _ = descent(method, ask, of.start_at(0), range(3))
    assert of.value(x).item() < of.value(of.start_at(0)).item()
    reasons = {}
    for name, cls in all_classes("pytorch_optimizer").items():
        try:
            descent(torch_optim(cls, {"lr": 1e-3}), ask, of.start_at(0), range(2))
        except Exception as error:
            reasons[name] = describe_exception(error)

    assert len(reasons) <= 31
    assert GRAPH in reasons["AdaHessian"]
    assert CLOSURE in reasons["AliG"]
    assert "cannot be made from a list of parameters" in reasons["Muon"]
    assert "cannot be made from a list of parameters" in reasons["LOMO"]
    assert not any("\n" in reason or len(reason) > 400 for reason in reasons.values())
