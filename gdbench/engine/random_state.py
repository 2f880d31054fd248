"""Global random generators: saved and restored around a cell, and set from (seed, step) where a cell draws.

User code draws from generators of the process: torch's on the CPU and on each accelerator, Python's and numpy's. Their
state is whatever ran before, so a run that draws from them would depend on it, and no seed would reach it. Where a cell
is found to draw (see ``draw_check``), those that it draws from are set to a number made of the run's seed and k before
every step k and every judgement of x_k; all others pay nothing.
"""

from __future__ import annotations

import pickle
import random
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gdbench.optimizers.base import CompositeParts, Method, Oracle, Step, StepFields
from gdbench.tree import Params

__all__ = [
    "FACTORY_STEP",
    "INIT_STEP",
    "START_STEP",
    "SeededOracle",
    "find_moved",
    "preserve_globals",
    "read_states",
    "seed_globals",
    "seed_method",
    "set_globals",
]

START_STEP, FACTORY_STEP, INIT_STEP = -1, -2, -3
"""The steps that stand for what comes before the first one: a random start, a factory's call, a method's state."""
_RUNNING = threading.RLock()
"""Generators belong to the process: cells of several threads take turns."""


class Source(NamedTuple):
    """A global generator: how its state is read and written, and how it is set to a number of 32 bits."""

    read: Callable[[], Any]
    write: Callable[[Any], object]
    seed: Callable[[int], object]


def _read_cuda() -> tuple[bytes, ...]:
    return tuple(state.numpy().tobytes() for state in torch.cuda.get_rng_state_all())


def _write_cuda(states: tuple[bytes, ...]) -> None:
    torch.cuda.set_rng_state_all([_to_state(state) for state in states])


def _to_state(state: bytes) -> Tensor:
    return torch.frombuffer(bytearray(state), dtype=torch.uint8)


SOURCES: dict[str, Source] = {
    "torch": Source(
        lambda: torch.default_generator.get_state().numpy().tobytes(),
        lambda state: torch.default_generator.set_state(_to_state(state)),
        torch.default_generator.manual_seed,
    ),
    "random": Source(random.getstate, random.setstate, random.seed),
    "numpy": Source(
        lambda: pickle.dumps(np.random.get_state(legacy=False)),  # noqa: NPY002
        lambda state: np.random.set_state(pickle.loads(state)),  # noqa: NPY002
        np.random.seed,
    ),
    "cuda": Source(_read_cuda, _write_cuda, torch.cuda.manual_seed_all),
    "mps": Source(
        lambda: torch.mps.get_rng_state().numpy().tobytes(),
        lambda state: torch.mps.set_rng_state(_to_state(state)),
        torch.mps.manual_seed,
    ),
}
"""The global generators that user code draws from, by name."""


def find_sources() -> list[str]:
    """The names of the generators that this process has; CUDA's only once it is in use, as to ask would start it."""
    there = {
        "cuda": torch.cuda.is_initialized(),  # type: ignore[no-untyped-call]
        "mps": torch.backends.mps.is_available(),
    }
    return [name for name in SOURCES if there.get(name, True)]


def read_states() -> dict[str, Any]:
    """The states of all generators."""
    return {name: SOURCES[name].read() for name in find_sources()}


def find_moved(states: Mapping[str, Any]) -> frozenset[str]:
    """The names of the generators whose state changed: something has drawn from them."""
    return frozenset(name for name, state in states.items() if SOURCES[name].read() != state)


@contextmanager
def preserve_globals() -> Iterator[None]:
    """Restore the generators on exit; other threads wait meanwhile."""
    with _RUNNING:
        states = read_states()
        try:
            yield
        finally:
            for name, state in states.items():
                SOURCES[name].write(state)


@contextmanager
def seed_globals(seed: int, step: int) -> Iterator[None]:
    """Set the generators from (seed, step) inside, and restore them on exit."""
    with preserve_globals():
        set_globals(find_sources(), seed, step)
        yield


def set_globals(names: Collection[str], seed: int, step: int) -> None:
    """Set the generators of these names from (seed, step); at no cost where there are none."""
    if names:
        number = compute_number(seed, step)
        for name in names:
            SOURCES[name].seed(number)


def compute_number(seed: int, step: int) -> int:
    """32 bits made of a seed and a step: seeds that differ by less than 2^32 never share a step's number.

    32, as torch's generator on the CPU takes no more of a seed, and numpy's none that is larger.
    """
    return mix((seed + mix(step)) & 0xFFFFFFFF)


def mix(number: int) -> int:
    """The finaliser of MurmurHash3 (Appleby 2011), which maps 32 bits one to one."""
    number &= 0xFFFFFFFF
    number = (number ^ (number >> 16)) * 0x85EBCA6B & 0xFFFFFFFF
    number = (number ^ (number >> 13)) * 0xC2B2AE35 & 0xFFFFFFFF
    return number ^ (number >> 16)


def seed_method(method: Method, seed: int, names: Collection[str]) -> Method:
    """The method whose every step k draws from (seed, k), and whose ``init`` draws from (seed, INIT_STEP)."""

    def init(x: Params) -> Any:
        set_globals(names, seed, INIT_STEP)
        return method.init(x)

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        set_globals(names, seed, int(k))
        return method.step(oracle, k, x, state)

    return replace(method, init=init, step=step)


@dataclass(frozen=True)
class SeededOracle:
    """An oracle of one run that sets the generators from (seed, k) before every call for x_k."""

    inner: Oracle
    seed: int
    names: Collection[str]

    @property
    def laned(self) -> bool:
        """Whether x holds lanes, which one that draws never does."""
        return self.inner.laned

    @property
    def full(self) -> SeededOracle | None:
        """The same on all data."""
        return None if self.inner.full is None else SeededOracle(self.inner.full, self.seed, self.names)

    @property
    def split(self) -> CompositeParts | None:
        """The objective's two parts, unchanged."""
        return self.inner.split

    def value(self, x: Params, k: Step) -> Tensor:
        """f(x)."""
        set_globals(self.names, self.seed, int(k))
        return self.inner.value(x, k)

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """f(x) and its gradient."""
        set_globals(self.names, self.seed, int(k))
        return self.inner.grad(x, k)

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        """The Hessian at x times v."""
        set_globals(self.names, self.seed, int(k))
        return self.inner.hvp(x, v, k)
