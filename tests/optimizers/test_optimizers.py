"""Every method of conf/optimizer obeys the laws: manual equals torch, lanes equal single runs, compiled eager."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.laws import (
    DICT,
    MANUAL,
    MATRICES,
    OPTIMIZERS,
    TOLERANCE,
    TWINS,
    apart,
    default_dtype,
    factory,
    hypers,
    identity_prox,
    manual,
    manual_equals_torch,
    path,
    rate,
    target,
)
from support.laws import twin as torch_twin
from support.tiers import representatives
from torch import Tensor
from torch._dynamo import eval_frame
from torch._dynamo.utils import counters
from torch.utils._pytree import tree_map as every

from gdbench.engine.compile.program import Program, compile_method
from gdbench.engine.descent import descent
from gdbench.engine.oracle import CompilableOracle, oracle
from gdbench.errors import Unavailable
from gdbench.objectives import Objective
from gdbench.optimizers import CompositeParts, Step, StepInfo, compute_output_info
from gdbench.optimizers.torch_construction import torch_arguments
from gdbench.tree import Params, leaves, stack_runs, tree_map

torch.set_num_threads(1)

F64 = torch.float64


def lr_of(name: str) -> float:
    """A step size at which a method is stable on every objective below."""
    return rate(name, "rosenbrock")


def rosenbrock(x: Tensor) -> Tensor:
    """One point, or lanes of points."""
    return (1 - x[..., 0]) ** 2 + 100 * (x[..., 1] - x[..., 0] ** 2) ** 2


def residuals(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Least squares in a matrix."""
    return 0.5 * ((a @ x - b) ** 2).sum()


def regression(x: Any, a: Tensor, b: Tensor) -> Tensor:
    """Logistic regression in a dict of a vector and a scalar."""
    return torch.nn.functional.softplus(b * (a @ x["weight"] + x["bias"])).mean() + 0.01 * (x["weight"] ** 2).sum()


def spread(*shape: int) -> Tensor:
    """Numbers in (-1, 1) without a pattern."""
    return torch.sin(torch.arange(math.prod(shape), dtype=F64) + 1).reshape(shape)


ROSENBROCK = Objective(
    fn=rosenbrock, start=torch.tensor([-1.2, 1.0], dtype=F64), minimum=0.0, laned=True, prox=identity_prox
)
OBJECTIVES = {
    "vector": ROSENBROCK,
    "scalar": Objective(fn=lambda x: (x - 2) ** 2, start=torch.tensor(-1.0, dtype=F64), minimum=0.0),
    "matrix": Objective(fn=residuals, start=spread(3, 2), data={"a": spread(4, 3), "b": spread(4, 2)}),
    "dict": Objective(
        fn=regression,
        start={"weight": spread(5), "bias": torch.tensor(0.5, dtype=F64)},
        data={"a": spread(8, 5), "b": spread(8).sign()},
        prox=identity_prox,
    ),
}
SWITCHES: list[dict[str, Any]] = [
    {"weight_decay": 0.01},
    {"maximize": True, "weight_decay": 0.01},
    {"amsgrad": True},
    {"centered": True},
    {"centered": True, "momentum": 0.5},
    {"dampening": 0.3},
    {"dampening": 0.3, "momentum": 0.0},
    {"initial_accumulator_value": 0.2, "lr_decay": 0.1},
    {"decoupled_weight_decay": True, "weight_decay": 0.01},
    {"t0": 5.0, "lambd": 0.1, "alpha": 0.5},
    {"t0": 5.0, "weight_decay": 0.01, "maximize": True},
    {"eps1": 0.01, "eps2": 0.1, "d": 2.0, "weight_decay": 0.01, "beta2_decay": -0.5},
    {"etaminus": 0.3, "etaplus": 1.5, "step_size_min": 1e-3, "step_size_max": 0.1},
]
GENERAL = [name for name in MANUAL if name not in MATRICES]
"""Methods that move points of any shape."""
SWITCHED = [
    (name, switch)
    for name in TWINS
    for switch in SWITCHES
    if name not in MATRICES and switch.keys() <= OPTIMIZERS[name].hyper.keys()
]
FLOATS = [
    (name, other) for name in GENERAL for other, number in OPTIMIZERS[name].hyper.items() if type(number) is float
]


# Manual is torch.


