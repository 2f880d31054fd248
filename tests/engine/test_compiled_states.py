"""A compiled step is the method's own, whatever its state is made of and shares, or it is refused in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from support.generated import PARTS, Frozen, generate, make_method, starts
from support.tiers import representatives
from torch import Tensor

from gdbench.engine.compile.agreement import CompiledStepError
from gdbench.engine.compile.program import Program
from gdbench.engine.compile.state_structure import assemble, describe_form, list_tensors
from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.errors import Unavailable
from gdbench.objectives import Objective
from gdbench.optimizers import Hyper, Method, StepInfo, first_order
from gdbench.tree import Params, flatten, leaves, stack_runs, tree_map

STEPS = 12
RATES = (0.02, 0.05, 0.1)
SHORT = [name for name in PARTS if name not in ("counter", "growing list", "in place twice")]
CAMPAIGN = 200


def bowl(start: Any) -> Objective:
    """A bowl of another steepness in each coordinate, from a start."""

    def fn(x: Params) -> Tensor:
        parts = [leaf.reshape(-1) for leaf in leaves(x)]
        point = torch.cat(parts)
        return (torch.arange(1, point.numel() + 1, dtype=point.dtype) * (point - 0.5) ** 2).sum() / point.numel()

    return Objective(fn=fn, start=start)


def walked(method: Method, ask: Any, start: Any) -> tuple[Params, list[Tensor]]:
    """Where a run ends that begins at a copy of a start, and the losses that it sees."""
    losses: list[Tensor] = []
    x, _ = descent(
        method, ask, deepcopy(start), range(STEPS), look=lambda k, x, seen: losses.append(seen.loss.detach())
    )
    return x, losses


def check_solo(make: Callable[[Hyper], Method], start: Any, backend: Any = "eager") -> None:
    """Two runs of one program, alone, each end where the method itself does, by the same losses."""
    of, program = bowl(start), Program(make, backend)
    ask = oracle(of, False, compiled=True)
    for lr in RATES[:2]:
        expected, losses = walked(make(lr), oracle(of, False), start)
        end, seen = walked(program.method({"lr": lr}), ask, start)
        torch.testing.assert_close(end, expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(seen, losses, rtol=1e-12, atol=1e-12)


def add_loss(weight: Any, k: Tensor, x: Params, seen: StepInfo, total: Tensor) -> Tensor:
    """What is seen of lanes: the sum of their losses."""
    return total + weight * seen.loss.detach()


def check_lanes(make: Callable[[Hyper], Method], start: Any, backend: Any = "eager") -> None:
    """Lanes in strides of two steps end where the method itself does in lanes, by the same losses."""
    of, program = bowl(start), Program(make, backend)
    hyper = {"lr": torch.tensor(RATES, dtype=torch.float64)}
    lanes, xs = program.in_lanes(hyper, add_loss), stack_runs([start] * len(RATES))
    ask, total = oracle(of, True, compiled=True), torch.zeros(len(RATES), dtype=torch.float64)
    sums: list[Tensor] = []
    expected, _ = descent(
        make(**hyper),
        oracle(of, True),
        deepcopy(xs),
        range(STEPS),
        look=lambda k, x, seen: sums.append(seen.loss.detach()),
    )
    x, state = lanes.init(xs)
    for _ in range(STEPS // 2):
        x, state, total, _ = lanes.steps(2, ask, x, state, torch.ones_like(total), total)
    torch.testing.assert_close(flatten(lanes.put_lanes_first(x), True), flatten(expected, True), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(total, torch.stack(sums).sum(0), rtol=1e-12, atol=1e-12)


FEW = ["mean in place", "last point + flag + frozen", "window + none, then a tensor"]
"""A write in place; an alias, a number and a dataclass; a state that takes two graphs and one that changes once."""


@pytest.mark.parametrize("names", representatives([*FEW[1:], *SHORT], FEW[1:2]))
def test_a_compiled_state_may_hold_anything(names: str) -> None:
    """Aliases, numbers, flags, None, dataclasses, windows and writes in place give the method's own run."""
    check_solo(lambda lr: make_method(tuple(names.split(" + ")), "nested", False, lr), starts()["vector"])


