"""Clipped and noisy gradients: what the method receives, what is recorded, and that all execution modes agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.folding import folded
from support.laws import apart, manual, objective, path
from torch import Tensor

from gdbench.config.schema import AROUND
from gdbench.config.spec import CellSpec, Choice
from gdbench.engine import build
from gdbench.engine.oracle import oracle
from gdbench.engine.runner import run_cell
from gdbench.errors import UsageError
from gdbench.optimizers.gradient_transforms import (
    annealed_noise,
    clip_norm,
    clip_value,
    gaussian_noise,
    gradient_noise,
    normalise,
    relative_noise,
    with_gradient_transform,
)
from gdbench.tree import Params, leaves, select_run, stack_runs

torch.set_num_threads(1)

F64 = torch.float64
GRADS: list[Params] = [
    {
        "weight": scale * torch.tensor([[3.0, -4.0], [0.5, 2.0]], dtype=F64),
        "bias": scale * torch.tensor(-7.0, dtype=F64),
    }
    for scale in (0.01, 0.3, 10.0)
]


def torchs(clip: Any, grad: dict[str, Tensor], most: float) -> dict[str, Tensor]:
    """Clip a gradient by one of torch's functions."""
    parameters = {name: torch.zeros_like(leaf, requires_grad=True) for name, leaf in grad.items()}
    for name, leaf in grad.items():
        parameters[name].grad = leaf.clone()
    clip(parameters.values(), most)
    return {name: leaf.grad for name, leaf in parameters.items()}  # type: ignore[misc]


@pytest.mark.parametrize("grad", GRADS)
@pytest.mark.parametrize(
    ("clip", "of_torch"), [(clip_norm, torch.nn.utils.clip_grad_norm_), (clip_value, torch.nn.utils.clip_grad_value_)]
)
def test_clipping_is_torchs(clip: Any, of_torch: Any, grad: dict[str, Tensor]) -> None:
    """Norm and value clip as torch.nn.utils does, short gradients and long ones."""
    torch.testing.assert_close(clip(2.0)(grad, False), torchs(of_torch, grad, 2.0), rtol=1e-14, atol=0.0)


def test_unit_gradients_have_one_length() -> None:
    """Each gradient gets the given norm, and 0 stays 0."""
    ones = [normalise(3.0)(grad, False) for grad in GRADS]

    for grad in ones:
        assert float(torch.cat([leaf.reshape(-1) for leaf in leaves(grad)]).norm()) == pytest.approx(3.0)
    assert torch.equal(normalise()(torch.zeros(4), False), torch.zeros(4))  # type: ignore[arg-type]


@pytest.mark.parametrize("clip", [clip_norm(1.0), clip_value(1.0), normalise(1.0)])
def test_each_lane_is_clipped_by_itself(clip: Any) -> None:
    """Lanes are clipped as each would be alone."""
    together = clip(stack_runs(GRADS), True)
    for index, grad in enumerate(GRADS):
        torch.testing.assert_close(select_run(together, index), clip(grad, False), rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("noise", [gaussian_noise(0.5), annealed_noise(0.25, 0.0), relative_noise(0.5)])
def test_noise_has_its_size(noise: Any) -> None:
    """Over many coordinates and steps noise has mean 0 and the given deviation, and no step repeats another."""
    change, ones = gradient_noise(noise, 3.0), torch.ones(2000, dtype=F64)
    drawn = torch.stack([change(ones, k, False) - ones for k in range(20)])  # type: ignore[operator]

    assert float(drawn.mean()) == pytest.approx(0.0, abs=4 * 0.5 / 40000**0.5)
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.02)
    assert float(torch.corrcoef(drawn).fill_diagonal_(0).abs().max()) < 0.12


def test_annealed_noise_falls() -> None:
    """The deviation of step k is sqrt(eta / (1 + k)^gamma)."""
    change, zeros = gradient_noise(annealed_noise(0.01, 0.55), 0.0), torch.zeros(20000, dtype=F64)
    deviations = [float(change(zeros, k, False).std()) for k in (0, 9, 99)]  # type: ignore[union-attr]

    assert deviations == pytest.approx([(0.01 / (1 + k) ** 0.55) ** 0.5 for k in (0, 9, 99)], rel=0.03)


def test_noise_is_that_of_the_seed() -> None:
    """A lane draws the noise of its seed alone; lanes of one seed draw the same; another seed draws other noise."""
    seeds = [1.0, 5.0, 1.0]
    together = gradient_noise(gaussian_noise(), torch.tensor(seeds, dtype=F64))(stack_runs(GRADS), 7, True)
    shared = gradient_noise(gaussian_noise(), 5.0)(stack_runs(GRADS), 7, True)
    for index, (seed, grad) in enumerate(zip(seeds, GRADS, strict=True)):
        alone = gradient_noise(gaussian_noise(), seed)(grad, 7, False)
        torch.testing.assert_close(select_run(together, index), alone, rtol=0.0, atol=0.0)
        torch.testing.assert_close(
            select_run(shared, index), gradient_noise(gaussian_noise(), 5.0)(grad, 7, False), rtol=0.0, atol=0.0
        )
    first = [gradient_noise(gaussian_noise(), seed)(GRADS[0], 7, False)["weight"] for seed in (1.0, 5.0)]  # type: ignore[call-overload]

    assert not torch.equal(*first)