@pytest.mark.parametrize(
    ("name", "objective", "dtype"),
    [
        *((name, key, F64) for name in TWINS for key in OBJECTIVES if name not in MATRICES or key == "matrix"),
        *((name, "matrix", torch.float32) for name in TWINS),
    ],
    ids=str,
)
def test_manual_equals_torch(name: str, objective: str, dtype: torch.dtype) -> None:
    """Manual and torch.optim have the same trajectory."""
    manual_equals_torch(name, OBJECTIVES[objective], dtype, lr_of(name), steps=50)


@pytest.mark.parametrize(("name", "switched"), SWITCHED, ids=str)
def test_manual_equals_torch_with_every_switch(name: str, switched: dict[str, Any]) -> None:
    """Weight decay, maximize and each method's own switches mean what they mean in torch."""
    objective = OBJECTIVES["dict"]
    if switched.get("maximize"):
        objective = replace(objective, fn=lambda x, **data: -regression(x, **data))
    manual_equals_torch(name, objective, F64, lr_of(name), 50, **switched)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["adam", "adamw", "nadam", "radam", "adamax"]),
    beta1=st.floats(0.0, 0.99),
    beta2=st.floats(0.3, 0.9999),
    eps=st.floats(1e-10, 1e-2),
)
def test_the_adam_family_equals_torch_for_any_averaging(name: str, beta1: float, beta2: float, eps: float) -> None:
    """Bias corrections are right for every decay, not only for the shipped ones."""
    manual_equals_torch(name, OBJECTIVES["dict"], F64, 1e-3, 20, beta1=beta1, beta2=beta2, eps=eps)


def test_nadam_of_torch_is_as_coarse_as_its_momentum_product() -> None:
    """Torch keeps NAdam's momentum product in its default dtype, float32: float64 paths differ by less than 1e-8."""
    ours, _ = path(manual("nadam"), ROSENBROCK, 100)
    theirs, _ = path(torch_twin("nadam"), ROSENBROCK, 100)

    assert 1e-12 < apart(ours[-1], theirs[-1], ours[0]) < 1e-8


def test_gd_is_the_notebook_digit_for_digit() -> None:
    """In float32 ``x - lr g`` has the same bits as ``x.data -= 0.1 * x.grad``."""
    x = torch.tensor([-1.0, 0.3, 7.7], requires_grad=True)
    objective = Objective(fn=lambda x: ((x - 2) ** 2).sum(), start=x.detach().clone())
    points, _ = path(manual("gd", lr=0.1), objective, 20)
    for point in points[1:]:
        x.grad = None
        objective.value(x).backward()
        x.data -= 0.1 * x.grad

        assert torch.equal(point, x.data)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_shipped_numbers_are_torchs_defaults(name: str) -> None:
    """Every file of conf/optimizer ships torch's defaults, but for weight decay, and L-BFGS's one iteration a step."""
    shipped = OPTIMIZERS[name]
    meant = {"gd": {"weight_decay"}, "momentum": {"momentum"}, "nesterov": {"momentum"}}.get(name, set())
    meant |= {"max_iter", "max_eval", "tolerance_grad", "tolerance_change"} if name == "lbfgs" else {"weight_decay"}
    if shipped.torch:
        arguments = torch_arguments(shipped.torch, {**shipped.hyper, "lr": shipped.default_lr})
        defaults = inspect.signature(target(shipped.torch)).parameters
        free = arguments.keys() - meant - shipped.torch.keys() | {"lr"}
        assert {arg: defaults[arg].default for arg in free} == {arg: arguments[arg] for arg in free}
    if shipped.manual:
        defaults = inspect.signature(factory(name)).parameters
        free = {arg: number for arg, number in shipped.hyper.items() if number is not None}  # the others are facts
        assert {arg: defaults[arg].default for arg in free} == free


# torch.optim as a Method.


def has(name: str, impl: str) -> bool:
    """Whether torch's class has this implementation; each has the plain one."""
    return impl == "torch" or impl in inspect.signature(target(OPTIMIZERS[name].torch)).parameters


@pytest.mark.parametrize("impl", ["foreach", "fused", "differentiable"])
@pytest.mark.parametrize("name", TWINS)
def test_other_implementations_equal_single_tensor(name: str, impl: str) -> None:
    """All of torch's implementations have the same trajectory; a missing one is unavailable."""
    if not has(name, impl):
        with pytest.raises(Unavailable, match=f"has no {impl} implementation$"):
            torch_twin(name, impl)
        return
    with default_dtype(F64):
        single, _ = path(torch_twin(name, lr=lr_of(name)), OBJECTIVES["dict"], 50)
        points, _ = path(torch_twin(name, impl, lr=lr_of(name)), OBJECTIVES["dict"], 50)

    assert apart(points[-1], single[-1], single[0]) < TOLERANCE[F64]


