"""Small descent methods made of parts: states of every structure, whose tensors share memory, change kind or grow."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers import Hyper, Method, first_order
from gdbench.tree import per_run

Part = tuple[Callable[[Tensor], Any], Callable[[Tensor, Any, Tensor], tuple[Tensor, Any]]]
"""``init(x) -> state`` and ``update(grad, state, x) -> (direction, state)``."""


@dataclass(frozen=True)
class Frozen:
    """A state of one field, and a number beside it."""

    mean: Any
    weight: float = 0.5


@dataclass
class Open:
    """The same, not frozen."""

    mean: Any


class Named(NamedTuple):
    """A state of two fields."""

    first: Any
    second: Any


def _decayed(grad: Tensor, mean: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    mean = 0.9 * mean + grad
    return mean, mean


def _written(grad: Tensor, mean: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    return mean.mul_(0.9).add_(grad), mean


def _pair(grad: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
    mean, square = 0.9 * state[0] + grad, 0.9 * state[1] + grad**2
    return mean / (square.sqrt() + 1), (mean, square)


def _twice(x: Tensor) -> tuple[Tensor, Tensor]:
    zeros = torch.zeros_like(x)
    return zeros, zeros


def _both(grad: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
    mean = 0.9 * state[0] + 0.1 * state[1] + grad
    return mean, (mean, mean)


def _written_pair(grad: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
    state[0].mul_(0.9).add_(grad)
    state[1].mul_(0.5).add_(grad)
    return state[0] - 0.1 * state[1], state


def _window(grad: Tensor, seen: list[Tensor], x: Tensor) -> tuple[Tensor, list[Tensor]]:
    seen = [*seen[-2:], grad]
    return sum(seen[1:], seen[0]) / len(seen), seen


def _queue(grad: Tensor, seen: deque[Tensor], x: Tensor) -> tuple[Tensor, deque[Tensor]]:
    seen = deque([*seen, grad], maxlen=2)
    return seen[0] + seen[-1], seen


def _data(grad: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
    state.data.mul_(0.5)
    return grad + state, state


PARTS: dict[str, Part] = {
    "nothing": (lambda x: None, lambda grad, state, x: (grad, state)),
    "empty": (lambda x: (), lambda grad, state, x: (grad, state)),
    "last point": (lambda x: x, lambda grad, last, x: (grad - 0.5 * (x - last), x)),
    "two last points": (lambda x: (x, x), lambda grad, last, x: (grad - 0.3 * (x - last[1]), (x, last[0]))),
    "mean": (torch.zeros_like, _decayed),
    "mean in place": (torch.zeros_like, _written),
    "one tensor twice": (_twice, _pair),
    "returned twice": (_twice, _both),
    "in place twice": (_twice, _written_pair),
    "by .data": (torch.ones_like, _data),
    "number": (lambda x: 0.5, lambda grad, state, x: (grad * state, state)),
    "counter": (lambda x: 0, lambda grad, state, x: (grad / (state + 1), state + 1)),
    "counter that ends": (lambda x: 3, lambda grad, state, x: (grad * (state + 1), max(0, state - 1))),
    "nan": (lambda x: float("nan"), lambda grad, state, x: (grad, state)),
    "flag": (lambda x: False, lambda grad, state, x: (2 * grad if state else grad, not state)),
    "words": (lambda x: "odd", lambda grad, state, x: (grad, "even" if state == "odd" else "odd")),
    "count in a tensor": (lambda x: x.new_zeros(()), lambda grad, state, x: (grad / (state + 1), state + 1)),
    "growing list": (lambda x: [], lambda grad, state, x: (sum(state, grad), [*state, grad])),
    "window": (lambda x: [], _window),
    "queue": (lambda x: deque(maxlen=2), _queue),
    "frozen": (
        lambda x: Frozen(torch.zeros_like(x)),
        lambda grad, state, x: (grad + state.weight * state.mean, Frozen(0.9 * state.mean + grad)),
    ),
    "open": (
        lambda x: Open(x),
        lambda grad, state, x: (grad - 0.3 * (x - state.mean), Open(x)),
    ),
    "none, then a tensor": (
        lambda x: None,
        lambda grad, state, x: (grad if state is None else grad + 0.5 * state, grad),
    ),
    "wider": (lambda x: x.float(), lambda grad, state, x: (grad + 0.1 * state, 0.5 * state.double() + x.double())),
}
CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "list": list,
    "dict": lambda states: {f"state {place}": state for place, state in enumerate(states)},
    "nested": lambda states: {"all": [tuple(states), None]},
    "named": lambda states: Named(states[0], tuple(states[1:])),
    "dataclass": lambda states: Frozen({"inner": tuple(states)}),
}


def open_container(state: Any) -> list[Any]:
    """The states that a container of ``CONTAINERS`` holds."""
    if isinstance(state, Named):
        return [state.first, *state.second]
    if isinstance(state, Frozen):
        return list(state.mean["inner"])
    if isinstance(state, dict):
        return list(state["all"][0]) if "all" in state else list(state.values())
    return list(state)


def make_method(names: tuple[str, ...], container: str, in_place: bool, lr: Hyper) -> Method:
    """The method whose direction is the mean of those of its parts; ``in_place`` writes the new x into the old one."""
    parts, pack = [PARTS[name] for name in names], CONTAINERS[container]

    def update(k: Any, grad: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
        results = [part[1](grad, held, x) for part, held in zip(parts, open_container(state), strict=True)]
        move = per_run(lr, x) * sum(direction for direction, _ in results) / len(results)
        new: Tensor = x.sub_(move) if in_place else x - move
        return new, pack([held for _, held in results])

    return first_order(lambda x: pack([part[0](x) for part in parts]), update)


def generate(seed: int) -> tuple[str, Callable[[Hyper], Method]]:
    """The method of a number, in words, and its factory."""
    draw = random.Random(seed)
    names = tuple(draw.sample(sorted(PARTS), draw.randint(1, 3)))
    container, in_place = draw.choice(sorted(CONTAINERS)), draw.random() < 0.25
    words = f"{container} of {', '.join(names)}" + (", in place" if in_place else "")
    return words, partial(make_method, names, container, in_place)


def starts() -> dict[str, Any]:
    """Starts whose tensors share memory or lie in it otherwise than in a row."""
    shared, whole = torch.linspace(-1, 2, 4, dtype=torch.float64), torch.linspace(-2, 1, 8, dtype=torch.float64)
    return {
        "vector": shared,
        "one tensor twice": {"a": shared, "b": shared},
        "views of one": {"a": whole[:3], "b": whole[2:]},
        "expanded": torch.tensor(1.5, dtype=torch.float64).expand(3),
        "turned": whole.reshape(2, 4).t(),
        "strided": whole[::2],
        "number": torch.tensor(1.5, dtype=torch.float64),
        "dict": {"w": whole.reshape(4, 2), "b": torch.tensor(0.5, dtype=torch.float64)},
    }
