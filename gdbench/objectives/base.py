"""What an objective is: a scalar function of one point, with its start and what is known of its minimum.

One family a file; each factory returns an ``Objective`` and is named by ``_target_`` in ``conf/objective/*.yaml``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from gdbench.errors import UsageError
from gdbench.objectives.counter_rng import Batch
from gdbench.objectives.starts import convert_data, convert_number, convert_point, is_plain
from gdbench.tree import Params, leaves, tree_map

__all__ = ["Objective", "Prox", "cast", "find_changed_data", "hash_data", "is_same_content", "make_generator"]

NUMBERS = ("minimum", "smoothness", "strong_convexity")
Prox = Callable[[Params, Any], Params]
"""``prox(x, t)``: the p with the least ``t g(p) + |p - x|^2 / 2``; x may hold lanes, t is a number or one a lane."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A differentiable function f with its start and, where known, its minimum.

    ``fn(x, **data)`` is written for one point x (a tensor of any shape, or a dict of tensors) and returns a scalar.
    With ``laned=True`` the same code also maps ``[L, *event]`` to ``[L]`` (verified by value before it is used).
    """

    fn: Callable[..., Tensor]
    start: Params | Callable[[int], Params]
    """The start x_0, or a function of the seed where the start is random: tensors, or arrays, lists and numbers, which
    become tensors of the same values (whole numbers and Python's floats in float64)."""
    data: Mapping[str, Tensor] = field(default_factory=dict)
    """Tensors that ``fn`` needs beside x, or arrays or lists; moved to the run's device, floating numbers cast to its
    dtype and complex ones to the complex counterpart of that (whole numbers and booleans stay what they are).

    ``fn`` changes neither these nor x in place: runs share the data.
    """
    batch: Batch | None = None
    """``batch(data, seed, k)``: the data that the gradient of step k of a run with that seed sees in their place.

    A pure function, written for one seed ``[]``; k is a number or a tensor ``[]``. Left out: all data, in every step.
    """
    project: Callable[[Params], Params] | None = None
    """Brings a point, or lanes of them, back into the domain; every step of every method ends with it."""
    prox: Prox | None = None
    """The proximal map of a part g of fn that is convex and need not be smooth; proximal methods cannot do without."""
    smooth: Callable[..., Tensor] | None = None
    """The rest, ``smooth(x, **data) = fn(x, **data) - g(x)``; left out where there is a prox: fn, g then being 0."""
    minimum: float | None = None
    minimum_kind: str | None = None
    """exact, computed (to float64 rounding), lower_bound or unknown; left out: exact if a minimum is stated."""
    minimisers: tuple[Params, ...] = ()
    smoothness: float | None = None
    """L, the largest eigenvalue of the Hessian where it is bounded; where there is a prox, of the smooth part's."""
    strong_convexity: float | None = None
    """mu, the smallest eigenvalue of the Hessian where it is bounded away from 0."""
    dtype: torch.dtype = torch.float32
    """The objective's own dtype, which ``dtype=auto`` takes."""
    laned: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        """Convert what was stated to tensors, and fill in the kind of minimum that follows from it."""
        stated: dict[str, Any] = {name: convert_number(name, getattr(self, name)) for name in NUMBERS}
        stated["data"] = {name: convert_data(f"data[{name!r}]", each) for name, each in self.data.items()}
        if not callable(self.start):
            stated["start"] = self.start if is_plain(self.start) else convert_point("start", self.start)
        start = stated.get("start")
        stated["minimisers"] = tuple(
            _convert_minimiser(f"minimisers[{i}]", m, start) for i, m in enumerate(self.minimisers)
        )
        for name, value in stated.items():
            object.__setattr__(self, name, value)
        if self.minimum_kind is None:
            object.__setattr__(self, "minimum_kind", "unknown" if self.minimum is None else "exact")

    def value(self, x: Params) -> Tensor:
        """f(x) on all data, by which runs are judged: ``[]``; with ``laned``, ``[L]`` for x of ``[L, *event]``."""
        return self.fn(x, **self.data)

    def batch_value(self, x: Params, seed: Tensor, k: int | Tensor) -> Tensor:
        """f(x) on the batch of step k of a seed ``[]``, whose gradient that step sees."""
        assert self.batch is not None
        return self.fn(x, **{**self.data, **self.batch(self.data, seed, k)})

    def start_at(self, seed: int) -> Params:
        """x_0 for a seed: a copy, which a run may change in place."""
        start = self.start(seed) if callable(self.start) else self.start
        point = start if is_plain(start) else convert_point(f"start({seed})", start)
        return tree_map(lambda leaf: leaf.detach().clone(), point)

    @property
    def has_random_start(self) -> bool:
        """Whether the start depends on the seed."""
        return callable(self.start)

    @property
    def is_stochastic(self) -> bool:
        """Whether gradients are those of a batch, which depends on the seed."""
        return self.batch is not None

    def to(self, dtype: torch.dtype, device: torch.device | str) -> Objective:
        """A copy of the objective with its start, minimisers and data in a dtype, on a device.

        Nothing of it shares memory with the original, also where neither dtype nor device differs.
        """
        start = self.start
        seeded_start: Any = lambda seed: cast(self.start_at(seed), dtype, device)  # noqa: E731
        moved: Any = seeded_start if callable(start) else cast(start, dtype, device)
        return replace(
            self,
            start=moved,
            data={name: cast(each, dtype, device) for name, each in self.data.items()},
            minimisers=tuple(cast(each, dtype, device) for each in self.minimisers),
        )


def cast(tree: Any, dtype: torch.dtype, device: torch.device | str) -> Any:
    """A copy of a tree: floating tensors in ``dtype``, complex ones in its complex counterpart, all on ``device``."""

    def copy_leaf(leaf: Tensor) -> Tensor:
        kind = dtype if leaf.is_floating_point() else dtype.to_complex() if leaf.is_complex() else leaf.dtype
        return leaf.detach().to(device=device, dtype=kind, copy=True)

    return tree_map(copy_leaf, tree)


def _convert_minimiser(name: str, given: Any, start: Any) -> Params:
    """A stated minimiser as a point in the form of the start, as far as that is known before there is a seed."""
    point: Params = given if is_plain(given) else convert_point(name, given)
    if start is None:
        return point
    both_dicts = isinstance(start, dict), isinstance(point, dict)
    names = [sorted(tree) if isinstance(tree, dict) else [] for tree in (start, point)]
    if len(set(both_dicts)) > 1 or names[0] != names[1]:
        raise UsageError(
            f"{name} is not of the form of start: {_describe_form(point)}, where start is {_describe_form(start)}."
        )
    if isinstance(point, dict):
        point = {key: point[key] for key in start}  # numbers are compared in the order of the start's names
    if [leaf.shape for leaf in leaves(point)] != [leaf.shape for leaf in leaves(start)]:
        raise UsageError(
            f"{name} is not of the shape of start: {_describe_form(point)}, where start is {_describe_form(start)};"
            " minimisers= is a tuple of points, one too: (point,)."
        )
    return point


def _describe_form(point: Params) -> str:
    if isinstance(point, dict):
        return "{" + ", ".join(f"{name}: {list(leaf.shape)}" for name, leaf in point.items()) + "}"
    return f"a tensor of shape {list(point.shape)}"


def find_changed_data(used: Objective, stated: Objective) -> str | None:
    """What of an objective's data and minimisers differs from the stated; None where nothing does.

    ``used`` is ``stated.to(dtype, device)`` after it has been used.
    """
    for name, tensor in used.data.items():
        if not _is_equal_after_cast(tensor, stated.data[name]):
            return f"its data {name!r}"
    for point, original in zip(used.minimisers, stated.minimisers, strict=True):
        if not all(map(_is_equal_after_cast, leaves(point), leaves(original))):
            return "its minimisers"
    return None


def _is_equal_after_cast(tensor: Tensor, original: Tensor) -> bool:
    """Whether a tensor holds what its original holds in the same dtype."""
    return is_same_content(tensor, original.detach().to(device=tensor.device, dtype=tensor.dtype))


def is_same_content(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers, a NaN being equal to a NaN."""
    if a.shape != b.shape or torch.equal(a, b):
        return a.shape == b.shape
    return bool(((a == b) | ((a != a) & (b != b))).all())


def make_generator(seed: int) -> torch.Generator:
    """A generator on the CPU, so that a seed means the same numbers on every device."""
    return torch.Generator().manual_seed(seed)


def hash_data(objective: Objective) -> str:
    """SHA-256 of an objective's data as they enter its loss: names, dtypes, shapes and numbers."""
    told = hashlib.sha256()
    for name, each in sorted(objective.data.items()):
        told.update(f"{name} {each.dtype} {list(each.shape)}".encode())
        told.update(each.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return told.hexdigest()


def count_coordinates(objective: Objective) -> int:
    """n, how many numbers a point of this objective holds."""
    return sum(leaf.numel() for leaf in leaves(objective.start_at(0)))