@pytest.mark.parametrize(
    ("name", "impl", "reason"),
    [
        ("adadelta", "fused", "torch.optim.Adadelta has no fused implementation"),
        ("lbfgs", "foreach", "torch.optim.LBFGS has no foreach implementation"),
        ("adagrad", "capturable", "torch.optim.Adagrad has no capturable implementation"),
        ("muon", "differentiable", "torch.optim.Muon has no differentiable implementation"),
    ],
)
def test_a_missing_implementation_is_unavailable(name: str, impl: str, reason: str) -> None:
    """What torch does not have is said in one line."""
    with pytest.raises(Unavailable, match=f"^{reason}$"):
        torch_twin(name, impl)


@pytest.mark.parametrize("name", [name for name in TWINS if has(name, "capturable")])
def test_capturable_is_for_accelerators(name: str) -> None:
    """On a CPU a capturable step is unavailable, in torch's words."""
    with pytest.raises(Unavailable, match=r"impl=capturable: .*capturable=True, .* supported devices"):
        path(torch_twin(name, "capturable"), ROSENBROCK, 2)


def test_what_torch_refuses_is_unavailable_with_its_reason() -> None:
    """A kernel that torch refuses in the first step (fused on the meta device) is unavailable, in torch's words."""
    nowhere = ROSENBROCK.to(torch.float32, "cpu")
    with pytest.raises(Unavailable, match=r"^torch.optim.Adam, impl=fused: .*fused=True"):
        descent(torch_twin("adam", "fused"), oracle(nowhere, laned=False), torch.ones(2, device="meta"), range(1))


def test_fused_kernels_get_dense_gradients() -> None:
    """The gradient of a plain sum is one number expanded; torch's fused kernels would read beyond it."""
    plane = Objective(fn=torch.sum, start=torch.zeros(100, dtype=F64))
    points, _ = path(torch_twin("adam", "fused", lr=0.1), plane, 1)

    assert torch.allclose(points[-1], torch.full((100,), -0.1, dtype=F64))


def test_torch_arguments_group_and_pass_on() -> None:
    """A list in the torch block makes one tuple of hyper-parameters; anything else there is a constant."""
    block = {"_target_": "torch.optim.Adam", "betas": ["beta1", "beta2"], "amsgrad": True}

    assert torch_arguments(block, {"lr": 0.1, "beta1": 0.9, "beta2": 0.99}) == {
        "lr": 0.1,
        "betas": (0.9, 0.99),
        "amsgrad": True,
    }


class Counting:
    """An oracle that counts its calls."""

    laned = False

    def __init__(self, objective: Objective) -> None:
        self.oracle, self.gradients = oracle(objective, laned=False), 0

    def value(self, x: Params, k: Step) -> Tensor:
        """f(x)."""
        return self.oracle.value(x, k)

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """f(x) and its gradient."""
        self.gradients += 1
        return self.oracle.grad(x, k)


def test_lbfgs_counts_every_closure() -> None:
    """L-BFGS reports as many gradients as it asked for, and the loss of the point it started from."""
    counting, work, losses = Counting(ROSENBROCK), [], []

    def look(k: int, x: Params, seen: StepInfo) -> None:
        work.append(seen.gradients)
        losses.append(float(seen.loss.detach()) - float(ROSENBROCK.value(x)))

    method = torch_twin("lbfgs")
    descent(method, counting, ROSENBROCK.start_at(0), range(30), look=look)

    assert sum(work) == counting.gradients
    assert max(work) > 1
    assert not any(losses)
    assert not method.constant_cost


FORMS = [("manual", name) for name in GENERAL] + [
    (impl, name)
    for name, entry in OPTIMIZERS.items()
    for impl in ("torch", "foreach", "fused", "differentiable")
    if entry.torch and has(name, impl) and name not in MATRICES
]


