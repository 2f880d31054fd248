"""Parameters are one tensor or a dict of tensors; these few functions treat both alike.

A run alone (*solo*) has leaves of the objective's own shape, the *event*. In *lanes* every leaf shows ``[L, *event]``
through a view, while the L lanes lie last in memory, where elementwise work on them is fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

Params = Tensor | dict[str, Tensor]


def tree_map(fn: Callable[..., Tensor], tree: Params, *rest: Any) -> Params:
    """Apply ``fn`` leaf by leaf; every further tree has the shape of the first."""
    if isinstance(tree, dict):
        return {name: fn(leaf, *(other[name] for other in rest)) for name, leaf in tree.items()}
    return fn(tree, *rest)


def leaves(tree: Params) -> list[Tensor]:
    """The tensors of a tree, in the order of its keys."""
    return list(tree.values()) if isinstance(tree, dict) else [tree]


def rebuild(tree: Params, new: Iterable[Tensor]) -> Params:
    """A tree like ``tree`` that holds the tensors ``new``, which come in the order of ``leaves``."""
    if isinstance(tree, dict):
        return dict(zip(tree, new, strict=True))
    return next(iter(new))


def numel(tree: Params) -> int:
    """How many numbers a tree holds."""
    return sum(leaf.numel() for leaf in leaves(tree))


def flatten(tree: Params, laned: bool) -> Tensor:
    """All numbers of one run as a vector ``[n]``, or one vector a lane ``[L, n]``."""
    parts = [leaf.reshape(leaf.shape[0], -1) if laned else leaf.reshape(-1) for leaf in leaves(tree)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def unflatten(vector: Tensor, tree: Params, laned: bool) -> Params:
    """The inverse of ``flatten``: a vector ``[n]``, or one a lane ``[L, n]``, as a tree like ``tree``."""
    sizes = [leaf[0].numel() if laned else leaf.numel() for leaf in leaves(tree)]
    parts = torch.split(vector, sizes, dim=-1)
    return rebuild(tree, (part.reshape(leaf.shape) for part, leaf in zip(parts, leaves(tree), strict=True)))


def dot(a: Params, b: Params, laned: bool) -> Tensor:
    """The inner product over all leaves: ``[]`` solo, ``[L]`` in lanes."""
    terms = [
        (u * v).reshape(u.shape[0], -1).sum(-1) if laned else (u * v).sum()
        for u, v in zip(leaves(a), leaves(b), strict=True)
    ]
    return terms[0] if len(terms) == 1 else torch.stack(terms).sum(0)


def per_run(number: Any, leaf: Tensor) -> Any:
    """A hyper-parameter ready to meet ``leaf``: a plain number as it is, ``[L]`` as ``[L, 1, ...]`` in its dtype.

    Hyper-parameters are float64; constants derived from them are formed in float64 and cast here, last. A 0-d tensor
    counts as a number and needs no cast, which in half precision would round it, unless ``leaf`` is 0-d itself.
    """
    if not isinstance(number, Tensor):
        return number
    if number.dim() == 0 and leaf.dim():
        return number
    return number.to(leaf.dtype).to(leaf.device).reshape(number.shape + (1,) * (leaf.dim() - number.dim()))


def coordinates(point: Tensor) -> tuple[Tensor, ...]:
    """The coordinates of a point ``[n]``, or of lanes of points ``[L, n]``, each ``[]`` or ``[L]``.

    The same as ``point.unbind(-1)``, but its gradient has the lanes last in memory, where x has them.
    """
    return point.unbind(0) if point.dim() == 1 else point.movedim(-1, 0).unbind(0)


def put_lanes_last(leaf: Tensor) -> Tensor:
    """The same ``[L, *event]`` numbers, copied so that the lanes lie last in memory."""
    return leaf.movedim(0, -1).contiguous().movedim(-1, 0)


def stack_runs(trees: list[Params]) -> Params:
    """Runs of one shape as lanes of one tree, lanes last in memory."""
    return tree_map(lambda *each: put_lanes_last(torch.stack(each)), trees[0], *trees[1:])


def select_run(tree: Params, index: int) -> Params:
    """One lane of a tree, on its own memory."""
    return tree_map(lambda leaf: leaf[index].clone(memory_format=torch.contiguous_format), tree)
