"""Layer-wise methods, whose step sizes depend on the norms of each tensor: LARS, LAMB and NovoGrad."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import GradientInfo, Hyper, Method, RunNumber, Step, tree_method
from gdbench.optimizers.update_ops import add, ema, ema_square, safe_ratio, zeros_like
from gdbench.tree import Params, per_run, tree_map


class TreeMoments(NamedTuple):
    """Moving averages of g and g^2."""

    mean: Params
    square: Params


def tensor_norm(leaf: Tensor, info: GradientInfo) -> Tensor:
    """Norm of one tensor, one number per run."""
    return info.inner(leaf, leaf).sqrt()


def lars(lr: Hyper, momentum: Hyper = 0.9, trust: Hyper = 1e-3) -> Method:
    """LARS, ``b = momentum b + lr trust |x| / |g| g; x - b``, per tensor (You, Gitman, Ginsburg 2017).

    Where x or g is 0 the factor ``trust |x| / |g|`` is 1.
    """

    def update(k: Step, info: GradientInfo, buffer: Params, x: Params) -> tuple[Params, Params]:
        def update_buffer(old: Tensor, leaf: Tensor, grad: Tensor) -> Tensor:
            size, slope = tensor_norm(leaf, info), tensor_norm(grad, info)
            factor = torch.where(size > 0, safe_ratio(per_run(trust, size) * size, slope, 1.0), 1.0)
            return add(per_run(momentum, old) * old, lr * factor, grad)

        buffer = tree_map(update_buffer, buffer, x, info.grad)
        return tree_map(torch.sub, x, buffer), buffer

    return tree_method(lambda x, number: zeros_like(x), update)


def lamb(lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.999, eps: Hyper = 1e-6) -> Method:
    """LAMB, ``x - lr |x| / |r| r`` with Adam's step ``r = m^ / (sqrt(v^) + eps)``, per tensor (You et al. 2020).

    Where x or r is 0 the factor ``|x| / |r|`` is 1.
    """

    def update(k: Step, info: GradientInfo, state: TreeMoments, x: Params) -> tuple[Params, TreeMoments]:
        average = tree_map(lambda old, grad: ema(old, grad, beta1), state.mean, info.grad)
        square = tree_map(lambda old, grad: ema_square(old, grad, beta2), state.square, info.grad)
        up, root = 1 / (1 - beta1 ** (k + 1)), 1 / (1 - beta2 ** (k + 1))

        def move(leaf: Tensor, m: Tensor, v: Tensor) -> Tensor:
            direction = per_run(up, leaf) * m / ((per_run(root, leaf) * v).sqrt() + per_run(eps, leaf))
            size = tensor_norm(leaf, info)
            factor = torch.where(size > 0, safe_ratio(size, tensor_norm(direction, info), 1.0), 1.0)
            return add(leaf, -lr * factor, direction)

        return tree_map(move, x, average, square), TreeMoments(average, square)

    return tree_method(lambda x, number: TreeMoments(zeros_like(x), zeros_like(x)), update)


def novograd(lr: Hyper, beta1: Hyper = 0.95, beta2: Hyper = 0.98, eps: Hyper = 1e-8) -> Method:
    """NovoGrad, ``m = beta1 m + g / (sqrt(v) + eps); x - lr m``, where v averages ``|g|^2`` of the tensor.

    Ginsburg et al. 2019; in the first step ``v = |g|^2``.
    """

    def init(x: Params, number: RunNumber) -> TreeMoments:
        return TreeMoments(zeros_like(x), tree_map(lambda leaf: number(0.0), x))

    def update(k: Step, info: GradientInfo, state: TreeMoments, x: Params) -> tuple[Params, TreeMoments]:
        later = k > 0
        square = tree_map(lambda old, grad: ema(old, info.inner(grad, grad), beta2 * later), state.square, info.grad)

        def update_average(old: Tensor, grad: Tensor, v: Tensor) -> Tensor:
            scale = v.sqrt() + per_run(eps, v)
            return add(per_run(beta1, old) * old, 1 / scale, grad)

        average = tree_map(update_average, state.mean, info.grad, square)
        return tree_map(lambda leaf, m: add(leaf, -lr, m), x, average), TreeMoments(average, square)

    return tree_method(init, update)