@pytest.mark.parametrize(
    "name",
    representatives(["last point", "one tensor twice", "mean in place", "flag", "frozen"], ["mean in place"]),
)
def test_compiled_lanes_may_hold_anything(name: str) -> None:
    """So do lanes."""
    check_lanes(lambda lr: make_method((name,), "tuple", name == "mean in place", lr), starts()["vector"])


@pytest.mark.parametrize("name", representatives(starts(), ("views of one", "expanded")))
def test_a_compiled_run_may_start_anywhere(name: str) -> None:
    """Starts that share memory, or lie in it otherwise than in a row, are starts like others."""
    check_solo(lambda lr: make_method(("last point", "mean"), "dict", False, lr), starts()[name])


def test_a_method_that_writes_to_x_is_seen_where_it_starts() -> None:
    """In place or not, the first loss is that of x_0, and the start stays what it was."""
    start = starts()["vector"]
    of, given = bowl(start), start.clone()
    method = Program(lambda lr: make_method(("mean",), "tuple", True, lr), "eager").method({"lr": 0.05})
    points: list[Params] = []
    descent(method, oracle(of, False, compiled=True), given, range(3), look=lambda k, x, seen: points.append(x))

    assert torch.equal(given, start)
    assert torch.equal(points[0], start)  # type: ignore[arg-type]
    assert not torch.equal(points[1], start)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "in_place", "reason"),
    [
        ("counter", False, "of another kind in each of its first"),
        ("growing list", False, "of another kind in each of its first"),
        ("in place twice", False, "writes in place, and tensors of its point and state share memory"),
        ("last point", True, "writes in place, and tensors of its point and state share memory"),
    ],
)
@pytest.mark.parametrize("check", [check_solo, check_lanes])
def test_what_a_graph_cannot_hold_is_unavailable(name: str, in_place: bool, reason: str, check: Any) -> None:
    """A state that changes in every step, and writes to shared memory, are refused with the reason, and uncompiled."""
    with pytest.raises(Unavailable, match=f"^torch.compile: .*{reason}"):
        check(lambda lr: make_method((name,), "tuple", in_place, lr), starts()["vector"])


class Opaque:
    """A state that no graph can be given."""


def test_a_state_that_no_graph_takes_is_unavailable() -> None:
    """Objects of a class of one's own are refused by name."""
    make = lambda lr: first_order(lambda x: Opaque(), lambda k, grad, state, x: (x - lr * grad, state))  # noqa: E731
    with pytest.raises(Unavailable, match="the method's state holds a Opaque"):
        check_solo(make, starts()["vector"])


def test_a_method_that_raises_fails_as_itself() -> None:
    """What the method's own code raises is its failure, and no want of a compiler."""

    def update(k: Any, grad: Tensor, state: Any, x: Tensor) -> Any:
        raise ArithmeticError("no step here")

    start, of = torch.ones(2), bowl(torch.ones(2))
    method = Program(lambda lr: first_order(lambda x: (), update), "eager").method({"lr": 0.1})
    with pytest.raises(ArithmeticError, match="no step here"):
        descent(method, oracle(of, False, compiled=True), start, range(1))


@pytest.mark.parametrize("check", representatives([check_solo, check_lanes], [check_lanes]))
def test_a_compiler_that_errs_fails_the_run(check: Any) -> None:
    """A graph that computes something else than the eager step is found in its first steps."""

    def wrong(graph: torch.fx.GraphModule, _: object) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            return tree_map_tensors(graph(*given))

        return run

    def tree_map_tensors(results: Any) -> Any:
        return [leaf * (1 + 1e-9) if leaf.is_floating_point() else leaf for leaf in results]

    with pytest.raises(CompiledStepError, match=r"^torch.compile, step \d: a compiled step lies .* from the eager one"):
        check(lambda lr: make_method(("mean",), "tuple", False, lr), starts()["vector"], wrong)


