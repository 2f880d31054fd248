"""A copy of a torch optimizer continues as the original does, whatever attributes its class has."""

from __future__ import annotations

import random
import weakref
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from support.laws import objective, same
from support.tiers import representatives
from torch import Tensor
from torch.optim import Optimizer

from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.errors import Unavailable
from gdbench.optimizers import Method
from gdbench.optimizers.torch_optim import torch_optim
from gdbench.tree import Params, leaves

torch.set_num_threads(1)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def set_generators(number: int) -> None:
    """Set the global generators of torch, Python and numpy."""
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002


def go_on(method: Method, of: Any, x: Params, state: Any, steps: range) -> list[Tensor]:
    """The points of further steps; the global generators are restored afterwards."""
    ask, points = oracle(of, laned=False), []
    set_generators(steps.start)
    for k in steps:
        x, state = descent(method, ask, x, range(k, k + 1), state)
        points += [leaf.detach().clone() for leaf in leaves(x)]
    return points


def parts_ways(method: Method, of: Any) -> list[str]:
    """Which of a copy, the original and an unused copy continues otherwise than without any copy."""
    start, ask = of.start_at(0), oracle(of, laned=False)
    set_generators(0)
    alone = go_on(method, of, *descent(method, ask, start, range(5)), range(5, 12))
    set_generators(0)
    x, state = descent(method, ask, start, range(5))
    pairs = {"copy": method.copy(x, state), "original": (x, state), "later copy": method.copy(x, state)}
    return [who for who, pair in pairs.items() if not all(map(same, alone, go_on(method, of, *pair, range(5, 12))))]


def is_class(value: Any) -> bool:
    """Whether a name of a package is an optimizer to be used."""
    return isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer


def all_classes(package: str) -> dict[str, type[Optimizer]]:
    """Every optimizer class of torch.optim, or of the package pytorch_optimizer."""
    module = torch.optim if package == "torch" else pytest.importorskip(package)
    return {name: cls for name, cls in sorted(vars(module).items()) if is_class(cls)}


@pytest.mark.parametrize("package", representatives(["torch", "pytorch_optimizer"], ["torch"]))
def test_every_class_of_torch_and_of_pytorch_optimizer_goes_on_from_a_copy(package: str) -> None:
    """For every class that can make five steps, a copy and the original continue bit for bit as without any copy."""
    of, ran, wrong = objective("dict"), 0, {}
    for name, cls in all_classes(package).items():
        method = torch_optim(cls, {"lr": 1e-3})
        try:
            descent(method, oracle(of, laned=False), of.start_at(0), range(5))
        except Exception:  # it needs other arguments, a matrix or a closure that it does not ask for
            continue
        ran += 1
        wrong |= {name: parted} if (parted := parts_ways(method, of)) else {}

    assert wrong == {}
    assert ran >= 10


class Own(torch.optim.SGD):
    """A class of a user's own; each below keeps something in an attribute that its next step depends on."""

    def __init__(self, params: Any, lr: float = 1e-3) -> None:
        super().__init__(params, lr=lr, momentum=0.9)
        self.parameters = [leaf for group in self.param_groups for leaf in group["params"]]
        self._keep()

    def _keep(self) -> None:
        """Make the attribute."""

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Add the attribute's value to the parameters."""
        super().step()
        for leaf in self.parameters:
            leaf.add_(self._shift(leaf))

    def _shift(self, leaf: Tensor) -> Any:
        """The attribute's value for a parameter, which changes the attribute."""
        raise NotImplementedError


class Shadow(Own):
    """An average of the parameters, by parameter."""

    def _keep(self) -> None:
        self.shadow = {leaf: leaf.detach().clone() for leaf in self.parameters}

    def _shift(self, leaf: Tensor) -> Any:
        return 0.1 * (self.shadow[leaf].lerp_(leaf, 0.1) - leaf)


class ByIdentity(Own):
    """The same, by the identity of the parameter."""

    def _keep(self) -> None:
        self.shadow = {id(leaf): leaf.detach().clone() for leaf in self.parameters}

    def _shift(self, leaf: Tensor) -> Any:
        return 0.1 * (self.shadow[id(leaf)].lerp_(leaf, 0.1) - leaf)


class Counter(Own):
    """A number, and a list of numbers."""

    def _keep(self) -> None:
        self.count, self.history = 0, [0.0]

    def _shift(self, leaf: Tensor) -> Any:
        self.count += 1
        self.history.append(self.history[-1] + self.count)
        return 1e-6 * self.history[-1]


