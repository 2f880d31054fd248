"""Methods that gdbench does not ship: classes of other packages, and pairs of functions, by ``_target_``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Done
from laws import apart, manual, objective, path, same

import gdbench
from gdbench.descent import descent
from gdbench.optimizers.torch_optim import torch_optim
from gdbench.oracle import oracle
from gdbench.params import tree_map

torch.set_num_threads(1)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the packages
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "schedulefree SGD": ("schedulefree.SGDScheduleFree", {"lr": 1e-4, "foreach": False}),
    "schedulefree AdamW": ("schedulefree.AdamWScheduleFree", {"lr": 1e-3, "foreach": False}),
    "lion": ("pytorch_optimizer.Lion", {"lr": 1e-3}),
    "adabelief": ("pytorch_optimizer.AdaBelief", {"lr": 1e-3}),
    "adan": ("pytorch_optimizer.Adan", {"lr": 1e-3}),
    "prodigy": ("pytorch_optimizer.Prodigy", {"lr": 1.0}),
}


def of_package(name: str) -> Any:
    """The Method of a class of another package."""
    from importlib import import_module

    where, arguments = OTHERS[name]
    module, _, cls = where.rpartition(".")
    return torch_optim(getattr(import_module(module), cls), arguments)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("on", ["rosenbrock", "dict"])
def test_watched_is_bare_and_a_copy_goes_on(name: str, on: str) -> None:
    """Looked at or not, and from a copy of x and state, a method of another package walks the same path."""
    of, method = objective(on), of_package(name)
    ask, looked = oracle(of, laned=False), []
    bare, _ = descent(method, ask, of.start_at(0), range(12))
    seen, _ = descent(method, ask, of.start_at(0), range(12), look=lambda k, x, seen: looked.append(x))
    x, state = descent(method, ask, of.start_at(0), range(5))
    x, state = method.copy(tree_map(torch.Tensor.detach, x), state)
    copied, _ = descent(method, ask, x, range(5, 12), state)

    assert same(bare, seen)
    assert same(bare, copied)
    assert not same(looked[-1], looked[0])


def test_schedule_free_is_judged_where_it_evaluates() -> None:
    """What is judged is the point of eval(): our own schedule-free SGD walks there too, and training is elsewhere."""
    of = objective("rosenbrock")
    theirs, _ = path(of_package("schedulefree SGD"), of, 30)
    ours, _ = path(manual("schedule_free_sgd", lr=1e-4), of, 30)

    assert apart(theirs[-2], ours[-2], ours[0]) < 1e-10
    assert apart(theirs[-1], theirs[-2], ours[0]) > 1e-5


PACKAGE_TWINS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "yogi": ({"bias_correction": True, "lr": 1e-2}, "Yogi", {"lr": 1e-2, "foreach": False}),
    "adan": ({"bias_correction": True, "lr": 1e-2}, "Adan", {"lr": 1e-2, "foreach": False}),
    "dadapt_adam": ({"old_denominator": True, "lr": 1.0}, "DAdaptAdam", {"lr": 1.0, "foreach": False}),
    "lion": ({"weight_decay": 0.1, "lr": 1e-3}, "Lion", {"lr": 1e-3, "weight_decay": 0.1, "foreach": False}),
}
"""Switches under which our method is that of the packages, and the class of pytorch_optimizer that it then equals."""


@pytest.mark.parametrize("on", ["rosenbrock", "quadratic"])
@pytest.mark.parametrize("name", PACKAGE_TWINS)
def test_package_switch_equals_the_package(name: str, on: str) -> None:
    """With its switch set, a method walks the path of the package's class; without it, another one."""
    import pytorch_optimizer

    changed, cls, arguments = PACKAGE_TWINS[name]
    of = objective(on)
    theirs, _ = path(torch_optim(getattr(pytorch_optimizer, cls), arguments), of, 40)
    ours, _ = path(manual(name, **changed), of, 40)
    papers, _ = path(manual(name, lr=changed["lr"]), of, 40)

    # DAdaptAdam keeps its sums in float32, whatever the parameters are
    bound = 1e-5 if name == "dadapt_adam" else 1e-12
    assert max(apart(a, b, ours[0]) for a, b in zip(theirs, ours, strict=True)) < bound
    assert max(apart(a, b, ours[0]) for a, b in zip(theirs, papers, strict=True)) > 10 * bound


FOLDER = {
    "own_pair.py": """
import torch
from gdbench.params import per_lane


def signed(lr):
    return lambda x: torch.zeros_like(x), lambda k, grad, state, x: (x - per_lane(lr, x) * (grad + state).sign(), grad)


def wrong(lr):
    return "descent"
""",
    "optimizer/signed.yaml": "# Signs\nmanual: {_target_: own_pair.signed}\ntorch: null\ndefault_lr: 0.01\n",
    "optimizer/wrong.yaml": "# Wrong\nmanual: {_target_: own_pair.wrong}\ntorch: null\ndefault_lr: 0.01\n",
    "optimizer/free.yaml": "# Free\nmanual: null\ntorch: {_target_: schedulefree.SGDScheduleFree, foreach: false}\n"
    "default_lr: 1.0\nmomentum: 0.9\n",
}


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pair of functions, and a class of another package."""
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, text in FOLDER.items():
        place = tmp_path / "mine" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return tmp_path / "mine"


def test_a_pair_of_functions_is_a_method(mine: Path, tmp_path: Path) -> None:
    """A factory may return (init, update): it runs alone and in lanes, with one row a run."""
    runs = gdbench.sweep(
        "rosenbrock", config_dir=mine, optimizer=["signed", "gd"], lr=[1e-4, 1e-3], steps=20, timing="off",
        outputs=str(tmp_path / "out"),
    )  # fmt: skip
    signed = runs[runs.optimizer == "signed"]

    assert (runs.status == "budget").all()
    assert list(signed.lanes) == [2, 2]
    assert signed.final_loss.nunique() == 2


def test_a_class_of_another_package_is_a_method(mine: Path, tmp_path: Path) -> None:
    """A class with torch.optim's interface runs by its name, under a schedule too, and says what ran."""
    runs = gdbench.sweep(
        "notebook_manual", config_dir=mine, optimizer="free", impl="torch", lr=0.1, steps=50, timing="quick",
        schedule=["constant", "warmup_constant"], outputs=str(tmp_path / "out"),
    )  # fmt: skip

    assert runs.status.isin(["target", "budget", "plateau"]).all()
    assert list(runs.error.dropna()) == []
    assert runs.resolved.str.startswith("schedulefree.SGDScheduleFree(torch)").all()
    assert runs.final_loss.nunique() == 2


def test_what_is_neither_is_refused(command: Callable[..., Done], mine: Path) -> None:
    """Anything else that a factory returns is refused in one line."""
    done = command("--config-dir", str(mine), "optimizer=wrong")

    assert done.code == 2
    assert "own_pair.wrong returned str; it must return a gdbench.optimizers.Method, or a pair" in done.err
    assert done.err.count("\n") == 1