@pytest.mark.parametrize(("form", "name"), FORMS)
def test_copy_isolates(form: str, name: str) -> None:
    """A copy has the same trajectory as the original, and neither changes the other."""
    method = manual(name) if form == "manual" else torch_twin(name, form)
    objective = OBJECTIVES["dict"]
    ask = oracle(objective, laned=False)
    x, state = descent(method, ask, objective.start_at(0), range(3))
    twin, twin_state = method.copy(x, state)
    before = tree_map(lambda leaf: leaf.detach().clone(), twin)
    there, _ = descent(method, ask, x, range(3, 8), state)
    unmoved = tree_map(torch.equal, before, twin)
    again, _ = descent(method, ask, twin, range(3, 8), twin_state)

    assert unmoved == {"weight": True, "bias": True}
    assert tree_map(torch.equal, there, again) == {"weight": True, "bias": True}
    assert all(torch.isfinite(leaf).all() for leaf in leaves(again))


# Methods of matrices.

MUON = [{}, {"weight_decay": 0.1}, {"nesterov": False}, {"momentum": 0.5}]


@pytest.mark.parametrize("changed", MUON, ids=str)
@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (4, 4)])
def test_muon_is_torchs(shape: tuple[int, int], changed: dict[str, Any]) -> None:
    """On tall, wide and square matrices Muon has torch's trajectory."""
    rows, columns = shape
    of = Objective(fn=residuals, start=spread(*shape), data={"a": spread(5, rows), "b": spread(5, columns)})
    manual_equals_torch("muon", of, F64, 0.02, 30, **changed)


