"""Gradients that are not taken as they are: clipped, or noisy. The method sees them changed, the records the true ones.

Each factory is named by ``_target_`` in ``conf/clip/*.yaml`` or ``conf/noise/*.yaml``. Where both are asked for, noise
comes first: it belongs to the gradient, and clipping to the method. Losses, and so line searches, are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gdbench.errors import UsageError
from gdbench.objectives.counter_rng import random_normals
from gdbench.optimizers.base import CompositeParts, Hyper, Method, Oracle, Step, StepFields
from gdbench.tree import Params, flatten, leaves, per_run, tree_map, unflatten

__all__ = ["Clip", "GradientTransform", "Noise", "gradient_noise", "with_gradient_transform"]

Clip = Callable[[Params, bool], Params]
"""``clip(grad, laned) -> grad``."""
Noise = Callable[[Params, Params, Step], Params]
"""``noise(grad, z, k) -> grad``, z being standard normal numbers that meet the gradient leaf by leaf."""
GradientTransform = Callable[[Params, Step, bool], Params]
"""``change(grad, k, laned) -> grad``."""

NOISE_STREAM = 0x5DEECE66D
"""What tells the noise of a seed from the batches that it draws."""


# ------------------------------------------------------------------------------------------------------------- clipping


def clip_norm(max_norm: float = 1.0) -> Clip:
    """Clip by norm, ``g min(1, max_norm / (|g| + 1e-6))``, |g| over all parameters of a run.

    Equal to torch.nn.utils.clip_grad_norm_.
    """
    limit = _check_limit("max_norm", max_norm)

    def clip(grad: Params, laned: bool) -> Params:
        scale = (limit / (_norm(grad, laned) + 1e-6)).clamp(max=1.0)
        return tree_map(lambda leaf: leaf * per_run(scale, leaf), grad)

    return clip


def clip_value(max_value: float = 1.0) -> Clip:
    """Clamp every coordinate to [-max_value, max_value], as torch.nn.utils.clip_grad_value_ does."""
    limit = _check_limit("max_value", max_value)
    return lambda grad, laned: tree_map(lambda leaf: leaf.clamp(-limit, limit), grad)


def normalise(norm: float = 1.0) -> Clip:
    """Normalise, ``norm g / |g|``, |g| over all parameters of a run; a gradient of 0 stays 0."""
    limit = _check_limit("norm", norm)

    def clip(grad: Params, laned: bool) -> Params:
        length = _norm(grad, laned)
        scale = torch.where(length > 0, limit / length, 0.0)
        return tree_map(lambda leaf: leaf * per_run(scale, leaf), grad)

    return clip


def _norm(grad: Params, laned: bool) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(flatten(grad, laned), dim=-1)
    return length


def _check_limit(name: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < math.inf:
        raise UsageError(f"clip.{name}={given}: it must be a number above 0.")
    return float(given)


# ---------------------------------------------------------------------------------------------------------------- noise


def gaussian_noise(sigma: float = 0.1) -> Noise:
    """``g + sigma z``."""
    size = _check_scale("sigma", sigma)
    return lambda grad, z, k: tree_map(lambda leaf, each: leaf + size * each.to(leaf.dtype), grad, z)


def annealed_noise(eta: float = 0.01, gamma: float = 0.55) -> Noise:
    """``g + z sqrt(eta / (1 + k)^gamma)`` (Neelakantan et al. 2015, equation 1)."""
    variance, fall = _check_scale("eta", eta), _check_scale("gamma", gamma)

    def add(grad: Params, z: Params, k: Step) -> Params:
        deviation: Hyper = (variance / (1 + k) ** fall) ** 0.5
        return tree_map(lambda leaf, each: leaf + (deviation * each).to(leaf.dtype), grad, z)

    return add


def relative_noise(sigma: float = 0.1) -> Noise:
    """``g (1 + sigma z)``, coordinate by coordinate: noise that vanishes at a minimum."""
    size = _check_scale("sigma", sigma)
    return lambda grad, z, k: tree_map(lambda leaf, each: leaf * (1 + size * each).to(leaf.dtype), grad, z)


def gradient_noise(noise: Noise, seed: Hyper) -> GradientTransform:
    """The change that a seed makes of a noise: z is a function of seed, k and coordinate, whoever asks, and when."""
    seeds = seed if isinstance(seed, Tensor) else torch.tensor(int(seed))

    def change(grad: Params, k: Step, laned: bool) -> Params:
        salted = seeds.to(leaves(grad)[0].device, torch.int64) ^ NOISE_STREAM
        each_own = laned and salted.dim() == 1
        count = flatten(grad, laned).shape[-1]
        if each_own:
            return noise(
                grad, unflatten(torch.func.vmap(lambda one: random_normals(one, k, count))(salted), grad, True), k
            )
        event = tree_map(lambda leaf: leaf[0], grad) if laned else grad  # lanes of one seed have the same noise
        return noise(grad, unflatten(random_normals(salted, k, count), event, False), k)

    return change


def _check_scale(name: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < math.inf:
        raise UsageError(f"noise.{name}={given}: it must be a number from 0 upward.")
    return float(given)


# --------------------------------------------------------------------------------------------------------- what sees it


def with_gradient_transform(method: Method, change: GradientTransform) -> Method:
    """The same method on changed gradients; what it is seen to see is the first true one of each step."""

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        changed = TransformedOracle(oracle, change, [])
        x, state, (loss, _, gradients, evaluations) = method.step(changed, k, x, state)
        return x, state, (loss, changed.true[0], gradients, evaluations)

    return method.with_step(step)


class TransformedOracle:
    """An oracle whose gradients are changed, but for those that it keeps."""

    def __init__(self, oracle: Oracle, change: GradientTransform, true: list[Params]) -> None:
        """Losses, Hessians and proximal maps stay what they are; ``true`` gets the gradients before the change."""
        self.oracle, self.change, self.true = oracle, change, true
        self.laned, self.full, self.value, self.hvp = oracle.laned, oracle.full, oracle.value, oracle.hvp
        self.split: CompositeParts | None = oracle.split
        if self.split is not None:
            self.split = self.split._replace(smooth=TransformedOracle(self.split.smooth, change, true))

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """f(x), and its gradient as the method sees it."""
        loss, grad = self.oracle.grad(x, k)
        self.true.append(grad)
        return loss, self.change(grad, k, self.laned)
