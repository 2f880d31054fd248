"""Gradient transforms, clipping and noise: the method receives transformed gradients, and the true ones are recorded.

Each factory is named by ``_target_`` in ``conf/clip/*.yaml`` or ``conf/noise/*.yaml``. With both, noise is added first:
it is part of the gradient, and clipping of the method. Losses, and so line searches, are not changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gdbench.objectives.counter_rng import random_normals
from gdbench.optimizers.base import CompositeParts, Hyper, Method, Oracle, Step, StepFields
from gdbench.optimizers.validation import check_nonnegative
from gdbench.tree import Params, flatten, leaves, per_run, tree_map, unflatten

__all__ = ["Clip", "GradientTransform", "Noise", "gradient_noise", "with_gradient_transform"]

Clip = Callable[[Params, bool], Params]
"""``clip(grad, laned) -> grad``."""
Noise = Callable[[Params, Params, Step], Params]
"""``noise(grad, z, k) -> grad``, where z holds standard normal numbers in the structure of the gradient."""
GradientTransform = Callable[[Params, Step, bool], Params]
"""``change(grad, k, laned) -> grad``."""

NOISE_STREAM = 0x5DEECE66D
"""XORed into a seed, so that its noise is independent of the minibatches that it draws."""


# ------------------------------------------------------------------------------------------------------------- clipping


def clip_norm(max_norm: float = 1.0) -> Clip:
    """Clip by norm, ``g min(1, max_norm / (|g| + 1e-6))``, |g| over all parameters of a run.

    Equal to torch.nn.utils.clip_grad_norm_, on one run to the last bit.
    """
    limit = check_nonnegative("clip.max_norm", max_norm, above=True)

    def clip(grad: Params, laned: bool) -> Params:
        scale = (limit / (_norm(grad, laned) + 1e-6)).clamp(max=1.0)
        return tree_map(lambda leaf: leaf * per_run(scale, leaf), grad)

    return clip


def clip_value(max_value: float = 1.0) -> Clip:
    """Clamp every coordinate to [-max_value, max_value], as torch.nn.utils.clip_grad_value_ does."""
    limit = check_nonnegative("clip.max_value", max_value, above=True)
    return lambda grad, laned: tree_map(lambda leaf: leaf.clamp(-limit, limit), grad)


def normalise(norm: float = 1.0) -> Clip:
    """Normalise, ``norm g / |g|``, |g| over all parameters of a run; a gradient of 0 stays 0."""
    limit = check_nonnegative("clip.norm", norm, above=True)

    def clip(grad: Params, laned: bool) -> Params:
        length = _norm(grad, laned)
        scale = torch.where(length > 0, limit / length, 0.0)
        return tree_map(lambda leaf: leaf * per_run(scale, leaf), grad)

    return clip


def _norm(grad: Params, laned: bool) -> Tensor:
    """The norm over all parameters as torch computes it: of the norms of the tensors."""
    norms = [
        torch.linalg.vector_norm(leaf.reshape(leaf.shape[0], -1) if laned else leaf.reshape(-1), dim=-1)
        for leaf in leaves(grad)
    ]
    length: Tensor = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms, dim=-1), dim=-1)
    return length


# ---------------------------------------------------------------------------------------------------------------- noise


def gaussian_noise(sigma: float = 0.1) -> Noise:
    """Gaussian noise of constant size, ``g + sigma z``."""
    size = check_nonnegative("noise.sigma", sigma)
    return lambda grad, z, k: tree_map(lambda leaf, normal: leaf + size * normal.to(leaf.dtype), grad, z)


def annealed_noise(eta: float = 0.01, gamma: float = 0.55) -> Noise:
    """Gaussian noise whose variance decreases, ``g + z sqrt(eta / (1 + k)^gamma)`` (Neelakantan et al. 2015)."""
    variance, decay = check_nonnegative("noise.eta", eta), check_nonnegative("noise.gamma", gamma)

    def add(grad: Params, z: Params, k: Step) -> Params:
        deviation: Hyper = (variance / (1 + k) ** decay) ** 0.5
        return tree_map(lambda leaf, normal: leaf + (deviation * normal).to(leaf.dtype), grad, z)

    return add


def relative_noise(sigma: float = 0.1) -> Noise:
    """Multiplicative Gaussian noise per coordinate, ``g (1 + sigma z)``, which vanishes at a minimum."""
    size = check_nonnegative("noise.sigma", sigma)
    return lambda grad, z, k: tree_map(lambda leaf, normal: leaf * (1 + size * normal).to(leaf.dtype), grad, z)


def gradient_noise(noise: Noise, seed: Hyper) -> GradientTransform:
    """Build the transform that adds the noise of a seed, or of one seed per run.

    z is a pure function of seed, k and coordinate, so the noise is the same in every execution mode.
    """
    seeds = seed if isinstance(seed, Tensor) else torch.tensor(int(seed))

    def add_noise(grad: Params, k: Step, laned: bool) -> Params:
        salted = seeds.to(leaves(grad)[0].device, torch.int64) ^ NOISE_STREAM
        count = flatten(grad, laned).shape[-1]
        if laned and salted.dim() == 1:
            return noise(
                grad, unflatten(torch.func.vmap(lambda one: random_normals(one, k, count))(salted), grad, True), k
            )
        event = tree_map(lambda leaf: leaf[0], grad) if laned else grad  # runs of one seed have the same noise
        return noise(grad, unflatten(random_normals(salted, k, count), event, False), k)

    return add_noise


# ------------------------------------------------------------------------------------------------------------- wrapping


def with_gradient_transform(method: Method, transform: GradientTransform) -> Method:
    """Wrap a method so that it receives transformed gradients; the first true gradient of each step is reported."""

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        transformed = TransformedOracle(oracle, transform, [])
        x, state, (loss, _, gradients, evaluations) = method.step(transformed, k, x, state)
        return x, state, (loss, transformed.gradients[0], gradients, evaluations)

    return method.with_step(step)


class TransformedOracle:
    """An oracle that returns transformed gradients and collects the true ones."""

    def __init__(self, oracle: Oracle, transform: GradientTransform, gradients: list[Params]) -> None:
        """Losses, Hessian products and proximal maps are not changed; ``gradients`` collects the true gradients."""
        self.oracle, self.transform, self.gradients = oracle, transform, gradients
        self.laned, self.full, self.value, self.hvp = oracle.laned, oracle.full, oracle.value, oracle.hvp
        self.split: CompositeParts | None = oracle.split
        if self.split is not None:
            self.split = self.split._replace(smooth=TransformedOracle(self.split.smooth, transform, gradients))

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """Evaluate f(x) and its gradient, and return the gradient transformed."""
        loss, grad = self.oracle.grad(x, k)
        self.gradients.append(grad)
        return loss, self.transform(grad, k, self.laned)
