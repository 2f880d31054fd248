"""Schedules equal torch's where torch has them, and have the same effect in every implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import yaml
from support.laws import CONF, apart, factory, manual, objective, path, same, target, twin
from support.tiers import representatives
from torch.optim import Optimizer, lr_scheduler

import gdbench
from gdbench.engine.compile.program import Program
from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.errors import UsageError
from gdbench.optimizers import schedules
from gdbench.optimizers.schedules import Schedule, with_schedule, with_torch_schedule
from gdbench.optimizers.torch_optim import torch_optim
from gdbench.results import run_ids

torch.set_num_threads(1)

STEPS = 60
CONFIGURATIONS = {
    file.stem: yaml.safe_load(file.read_text())
    for file in sorted(CONF.glob("schedule/*.yaml"))
    if file.stem != "constant"
}


def build(name: str, steps: int = STEPS, **changed: Any) -> Schedule:
    """A schedule as shipped, some of its numbers changed."""
    arguments = CONFIGURATIONS[name] | changed
    factory = target(arguments)
    made: Schedule = factory(steps, **{key: value for key, value in arguments.items() if key != "_target_"})
    return made


def of_torch(make: Callable[[Optimizer], Any], steps: int) -> list[float]:
    """The lrs that a scheduler of torch's gives to an optimizer with lr 1, one a step."""
    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=1.0)
    scheduler, seen = make(optimizer), []
    for _ in range(steps):
        seen.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return seen


def after(first: float, up: int, then: Callable[[Optimizer], Any]) -> Callable[[Optimizer], Any]:
    """Torch's warmup: one scheduler, and another from a milestone on."""
    return lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.LinearLR(o, first, 1.0, up), then(o)], [up])


TORCHS: dict[str, tuple[str, dict[str, Any], Callable[[Optimizer], Any]]] = {
    "linear": ("linear", {"start": 0.5, "end": 0.1, "over": 40}, lambda o: lr_scheduler.LinearLR(o, 0.5, 0.1, 40)),
    "step": ("step", {"every": 7, "gamma": 0.3}, lambda o: lr_scheduler.StepLR(o, 7, 0.3)),
    "multistep": ("multistep", {"milestones": [5, 0.5]}, lambda o: lr_scheduler.MultiStepLR(o, [5, 30])),
    "exponential": ("exponential", {"gamma": 0.9}, lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    "polynomial": ("polynomial", {"over": 50}, lambda o: lr_scheduler.PolynomialLR(o, 50, 2.0)),
    "cosine": ("cosine", {"floor": 0.1}, lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, 0.1)),
    "cosine that rises": ("cosine", {"over": 20}, lambda o: lr_scheduler.CosineAnnealingLR(o, 20)),
    "restarts": ("cosine_restarts", {"period": 4}, lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4, 2)),
    "even restarts": (
        "cosine_restarts",
        {"period": 7, "multiple": 1, "floor": 0.2},
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 7, 1, 0.2),
    ),
    "onecycle": ("onecycle", {}, lambda o: lr_scheduler.OneCycleLR(o, 1.0, STEPS, cycle_momentum=False)),
    "linear onecycle": (
        "onecycle",
        {"anneal": "linear"},
        lambda o: lr_scheduler.OneCycleLR(o, 1.0, STEPS, cycle_momentum=False, anneal_strategy="linear"),
    ),
    "inverse_sqrt": ("inverse_sqrt", {}, lambda o: lr_scheduler.LambdaLR(o, lambda k: 1 / (k + 1) ** 0.5)),
    "inverse_time": ("inverse_time", {"over": 3}, lambda o: lr_scheduler.LambdaLR(o, lambda k: 3 / (3 + k))),
    "warmup_constant": ("warmup_constant", {"warmup": 8}, lambda o: lr_scheduler.LinearLR(o, 0.01, 1.0, 8)),
    "warmup_linear": (
        "warmup_linear",
        {"warmup": 10},
        after(0.01, 10, lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, STEPS - 10)),
    ),
    "warmup_cosine": (
        "warmup_cosine",
        {"warmup": 10},
        after(0.01, 10, lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS - 10)),
    ),
}


@pytest.mark.parametrize("case", TORCHS)
@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")  # SequentialLR's own call
def test_factors_are_torchs(case: str) -> None:
    """In every step the factor is the lr that torch's scheduler gives for an lr of 1."""
    name, changed, make = TORCHS[case]
    factor = build(name, **changed)

    assert [factor(k) for k in range(STEPS)] == pytest.approx(of_torch(make, STEPS), rel=1e-12, abs=1e-12)


