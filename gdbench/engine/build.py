"""Build a cell from its spec: the one place where the names in a configuration become objects."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from gdbench.config.spec import CellSpec
from gdbench.config.user_modules import USER_ERRORS, import_from
from gdbench.engine.batching import check_scalar
from gdbench.engine.cell import Cell
from gdbench.engine.device import resolve_device
from gdbench.engine.hyper_parameters import make_hyper_columns
from gdbench.engine.method_factory import make_method_factory
from gdbench.engine.objective_factory import build_objective, load_objective
from gdbench.engine.random_state import preserve_globals
from gdbench.engine.torch_globals import apply_settings, isolate_settings
from gdbench.engine.training.best_weights import check_keep
from gdbench.engine.training.judging_schedule import choose_interval
from gdbench.engine.training.target_reached import check_metrics, choose_target
from gdbench.errors import Unavailable, UsageError, describe_exception
from gdbench.objectives.base import Objective, find_changed_data, is_same_content
from gdbench.objectives.point_conversion import find_overflow
from gdbench.tree import leaves, tree_map

__all__ = ["build_cell", "check_cell"]


@preserve_globals()
def build_cell(spec: CellSpec) -> Cell:
    """The cell of a spec. Raises Unavailable where this machine, torch or the method cannot run it."""
    device = resolve_device(spec.device)
    built = build_objective(spec)
    apply_settings(built.settings)
    stated = built.objective
    dtype = stated.dtype if spec.dtype == "auto" else getattr(torch, spec.dtype)
    if device.type == "mps" and dtype == torch.float64:
        raise Unavailable("MPS has no float64; use dtype=float32")
    if refusal := _find_unrepresentable(spec, stated, dtype):
        raise Unavailable(refusal)
    check_metrics(spec, stated)
    check_keep(spec.keep, stated)
    interval = choose_interval(spec.judge_every, stated)
    if spec.exact and interval > 1 and spec.impl == "compiled":
        raise Unavailable("exact=true makes single steps again, which compiled steps are not: use impl=manual")
    return Cell(
        stated=stated,
        make_method=make_method_factory(spec, stated),
        hyper=make_hyper_columns(spec, stated),
        seeds=spec.seeds(),
        steps=spec.steps,
        dtype=dtype,
        device=device,
        target=spec.target,
        target_loss=spec.target_loss,
        start_noise=spec.start_noise,
        maximize=bool(spec.optimizer_config.get("maximize", False)),
        trace=spec.trace,
        judge_every=interval,
        target_metric=choose_target(spec, stated),
        exact=spec.exact,
        keeps_weights=spec.keep is not None,
        seconds=spec.timing.seconds,
        noisy="noise" in spec.around,
    )


def _find_unrepresentable(spec: CellSpec, stated: Objective, dtype: torch.dtype) -> str | None:
    """A message naming a value of the objective's start or data that overflows in the dtype; None if none does."""
    try:
        start = stated.start_at(int(spec.seeds()[0]))
    except UsageError:
        raise
    except USER_ERRORS:  # a start that raises is a result: a row will say so
        return None
    for name, tree in {"start": start, **{f"data[{name!r}]": leaf for name, leaf in stated.data.items()}}.items():
        if (value := find_overflow(tree, dtype)) is not None:
            words = str(dtype).removeprefix("torch.")
            return f"{name} of objective={spec.objective} holds {value:g}, which {words} cannot; use a wider dtype"
    return None


@preserve_globals()
def check_cell(spec: CellSpec, evaluate: bool = True) -> None:
    """Check a cell's configuration before anything runs. Raises ``UsageError`` in one line.

    An objective that raises is not an error here: it is a result, and becomes a row. Without ``evaluate`` it is not
    called, as it may not return.
    """
    with import_from(spec.code), isolate_settings():
        with _word_in_one_line(f"objective={spec.objective}"):
            stated = load_objective(spec)
        with (
            _word_in_one_line(f"optimizer={spec.optimizer}"),
            contextlib.suppress(Unavailable),
        ):  # a row will say so
            make_method_factory(spec, stated)
        with contextlib.suppress(Unavailable):
            make_hyper_columns(spec, stated)
        check_metrics(spec, stated)
        check_keep(spec.keep, stated)
        if evaluate:
            _check_value(spec)


def _check_value(spec: CellSpec) -> None:
    """``UsageError`` unless the objective's value is a scalar and its evaluation changes nothing in place."""
    built = build_objective(spec)
    apply_settings(built.settings)
    stated = built.objective
    used = stated.to(stated.dtype, "cpu")
    try:
        start = used.start_at(0)
        point = tree_map(lambda leaf: leaf.clone().requires_grad_(), start)
        value = used.value(point)
    except UsageError as error:
        raise UsageError(f"objective={spec.objective}: {error}") from None
    except USER_ERRORS:
        return
    changed = find_changed_data(used, stated)
    if not all(map(is_same_content, leaves(start), map(torch.detach, leaves(point)))):
        changed = "the point x"
    if changed:
        raise UsageError(
            f"objective={spec.objective} changes {changed} in place: it must compute with new tensors"
            " (x.clamp(-1, 1) rather than x.data.clamp_(-1, 1))."
        )
    try:
        check_scalar(value, point)
    except UsageError as error:
        raise UsageError(f"objective={spec.objective}: {error}") from None
    except USER_ERRORS:
        return
    if spec.dtype == "auto" and (refusal := _find_unrepresentable(spec, stated, stated.dtype)):
        raise UsageError(f"{refusal}, such as dtype=float64.")  # a dtype that was asked for makes a row that says so


@contextlib.contextmanager
def _word_in_one_line(what: str) -> Iterator[None]:
    """Turn an exception of a factory into a ``UsageError`` of one line."""
    try:
        yield
    except UsageError:
        raise
    except USER_ERRORS as error:
        raise UsageError(f"{what} cannot be made ({describe_exception(error)}).") from error
