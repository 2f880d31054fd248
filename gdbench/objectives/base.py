"""The contract of an objective: a scalar function of one point, with its start and what is known of its minimum.

Each file holds one family. A factory returns an ``Objective`` and is named by ``_target_`` in
``conf/objective/*.yaml``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gdbench.errors import UsageError
from gdbench.objectives.counter_rng import Batch
from gdbench.objectives.point_conversion import convert_data, convert_number, convert_point, is_plain
from gdbench.tree import Params, leaves, tree_map

if TYPE_CHECKING:
    from gdbench.objectives.training import Training

__all__ = ["Objective", "Prox", "cast", "find_changed_data", "hash_data", "is_same_content", "make_generator"]

NUMBERS = ("minimum", "smoothness", "strong_convexity")
Prox = Callable[[Params, Any], Params]
"""``prox(x, t)``: the minimiser p of ``t g(p) + |p - x|^2 / 2``; x may hold lanes, t is a number or one per run."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A differentiable function f with its start and, where known, its minimum.

    ``fn(x, **data)`` is written for one point x (a tensor of any shape, or a dict of tensors) and returns a scalar.
    ``laned=True`` says that the same code also maps ``[L, *event]`` to ``[L]`` (verified by value before it is used).
    """

    fn: Callable[..., Tensor]
    start: Params | Callable[[int], Params]
    """The start x_0, or a function of the seed where the start is random. Tensors, or arrays, lists and numbers, which
    are converted to tensors of the same values (whole numbers and Python's floats to float64)."""
    data: Mapping[str, Tensor] = field(default_factory=dict)
    """Further tensors (or arrays or lists) that ``fn`` needs, moved to the run's device. Floating numbers are cast to
    the run's dtype, complex ones to its complex counterpart; whole numbers and booleans keep theirs.

    ``fn`` must change neither these nor x in place: runs share the data.
    """
    batch: Batch | None = None
    """``batch(data, seed, k)``: the data that replace those of the same names in the gradient of step k of a seed.

    A pure function, written for one seed ``[]``; k is a number or a tensor ``[]``. Without it every step uses all data.
    """
    project: Callable[[Params], Params] | None = None
    """Projects a point, or lanes of points, onto the domain; it is applied after every step of every method."""
    prox: Prox | None = None
    """The proximal map of a convex part g of fn, which need not be smooth; proximal methods need it."""
    smooth: Callable[..., Tensor] | None = None
    """The smooth part, ``smooth(x, **data) = fn(x, **data) - g(x)``; if left out beside a prox it is fn, and g is 0."""
    minimum: float | None = None
    minimum_kind: str | None = None
    """exact, computed (to float64 rounding), lower_bound or unknown; by default exact if a minimum is stated."""
    minimisers: tuple[Params, ...] = ()
    smoothness: float | None = None
    """L, the largest eigenvalue of the Hessian if it is bounded; with a prox, of the Hessian of the smooth part."""
    strong_convexity: float | None = None
    """mu, the smallest eigenvalue of the Hessian if it is bounded away from 0."""
    dtype: torch.dtype = torch.float32
    """The objective's own dtype, which ``dtype=auto`` selects."""
    laned: bool = False
    source: str = ""
    training: Training | None = None
    """The workload whose module, batches and metrics a run uses; ``fn`` is then its judged train loss."""

    def __post_init__(self) -> None:
        """Convert the fields to tensors, and fill in the kind of the minimum."""
        stated: dict[str, Any] = {name: convert_number(name, getattr(self, name)) for name in NUMBERS}
        stated["data"] = {name: convert_data(f"data[{name!r}]", values) for name, values in self.data.items()}
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
        """Evaluate f(x) on all data: ``[]``; with ``laned``, ``[L]`` for x of ``[L, *event]``."""
        return self.fn(x, **self.data)

    def batch_value(self, x: Params, seed: Tensor, k: int | Tensor) -> Tensor:
        """Evaluate f(x) on the minibatch of step k of a seed ``[]``."""
        assert self.batch is not None
        return self.fn(x, **{**self.data, **self.batch(self.data, seed, k)})

    def start_at(self, seed: int) -> Params:
        """Copy the start x_0 of a seed; a run may change the copy in place."""
        start = self.start(seed) if callable(self.start) else self.start
        point = start if is_plain(start) else convert_point(f"start({seed})", start)
        return tree_map(lambda leaf: leaf.detach().clone(), point)

    @property
    def has_random_start(self) -> bool:
        """Whether the start depends on the seed."""
        return callable(self.start)

    @property
    def is_stochastic(self) -> bool:
        """Whether gradients are those of a minibatch, which depends on the seed."""
        return self.batch is not None

    def to(self, dtype: torch.dtype, device: torch.device | str) -> Objective:
        """Copy the objective with its start, minimisers and data in a dtype, on a device.

        The copy shares no memory with the original, even if neither dtype nor device differs.
        """
        start = self.start
        seeded_start: Any = lambda seed: cast(self.start_at(seed), dtype, device)  # noqa: E731
        new_start: Any = seeded_start if callable(start) else cast(start, dtype, device)
        return replace(
            self,
            start=new_start,
            data={name: cast(tensor, dtype, device) for name, tensor in self.data.items()},
            minimisers=tuple(cast(point, dtype, device) for point in self.minimisers),
        )


def cast(tree: Any, dtype: torch.dtype, device: torch.device | str) -> Any:
    """Copy a tree with floating tensors in ``dtype``, complex ones in its complex counterpart, all on ``device``."""

    def copy_leaf(leaf: Tensor) -> Tensor:
        kind = dtype if leaf.is_floating_point() else dtype.to_complex() if leaf.is_complex() else leaf.dtype
        return leaf.detach().to(device=device, dtype=kind, copy=True)

    return tree_map(copy_leaf, tree)


def _convert_minimiser(name: str, given: Any, start: Any) -> Params:
    """Convert a stated minimiser to a point, and check it against the start where that does not depend on the seed."""
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
    """Find data or minimisers that a run has changed in place; None if there are none.

    ``used`` is ``stated.to(dtype, device)`` after the run.
    """
    for name, tensor in used.data.items():
        if not _is_equal_after_cast(tensor, stated.data[name]):
            return f"its data {name!r}"
    for point, original in zip(used.minimisers, stated.minimisers, strict=True):
        if not all(map(_is_equal_after_cast, leaves(point), leaves(original))):
            return "its minimisers"
    return None


def _is_equal_after_cast(tensor: Tensor, original: Tensor) -> bool:
    """Whether a tensor equals its original, cast to the same dtype."""
    return is_same_content(tensor, original.detach().to(device=tensor.device, dtype=tensor.dtype))


def is_same_content(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers; NaN counts as equal to NaN."""
    if a.shape != b.shape or torch.equal(a, b):
        return a.shape == b.shape
    return bool(((a == b) | ((a != a) & (b != b))).all())


def make_generator(seed: int) -> torch.Generator:
    """Make a generator on the CPU, so that a seed gives the same numbers for every device."""
    return torch.Generator().manual_seed(seed)


def hash_data(objective: Objective) -> str:
    """SHA-256 of an objective's data as they enter its loss: names, dtypes, shapes and numbers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(objective.data.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def count_coordinates(objective: Objective) -> int:
    """Count the numbers of a point, n."""
    return sum(leaf.numel() for leaf in leaves(objective.start_at(0)))
