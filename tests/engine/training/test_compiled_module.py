"""A module whose loss is compiled: the losses of the module itself, and the reasons where that cannot be."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gdbench
from gdbench import Training
from gdbench.engine import method_factory
from gdbench.engine.training.compiled_loss import CompiledLoss

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(96, 6, generator=GENERATOR)
TARGETS = INPUTS[:, :3].argmax(1)
FAST = "aot_eager"
"""A backend that traces forward and backward pass as inductor does, and needs no C++ compiler."""


def make_plain() -> nn.Module:
    """A network with BatchNorm and Dropout.

    Without a bias before BatchNorm, whose gradient is rounding alone: Adam makes whole steps of it.
    """
    return nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3))


class Branching(nn.Module):
    """A network whose code depends on a number that it computes, which no graph can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Double the outputs unless the sum is positive."""
        return self.out(x) if float(x.sum()) > 0 else 2 * self.out(x)  # type: ignore[no-any-return]


class Drawing(nn.Module):
    """A network that draws fewer numbers when it is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Add noise."""
        return self.out(x + (0.1 if torch.compiler.is_compiling() else torch.randn_like(x)))  # type: ignore[no-any-return]


def run(module: Any, impl: str, **settings: Any) -> Any:
    """The rows of a short run."""
    training = Training(
        module=module, train=(INPUTS[:64], TARGETS[:64]), held_out=(INPUTS[64:], TARGETS[64:]), batch=16
    )
    given = {"optimizer": "adam", "lr": 0.02, "steps": 12, "timing": "off", "judge_every": 4, **settings}
    return gdbench.run(training, impl=impl, **given)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps are written to the test's own folder."""
    monkeypatch.chdir(tmp_path)


def check_equal(**settings: Any) -> None:
    """Compare the columns of a compiled run with those of the module itself."""
    seeds = list(range(10))  # more than the graphs that torch holds of one function
    rows = {impl: run(make_plain, impl, seed=seeds, **settings) for impl in ("torch", "compiled")}

    assert rows["compiled"]["error"].isna().all()
    assert (rows["compiled"]["compile_s"] > 0).all()
    assert rows["compiled"]["implementation"].str.startswith("torch.optim.Adam(compiled)").all()
    for name in ("final_loss", "final.held_out.loss", "selected_step"):
        assert rows["compiled"][name].tolist() == pytest.approx(rows["torch"][name].tolist(), rel=1e-4), name


@pytest.mark.slow
def test_a_compiled_module_has_the_losses_of_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses, buffers and Dropout masks are those of impl=torch; all seeds share one graph."""
    monkeypatch.setattr(method_factory, "CompiledLoss", partial(CompiledLoss, backend=FAST))

    check_equal(clip="norm", schedule="cosine")


@pytest.mark.slow
def test_inductor_has_the_losses_of_the_module() -> None:
    """The same by torch's own compiler."""
    check_equal()


def test_a_compiled_module_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timed pass repeats the steps of the observed one, by the graph that this has compiled."""
    monkeypatch.setattr(method_factory, "CompiledLoss", partial(CompiledLoss, backend=FAST))
    row = run(make_plain, "compiled", timing="quick").iloc[0]

    assert row["timed"]
    assert row["step_s"] > 0


@pytest.mark.parametrize(
    ("module", "words"),
    [(Branching, "torch.compile: "), (Drawing, "torch.compile gives another loss or gradient")],
    ids=["no graph", "other draws"],
)
def test_what_cannot_be_compiled_is_unavailable(module: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows say why in one line, once for all seeds."""
    monkeypatch.setattr(method_factory, "CompiledLoss", partial(CompiledLoss, backend=FAST))
    rows = run(module, "compiled", seed=[0, 1])

    assert (rows["status"] == "unavailable").all()
    assert rows["error"].str.startswith(words).all()
    assert not rows["error"].str.contains("\n").any()
    assert rows["error"].nunique() == 1
