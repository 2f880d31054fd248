"""A graph for each kind of state that a compiled run goes through, compared with the eager steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from gdbench.config.user_modules import USER_ERRORS
from gdbench.engine.compile.agreement import CompiledStepError, check_agreement, nudge, seed_draws
from gdbench.engine.compile.aot_cache import load_or_build
from gdbench.engine.compile.state_structure import Form, assemble, describe_form, list_tensors, list_values
from gdbench.engine.compile.step_code import StepInputs, copy_tensors, put_lanes_first, put_lanes_last, repeat_lane
from gdbench.errors import Unavailable, describe_exception
from gdbench.optimizers.base import Method
from gdbench.tree import Params, leaves

__all__ = ["Graph", "GraphBuilder", "RunOrigin", "Stage", "StateKind", "describe_inputs"]

Graph = Callable[..., Any]
MAX_KINDS = 8
"""A state of so many kinds in as many calls is taken to change its kind in every step."""
MIN_CHECKED_CALLS = 3
"""At least this many first calls are compared with eager ones: what a graph froze shows from the second on."""


class StateKind(NamedTuple):
    """Structure, dtypes and shapes of x and state, without the number of lanes."""

    form: Form
    names: tuple[str, ...]
    """The names of x, where it is a dict."""
    shapes: tuple[Any, ...]
    """Dtype and shape of every tensor of x and state."""

    @classmethod
    def of(cls, form: Form, x: Params, inner: Sequence[Tensor], laned: bool) -> StateKind:
        """The kind of an x, and of a state of this form with these tensors."""
        names = tuple(x) if isinstance(x, dict) else ()
        lanes = leaves(x)[0].shape[-1] if laned else None
        return cls(form, names, tuple(_describe_shape(leaf, lanes) for leaf in (*leaves(x), *inner)))


def _describe_shape(leaf: Tensor, lanes: int | None) -> tuple[Any, ...]:
    of_lanes = lanes is not None and leaf.shape[-1:] == (lanes,)
    return leaf.dtype, of_lanes, tuple(leaf.shape[:-1] if of_lanes else leaf.shape)


def describe_inputs(at: StepInputs) -> tuple[Any, ...]:
    """The key of a graph of lanes beside x and state."""
    leaves, spec = tree_flatten((at.hyper, at.so_far, at.watch, at.seeds))
    return spec, *((leaf.dtype, leaf.dim(), leaf.shape[:-1]) if isinstance(leaf, Tensor) else leaf for leaf in leaves)


class RunOrigin(NamedTuple):
    """The start of a run, from which eager steps are taken for comparison."""

    x: Params
    make: Callable[..., Method]
    numbers: Mapping[str, Any]
    laned: bool

    def walk(self, oracle: Any, calls: int, count: int, number: int | None = None) -> list[list[Tensor]]:
        """What x and state hold after each of so many calls of ``count`` eager steps; each x moved by a rounding."""
        method, values, start = self.make(**self.numbers), [], _detach(self.x)
        x, state = deepcopy((start, method.begin(start, self.laned)))  # what shares memory still does
        for call in range(calls):
            try:
                with seed_draws(call):
                    for k in range(call * count, (call + 1) * count):
                        if number is not None:
                            x, _ = nudge(x, (), number + k)
                        x, state, _ = method.step(oracle, k, x, state)
            except USER_ERRORS:
                if not call:
                    raise
                break  # later calls may lie beyond the run's end; within it the run raises the same
            values.append([value.detach().clone() for value in list_values((x, state))])
        return values

    def shares_memory(self) -> bool:
        """Whether tensors of x and of the first state lie in the same memory."""
        return _is_sharing_memory((leaves(self.x), list_tensors(self.make(**self.numbers).begin(self.x, self.laned))))


class Stage(NamedTuple):
    """A graph for states of one kind, and the kind of what it returns."""

    graph: Graph
    after: StateKind


@dataclass(frozen=True)
class GraphBuilder:
    """Builds the graphs of a method's steps on an objective."""

    make: Callable[..., Method]
    numbers: Mapping[str, Any]
    oracle: Any
    code: Callable[..., Any]
    """``code(form, isolated, pack)``: see ``step_of`` and ``steps_of``."""
    backend: str | Callable[..., Any]
    laned: bool = False
    count: int = 1

    def explore(
        self, kind: StateKind, at: StepInputs, origin: RunOrigin | None, known: dict[StateKind, StateKind]
    ) -> dict[StateKind, Stage]:
        """The stages of this kind and of all that come after it; ``known`` holds the one object of each kind."""
        at = at._replace(x=copy_tensors(at.x), inner=copy_tensors(at.inner), so_far=copy_tensors(at.so_far))
        kinds, isolated, after = self._foresee(kind, at, origin, known)
        stages = {
            kind: Stage(self._graph(self.code(kind.form, isolated), inputs), after[kind])
            for kind, inputs in kinds.items()
        }
        self._check(stages, kind, at, origin)
        return stages

    def _foresee(
        self, kind: StateKind, at: StepInputs, origin: RunOrigin | None, known: dict[StateKind, StateKind]
    ) -> tuple[dict[StateKind, StepInputs], bool, dict[StateKind, StateKind]]:
        """By eager steps: inputs of each kind, whether the method writes in place, and the kind that follows each."""
        kinds: dict[StateKind, StepInputs] = {}
        after: dict[StateKind, StateKind] = {}
        writes, shares = False, origin is not None and origin.shares_memory()
        while kind not in kinds:
            if len(kinds) == MAX_KINDS:
                raise Unavailable(
                    f"torch.compile: the method's state is of another kind in each of its first {MAX_KINDS} steps (a"
                    " plain number that changes, a list or a tensor that grows); keep numbers in tensors, or try"
                    " impl=manual"
                )
            kinds[kind] = at
            given = copy_tensors((at.x, at.inner))
            following, form, shared = self._step_eagerly(kind, at, given, origin)
            writes, shares = writes or not _is_unwritten(given, (at.x, at.inner)), shares or shared
            if writes and shares:
                raise Unavailable(
                    "torch.compile: the method writes in place, and tensors of its point and state share memory, which"
                    " those of a compiled step do not; return new tensors, or try impl=manual"
                )
            new = StateKind.of(form, following.x, following.inner, self.laned)
            after[kind] = known.setdefault(new, new)
            kind, at = after[kind], following
        return kinds, writes, after

    def _step_eagerly(
        self, kind: StateKind, at: StepInputs, given: Any, origin: RunOrigin | None
    ) -> tuple[StepInputs, Form, bool]:
        """The code as a compiler will be given it, run as it is from x and state ``given``; and whether these share."""
        forms: list[Form] = []

        def pack(state: Any) -> list[Tensor]:
            forms.append(describe_form(state))
            return list_tensors(state)

        x, inner = given
        try:
            with seed_draws(0):
                x, k, inner, so_far, _ = self.code(kind.form, False, pack)(*at._replace(x=x, inner=inner))
        except Unavailable:
            raise
        except USER_ERRORS as error:
            if origin is not None:
                origin.walk(self.oracle, 1, 1)  # what the method raises of itself is the run's own failure
            reason = describe_exception(error)
            raise Unavailable(
                f"torch.compile: the method cannot step by numbers and a k that are tensors ({reason})"
            ) from error
        own = _detach(copy_tensors((x, inner, so_far)))
        return at._replace(x=own[0], k=k, inner=own[1], so_far=own[2]), forms[-1], _is_sharing_memory((x, inner))

    def _graph(self, code: Any, at: StepInputs) -> Graph:
        """The cached library where one can be had, else a graph of torch.compile's."""
        lengths = {leaf.shape[-1] for leaf in tree_flatten(at)[0] if isinstance(leaf, Tensor) and leaf.dim()}
        if self.laned and self.backend == "inductor" and len(lengths) == 1:
            library = load_or_build(code, repeat_lane(at))
            if library:
                return library
        from gdbench.engine.compile.torch_compile import compile_and_run  # which imports the compiler

        return compile_and_run(code, self.backend, at, repeat_lane(at) if self.laned else None)

    def _check(
        self, stages: Mapping[StateKind, Stage], kind: StateKind, at: StepInputs, origin: RunOrigin | None
    ) -> None:
        """Compare the first compiled calls with eager ones: each call alone, and the sequence with the eager run."""
        calls = max(MIN_CHECKED_CALLS, len(stages) + 1)
        twin = origin.walk(self.oracle, calls, self.count) if origin else None
        for call in range(calls):
            stage = stages[kind]
            try:
                with seed_draws(call):
                    x, k, inner, so_far, _ = stage.graph(*at)
                self._check_call(kind, at, (x, inner, so_far), call)
            except CompiledStepError:
                raise
            except USER_ERRORS:
                if not call:
                    raise
                return  # later calls may lie beyond the run's end; within it the run raises the same
            kind, at = stage.after, at._replace(x=x, k=k, inner=inner, so_far=so_far)
            if twin is not None and origin is not None and call < len(twin):
                self._check_twin(twin, origin, kind, at, call)

    def _check_call(self, kind: StateKind, at: StepInputs, result: Any, call: int) -> None:
        """Compare one call with the same code on the same tensors without a compiler."""

        def rerun(x: Any, inner: Any) -> list[Tensor]:
            with seed_draws(call):
                x, _, inner, so_far, _ = self.code(kind.form)(*at._replace(x=x, inner=inner))
            return _list_tensors((x, inner, so_far))

        check_agreement(
            self._name(call),
            _list_tensors(result),
            rerun(*copy_tensors((at.x, at.inner))),
            lambda number: rerun(*nudge(at.x, at.inner, number)),
            self.laned,
        )

    def _check_twin(
        self, twin: list[list[Tensor]], origin: RunOrigin, kind: StateKind, at: StepInputs, call: int
    ) -> None:
        """Compare the result of all calls so far with the method's own eager steps."""
        x, inner = put_lanes_first((at.x, at.inner)) if self.laned else (at.x, at.inner)
        ours, eager = list_values((x, assemble(kind.form, inner))), twin[call]
        compared = len(ours) if len(ours) == len(eager) else len(leaves(x))  # numbers may be tensors when compiled

        def runs_last(values: list[Tensor]) -> list[Tensor]:
            own: list[Tensor] = put_lanes_last(values[:compared]) if self.laned else values[:compared]
            return own

        check_agreement(
            self._name(call),
            runs_last(ours),
            runs_last(eager),
            lambda number: runs_last(origin.walk(self.oracle, call + 1, self.count, number)[-1]),
            self.laned,
        )

    def _name(self, call: int) -> str:
        return f"torch.compile, step {(call + 1) * self.count}"


def _list_tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor)]


def _is_sharing_memory(tree: Any) -> bool:
    """Whether two tensors of a tree lie in the same memory."""
    places = [leaf.untyped_storage()._cdata for leaf in _list_tensors(tree)]
    return len(set(places)) < len(places)


def _detach(tree: Any) -> Any:
    return tree_map_only(Tensor, torch.Tensor.detach, tree)


def _is_unwritten(tree: Any, copy: Any) -> bool:
    """Whether tensors are what they were when ``copy`` was made; autograd does not count what is written to .data."""
    here, there = _list_tensors(tree), _list_tensors(copy)
    return len(here) == len(there) and all(
        a._version == 0 and a.shape == b.shape and bool(((a == b) | (a != a)).all())
        for a, b in zip(here, there, strict=True)
    )
