"""Functions of a *tree*: a point, gradient or state that is one tensor or a dict of tensors (its *leaves*).

One run alone (*solo*) has leaves of the objective's own shape, called the *event*. When L runs are stepped at once they
are called *lanes*: every leaf then has the shape ``[L, *event]``. It is a view of memory in which the lanes lie last,
where elementwise operations on them are fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

Params = Tensor | dict[str, Tensor]


def tree_map(fn: Callable[..., Tensor], tree: Params, *rest: Any) -> Params:
    """Apply ``fn`` to each leaf; further trees, of the same structure, give further arguments."""
    if isinstance(tree, dict):
        return {name: fn(leaf, *(other[name] for other in rest)) for name, leaf in tree.items()}
    return fn(tree, *rest)


def leaves(tree: Params) -> list[Tensor]:
    """List the tensors of a tree, in the order of its keys."""
    return list(tree.values()) if isinstance(tree, dict) else [tree]


def rebuild(tree: Params, new: Iterable[Tensor]) -> Params:
    """Build a tree with the keys of ``tree`` from the tensors ``new``, which are in the order of ``leaves``."""
    if isinstance(tree, dict):
        return dict(zip(tree, new, strict=True))
    return next(iter(new))


def numel(tree: Params) -> int:
    """Count the numbers in a tree."""
    return sum(leaf.numel() for leaf in leaves(tree))


def flatten(tree: Params, laned: bool) -> Tensor:
    """Concatenate all numbers of a run to a vector ``[n]``; in lanes ``[L, n]``."""
    parts = [leaf.reshape(leaf.shape[0], -1) if laned else leaf.reshape(-1) for leaf in leaves(tree)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def unflatten(vector: Tensor, tree: Params, laned: bool) -> Params:
    """Split a vector ``[n]``, or ``[L, n]`` in lanes, into a tree with the shapes of ``tree``: undo ``flatten``."""
    sizes = [leaf[0].numel() if laned else leaf.numel() for leaf in leaves(tree)]
    parts = torch.split(vector, sizes, dim=-1)
    return rebuild(tree, (part.reshape(leaf.shape) for part, leaf in zip(parts, leaves(tree), strict=True)))


def dot(a: Params, b: Params, laned: bool) -> Tensor:
    """Inner product over all leaves: ``[]`` for one run, ``[L]`` in lanes."""
    terms = [
        (u * v).reshape(u.shape[0], -1).sum(-1) if laned else (u * v).sum()
        for u, v in zip(leaves(a), leaves(b), strict=True)
    ]
    return terms[0] if len(terms) == 1 else torch.stack(terms).sum(0)


def per_run(number: Any, leaf: Tensor) -> Any:
    """Shape a hyper-parameter for arithmetic with ``leaf``: ``[L]`` (one number per run) becomes ``[L, 1, ...]``.

    A plain number is returned as it is. Hyper-parameters are float64: compute constants from them in float64, and cast
    them here, last. A 0-d tensor counts as a number and is not cast, which would round it in half precision, unless
    ``leaf`` is 0-d itself.
    """
    if not isinstance(number, Tensor):
        return number
    if number.dim() == 0 and leaf.dim():
        return number
    return number.to(leaf.dtype).to(leaf.device).reshape(number.shape + (1,) * (leaf.dim() - number.dim()))


def coordinates(point: Tensor) -> tuple[Tensor, ...]:
    """The coordinates of a point ``[n]``, each ``[]``; in lanes of points ``[L, n]``, each ``[L]``.

    Equal to ``point.unbind(-1)``, but its gradient has the lanes last in memory, as x does, and is computed faster.
    """
    return point.unbind(0) if point.dim() == 1 else point.movedim(-1, 0).unbind(0)


def put_lanes_last(leaf: Tensor) -> Tensor:
    """Copy a leaf ``[L, *event]`` so that the lanes lie last in memory."""
    return leaf.movedim(0, -1).contiguous().movedim(-1, 0)


def stack_runs(trees: list[Params]) -> Params:
    """Stack the trees of several runs to one tree of lanes, with the lanes last in memory."""
    return tree_map(lambda *leaves: put_lanes_last(torch.stack(leaves)), trees[0], *trees[1:])


def select_run(tree: Params, index: int) -> Params:
    """Copy one run out of a tree of lanes."""
    return tree_map(lambda leaf: leaf[index].clone(memory_format=torch.contiguous_format), tree)
