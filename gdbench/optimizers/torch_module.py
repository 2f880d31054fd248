"""Training of a module by a torch optimizer: its own forward and backward pass, and the optimizer's own step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer, SparseAdam

from gdbench.errors import Unavailable
from gdbench.objectives.training import Training
from gdbench.objectives.training_objective import check_loss, make_seeded_module
from gdbench.optimizers.base import HESSIAN_PRODUCT, Method, Step, StepInfo
from gdbench.optimizers.create_graph import count_differentiations
from gdbench.optimizers.gradient_transforms import GradientTransform
from gdbench.optimizers.optimizer_copy import copy_optimizer
from gdbench.optimizers.torch_construction import OptimizerSpec, public_name
from gdbench.optimizers.torch_steps import make_torch_method
from gdbench.tree import Params, leaves

__all__ = ["BatchOracle", "ComputeLoss", "ModuleState", "check_autocast", "module_method", "refuse_function"]

Point = dict[str, Tensor]
ComputeLoss = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Any]
"""``compute_loss(module, inputs, targets)``: what the user's loss returned, a scalar unless it is wrong."""


class BatchOracle(Protocol):
    """What the step of a module asks of its oracle."""

    @property
    def batch(self) -> Callable[[int], tuple[Tensor, ...]]:
        """``batch(k)``: the tensors of the batch of step k, inputs first and targets last."""
        ...


class ModuleState(NamedTuple):
    """A module, the optimizer of its parameters, and the scaler of its loss in half precision."""

    point: Point
    """The module's own parameters by name, those that are trained."""
    optimizer: Optimizer
    module: nn.Module
    scaler: GradScaler | None


def module_method(
    training: Training,
    seed: int,
    spec: OptimizerSpec,
    transform: GradientTransform | None = None,
    compute_loss: ComputeLoss | None = None,
) -> Method:
    """Build the Method that trains the module of a seed with a torch optimizer, one batch of ``oracle.batch`` a step.

    ``compute_loss`` computes the loss of a batch; None: the module is called as it is.

    x is a dict of the module's own parameters, which ``init(x)`` sets to those of x. The optimizer receives gradients
    as ``transform`` makes them; the true ones are reported. A parameter that the loss does not use has no gradient, so
    the optimizer leaves it alone, and zeros are reported.
    """

    def init(x: Params) -> ModuleState:
        module, point = build_module(training, seed, x)
        device = leaves(x)[0].device.type
        scaler = GradScaler(device) if training.autocast == "float16" else None
        if scaler is not None and (spec.uses_closure or spec.uses_graph):
            raise Unavailable(
                f"{public_name(spec.factory)} evaluates or differentiates its gradient again, which torch's GradScaler"
                " does not allow: use autocast='bfloat16'"
            )
        return ModuleState(point, spec.build(point), module, scaler)

    evaluate = make_evaluation(training, spec, transform, compute_loss or make_loss(training))

    def graph_step(oracle: Any, k: Step, x: Params, state: ModuleState) -> tuple[Params, ModuleState, StepInfo]:
        loss, grad = evaluate(oracle, k, state)
        used = [leaf for leaf in state.point.values() if leaf.grad is not None]
        slopes, count = count_differentiations([leaf.grad for leaf in used])  # type: ignore[misc]
        set_grads(used, slopes)
        state.optimizer.step()
        set_grads(used, [None] * len(used))  # a copy of the run must not reach the graph
        detached = {name: slope.detach() for name, slope in grad.items()}
        return state.point, state, StepInfo(loss, detached, 1 + HESSIAN_PRODUCT * count(), 0)

    update = update_differentiable if spec.impl == "differentiable" else make_update(training)
    return make_torch_method(spec, init, evaluate, graph_step, copy_state, update)


def build_module(training: Training, seed: int, x: Params) -> tuple[nn.Module, Point]:
    """Build the module of a seed with the parameters x, in their dtype and on their device; and its own parameters."""
    assert isinstance(x, dict)
    first = leaves(x)[0]
    module, _ = make_seeded_module(training, seed)
    module.to(device=first.device, dtype=first.dtype).train()
    point: Point = {name: leaf for name, leaf in module.named_parameters() if leaf.requires_grad}
    with torch.no_grad():
        for name, leaf in point.items():
            leaf.copy_(x[name])
    return module, point


def copy_state(x: Params, state: ModuleState) -> tuple[Params, ModuleState]:
    """Copy x and a state so that no step on the one changes the other."""
    optimizer, point, module, scaler, x = copy_optimizer(state.optimizer, state.point, state.module, state.scaler, x)
    return x, ModuleState(point, optimizer, module, scaler)


# ------------------------------------------------------------------------------------------------- gradients and update


def make_loss(training: Training) -> ComputeLoss:
    """Build the loss of a batch as the module itself computes it."""
    return lambda module, inputs, targets: training.loss(module(*inputs), targets)