def test_rounding_is_no_error() -> None:
    """A step that rounding sends another way (the sign of a gradient that is all but 0) is no other method."""

    def rounded(graph: torch.fx.GraphModule, _: object) -> Callable[..., Any]:
        return lambda *given: graph(*(leaf * (1 + 2e-16) if leaf.is_floating_point() else leaf for leaf in given))

    at_minimum = tree_map(lambda leaf: torch.full_like(leaf, 0.5), starts()["vector"])
    make = lambda lr: first_order(  # noqa: E731
        lambda x: (), lambda k, grad, state, x: (x - lr * torch.sign(grad + (x * 3 - 1.5)), state)
    )
    of = bowl(at_minimum)
    method = Program(make, rounded).method({"lr": 0.1})
    x, _ = descent(method, oracle(of, False, compiled=True), at_minimum, range(2))  # type: ignore[arg-type]

    assert torch.isfinite(flatten(x, False)).all()


def test_forms_are_taken_apart_and_put_together() -> None:
    """A state comes back as it was, and forms are equal where structure and plain values are."""
    tensors = [torch.ones(2), torch.zeros(3)]
    state = {"a": (tensors[0], None, 1), "b": Frozen([tensors[1], float("nan")], 2.0)}
    form = describe_form(state)
    back = assemble(form, list_tensors(state))

    assert repr(back) == repr(state)
    assert form == describe_form({"a": (tensors[1], None, 1), "b": Frozen([tensors[0], float("nan")], 2.0)})
    assert form != describe_form({"a": (tensors[0], None, True), "b": Frozen([tensors[1], float("nan")], 2.0)})
    assert hash(form) == hash(describe_form(state))


def raises_alone(make: Callable[[Hyper], Method], start: Any, laned: bool) -> bool:
    """Whether a method cannot run here at all, as one that writes in place cannot to a tensor that is expanded."""
    of, lr = bowl(start), torch.tensor(RATES, dtype=torch.float64) if laned else RATES[0]
    try:
        walked(make(lr), oracle(of, laned), stack_runs([start] * len(RATES)) if laned else start)
    except RuntimeError:
        return True
    return False


def campaign(check: Callable[..., None], backend: str, seeds: range) -> Counter[str]:
    """How generated methods fare from every start: equal to the eager run, unavailable, or raising as it does."""
    fates: Counter[str] = Counter()
    places = list(starts().values())
    for seed in seeds:
        words, make = generate(seed)
        start = places[seed % len(places)] if check is check_solo else places[0]
        torch._dynamo.reset()
        try:
            check(make, start, backend)
        except Unavailable:
            fates["unavailable"] += 1
        except Exception as error:
            if not raises_alone(make, start, check is check_lanes):
                raise AssertionError(f"method {seed}, {words}, from start {seed % len(places)}") from error
            fates["raises, as the eager one"] += 1
        else:
            fates["equal"] += 1
    print(check.__name__, backend, dict(fates))
    return fates


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.parametrize("check", [check_solo, check_lanes])
def test_generated_methods_are_compiled_as_they_are(check: Callable[..., None]) -> None:
    """Of 200 generated methods each is its eager self or unavailable, and a third at least is compiled."""
    fates = campaign(check, "eager", range(CAMPAIGN))

    assert sum(fates.values()) == CAMPAIGN
    assert fates["equal"] > CAMPAIGN / 3


@pytest.mark.slow
@pytest.mark.parametrize("check", [check_solo, check_lanes])
def test_generated_methods_go_through_the_cpp_compiler(check: Callable[..., None]) -> None:
    """A sample of them goes through inductor, and through its libraries, as it is."""
    sample = range(0, CAMPAIGN, 25)
    fates = campaign(check, "inductor", sample)

    assert fates["equal"] > len(sample) / 3