def test_muon_with_adamw_is_torchs_pair() -> None:
    """In a dict the matrix is updated by Muon and the scalar by AdamW, each with its lr, as by torch's two classes."""
    of, lr, ratio = DICT, 0.02, 0.5
    x = {name: leaf.clone().requires_grad_() for name, leaf in of.start_at(0).items()}
    pair = (
        torch.optim.Muon([x["weight"]], lr, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([x["bias"]], ratio * lr, weight_decay=0.1),
    )
    ours, _ = path(manual("muon_adamw", lr=lr, lr_ratio=ratio, weight_decay=0.1), of, 20)
    theirs, _ = path(torch_twin("muon_adamw", lr=lr, lr_ratio=ratio, weight_decay=0.1), of, 20)
    for here, there in zip(ours[1:], theirs[1:], strict=True):
        for leaf in x.values():
            leaf.grad = None
        of.value(x).backward()
        for optimizer in pair:
            optimizer.step()

        assert apart(here, tree_map(Tensor.detach, x), ours[0]) < 1e-12
        assert apart(there, tree_map(Tensor.detach, x), ours[0]) < 1e-12


def test_muon_in_lanes_is_muon_alone_but_for_bfloat16() -> None:
    """A step in a lane and one alone differ by the rounding of bfloat16: by 2% of lr at most."""
    of, rates = OBJECTIVES["matrix"], [0.1, 0.02, 0.03]
    lanes, ask = manual("muon", lr=torch.tensor(rates, dtype=F64)), oracle(of, laned=True)
    start = stack_runs([of.start_at(0) * factor for factor in (1.0, 0.9, 0.8)])
    x, _ = descent(lanes, ask, start, range(1))
    for index, lr in enumerate(rates):
        there, _ = descent(manual("muon", lr=lr), oracle(of, laned=False), start[index].clone(), range(1))

        assert float((x[index] - there).abs().max()) < 0.02 * lr


def test_muon_brings_singular_values_near_one() -> None:
    """A step has the singular vectors of the averaged gradient, and singular values of about lr."""
    generator = torch.Generator().manual_seed(0)
    slope = torch.randn(6, 4, dtype=F64, generator=generator)
    plane = Objective(fn=lambda x: (slope * x).sum(), start=torch.zeros(6, 4, dtype=F64))
    points, _ = path(manual("muon", lr=1.0), plane, 1)
    left, _, right = torch.linalg.svd(slope, full_matrices=False)
    values = torch.diagonal(left.mT @ -points[-1] @ right.mT) / (6 / 4) ** 0.5

    assert ((values > 0.6) & (values < 1.3)).all()


@pytest.mark.parametrize("make", [manual, torch_twin])
def test_muon_is_unavailable_for_vectors(make: Any) -> None:
    """A parameter that is not a matrix is refused in one line, by manual and torch."""
    with pytest.raises(Unavailable, match=r"Muon .*(shape \[2\]|size: torch.Size\(\[2\]\))"):
        path(make("muon"), ROSENBROCK, 1)


def test_sparse_adam_leaves_alone_what_has_no_gradient() -> None:
    """Coordinates whose gradient is 0 do not move, whatever their averages are."""
    touched = Objective(
        fn=lambda x: ((x - 1) ** 2 * torch.tensor([1.0, 0.0, 1.0], dtype=F64)).sum(), start=torch.zeros(3, dtype=F64)
    )
    points, _ = path(manual("sparse_adam", lr=0.1), touched, 5)
    theirs, _ = path(torch_twin("sparse_adam", lr=0.1), touched, 5)

    assert points[-1][1] == 0.0 < points[-1][0]
    assert apart(points[-1], theirs[-1], points[-1]) < 1e-12


def test_asgd_is_judged_at_its_average() -> None:
    """From t0 on the output is the average of the iterates, in manual and torch."""
    walks = [path(make("asgd", lr=0.4, t0=2.0), OBJECTIVES["scalar"], 12)[0] for make in (manual, torch_twin)]
    bare, _ = path(manual("asgd", lr=0.4), OBJECTIVES["scalar"], 12)

    assert [float(loss) for loss in walks[0][:-1]] == pytest.approx([float(loss) for loss in walks[1][:-1]], rel=1e-6)
    assert float(walks[0][4]) == pytest.approx(float(bare[4]), rel=1e-12)
    assert float(walks[0][6]) == pytest.approx(sum(float(loss) for loss in bare[4:7]) / 3, rel=1e-12)


# Lanes are solo.

LANES = 3


def lane_values(name: str, *others: str) -> dict[str, list[float]]:
    """A step size and other hyper-parameters that differ from lane to lane."""
    values = {"lr": [lr_of(name) * factor for factor in (1.0, 0.7, 0.3)]}
    for other in others:
        number = OPTIMIZERS[name].hyper[other]
        values[other] = [number * factor for factor in (1.0, 0.99, 0.98)] if number else [0.0, 0.01, 0.02]
    return values


def in_lanes(values: dict[str, list[float]]) -> dict[str, Any]:
    """Hyper-parameters as float64 tensors ``[L]``."""
    return {name: torch.tensor(numbers, dtype=F64) for name, numbers in values.items()}


def one(values: dict[str, list[float]], index: int) -> dict[str, float]:
    """The hyper-parameters of one lane, as plain numbers."""
    return {name: tensor[index] for name, tensor in values.items()}


def slice_of(state: Any, index: int) -> Any:
    """The state of one lane: all tensors lose their first axis."""

    def pick(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return leaf[index].clone()

    return every(pick, state)


@pytest.mark.parametrize(("name", "other"), FLOATS, ids=str)
def test_a_step_in_lanes_is_a_step_alone(name: str, other: str) -> None:
    """From the same x and state a step in a lane and one alone differ by 4 ulps of float32 at most."""
    objective = ROSENBROCK.to(torch.float32, "cpu")
    values = lane_values(name, other)
    start = stack_runs([objective.start_at(0) * factor for factor in (1.0, 0.9, 0.8)])
    lanes = manual(name, **in_lanes(values))
    x, state = descent(lanes, oracle(objective, laned=True), start, range(7))
    new, _, _ = lanes.step(oracle(objective, laned=True), 7, x, state)
    for index in range(LANES):
        alone = manual(name, **one(values, index))
        here = x[index].clone()
        there, _, _ = alone.step(oracle(objective, laned=False), 7, here, slice_of(state, index))
        scale = torch.maximum(here.abs(), there.abs())

        assert new.dtype == torch.float32
        assert ((new[index] - there).abs() <= 4 * torch.finfo(torch.float32).eps * scale).all()


@pytest.mark.parametrize("name", GENERAL)
def test_a_path_in_lanes_is_a_path_alone(name: str) -> None:
    """Over 15 steps in float64 lanes have the trajectories of single runs, with different numbers in each lane."""
    values = lane_values(name, *(other for method, other in FLOATS if method == name))
    start = stack_runs([ROSENBROCK.start_at(0)] * LANES)
    x, _ = descent(manual(name, **in_lanes(values)), oracle(ROSENBROCK, laned=True), start, range(15))
    for index in range(LANES):
        points, _ = path(manual(name, **one(values, index)), ROSENBROCK, 15)

        assert apart(x[index], points[-1], points[0]) < 1e-11


@pytest.mark.parametrize("name", GENERAL)
def test_a_nan_stays_in_its_lane(name: str) -> None:
    """A lane that is not finite changes no bit of its neighbours."""
    clean = stack_runs([ROSENBROCK.start_at(0)] * LANES)
    spoilt = clean.clone()
    spoilt[1] = math.nan
    lanes = manual(name, **in_lanes({"lr": lane_values(name)["lr"]}))
    x, _ = descent(lanes, oracle(ROSENBROCK, laned=True), clean, range(10))
    y, _ = descent(lanes, oracle(ROSENBROCK, laned=True), spoilt, range(10))

    assert torch.equal(x[::2], y[::2])
    assert y[1].isnan().all()


@pytest.mark.parametrize("name", GENERAL)
def test_a_step_keeps_the_dtype(name: str) -> None:
    """Hyper-parameters in float64 do not change the dtype of x or of the state's tensors of x's shape."""
    plain = Objective(fn=lambda x: (x * x)[..., 0] + (x * x)[..., 1], start=torch.tensor([1.0, 2.0]), laned=True)
    every_float = {other: [number] * LANES for other, number in hypers(name, {}).items() if type(number) is float}
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        objective = replace(plain, prox=identity_prox).to(dtype, "cpu")
        alone, _ = descent(manual(name), oracle(objective, laned=False), objective.start_at(0), range(3))
        start = stack_runs([objective.start_at(0)] * LANES)
        lanes, _ = descent(manual(name, **in_lanes(every_float)), oracle(objective, laned=True), start, range(3))

        assert alone.dtype == lanes.dtype == dtype


# Compiled is eager.


def fewer_trips(name: str) -> dict[str, Any]:
    """Searches with few trials, all of which a compiler unrolls."""
    return {trips: 2 for trips in ("trips", "inner_trips") if trips in OPTIMIZERS[name].hyper}


class Written(CompilableOracle):
    """Rosenbrock's function with explicit derivatives: differentiation is half of the compile time."""

    def grad(self, x: Tensor, k: Step) -> tuple[Tensor, Tensor]:
        """f and its gradient."""
        slope = 200 * (x[..., 1] - x[..., 0] ** 2)
        return rosenbrock(x), torch.stack([2 * (x[..., 0] - 1) - 2 * x[..., 0] * slope, slope], -1)

    def hvp(self, x: Tensor, v: Tensor, k: Step) -> Tensor:
        """The Hessian times v."""
        mixed, bend = -400 * x[..., 0], 2 - 400 * (x[..., 1] - x[..., 0] ** 2) + 800 * x[..., 0] ** 2
        return torch.stack([bend * v[..., 0] + mixed * v[..., 1], mixed * v[..., 0] + 200 * v[..., 1]], -1)


def written(laned: bool) -> CompilableOracle:
    """An oracle of that function, in lanes or not."""
    return Written(rosenbrock, laned, split=CompositeParts(Written(rosenbrock, laned), identity_prox))


def check_compiled(name: str, backend: str, objective: Objective | None = None) -> int:
    """Two runs of other step sizes through one program, each equal to its eager run; the number of graphs made."""
    before, program = counters["stats"]["unique_graphs"], Program(factory(name), backend)
    ask = oracle(objective, laned=False, compiled=True) if objective else written(laned=False)
    objective = objective or ROSENBROCK
    start = objective.start_at(0)
    for scale in (1.0, 0.5):
        changed = {"lr": scale * lr_of(name), **fewer_trips(name)}
        y, _ = descent(program.method(hypers(name, changed)), ask, start, range(10))
        z, _ = descent(manual(name, **changed), oracle(objective, laned=False), start, range(10))

        assert leaves(y)[0].dtype == leaves(z)[0].dtype
        assert apart(y, z, start) < TOLERANCE[leaves(y)[0].dtype]
    return counters["stats"]["unique_graphs"] - before


def check_compiled_lanes(name: str, backend: str, objective: Objective | None = None, steps: int = 1) -> int:
    """The same for ever more lanes, looked at within the graph, which holds so many steps."""

    def add(weight: Any, k: Any, x: Params, seen: StepInfo, total: Tensor) -> Tensor:
        return total + weight * seen.loss.detach() * k

    before, program = counters["stats"]["unique_graphs"], Program(factory(name), backend)
    ask = oracle(objective, laned=True, compiled=True) if objective else written(laned=True)
    objective = objective or ROSENBROCK
    plain, eager = oracle(objective, laned=True), factory(name)
    for count in (2, 3, 40):
        hyper = hypers(
            name, in_lanes({"lr": (lr_of(name) * torch.linspace(0.2, 1.0, count)).tolist()}) | fewer_trips(name)
        )
        method, start = program.in_lanes(hyper, add), stack_runs([objective.start_at(0)] * count)
        x, state = method.init(start)
        weight, total = torch.full([count], 2.0, dtype=F64), torch.zeros(count, dtype=F64)
        for _ in range(4):
            x, state, total, _ = method.steps(steps, ask, x, state, weight, total)
        y, expected, inner = start, torch.zeros(count, dtype=F64), eager(**hyper).begin(start, laned=True)
        for k in range(4 * steps):
            ours = eager(**hyper)
            at = ours.output_at(y, inner)
            y, inner, saw = ours.step(plain, k, y, inner)
            expected = add(2.0, k, at, compute_output_info(ours, plain, k, at, StepInfo(*saw)), expected)

        assert apart(method.put_lanes_first(x), y, start) < TOLERANCE[leaves(y)[0].dtype]
        assert total.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    return counters["stats"]["unique_graphs"] - before


SEARCHING_ALIKE = {"cg_dy", "cg_fr", "cg_hs", "cg_hz"}
"""Conjugate gradients whose search is cg_pr's, at two seconds each."""
ALONE = [name for name in GENERAL if OPTIMIZERS[name].torch or not manual(name).constant_cost]
ALONE = [name for name in ALONE if name not in SEARCHING_ALIKE]
"""Methods that are compiled for a run alone too: torch's, and those that search, which alone stop early."""


@pytest.mark.parametrize("name", representatives(ALONE, ("adam", "armijo", "bfgs", "muon_adamw", "sophia")))
def test_compiled_equals_manual_in_one_graph(name: str) -> None:
    """torch.compile follows a method alone in one graph, and another step size runs through the same one."""
    assert check_compiled(name, "eager") == 1


KINDS = ("adam", "armijo", "cg_pr", "chebyshev", "dog", "fista", "lookahead", "muon_adamw", "sam")
"""A method of each kind: plain steps, searches, directions, schedules, sums over x, proximal, averaged, mixed."""


@pytest.mark.parametrize("name", representatives(GENERAL, KINDS))
def test_compiled_lanes_equal_manual_ones_in_one_graph(name: str) -> None:
    """A step of every method in lanes makes one graph, which serves any number of lanes and step sizes."""
    assert check_compiled_lanes(name, "eager") == 1


@pytest.mark.slow  # fast, in lanes: momentum of a dict below
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own import of inductor
def test_inductor_equals_manual_in_one_graph() -> None:
    """The C++ compiler keeps the values of a step and the memory layout of its state."""
    assert check_compiled("adam", "inductor", OBJECTIVES["matrix"]) == 1


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "objective", "steps"),
    [
        pytest.param("adam", "vector", 3, marks=pytest.mark.slow),
        pytest.param("gd", "dict", 3, marks=pytest.mark.slow),
        ("momentum", "vector", 2),
        pytest.param("momentum", "dict", 2, marks=pytest.mark.slow),
    ],
)
def test_inductor_lanes_equal_manual_ones(name: str, objective: str, steps: int) -> None:
    """The same holds in lanes, for points that the unstack pass splits and for others."""
    library = sys.platform == "linux" and objective == "vector"  # which is no graph of torch.compile's

    assert check_compiled_lanes(name, "inductor", OBJECTIVES[objective], steps) == (0 if library else 1)