def test_warmup_stable_decay_by_hand() -> None:
    """WSD increases linearly, stays at 1, and decreases linearly to reach ``end`` at the end of the run."""
    factor = build("wsd", steps=10, warmup=2, decay=4, start=0.5)

    assert [factor(k) for k in range(11)] == [0.5, 0.75, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("steps", [1, 2, 3, 60, 1000])
def test_a_tensor_counts_like_a_number(name: str, steps: int) -> None:
    """For k as a float64 tensor, as in compiled steps, the factor is the same, and 1 at most, in runs of any length."""
    factor = build(name, steps)
    for k in {0, 1, steps // 3, steps // 2, steps - 1}:
        number = factor(k)

        assert float(factor(torch.tensor(float(k), dtype=torch.float64))) == pytest.approx(number, rel=1e-12)
        assert 0 <= number <= 1


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_ships_its_factorys_defaults(name: str) -> None:
    """The numbers in a file are those that the factory has by itself."""
    shipped, free = build(name), target(CONFIGURATIONS[name])(STEPS)

    assert [shipped(k) for k in range(STEPS)] == [free(k) for k in range(STEPS)]


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_manual_torch_and_compiled_walk_one_path(optimizer: str) -> None:
    """A schedule has the same effect in manual, torch.optim and compiled steps."""
    of, factor, bare = objective("rosenbrock"), build("warmup_cosine", 20), factory(optimizer)
    make = with_schedule(lambda hyper: bare(**hyper), factor)
    ours, _ = path(make({"lr": 1e-3}), of, 20)
    theirs, _ = path(with_torch_schedule(twin(optimizer, lr=1e-3), factor), of, 20)
    plain, _ = path(manual(optimizer, lr=1e-3), of, 20)
    program = Program(lambda **hyper: make(hyper), "eager")
    compiled, _ = descent(program.method({"lr": 1e-3}), oracle(of, False, compiled=True), of.start_at(0), range(20))

    assert apart(ours[-1], theirs[-1], ours[0]) < 1e-13
    assert apart(compiled, ours[-1], ours[0]) < 1e-12
    assert apart(plain[-1], ours[-1], ours[0]) > 1e-4


@pytest.mark.parametrize(
    ("name", "changed", "said"),
    [
        ("linear", {"start": -1}, "schedule.start=-1: it must be a share of lr"),
        ("linear", {"over": 2.5}, "schedule.over=2.5: steps are whole"),
        ("linear", {"over": "long"}, "schedule.over=long: it must be a whole number of steps"),
        ("linear", {"over": True}, "schedule.over=True: it must be a whole number of steps"),
        ("linear", {"over": -1}, "schedule.over=-1: it must be a whole number of steps"),
        ("wsd", {"warmup": 1.0}, "schedule.warmup and schedule.decay take 60 + 12 steps, the run has 60"),
        ("inverse_time", {"over": 0.0}, "schedule.over=0.0: it must be at least one step"),
        ("step", {"every": 0}, "schedule.every=0: it must be at least one step; try schedule.every=0.1"),
        ("step", {"gamma": 0}, "schedule.gamma=0: it must be a number above 0"),
        ("cosine_restarts", {"multiple": 1.5}, "schedule.multiple=1.5: it must be a whole number of at least 1"),
        ("onecycle", {"anneal": "cos"}, "schedule.anneal=cos is not known. Allowed: cosine, linear"),
        ("onecycle", {"rise": 1}, "schedule.rise=1: it must be a share of the run"),
        ("wsd", {"warmup": 40, "decay": 30}, "schedule.warmup and schedule.decay take 40 + 30 steps, the run has 60"),
    ],
)
def test_refusals_teach(name: str, changed: dict[str, Any], said: str) -> None:
    """An invalid number is refused in one line."""
    with pytest.raises(UsageError) as refusal:
        build(name, **changed)

    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_length_is_steps_or_a_share_of_them() -> None:
    """A whole number counts steps, a float up to 1.0 is a share of the run, and null is all of it."""
    given = (7, 0.1, None, 0.0001, 1, 1.0, 1e3, 500)

    assert [schedules.parse_length("over", length, 200) for length in given] == [7, 20, 200, 1, 1, 200, 1000, 500]
    assert [schedules.parse_length("warmup", end, 200, fewest=0) for end in (0, 0.0, 0.001, 0.004)] == [0, 0, 0, 1]


LENGTHS = {
    name: [key for key in CONFIGURATIONS[name] if f"schedule.{key}" in run_ids.LENGTHS] for name in CONFIGURATIONS
}
SHARES_OF_60 = {0.0: 0, 0.25: 15, 1.0: 60}


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in LENGTHS.items() for key in keys])
@pytest.mark.parametrize("given", [0, 0.0, 1, 1.0, 0.25, STEPS, 3 * STEPS, 3.0 * STEPS, None], ids=repr)
def test_every_length_of_every_schedule_follows_one_rule(name: str, key: str, given: float | None) -> None:
    """A share is the steps that it stands for, a warmup or decay of 0 is none; what makes no schedule is one line."""
    as_steps = STEPS if given is None else SHARES_OF_60.get(given, int(given)) if isinstance(given, float) else given
    others = {"decay": 0} if key == "warmup" and name == "wsd" else {"warmup": 0} if key == "decay" else {}

    def factors(length: float | None) -> list[float] | str:
        try:
            factor = build(name, **{key: length}, **others)
        except UsageError as refusal:
            return str(refusal).replace("0.0", "0")
        return [float(factor(k)) for k in range(STEPS)]

    told = factors(given)

    assert told == factors(as_steps)
    if isinstance(told, str):
        assert "\n" not in told
        assert as_steps == 0 or (name == "wsd" and as_steps > STEPS)
        assert key not in ("warmup", "decay") or as_steps
    else:
        assert all(0 <= factor <= 1 for factor in told)
        assert key != "warmup" or as_steps or told[0] == 1