def test_the_true_gradient_is_recorded() -> None:
    """A method uses the transformed gradient and reports the true one."""
    of = objective("rosenbrock")
    method = with_gradient_transform(manual("gd", lr=0.1), lambda grad, k, laned: clip_norm(1.0)(grad, laned))
    start = of.start_at(0)
    x, _, saw = method.step(oracle(of, False), 0, start, ())
    _, grad = oracle(of, False).grad(start, 0)

    assert torch.equal(saw[1], grad)  # type: ignore[arg-type]
    assert float((x - start).norm()) == pytest.approx(0.1, rel=1e-6)  # type: ignore[operator,union-attr]


def question(impl: str, **around: Choice) -> CellSpec:
    """A cell of three seeds and two learning rates, with something around the method."""
    words = [f"{group}={choice.name}" for group, choice in around.items()]
    more = [f"{group}.{key}={value}" for group, choice in around.items() for key, value in choice.config.items()]
    asked = ["objective=rosenbrock", f"impl={impl}", "optimizer=adam", "lr=0.01,0.02", "seed=0,1,2", "steps=25"]
    (job,) = folded(*asked, "dtype=float64", "timing=off", "trace=none", *words, *more)
    return job.spec


WRAPPED = {
    "schedule": Choice("linear", {}),
    "clip": Choice("norm", {"max_norm": 5.0}),
    "noise": Choice("gaussian", {"sigma": 1.0}),
}


def losses(asked: CellSpec) -> np.ndarray:
    """The final losses of a cell's runs."""
    return np.asarray(run_cell(build.build_cell(asked)).columns["final_loss"])


def test_all_implementations_agree() -> None:
    """Manual, torch.optim and compiled steps have the same schedule, clipping and noise, in lanes or run by run."""
    ours = losses(question("manual", **WRAPPED))
    theirs = losses(question("torch", **WRAPPED))

    assert len({f"{loss:.6g}" for loss in ours}) == 6
    assert theirs == pytest.approx(ours, rel=1e-9)


@pytest.mark.slow
def test_compiled_steps_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """So do compiled steps."""
    from gdbench.engine.compile import program as compiled

    program = compiled.Program
    monkeypatch.setattr(compiled, "Program", lambda make: program(make, "eager"))

    assert losses(question("compiled", **WRAPPED)) == pytest.approx(losses(question("manual", **WRAPPED)), rel=1e-9)


def test_what_is_around_is_asked_and_told() -> None:
    """A schedule is part of the question where there is one, and of what ran; without one nothing is different."""
    bare, wrapped = question("manual"), question("manual", **WRAPPED)

    assert not bare.around
    assert not set(bare.constants()) & set(AROUND)
    assert {name: value for name, value in wrapped.constants().items() if name.partition(".")[0] in AROUND} == {
        "schedule": "linear", "schedule.start": 1.0, "schedule.end": 0.0, "schedule.over": None,
        "clip": "norm", "clip.max_norm": 5.0, "noise": "gaussian", "noise.sigma": 1.0,
    }  # fmt: skip
    assert (
        "schedule=linear, clip=norm, noise=gaussian" in run_cell(build.build_cell(wrapped)).columns["implementation"][0]
    )


def test_noise_makes_the_seed_matter() -> None:
    """Runs that differ only in the seed of their noise are all made."""
    assert build.build_cell(question("manual", noise=WRAPPED["noise"])).seed_matters()
    assert not build.build_cell(question("manual", clip=WRAPPED["clip"])).seed_matters()


def test_clipping_bounds_the_path() -> None:
    """From a steep start descent on clipped gradients stays bounded, where plain descent diverges."""
    of = objective("rosenbrock")
    plain, _ = path(manual("gd", lr=0.01), of, 3)
    clipped, _ = path(
        with_gradient_transform(manual("gd", lr=0.01), lambda grad, k, laned: clip_norm(1.0)(grad, laned)), of, 3
    )

    assert apart(clipped[-1], of.start_at(0), of.start_at(0)) < 0.03 < 1 < apart(plain[-1], plain[0], plain[0])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: clip_norm(0), "clip.max_norm=0: it must be a number above 0"),
        (lambda: clip_value(True), "clip.max_value=True: it must be a number above 0"),
        (lambda: gaussian_noise(-1), "noise.sigma=-1: it must be a number from 0 upward"),
        (lambda: annealed_noise(gamma=-1), "noise.gamma=-1: it must be a number from 0 upward"),
    ],
)
def test_refusals_teach(make: Any, said: str) -> None:
    """An invalid number is refused in one line."""
    with pytest.raises(UsageError, match=said):
        make()
