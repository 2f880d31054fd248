"""The module of a workload trained by torch optimizers: its steps, copies, implementations and work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from support.training import build_training_cell, run_steps
from torch import Tensor, nn
from torch.nn import functional as F

import gdbench
from gdbench import Training
from gdbench.engine.descent import descent
from gdbench.engine.training.functional import FunctionalOracle
from gdbench.objectives.training_objective import build_training_objective
from gdbench.optimizers.torch_construction import OptimizerSpec
from gdbench.optimizers.torch_module import module_method
from gdbench.tree import leaves

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(96, 6, generator=GENERATOR)
TARGETS = INPUTS[:, :3].argmax(1)


class Tied(nn.Module):
    """A network with tied weights, a frozen layer, BatchNorm, Dropout, and an activation that it stores."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Linear(6, 6)
        self.again = nn.Linear(6, 6)
        self.again.weight = self.inside.weight
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.norm = nn.BatchNorm1d(6)
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Store an activation, which autograd made."""
        self.stored = F.relu(self.norm(self.again(F.relu(self.inside(x)))))
        return self.out(F.dropout(self.frozen(self.stored), 0.2, self.training))  # type: ignore[no-any-return]


def make_plain() -> nn.Module:
    """A network that computes each sample by itself."""
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def workload(module: Any = Tied, **more: Any) -> Training:
    """A small workload."""
    return Training(**{"module": module, "train": (INPUTS, TARGETS), "batch": 16, **more})


def adam_losses(training: Training, *words: str, steps: int = 30) -> Tensor:
    """The losses of some steps of Adam."""
    cell = build_training_cell(training, "optimizer=adam", "lr=0.01", f"steps={steps}", *words)
    return torch.stack(run_steps(cell)[0])


@pytest.mark.parametrize("optimizer", ["adam", "asgd", "lbfgs"])
def test_a_copy_goes_on_as_the_original_would(optimizer: str) -> None:
    """Steps on a copy have the same losses as on the original, and change nothing of it: buffers and ties included."""
    cell = build_training_cell(workload(), f"optimizer={optimizer}", "impl=torch", "lr=0.01", "steps=20")
    method, oracle, x = cell.solo_method(0), cell.oracle(False), cell.start(0)
    x, state = descent(method, oracle, x, range(10))
    copies = [method.copy(x, state) for _ in range(2)]
    before = [leaf.detach().clone() for leaf in state.module.state_dict().values()]
    losses: list[list[Tensor]] = [[], []]
    for kept, (point, copied) in zip(losses, copies, strict=True):
        descent(method, oracle, point, range(10, 20), copied, look=lambda k, at, info, to=kept: to.append(info.loss))

    assert torch.equal(torch.stack(losses[0]), torch.stack(losses[1]))
    assert all(map(torch.equal, before, state.module.state_dict().values()))
    module = copies[0][1].module
    assert module.again.weight is module.inside.weight
    assert {id(leaf) for leaf in leaves(copies[0][0])} < {id(leaf) for leaf in module.parameters()}


def test_what_is_frozen_stays_and_buffers_follow() -> None:
    """A parameter that requires no gradient is that of the seed's module; the running mean of BatchNorm moves."""
    cell = build_training_cell(workload(), "optimizer=adamw", "impl=torch", "optimizer.weight_decay=0.1", "steps=5")
    _, state = run_steps(cell)
    torch.manual_seed(0)
    fresh = Tied()

    assert torch.equal(state.module.frozen.weight, fresh.frozen.weight)
    assert not torch.equal(state.module.norm.running_mean, fresh.norm.running_mean)
    assert int(state.module.norm.num_batches_tracked) == 5


@pytest.mark.parametrize("impl", ["foreach", "fused", "differentiable"])
def test_implementations_agree(impl: str) -> None:
    """Every implementation of torch has the losses of the single-tensor one, to rounding."""
    assert torch.allclose(adam_losses(workload(), f"impl={impl}"), adam_losses(workload(), "impl=torch"), atol=1e-4)


@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam", "adamw"])
def test_a_module_and_its_function_have_the_same_losses(optimizer: str) -> None:
    """The steps of torch.optim on the module equal those of the pure method on torch.func, BatchNorm included."""
    losses = {}
    for impl in ("torch", "manual"):
        cell = build_training_cell(
            workload(), f"optimizer={optimizer}", f"impl={impl}", "lr=0.02", "steps=25", "dtype=float64", "clip=norm"
        )
        losses[impl] = torch.stack(run_steps(cell)[0])

    assert torch.allclose(losses["torch"], losses["manual"], rtol=1e-9, atol=0)


def test_groups_of_a_module_and_of_its_function_agree() -> None:
    """A group without weight decay and one with a larger lr mean the same in both modes, under a schedule too."""
    losses = []
    for impl in ("torch", "manual"):
        cell = build_training_cell(
            workload(),
            *("optimizer=adamw", f"impl={impl}", "lr=0.02", "steps=25", "dtype=float64", "optimizer.weight_decay=0.3"),
            *("optimizer.groups='{no_decay: {weight_decay: 0.0}, name:out.weight: {lr: 0.1, beta1: 0.5}}'",),
            "schedule=cosine",
        )
        losses.append(torch.stack(run_steps(cell)[0]))

    assert torch.allclose(*losses, rtol=1e-9, atol=0)