class Alias(Own):
    """A list of the tensors of the state, and a view of one of them."""

    def _keep(self) -> None:
        for leaf in self.parameters:
            self.state[leaf]["sum"] = torch.zeros_like(leaf)
        self.sums = [self.state[leaf]["sum"].view(-1) for leaf in self.parameters]

    def _shift(self, leaf: Tensor) -> Any:
        for flat in self.sums:
            flat += 1e-3
        return self.state[leaf]["sum"]


class Drawing(Own):
    """A generator of torch's, and one of numpy's."""

    def _keep(self) -> None:
        self.generator, self.rng = torch.Generator().manual_seed(3), np.random.default_rng(3)

    def _shift(self, leaf: Tensor) -> Any:
        return 1e-3 * (torch.rand((), generator=self.generator, dtype=leaf.dtype) + self.rng.random())


class Closure(Own):
    """A function that closes over a parameter and a counter, and a lambda with a default."""

    def _keep(self) -> None:
        total, first = [0.0], self.parameters[0]

        def count() -> Tensor:
            total[0] += 1e-3
            return total[0] * first.detach().sum().tanh()

        self.count, self.mean = count, lambda leaf=first: leaf.detach().mean()

    def _shift(self, leaf: Tensor) -> Any:
        return 1e-2 * (self.count() + self.mean())


class Hooked(Own):
    """A hook before each step, a bound method, and one that is a partial."""

    def _keep(self) -> None:
        self.calls = 0
        self.register_step_pre_hook(self.note)
        self.register_step_pre_hook(partial(Hooked.note, self))

    def note(self, *_: Any) -> None:
        """Count a call."""
        self.calls += 1

    def _shift(self, leaf: Tensor) -> Any:
        return 1e-4 * self.calls


class Nested(Own):
    """Another optimizer of the same parameters, which keeps an average of its own, and its scheduler."""

    def _keep(self) -> None:
        self.inner = Shadow(self.parameters, lr=1e-3)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.inner, 0.9)

    def _shift(self, leaf: Tensor) -> Any:
        self.inner.step()
        self.scheduler.step()
        return 0.0


class Weak(Own):
    """A weak reference to a parameter, and one to itself."""

    def _keep(self) -> None:
        self.first, self.me = weakref.ref(self.parameters[0]), weakref.ref(self)

    def _shift(self, leaf: Tensor) -> Any:
        first, me = self.first(), self.me()
        assert first is not None
        assert me is self
        return 1e-3 * first.detach().mean()


KEEPING = [Shadow, ByIdentity, Counter, Alias, Drawing, Closure, Hooked, Nested, Weak]


@pytest.mark.parametrize("cls", KEEPING)
def test_a_copy_has_what_a_class_keeps_beside_its_state(cls: type[Own]) -> None:
    """An attribute of any kind goes into the copy, which takes the steps that the original takes."""
    assert parts_ways(torch_optim(cls, {"lr": 1e-3}), objective("dict")) == []


class Unfinished(Own):
    """A Python generator, which cannot be copied."""

    def _keep(self) -> None:
        self.numbers = (1e-3 * k for k in range(100))

    def _shift(self, leaf: Tensor) -> Any:
        return next(self.numbers)


class ByAddress(Own):
    """An average by the address of a parameter's memory."""

    def _keep(self) -> None:
        self.shadow = {leaf.data_ptr(): leaf.detach().clone() for leaf in self.parameters}

    def _shift(self, leaf: Tensor) -> Any:
        return 0.1 * (self.shadow[leaf.data_ptr()].lerp_(leaf, 0.1) - leaf)


class Bound(Own):
    """A method of a tensor."""

    def _keep(self) -> None:
        self.total = torch.zeros((), dtype=torch.float64).add_

    def _shift(self, leaf: Tensor) -> Any:
        return self.total(1e-3)


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        (Unfinished, "its attribute numbers: cannot pickle 'generator' object"),
        (ByAddress, "its attribute shadow: it uses the address of a parameter; use the parameter itself as key"),
        (Bound, "its attribute total: it holds a method of a tensor"),
    ],
)
def test_what_cannot_be_copied_is_refused_by_name(cls: type[Own], reason: str) -> None:
    """If a copy would share an attribute with the original, or lose it, one line says which and why."""
    method, of = torch_optim(cls, {"lr": 1e-3}), objective("dict")
    x, state = descent(method, oracle(of, laned=False), of.start_at(0), range(5))
    with pytest.raises(Unavailable) as refusal:
        method.copy(x, state)

    assert str(refusal.value) == f"test_optimizer_copy.{cls.__name__} cannot be copied for timing, {reason}"