@pytest.mark.parametrize("objective", representatives(["scalar", "dict"], ["scalar"]))
def test_a_compiled_step_keeps_shape_and_dtype(objective: str) -> None:
    """A 0-d point in float32 stays one, though the hyper-parameters are 0-d in float64; a dict stays a dict."""
    small = OBJECTIVES[objective].to(torch.float32, "cpu")

    assert check_compiled("nadam", "aot_eager", small) == 1


def test_a_plain_zero_makes_a_graph_of_its_own() -> None:
    """Structure is part of a program: with weight decay there is another graph, and each is used again."""
    before, program = counters["stats"]["unique_graphs"], Program(factory("gd"), "eager")
    ask = oracle(ROSENBROCK, laned=False, compiled=True)
    for weight_decay in (0.0, 0.1, 0.2, 0.0):
        changed = {"lr": 1e-3, "weight_decay": weight_decay}
        x, _ = descent(program.method(changed), ask, ROSENBROCK.start_at(0), range(5))
        points, _ = path(manual("gd", **changed), ROSENBROCK, 5)
        assert apart(x, points[-1], points[0]) < 1e-14
    assert counters["stats"]["unique_graphs"] - before == 2


@pytest.mark.skipif(not hasattr(eval_frame, "set_fullgraph_compiled_frame_count"), reason="this torch counts nothing")
def test_calls_of_other_threads_do_not_disturb(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled step is kept although others begin and end one meanwhile, which sets torch's counter."""
    count, leave, ended = eval_frame.set_fullgraph_compiled_frame_count, eval_frame.set_eval_frame, False

    def noting(graph: torch.fx.GraphModule, _: object) -> Callable[..., Any]:
        def run(*at: Any) -> Any:
            nonlocal ended
            ended = True
            return graph(*at)

        return run

    def disturbed(callback: Any) -> Any:
        if ended:
            count(-1)  # as a call of another thread does when it ends,
            count(0)  # and when it begins
        return leave(callback)

    monkeypatch.setattr(eval_frame, "set_eval_frame", disturbed)
    method = compile_method(factory("gd"), {"lr": 0.1}, noting)
    x, _, _ = method.step(oracle(ROSENBROCK, False, compiled=True), 0, ROSENBROCK.start, method.init(ROSENBROCK.start))

    assert torch.isfinite(x).all()


def test_a_switched_off_compiler_is_unavailable() -> None:
    """Where torch.compile leaves a step as it is, the run says so instead of passing for compiled."""
    method = compile_method(factory("gd"), {"lr": 0.1}, "eager")
    with torch._dynamo.config.patch(disable=True), pytest.raises(Unavailable, match="it has compiled nothing"):
        method.step(oracle(ROSENBROCK, False, compiled=True), 0, ROSENBROCK.start, method.init(ROSENBROCK.start))


def test_what_cannot_be_compiled_is_unavailable() -> None:
    """An objective that branches on its numbers is refused in one line."""
    branching = Objective(fn=lambda x: x.sum() if x.sum() > 0 else -x.sum(), start=torch.ones(2))
    method = compile_method(factory("gd"), {"lr": 0.1}, "eager")
    with pytest.raises(Unavailable, match=r"^torch.compile: .*[Dd]ata-dependent"):
        method.step(oracle(branching, False, compiled=True), 0, branching.start, method.init(branching.start))


# Armijo's search.


def sequential(objective: Objective, x: Tensor, lr: float, shrink: float, c: float, trips: int) -> tuple[Tensor, int]:
    """Textbook backtracking: returns the new point and the number of trials."""
    loss, grad = oracle(objective, laned=False).grad(x, 0)
    loss = loss.detach()
    for trial in range(trips):
        size = lr * shrink**trial
        value = float(objective.value(x - size * grad))
        if math.isfinite(value) and value <= float(loss) - c * size * float((grad * grad).sum()):
            return x - size * grad, trial + 1
    return x, trips


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    starts=st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=2, max_size=4),
    lr=st.floats(1e-3, 10.0),
    shrink=st.floats(0.1, 0.9),
    c=st.floats(1e-4, 0.5),
)
def test_armijo_is_the_sequential_search(starts: list[tuple[float, float]], lr: float, shrink: float, c: float) -> None:
    """Alone and in lanes Armijo accepts the first sufficient step, and counts the trials up to it."""
    method = manual("armijo", lr=lr, shrink=shrink, c=c)
    points = [torch.tensor(start, dtype=F64) for start in starts]
    lanes, _, together = method.step(oracle(ROSENBROCK, laned=True), 0, stack_runs([*points]), ())
    for index, x in enumerate(points):
        expected, trials = sequential(ROSENBROCK, x, lr, shrink, c, 30)
        alone, _, seen = method.step(oracle(ROSENBROCK, laned=False), 0, x, ())

        assert int(seen.evaluations) == int(together.evaluations[index]) == trials
        assert apart(alone, expected, x + 1) < 1e-14
        assert apart(lanes[index], expected, x + 1) < 1e-12
        assert seen.gradients == 1


def test_armijo_never_rises() -> None:
    """From one accepted step to the next the loss goes down."""
    method = manual("armijo")
    _, losses = path(method, ROSENBROCK, 200)

    assert all(after < before for before, after in pairwise(losses))
    assert not method.constant_cost


def test_armijo_stays_where_no_trial_will_do() -> None:
    """Trials that are not finite are never taken; without a good one x stays, and every trial is counted."""
    cliff = Objective(fn=lambda x: torch.where(x == 1.0, x, -math.inf * x.sign()), start=torch.tensor(1.0))
    x, _, seen = manual("armijo", trips=7).step(oracle(cliff, laned=False), 0, cliff.start_at(0), ())

    assert float(x) == 1.0
    assert int(seen.evaluations) == 7
