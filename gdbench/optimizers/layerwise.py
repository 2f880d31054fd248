"""Methods that treat each tensor of the parameters as a whole: by its norm, or by the two sides of a matrix."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import At, Hyper, Method, Number, Step, whole
from gdbench.optimizers.update_ops import add, mean, mean_square, ratio, zeros
from gdbench.tree import Params, per_lane, tree_map


class Buffers(NamedTuple):
    """The momentum buffer."""

    buffer: Params


class Pairs(NamedTuple):
    """Moving averages of g and g^2."""

    mean: Params
    square: Params


def norm(leaf: Tensor, at: At) -> Tensor:
    """The norm of one tensor, a number a lane."""
    return at.inner(leaf, leaf).sqrt()


def lars(lr: Hyper, momentum: Hyper = 0.9, trust: Hyper = 1e-3) -> Method:
    """LARS, ``b = momentum b + lr trust |x| / |g| g; x - b``, tensor by tensor (You, Gitman, Ginsburg 2017).

    Where x or g is 0 the factor ``trust |x| / |g|`` is 1.
    """

    def update(k: Step, at: At, state: Buffers, x: Params) -> tuple[Params, Buffers]:
        def pushed(old: Tensor, leaf: Tensor, grad: Tensor) -> Tensor:
            size, slope = norm(leaf, at), norm(grad, at)
            factor = torch.where(size > 0, ratio(per_lane(trust, size) * size, slope, 1.0), 1.0)
            return add(per_lane(momentum, old) * old, lr * factor, grad)

        buffer = tree_map(pushed, state.buffer, x, at.grad)
        return tree_map(torch.sub, x, buffer), Buffers(buffer)

    return whole(lambda x, number: Buffers(zeros(x)), update)


def lamb(lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.999, eps: Hyper = 1e-6) -> Method:
    """LAMB, ``x - lr |x| / |r| r`` with Adam's step ``r = m^ / (sqrt(v^) + eps)``, tensor by tensor (You et al. 2020).

    Where x or r is 0 the factor ``|x| / |r|`` is 1.
    """

    def update(k: Step, at: At, state: Pairs, x: Params) -> tuple[Params, Pairs]:
        average = tree_map(lambda old, grad: mean(old, grad, beta1), state.mean, at.grad)
        square = tree_map(lambda old, grad: mean_square(old, grad, beta2), state.square, at.grad)
        up, root = 1 / (1 - beta1 ** (k + 1)), 1 / (1 - beta2 ** (k + 1))

        def move(leaf: Tensor, m: Tensor, v: Tensor) -> Tensor:
            way = per_lane(up, leaf) * m / ((per_lane(root, leaf) * v).sqrt() + per_lane(eps, leaf))
            size = norm(leaf, at)
            return add(leaf, -lr * torch.where(size > 0, ratio(size, norm(way, at), 1.0), 1.0), way)

        return tree_map(move, x, average, square), Pairs(average, square)

    return whole(lambda x, number: Pairs(zeros(x), zeros(x)), update)


def novograd(lr: Hyper, beta1: Hyper = 0.95, beta2: Hyper = 0.98, eps: Hyper = 1e-8) -> Method:
    """NovoGrad, ``m = beta1 m + g / (sqrt(v) + eps); x - lr m``, v averaging the tensor's ``|g|^2``.

    Ginsburg et al. 2019; at first ``v = |g|^2``.
    """

    def init(x: Params, number: Number) -> Pairs:
        return Pairs(zeros(x), tree_map(lambda leaf: number(0.0), x))

    def update(k: Step, at: At, state: Pairs, x: Params) -> tuple[Params, Pairs]:
        later = k > 0
        square = tree_map(lambda old, grad: mean(old, at.inner(grad, grad), beta2 * later), state.square, at.grad)

        def pushed(old: Tensor, grad: Tensor, v: Tensor) -> Tensor:
            scale = v.sqrt() + per_lane(eps, v)
            return add(per_lane(beta1, old) * old, 1 / scale, grad)

        average = tree_map(pushed, state.mean, at.grad, square)
        return tree_map(lambda leaf, m: add(leaf, -lr, m), x, average), Pairs(average, square)

    return whole(init, update)