def test_accumulated_micro_batches_have_the_gradient_of_the_batch() -> None:
    """Micro-batches, the last one smaller, give the losses of whole batches where samples do not see each other."""
    whole, split = (adam_losses(workload(make_plain, accumulate=parts), "impl=torch") for parts in (1, 3))

    assert torch.allclose(whole, split, atol=1e-5)


def test_autocast_computes_in_bfloat16() -> None:
    """The module sees bfloat16 activations, and its losses are those of float32 to that precision."""
    seen = []

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            outputs = self.inner(x)
            seen.append(outputs.dtype)
            return outputs  # type: ignore[no-any-return]

    losses = adam_losses(workload(Watching, autocast="bfloat16"), "impl=torch")

    assert torch.bfloat16 in seen
    assert torch.allclose(losses, adam_losses(workload(lambda: nn.Linear(6, 3)), "impl=torch"), rtol=0.05)


def row(training: Training, **settings: Any) -> Mapping[str, Any]:
    """The row of a run, untimed unless asked."""
    table = gdbench.run(training, **{"impl": "torch", "steps": 12, "device": "cpu", "timing": "off", **settings})
    record: dict[str, Any] = table.iloc[0].to_dict()
    return record


def test_float16_on_a_cpu_is_unavailable(tmp_path: Any) -> None:
    """A CPU does not train in float16: the row says what to use."""
    refused = row(workload(autocast="float16"), optimizer="adam", outputs=tmp_path)

    assert refused["status"] == "unavailable"
    assert refused["error"] == (
        "autocast='float16' needs a GPU; a CPU trains in autocast='bfloat16' or without autocast"
    )


@pytest.mark.parametrize("more", [{"autocast": "bfloat16"}, {"accumulate": 2}], ids=str)
def test_a_function_refuses_what_only_a_module_does(tmp_path: Any, more: dict[str, Any]) -> None:
    """The pure methods neither cast nor accumulate: their row is unavailable and names the other way."""
    refused = row(workload(**more), optimizer="adam", impl="manual", outputs=tmp_path)

    assert refused["status"] == "unavailable"
    assert "is of the module's own steps: use impl=torch" in refused["error"]


def test_a_closure_is_called_and_counted(tmp_path: Any) -> None:
    """L-BFGS evaluates the module several times a step, all of which count."""
    done = row(workload(make_plain), optimizer="lbfgs", lr=0.5, outputs=tmp_path, timing="quick")

    assert done["gradient_evals"] > 12
    assert done["final_loss"] < done["start_loss"]


def test_a_run_is_timed(tmp_path: Any) -> None:
    """The timed pass makes the observed run, and its step takes time; there is no update apart from the gradient."""
    done = row(workload(), optimizer="adam", lr=0.01, outputs=tmp_path, timing="quick")

    assert done["step_s"] > 0
    assert done["verified_steps"] == 12
    assert done["update_s"] != done["update_s"]


class Unseeded(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Samples with noise that no seed reaches."""

    def __init__(self) -> None:
        self.generator = torch.Generator()
        self.generator.seed()

    def __len__(self) -> int:
        return len(INPUTS)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return INPUTS[index] + torch.rand(6, generator=self.generator), TARGETS[index]


def test_data_that_no_seed_reaches_are_said_to_be(tmp_path: Any) -> None:
    """A dataset with a generator of its own is not deterministic; one without is."""
    own = row(workload(train=Unseeded()), optimizer="adam", outputs=tmp_path)
    seeded = row(workload(train=torch.utils.data.StackDataset(INPUTS, TARGETS)), optimizer="adam", outputs=tmp_path)

    assert (bool(own["deterministic"]), bool(seeded["deterministic"])) == (False, True)


def test_labels_out_of_range_fail_the_row(tmp_path: Any) -> None:
    """What torch says of a label beyond the classes stands in the row, in one line."""
    failed = row(workload(train=(INPUTS, TARGETS + 9)), optimizer="adam", outputs=tmp_path)

    assert failed["status"] == "failed"
    assert "out of bounds" in failed["error"]
    assert "\n" not in failed["error"]


def test_float16_scales_the_loss_and_steps_past_overflow() -> None:
    """Gradients in float16 are those of float32 to its precision; one that overflows is left out, and reported as 0."""
    objective = build_training_objective(workload(make_plain, autocast="float16"))
    method = module_method(workload(make_plain, autocast="float16"), 0, OptimizerSpec(torch.optim.SGD, {"lr": 0.1}))
    oracle, x = FunctionalOracle.alone(make_plain(), objective, 0), objective.start_at(0)
    state = method.init(x)
    _, _, info = method.step(oracle, 0, x, state)
    plain = module_method(workload(make_plain), 0, OptimizerSpec(torch.optim.SGD, {"lr": 0.1}))
    _, _, expected = plain.step(oracle, 0, x, plain.init(x))
    _, copied = method.copy(state.point, state)
    before = state.module.state_dict()["0.weight"].clone()
    copied.scaler.scale(torch.zeros(()))  # it makes its tensors when it is first used
    copied.scaler.update(1e30)
    _, _, overflow = method.step(oracle, 1, copied.point, copied)

    assert not any(slope.any() for slope in overflow[1].values())
    assert all(torch.allclose(info[1][name], slope, atol=2e-3) for name, slope in expected[1].items())
    assert torch.equal(copied.module.state_dict()["0.weight"], before)
    assert (float(state.scaler.get_scale()), float(copied.scaler.get_scale())) == (65536.0, float(torch.tensor(5e29)))