def make_evaluation(
    training: Training, spec: OptimizerSpec, transform: GradientTransform | None, compute_loss: ComputeLoss
) -> Callable[[Any, Step, ModuleState], tuple[Tensor, Point]]:
    """Build the evaluation of a step's batch: loss and gradient, with ``.grad`` set for the optimizer."""
    create_graph, sparse = spec.uses_graph, issubclass(spec.kind, SparseAdam)
    backward = add_graph if create_graph else run_backward
    add = partial(add_gradients, training, make_autocast(training), compute_loss, backward)

    def evaluate(oracle: BatchOracle, k: Step, state: ModuleState) -> tuple[Tensor, Point]:
        point, optimizer, module, scaler = state
        if not module.training:
            module.train()
        for leaf in point.values():
            leaf.grad = None
        loss = add(state, oracle.batch(k))  # type: ignore[arg-type]
        if scaler is not None:
            scaler.unscale_(optimizer)
        grad = read_gradients(point) if scaler is None else clear_overflow(read_gradients(point))
        if transform is not None:
            replace_gradients(point, transform(grad, k, False))
        if sparse:
            replace_gradients(point, {name: slope.to_sparse() for name, slope in grad.items()})
        return loss, grad

    return evaluate


def add_gradients(
    training: Training,
    autocast: Callable[[Tensor], AbstractContextManager[object]],
    compute_loss: ComputeLoss,
    backward: Callable[[Tensor, Point], None],
    state: ModuleState,
    batch: tuple[Tensor, ...],
) -> Tensor:
    """Add the gradient of a batch's mean loss to ``.grad``, micro-batch by micro-batch, and return the loss."""
    point, _, module, scaler = state
    total, samples = None, len(batch[-1])
    for *inputs, targets in split_into_micro_batches(batch, training.accumulate):
        with autocast(targets):
            loss = check_loss(compute_loss(module, tuple(inputs or (targets,)), targets))
        if len(targets) < samples:
            loss = loss * (len(targets) / samples)
        backward(loss if scaler is None else scaler.scale(loss), point)
        total = loss.detach() if total is None else total + loss.detach()
    assert total is not None
    return total


def run_backward(loss: Tensor, point: Point) -> None:
    """Add the gradient of a loss to ``.grad``."""
    loss.backward()  # type: ignore[no-untyped-call]


def add_graph(loss: Tensor, point: Point) -> None:
    """Add a gradient that can be differentiated to ``.grad``: ``backward(create_graph=True)`` warns of its cycles."""
    slopes = torch.autograd.grad(loss, leaves(point), create_graph=True, allow_unused=True)
    for leaf, slope in zip(leaves(point), slopes, strict=True):
        if slope is not None:
            leaf.grad = slope if leaf.grad is None else leaf.grad + slope


def split_into_micro_batches(batch: tuple[Tensor, ...], parts: int) -> list[tuple[Tensor, ...]]:
    """Split a batch into so many micro-batches, the last of them smaller where it does not come out even."""
    return [batch] if parts == 1 else list(zip(*(part.chunk(parts) for part in batch), strict=True))


def read_gradients(point: Point) -> Point:
    """Read the gradient of every parameter; zeros where the loss did not use it."""
    grad = {name: leaf.grad for name, leaf in point.items()}
    for name, slope in grad.items():
        if slope is None:
            grad[name] = torch.zeros_like(point[name], requires_grad=False)
        elif slope.is_sparse:
            grad[name] = slope.to_dense()
    return grad  # type: ignore[return-value]


def clear_overflow(grad: Point) -> Point:
    """Zeros in place of a gradient that its scale made overflow: the scaler skips the step, and the run goes on."""
    finite = torch.stack([slope.isfinite().all() for slope in grad.values()]).all()
    return {name: torch.where(finite, slope, 0.0) for name, slope in grad.items()}


def replace_gradients(point: Point, grad: Params) -> None:
    """Set ``.grad`` of every parameter that has one."""
    for name, leaf in point.items():
        if leaf.grad is not None:
            leaf.grad = grad[name]  # type: ignore[index]


def set_grads(parameters: list[Tensor], grads: Any) -> None:
    """Set ``.grad`` of some parameters."""
    for leaf, grad in zip(parameters, grads, strict=True):
        leaf.grad = grad


def make_update(training: Training) -> Callable[[ModuleState], object]:
    """Build the update of a state by its optimizer, through the scaler where there is one."""
    if training.autocast != "float16":
        return lambda state: state.optimizer.step()

    def update(state: ModuleState) -> None:
        assert state.scaler is not None
        state.scaler.step(state.optimizer)
        state.scaler.update()

    return update


def update_differentiable(state: ModuleState) -> None:
    """Let the optimizer write to the parameters under autograd, which must not require a gradient meanwhile."""
    trained = [leaf for leaf in state.point.values() if leaf.requires_grad]
    for leaf in trained:
        leaf.requires_grad_(False)
    try:
        state.optimizer.step()
    finally:
        for leaf in trained:
            leaf.requires_grad_(True)


# ------------------------------------------------------------------------------------------------------------- autocast


def make_autocast(training: Training) -> Callable[[Tensor], AbstractContextManager[object]]:
    """Build the context of a forward pass on the device of a tensor."""
    if training.autocast is None:
        nothing = nullcontext()
        return lambda tensor: nothing
    dtype = getattr(torch, training.autocast)
    return lambda tensor: torch.autocast(tensor.device.type, dtype)


def refuse_function(training: Training) -> None:
    """Raise Unavailable where a workload asks for what a function of its parameters does not do."""
    for name in ("autocast", "accumulate"):
        if getattr(training, name) not in (None, 1):
            raise Unavailable(
                f"Training({name}={getattr(training, name)!r}) is of the module's own steps: use impl=torch"
            )


def check_autocast(training: Training, device: torch.device) -> None:
    """Raise Unavailable where a device does not train in the dtype of a workload's autocast."""
    if training.autocast == "float16" and device.type == "cpu":
        raise Unavailable("autocast='float16' needs a GPU; a CPU trains in autocast='bfloat16' or without autocast")
