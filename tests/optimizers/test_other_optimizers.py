"""Methods that gdbench does not ship: classes of other packages, and pairs of functions, by ``_target_``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import Done
from support.laws import apart, manual, objective, path, same
from support.tiers import representatives

import gdbench
from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.optimizers.torch_needs import HINTS
from gdbench.optimizers.torch_optim import torch_optim
from gdbench.tree import tree_map

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
    """Observed or not, and from a copy of x and state, a method of another package has the same trajectory."""
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
    """The output is the point of eval(): that of our schedule-free SGD too, while training uses another point."""
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
"""Switches with which our method equals that of the packages, and the class of pytorch_optimizer that it equals."""


@pytest.mark.parametrize("on", ["rosenbrock", "quadratic"])
@pytest.mark.parametrize("name", PACKAGE_TWINS)
def test_package_switch_equals_the_package(name: str, on: str) -> None:
    """With its switch set, a method has the trajectory of the package's class; without it, another one."""
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
from gdbench.tree import per_run


def signed(lr):
    return lambda x: torch.zeros_like(x), lambda k, grad, state, x: (x - per_run(lr, x) * (grad + state).sign(), grad)


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
        "notebook_manual", config_dir=mine, optimizer="free", impl="torch", lr=0.1, steps=50,
        schedule=["constant", "warmup_constant"], outputs=str(tmp_path / "out"), **{"timing.seconds": 0.01},
    )  # fmt: skip

    assert runs.status.isin(["target", "budget", "plateau"]).all()
    assert list(runs.error.dropna()) == []
    assert runs.implementation.str.startswith("schedulefree.SGDScheduleFree(torch)").all()
    assert runs.final_loss.nunique() == 2


def test_what_is_neither_is_refused(command: Callable[..., Done], mine: Path) -> None:
    """Anything else that a factory returns is refused in one line."""
    done = command("--config-dir", str(mine), "optimizer=wrong")

    assert done.code == 2
    assert "own_pair.wrong returned str; it must return a gdbench.optimizers.Method, or a pair" in done.err
    assert done.err.count("\n") == 1


TORCH_LIKE = """
import torch


class Plain(torch.optim.SGD):
    def step(self):
        super().step()


class Renamed(torch.optim.Optimizer):
    def __init__(self, params, learning_rate=0.1):
        super().__init__(params, {"learning_rate": learning_rate})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for leaf in group["params"]:
                leaf.add_(leaf.grad, alpha=-group["learning_rate"])


class Hidden(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, {})
        self.rate = lr

    @torch.no_grad()
    def step(self, closure=None):
        for leaf in self.param_groups[0]["params"]:
            leaf.add_(leaf.grad, alpha=-self.rate)


class Raising(torch.optim.SGD):
    def step(self, closure=None):
        raise RuntimeError("a mistake of mine")


class Asserting(torch.optim.SGD):
    def step(self, closure=None):
        assert closure is not None, "no closure here"


class Refusing(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        raise ValueError("these parameters I do not take")


class Wrong(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=-lr)


class Demanding(torch.optim.SGD):
    def step(self, loss):
        super().step()


class Idle(torch.optim.SGD):
    def step(self, closure):
        super().step()


class Unfinished(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        self.numbers = (k for k in range(100))


def make_sgd(params, lr=0.1, momentum=0.9):
    return torch.optim.SGD(params, lr=lr, momentum=momentum)


def make_lbfgs(params, lr=0.1):
    return torch.optim.LBFGS(params, lr=lr)


def make_nothing(params, lr=0.1):
    return 3
"""
BLOCKS = {
    **{name.lower(): f"{{_target_: torch_like.{name}}}" for name in
       ("Plain", "Hidden", "Raising", "Asserting", "Refusing", "Wrong", "Demanding", "Idle", "Unfinished")},
    "renamed": "{_target_: torch_like.Renamed, learning_rate: lr}",
    "misnamed": "{_target_: torch_like.Renamed}",
    "make_sgd": "{_target_: torch_like.make_sgd, momentum: 0.5}",
    "make_lbfgs": "{_target_: torch_like.make_lbfgs}",
    "make_nothing": "{_target_: torch_like.make_nothing}",
}  # fmt: skip


@pytest.fixture
def torch_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with classes of torch.optim's kind, right and wrong ones, and functions that make optimizers."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "torch_like", raising=False)
    (tmp_path / "mine" / "optimizer").mkdir(parents=True)
    (tmp_path / "mine" / "torch_like.py").write_text(TORCH_LIKE)
    for name, block in BLOCKS.items():
        file = tmp_path / "mine" / "optimizer" / f"{name}.yaml"
        file.write_text(f"# {name}\nmanual: null\ntorch: {block}\ndefault_lr: 0.1\n")
    yield tmp_path / "mine"
    sys.modules.pop("torch_like", None)