def test_every_length_that_conf_ships_is_known_as_one() -> None:
    """The numbers that the files describe as steps or shares are those whose 1 and 1.0 are different questions."""
    described = {
        f"{group}.{line.partition(':')[0]}"
        for group in ("schedule", "average")
        for file in CONF.glob(f"{group}/*.yaml")
        for line in file.read_text().splitlines()
        if "# steps" in line
    }

    assert described - {"schedule.milestones"} == set(run_ids.LENGTHS)


def test_one_step_and_the_whole_run_are_two_questions(command: Callable[..., Any]) -> None:
    """From the command line decay=1 is a step and decay=1.0 the run: other losses, under other keys."""
    words = (
        "objective=rosenbrock",
        "schedule=wsd",
        "schedule.warmup=0",
        "steps=20",
        "timing=off",
        "--quiet",
        "lr=1e-4",
    )
    done = command("-m", *words, "schedule.decay=1,1.0")
    runs = gdbench.load("outputs")

    assert done.code == 0
    assert runs["run_id"].is_unique
    assert runs["final_loss"][0] < runs["final_loss"][1]


@pytest.mark.parametrize("name", [name for name, keys in LENGTHS.items() if "warmup" in keys])
def test_a_schedule_without_a_warmup_is_accepted(name: str, command: Callable[..., Any]) -> None:
    """From the command line warmup=0 means none, in every schedule that has one."""
    done = command(f"schedule={name}", "schedule.warmup=0", "steps=5", "timing=off", "--quiet")

    assert (done.code, done.err) == (0, "")


class Grouped(torch.optim.Adam):
    """Adam with a group a parameter, each at an lr of its own."""

    def __init__(self, params: Any, lr: float = 0.02) -> None:
        rates = (lr, 0.15 * lr)
        super().__init__([{"params": [leaf], "lr": rate} for leaf, rate in zip(params, rates, strict=True)])


class Halved(torch.optim.SGD):
    """The documentation's own: gradient descent with half the lr that it was given."""

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, lr=lr / 2)


class Ratios(torch.optim.SGD):
    """A group whose lr is a tensor, and one whose initial_lr is stated beside its lr."""

    def __init__(self, params: Any, lr: float = 0.02) -> None:
        first, second = params
        tensor = {"params": [first], "lr": torch.tensor(lr, dtype=torch.float64)}
        super().__init__([tensor, {"params": [second], "lr": lr, "initial_lr": 3 * lr}], foreach=False)


def lambda_path(cls: type[Optimizer], factor: Schedule, of: Any) -> Any:
    """The last point of torch's own loop with a LambdaLR."""
    point = {name: leaf.detach().clone().requires_grad_() for name, leaf in of.start_at(0).items()}
    optimizer = cls(point.values(), lr=0.02)  # type: ignore[call-arg]
    scheduler = lr_scheduler.LambdaLR(optimizer, factor)  # type: ignore[arg-type]
    for _ in range(STEPS):
        optimizer.zero_grad()
        of.value(point).backward()
        optimizer.step()
        scheduler.step()
    return point


@pytest.mark.parametrize("cls", representatives([Grouped, Halved, Ratios, torch.optim.Adam, torch.optim.SGD], [Ratios]))
def test_every_group_is_paced_as_torchs_schedulers_do(cls: type[Optimizer]) -> None:
    """Under every schedule a class equals LambdaLR to the bit: each group's own lr times the factor."""
    of = objective("dict")
    for name in CONFIGURATIONS:
        method = with_torch_schedule(torch_optim(cls, {"lr": 0.02}), build(name))
        x, _ = descent(method, oracle(of, laned=False), of.start_at(0), range(STEPS))

        assert same(x, lambda_path(cls, build(name), of)), name


def test_a_copy_keeps_its_groups_initial_rates() -> None:
    """From a copy taken in the middle of a run the schedule goes on from each group's own initial lr."""
    of, method = objective("dict"), with_torch_schedule(torch_optim(Grouped, {"lr": 0.02}), build("linear"))
    ask = oracle(of, laned=False)
    x, state = descent(method, ask, of.start_at(0), range(20))
    x, state = method.copy(x, state)
    x, _ = descent(method, ask, x, range(20, STEPS), state)

    assert same(x, lambda_path(Grouped, build("linear"), of))