def run_mine(command: Callable[..., Done], folder: Path, optimizer: str, *words: str) -> tuple[Done, pd.Series]:
    """What the command line says of an optimizer of that folder, and the row of its run."""
    done = command("--config-dir", str(folder), f"optimizer={optimizer}", "impl=torch", "objective=notebook_manual",
                   "steps=20", "lr=0.1", *(words or ("timing.seconds=0.01",)))  # fmt: skip
    return done, pd.Series(dtype=object) if done.code == 2 else gdbench.load("outputs").iloc[-1]


@pytest.mark.parametrize(
    ("optimizer", "as_shipped"),
    representatives(
        [("plain", {}), ("renamed", {}), ("hidden", {}), ("make_sgd", {"momentum": 0.5})],
        [("renamed", {}), ("make_sgd", {"momentum": 0.5})],
    ),
)
def test_a_class_or_function_runs_whatever_its_signature(
    command: Callable[..., Done], torch_like: Path, optimizer: str, as_shipped: dict[str, float]
) -> None:
    """A step without closure, an lr of another name, a function that makes the optimizer: all have SGD's trajectory."""
    done, row = run_mine(command, torch_like, optimizer)
    sgd = torch_optim(torch.optim.SGD, {"lr": 0.1, **as_shipped})
    of = objective("notebook_manual").to(torch.float32, "cpu")
    x, _ = descent(sgd, oracle(of, laned=False), of.start_at(0), range(20))

    assert done.code == 0, done.err
    assert row.timed
    assert row.final_loss == float(of.value(x).detach())


@pytest.mark.slow
def test_a_function_may_make_an_optimizer_that_searches(command: Callable[..., Done], torch_like: Path) -> None:
    """A function's optimizer is known by its class: LBFGS is given a closure, and its gradients are counted."""
    done, row = run_mine(command, torch_like, "make_lbfgs", "timing=off")

    assert done.code == 0, done.err
    assert row.gradient_evals > 20


@pytest.mark.parametrize(
    ("optimizer", "factor"), representatives([("renamed", 0.5), ("make_sgd", 0.5)], [("renamed", 0.5)])
)
def test_a_schedule_finds_the_rate_under_its_name(
    command: Callable[..., Done], torch_like: Path, optimizer: str, factor: float
) -> None:
    """A schedule sets the group's learning rate under the name that the torch block gives it."""
    words = ("timing=off", "schedule=linear", f"schedule.start={factor}", f"schedule.end={factor}")
    _, paced = run_mine(command, torch_like, optimizer, *words)
    _, half = run_mine(command, torch_like, optimizer, "timing=off", f"lr={0.1 * factor}")

    assert paced.status == half.status
    assert paced.final_loss == half.final_loss


ERRORS = [
    ("raising", "RuntimeError: a mistake of mine"),
    ("asserting", f"AssertionError: no closure here; {HINTS['closure']}"),
    ("refusing", "ValueError: these parameters I do not take"),
    ("wrong", "ValueError: Invalid learning rate: -0.1"),
    ("idle", "RuntimeError: torch_like.Idle.step took a closure and did not call it: no loss was seen"),
]


@pytest.mark.parametrize(("optimizer", "error"), representatives(ERRORS, [ERRORS[1], ERRORS[2], ERRORS[4]]))
def test_an_error_of_ones_own_is_a_failed_run(
    command: Callable[..., Done], torch_like: Path, optimizer: str, error: str
) -> None:
    """What a user's optimizer raises is a failed run and exit code 1, never a method that is unavailable."""
    done, row = run_mine(command, torch_like, optimizer, "timing=off")

    assert done.code == 1
    assert (row.status, row.error) == ("failed", error)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["misnamed"], "torch_like.Renamed has no parameter lr; it takes: params, learning_rate."),
        (["demanding"], "torch_like.Demanding.step needs loss; it may need a closure and nothing else."),
        (["make_nothing"], "torch_like.make_nothing returned int; it must return a torch.optim.Optimizer."),
    ],
)
def test_a_signature_that_cannot_be_served_is_refused(
    command: Callable[..., Done], torch_like: Path, words: list[str], said: str
) -> None:
    """What cannot be called as an optimizer is refused before anything runs: one line, exit code 2."""
    done, _ = run_mine(command, torch_like, *words)

    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_schedule_that_finds_no_rate_says_so(command: Callable[..., Done], torch_like: Path) -> None:
    """A class that keeps its learning rate out of its groups fails under a schedule, in one line."""
    done, row = run_mine(command, torch_like, "hidden", "timing=off", "schedule=linear")

    assert done.code == 1
    assert row.error.startswith("the optimizer keeps no lr in its groups, so a schedule cannot set it")
