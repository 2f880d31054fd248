"""Laws that every objective in ``conf/objective`` keeps, then what is particular to some."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.laws import CONF, CONFIGURATIONS, SMALLER, build_configured, points, target
from support.tiers import representatives
from torch.autograd.functional import hessian

import gdbench
from gdbench.engine.oracle import CompilableOracle, oracle
from gdbench.errors import UsageError
from gdbench.objectives import Objective, make_generator
from gdbench.objectives.base import count_coordinates
from gdbench.objectives.classical import rosenbrock, styblinski_tang
from gdbench.objectives.classification import logistic, mlp
from gdbench.objectives.instances import apply_fixed_rotation
from gdbench.objectives.quadratic import SPECTRA, quadratic
from gdbench.objectives.vectors import alternating
from gdbench.tree import Params, dot, leaves, rebuild, select_run, stack_runs, tree_map
from website.axes import is_separable

torch.set_num_threads(1)

FILES = [CONF / "objective" / f"{name}.yaml" for name in CONFIGURATIONS]
CASES = {name: (name, SMALLER.get(name, {})) for name in CONFIGURATIONS} | {
    "quadratic, turned": ("quadratic", {"n": 7, "instance": 3, "spectrum": "clustered"}),
    "quadratic, along axes": ("quadratic", {"rotated": False}),
    "quadratic, shifted": ("quadratic", {"n": 3, "instance": 2, "rotated": False}),
    "rosenbrock, chained": ("rosenbrock", {"n": 5}),
    "rosenbrock, moved": ("rosenbrock", {"n": 3, "instance": 2}),
    "de_jong_5, moved": ("de_jong_5", {"instance": 1}),
    "himmelblau, moved": ("himmelblau", {"instance": 1}),
    "mccormick, moved": ("mccormick", {"instance": 1}),
}
"""The cases of the laws: the shipped configurations, and sizes for which the code differs."""

BEYOND_HALF = {
    "bbob_f02_ellipsoid": "its 1e6 is beyond float16",
    "bbob_f06_attractive_sector": "f = 5e5 at the start",
    "bbob_f08_rosenbrock": "f = 1e5 at the start",
    "bbob_f10_ellipsoid_rotated": "its 1e6 is beyond float16",
    "bbob_f11_discus": "its 1e6 is beyond float16",
    "bbob_f12_bent_cigar": "its 1e6 is beyond float16",
    "bbob_f16_weierstrass": "its 3^11 is beyond float16",
    "bbob_f20_schwefel": "squares of 4e4",
    "bbob_f23_katsuura": "its 2^32 is beyond float16",
    "brown_badly_scaled": "its 1e6 is beyond float16",
    "brown_dennis": "f = 7.9e6 at the start",
    "jennrich_sampson": "a slope of 7.6e4 at the start",
    "linear_rank_one": "f = 8.7e6 at the start",
    "linear_rank_one_zeros": "f = 4.1e6 at the start",
    "meyer": "f = 1.7e9 at the start",
    "variably_dimensioned": "f = 2.2e6 at the start",
    "de_jong_5": "sixth powers up to 5.7e10",
    "de_jong_5, moved": "sixth powers up to 5.7e10",
    "dekkers_aarts": "its 1e5 is beyond float16",
    "perm": "f = 9e4 at the start",
}
"""Objectives that float16, which ends at 65504, does not hold at their starts."""

NO_SLOPE = {
    "bbob_f20_schwefel": "COCO writes x* with ten digits, at which the slope is 4e-8",
    "bukin_6": "its walls get endlessly steep towards the bottom, where no slope exists",
    "quintic": "one of its kinks lies at no float64 number, and beside it the slope is not 0",
    "schwefel_2_6": "a kink across both coordinates: beside it f grows with the distance, not with its square",
}
"""Objectives that have no vanishing gradient at a minimiser."""

RUGGED = {
    "bbob_f16_weierstrass": "waves down to the length 3^-11",
    "bbob_f19_griewank_rosenbrock": "the cosine of numbers above 1e4",
    "bbob_f23_katsuura": "kinks on every scale down to 2^-32",
}
"""Objectives whose slope differences miss: test_bbob.py holds their gradients against arithmetic of 50 digits."""

FLAT = {"bbob_f07_step_ellipsoid"}
"""Plateaus, which have no slope to start on."""

every_objective = pytest.mark.parametrize("name", CASES)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def build(name: str) -> Objective:
    """The objective of a case."""
    return build_configured(*CASES[name])


def minus(a: Params, b: Params) -> Params:
    """The difference a - b, leaf by leaf."""
    return tree_map(torch.sub, a, b)


def length(x: Params) -> float:
    """The Euclidean norm."""
    return float(dot(x, x, laned=False)) ** 0.5


def smooth_gradient(objective: Objective, x: Params) -> Params:
    """The gradient at one point, of all data; where there is a prox, of the smooth part."""
    ask = oracle(objective, laned=False)
    ask = ask.split.smooth if ask.split else ask
    return (ask.full or ask).grad(x, 0)[1]


def gradient(objective: Objective, x: Params) -> Params:
    """The gradient at one point; where there is a domain or a prox, the way that a step of 1 leads with it."""
    slope = smooth_gradient(objective, x)
    if objective.prox:
        return minus(x, objective.prox(minus(x, slope), 1.0))
    return minus(x, objective.project(minus(x, slope))) if objective.project else slope


def test_configuration_says_what_it_is() -> None:
    """A configuration begins with a description, and names a factory of the file's name."""
    for file in FILES:
        name, opening = file.stem, file.read_text().splitlines()[0]
        assert opening.startswith("# "), name
        assert len(opening.removeprefix("# ")) > 20, name
        assert CONFIGURATIONS[name]["_target_"].endswith(f".{name}")
        assert build(name).source, name


@every_objective
def test_value_is_a_scalar_of_the_dtype(name: str) -> None:
    """Value and gradient at the start are finite and keep the dtype; the value is a scalar, the gradient like x."""
    for dtype in DTYPES:
        if dtype == torch.float16 and name in BEYOND_HALF:
            continue
        objective = build(name).to(dtype, "cpu")
        x = objective.start_at(0)
        loss, grad = oracle(objective, laned=False).grad(x, 0)
        assert loss.shape == (), dtype
        for number in (loss, *leaves(grad), *leaves(x)):
            assert number.dtype == dtype
            assert number.isfinite().all(), dtype
        assert [leaf.shape for leaf in leaves(grad)] == [leaf.shape for leaf in leaves(x)], dtype


@every_objective
def test_gradient_is_the_slope(name: str) -> None:
    """The gradient agrees with central differences in float64, but for the rounding of f over their width."""
    if name in RUGGED:
        pytest.skip(RUGGED[name])
    objective = build(name).to(torch.float64, "cpu")
    for x in points(objective, 3):
        noise = 1e-6 + 1e-9 * abs(float(objective.value(x)))
        inputs = tuple(leaf.requires_grad_() for leaf in leaves(x))
        assert torch.autograd.gradcheck(
            lambda *new, like=x: objective.value(rebuild(like, new)), inputs, rtol=1e-5, atol=noise, fast_mode=True
        )


@every_objective
def test_minimum_is_attained_where_it_is_said_to_be(name: str) -> None:
    """At each minimiser the value is the minimum and the gradient vanishes, but for the rounding of both and of x.

    What rounding does is seen a few ulps away, where the exact value would be the same.
    """
    if name in NO_SLOPE:
        pytest.skip(NO_SLOPE[name])
    objective, seed = build(name).to(torch.float64, "cpu"), make_generator(0)
    scale = max(1.0, float(objective.value(objective.start_at(0)))) if objective.minimisers else 1.0
    for x in objective.minimisers:
        value, slope = float(objective.value(x)), gradient(objective, x)
        near = [
            tree_map(lambda leaf: leaf * (1 + 4e-16 * torch.randn_like(leaf, generator=seed)), x) for _ in range(10)
        ]
        noise = max(abs(float(objective.value(point)) - value) for point in near)
        tremor = max(length(minus(gradient(objective, point), slope)) for point in near)
        assert value == pytest.approx(objective.minimum, rel=1e-15, abs=1e-24 + 2 * noise)
        assert noise <= 1e-11 * abs(value) + 1e-24 * scale
        assert length(slope) <= 1e-12 + 4 * tremor


@every_objective
def test_kind_of_minimum_fits(name: str) -> None:
    """An exact or computed minimum comes with its minimisers; an unknown one is None."""
    objective = build(name)
    assert bool(objective.minimisers) == (objective.minimum_kind in {"exact", "computed"})
    assert (objective.minimum is None) == (objective.minimum_kind == "unknown")


@every_objective
def test_start_leaves_something_to_do(name: str) -> None:
    """The start lies above the minimum and is not stationary."""
    objective = build(name)
    x = objective.start_at(0)
    value = float(objective.value(x))
    assert length(gradient(objective, x)) > 1e-3 or name in FLAT
    if objective.minimum is not None:
        assert value - objective.minimum > 1e-3 * abs(value)


@every_objective
def test_seed_decides_the_start(name: str) -> None:
    """A seed always means the same start, and another one only where the objective says so; no global seed is used."""
    objective = build(name)
    torch.manual_seed(1)
    state, ask = torch.get_rng_state(), oracle(objective, laned=False)
    first, again, other = objective.start_at(0), objective.start_at(0), objective.start_at(1)
    (loss, slope), (loss_again, slope_again) = ask.grad(first, 0), ask.grad(again, 0)
    assert length(minus(first, again)) == length(minus(slope, slope_again)) == 0
    assert loss.item() == loss_again.item()
    assert (length(minus(first, other)) > 0) == objective.has_random_start
    assert torch.equal(torch.get_rng_state(), state)


@every_objective
@pytest.mark.parametrize("compilable", [False, True])
def test_lanes_are_solo_runs(name: str, compilable: bool) -> None:
    """Distinct points in lanes give the losses and gradients that each gives alone, by laned code and by vmap."""
    objective = build(name).to(torch.float64, "cpu")
    alone = points(objective, 3)
    ways = [oracle(objective, laned=True, compiled=compilable)]
    ways += (
        [CompilableOracle(torch.func.vmap(objective.value), laned=True)] if objective.laned and not ways[0].full else []
    )
    for way in ways:
        losses, grads = way.grad(stack_runs(alone), 0)
        assert losses.shape == (3,)
        for i, x in enumerate(alone):
            loss, grad = oracle(objective, laned=False).grad(x, 0)
            torch.testing.assert_close(losses[i], loss, rtol=1e-13, atol=1e-13)
            torch.testing.assert_close(select_run(grads, i), grad, rtol=1e-12, atol=1e-12)


COMPILED = [(name, True) for name in CASES if not build(name).laned]
COMPILED += [(name, False) for i, name in enumerate(CASES) if i % 30 == 0 or (name, True) in COMPILED]
COMPILED += [("fixed_delay", laned) for laned in (False, True)]
"""What is compiled, at half a second each: vmap, which all others pass, refuses nearly all that the compiler does."""


@pytest.mark.parametrize(
    ("name", "laned"),
    representatives(COMPILED, [case for case in COMPILED if case[0] not in ("cnn", "mlp_square", "transformer")][::3]),
)
def test_compiler_takes_it_whole(name: str, laned: bool) -> None:
    """Value and gradient compile into one graph without breaks, and keep their values."""
    objective = build(name)
    way = oracle(objective, laned, compiled=True)
    x = stack_runs(points(objective, 3)) if laned else points(objective, 1)[0]
    torch.compiler.reset()  # else the objectives before this one count as its recompilations
    compiled = torch.compile(lambda point: way.grad(point, 0), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), way.grad(x, 0))


@pytest.mark.parametrize("name", [name for name in CASES if build(name).smoothness is not None])
@given(seed=st.integers(0, 2**32), spread=st.floats(1e-2, 1e2))
@settings(max_examples=20, deadline=None)
def test_curvature_bounds_hold(name: str, seed: int, spread: float) -> None:
    """Between any two points the gradient changes by at most L, and along them by at least mu, times the distance."""
    objective = build(name).to(torch.float64, "cpu")
    a, b = points(objective, 2, spread, seed)
    step, turn = minus(a, b), minus(smooth_gradient(objective, a), smooth_gradient(objective, b))
    assert length(turn) <= objective.smoothness * length(step) * (1 + 1e-9)
    if objective.strong_convexity is not None:
        assert dot(turn, step, laned=False) >= objective.strong_convexity * length(step) ** 2 * (1 - 1e-9)


CLASS_CONSTANT = {"nesterov_worst": "its L is that of the class it is the worst of, above its own largest eigenvalue"}


def constant_spectrum(stated: Objective) -> torch.Tensor | None:
    """The eigenvalues of a Hessian that is the same at three points, in ascending order; None where it is not."""
    start = stated.start_at(0)
    if isinstance(start, dict):
        return None
    first, *others = (
        hessian(lambda flat: stated.value(flat.reshape(start.shape)), point.reshape(-1))
        for point in points(stated, 3, spread=1.0)
    )
    constant = all((first - other).abs().max() <= 1e-9 * first.abs().max() for other in others)
    return torch.linalg.eigvalsh(first) if constant else None


def test_quadratics_state_the_ends_of_their_spectrum() -> None:
    """Where the Hessian is the same everywhere, L and mu are its largest and its smallest eigenvalue."""
    checked = []
    for name in CASES:
        stated = build(name)
        if stated.smoothness is None and stated.strong_convexity is None:
            continue
        spectrum = constant_spectrum(stated)
        if spectrum is None:
            continue
        checked.append(name)
        if stated.smoothness is not None and name not in CLASS_CONSTANT:
            assert stated.smoothness == pytest.approx(float(spectrum[-1]), rel=1e-9), name
        if stated.strong_convexity is not None:
            assert stated.strong_convexity == pytest.approx(float(spectrum[0]), rel=1e-6), name

    assert {"ridge", "quadratic", "lasso_proximal", "trid"} <= set(checked)


@pytest.mark.parametrize(
    ("name", "loss", "grad"),
    [
        ("notebook_square", 10, [20.0]),
        ("notebook_log", math.log(math.factorial(12)), [1 / i for i in range(1, 13)]),
        ("notebook_matrix", 650, [[2.0, 4, 6, 8], [10, 12, 14, 16], [18, 20, 22, 24]]),
        ("notebook_manual", 64, [16.0]),
        ("notebook_sgd", 49, [14.0]),
    ],
)
def test_notebook_gradients(name: str, loss: float, grad: list[float]) -> None:
    """The first losses and gradients are those that the notebook printed."""
    objective = build(name)
    objective = objective.to(objective.dtype, "cpu")
    seen, slope = oracle(objective, laned=False).grad(objective.start_at(0), 0)
    assert seen.item() == pytest.approx(loss, rel=1e-15)
    assert torch.equal(slope, torch.tensor(grad, dtype=objective.dtype))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("notebook_square", lambda x: 10 * (x**2).sum()),
        ("notebook_log", lambda x: (x.log()).sum()),
        ("notebook_matrix", lambda x: (x**2).sum()),
        ("notebook_manual", lambda x: ((x - 2) ** 2).sum()),
        ("notebook_sgd", lambda x: ((x - 3) ** 2).sum()),
    ],
)
def test_notebook_digits(name: str, written: object) -> None:
    """A sum over the axes of the point has the same bits as the notebook's sum over everything."""
    objective = build(name)
    for point in points(objective, 100):
        x = point.to(objective.dtype)
        assert torch.equal(objective.value(x), written(x))


def test_notebook_descent_digit_for_digit() -> None:
    """A hundred steps by hand from 10 print what the notebook printed."""
    objective = build("notebook_manual").to(torch.float32, "cpu")
    x, printed = objective.start_at(0), {}
    for step in range(100):
        loss, grad = oracle(objective, laned=False).grad(x, step)
        x = x - 0.1 * grad
        printed[step] = (x.item(), loss.item())
    assert printed[0] == (8.399999618530273, 64.0)
    assert printed[10] == (2.687194585800171, 0.7378695011138916)
    assert printed[50] == (2.000091075897217, 1.2987811714992858e-08)
    assert printed[90] == (2.000000476837158, 2.2737367544323206e-13)


@given(
    n=st.integers(2, 12),
    condition=st.floats(1, 1e6),
    spectrum=st.sampled_from(sorted(SPECTRA)),
    smoothness=st.floats(1e-3, 1e3),
    instance=st.integers(0, 5),
    rotated=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_quadratic_has_the_eigenvalues_asked_for(
    n: int, condition: float, spectrum: str, smoothness: float, instance: int, rotated: bool
) -> None:
    """In every instance the Hessian has the spectrum's eigenvalues, from mu to L, and the start sees all alike."""
    objective = quadratic(n, condition, spectrum, smoothness, instance, rotated)
    x = objective.start_at(0)
    found = torch.linalg.eigvalsh(hessian(objective.value, x))
    asked = SPECTRA[spectrum](n, smoothness / condition, smoothness)
    torch.testing.assert_close(found, asked, rtol=1e-12, atol=1e-13 * smoothness)
    assert asked[0] == pytest.approx(objective.strong_convexity, rel=1e-14)
    assert asked[-1] == objective.smoothness
    assert float(objective.value(x)) == pytest.approx(float(asked.sum()) / 2, rel=1e-12)
    assert float(objective.value(objective.minimisers[0])) == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("rotated", [True, False])
def test_the_minimum_of_a_quadratic_is_0_to_the_last_bit(dtype: torch.dtype, rotated: bool) -> None:
    """In every dtype value and slope at the minimiser are 0, and the start's loss is that of float64 to rounding."""
    stated = quadratic(rotated=rotated)
    cast = stated.to(dtype, "cpu")
    value, slope = oracle(cast, laned=False).grad(cast.minimisers[0], 0)

    assert value == 0
    assert not slope.any()
    expected = float(stated.value(stated.start_at(0)))
    assert float(cast.value(cast.start_at(0))) == pytest.approx(expected, rel=8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("n", [2, 3, 7, 10, 33])
def test_the_fixed_rotation_is_dense_and_has_no_axis(n: int) -> None:
    """It is orthogonal to rounding, turns (no reflection), leaves no axis where it was, and couples all coordinates."""
    rotation = apply_fixed_rotation(torch.eye(n, dtype=torch.float64))
    coupled = quadratic(n).data["factor"]

    torch.testing.assert_close(rotation @ rotation.T, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-14)
    assert torch.linalg.det(rotation) == pytest.approx(1)
    assert rotation.abs().max() < 0.95
    assert (coupled @ coupled.T).abs().min() > 1e-5


def test_the_fixed_rotation_has_the_same_bits_everywhere() -> None:
    """Rows of ten coordinates are rotated to exactly these numbers, also with another order of summation."""
    rotation = apply_fixed_rotation(torch.eye(10, dtype=torch.float64))
    start = quadratic().start_at(0)

    assert sha256(rotation.contiguous().numpy().tobytes()).hexdigest()[:16] == "87d941c8adc09504"
    assert start.tolist()[:2] == [1.8914992496956062, -1.4047165125921954]
    assert start.tolist() == pytest.approx([math.fsum(row) for row in rotation.tolist()], rel=1e-14)


def test_signs_do_not_land_on_the_minimum_of_the_quadratic_that_is_shown(tmp_path: Path) -> None:
    """At no lr do sign methods reach the target in two steps; along the axes lr 1 reaches it in one."""
    sweep = partial(gdbench.sweep, "quadratic", steps=2, dtype="float64", timing="off", outputs=tmp_path)
    signs = {"optimizer": ["signsgd", "lion", "adam"], "lr": "tag(log,interval(1e-2,10))", "points": 301}
    shown = sweep(**signs)
    along_axes = sweep(optimizer="signsgd", lr=1.0, **{"objective.rotated": False})

    assert shown["steps_to_target"].isna().all()
    assert shown["final_gap"].min() > 0.01
    assert along_axes["steps_to_target"].tolist() == [1]


SEPARABLE = {"rastrigin", "levy", "schwefel_2_20", "noisy_quadratic", "quadratic, along axes", "bbob_f02_ellipsoid"}
COUPLED = {"quadratic", "rosenbrock", "ackley", "schwefel_2_6", "bbob_f07_step_ellipsoid", "gulf", "griewank", "ridge"}


@pytest.mark.parametrize("name", representatives(CASES, SEPARABLE | COUPLED))
def test_separable_objectives_have_a_diagonal_hessian(name: str) -> None:
    """What the reference calls separable has no mixed second derivative; what it does not has one, or kinks."""
    stated = build(name)
    separable = is_separable(stated)
    start = stated.start_at(0)

    assert name not in SEPARABLE | COUPLED or separable == (name in SEPARABLE)
    if separable and count_coordinates(stated) <= 100 and isinstance(start, torch.Tensor):
        for point in points(stated, 3, spread=0.1):
            second = hessian(lambda flat: stated.value(flat.reshape(start.shape)), point.reshape(-1))
            assert (second - second.diagonal().diag()).abs().max() <= 1e-9 * second.abs().max()


def test_the_reference_says_which_objectives_favour_axes() -> None:
    """Each separable objective, and each that starts on a diagonal of its minimum, is called so."""
    from website import reference
    from website.facts import entries

    told = {
        entry.name: dict(reference.facts(entry, entry.made))["Properties"]
        for entry in entries("objective")
        if entry.name in ("quintic", "quadratic")
    }

    assert "separable" in told["quintic"]
    assert "diagonal" in told["quintic"]
    assert "separable" not in told["quadratic"]
    assert "diagonal" not in told["quadratic"]


@pytest.mark.parametrize(
    ("spectrum", "eigenvalues"),
    [
        ("uniform", [1, 34, 67, 100]),
        ("geometric", [1, 100 ** (1 / 3), 100 ** (2 / 3), 100]),
        ("clustered", [1, 1, 100, 100]),
        ("outlier", [1, 1, 1, 100]),
    ],
)
def test_spectra(spectrum: str, eigenvalues: list[float]) -> None:
    """Each spectrum spaces its eigenvalues as its name says."""
    objective = quadratic(4, condition=100, spectrum=spectrum, smoothness=100, rotated=False)
    assert objective.data["eigenvalues"].tolist() == pytest.approx(eigenvalues, rel=1e-14)


def test_gradient_descent_sees_no_instance() -> None:
    """Gradient descent has the same losses along the axes, rotated, and otherwise rotated and shifted."""

    def losses(objective: Objective) -> list[float]:
        x, seen = objective.start_at(0), []
        for step in range(50):
            loss, grad = oracle(objective, laned=False).grad(x, step)
            x = x - grad
            seen.append(loss.item())
        return seen

    along_axes = losses(quadratic(rotated=False))
    for turned in (quadratic(), quadratic(instance=3), quadratic(instance=3, rotated=False)):
        assert losses(turned) == pytest.approx(along_axes, rel=1e-10)


INSTANCED = [name for name, block in CONFIGURATIONS.items() if hasattr(target(block), "__wrapped__")]
"""Objectives that have instances by ``gdbench.objectives.instances``: all classical ones of a vector."""


@pytest.mark.parametrize("name", INSTANCED)
def test_instances_are_one_function_seen_elsewhere(name: str) -> None:
    """An instance is a rotation and shift of the function; no two have the same loss at the start."""
    plain, made = build_configured(name, {}), [build_configured(name, {"instance": number}) for number in (1, 2)]
    for instance in made:
        turn, centre, place = (instance.data[key] for key in ("turned", "centred", "placed"))
        torch.testing.assert_close(turn @ turn.mT, torch.eye(len(turn), dtype=torch.float64))
        assert torch.equal(instance.start_at(0), plain.start_at(0))
        for x in points(plain, 2):
            (loss, slope), there = oracle(plain, laned=False).grad(x, 0), place + turn @ (x - centre)
            found, seen = oracle(instance, laned=False).grad(there, 0)
            torch.testing.assert_close(found, loss, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(seen, turn @ slope, rtol=1e-7, atol=1e-9 * float(slope.norm()))
        for x, at in zip(plain.minimisers, instance.minimisers, strict=True):
            torch.testing.assert_close(at, place + turn @ (x - centre), rtol=1e-14, atol=1e-14)
        assert not plain.minimisers or instance.value(instance.minimisers[0]) == plain.value(plain.minimisers[0])
    assert len({float(instance.value(instance.start_at(0))) for instance in (plain, *made)}) == 3


def test_every_classical_function_has_instances() -> None:
    """The families of the literature have ``instance``, in their files too, except rotation-invariant clusters."""
    families = {
        *("bowl_shaped", "classical", "cosine_modulated", "hartmann_shekel", "multimodal_2d", "multimodal_nd"),
        *("nonsmooth", "polynomial", "power_functions", "valley_shaped"),
    }
    classical = {name for name, block in CONFIGURATIONS.items() if target(block).__module__.split(".")[2] in families}

    assert set(INSTANCED) == classical - {"lennard_jones"}
    assert all(CONFIGURATIONS[name]["instance"] == 0 for name in INSTANCED)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_rosenbrock_is_scipys(n: int) -> None:
    """Value and gradient are those of scipy.optimize.rosen and rosen_der, and the first loss is the known 24.2."""
    from scipy.optimize import rosen, rosen_der

    objective = rosenbrock(n)
    for x in [objective.start_at(0), *points(objective, 5, spread=1.0)]:
        assert float(objective.value(x)) == pytest.approx(rosen(x.numpy()), rel=1e-13)
        np.testing.assert_allclose(gradient(objective, x).detach(), rosen_der(x.numpy()), rtol=1e-12, atol=1e-12)
    assert float(rosenbrock(2).value(alternating(2, -1.2, 1.0))) == pytest.approx(24.2, rel=1e-15)


@pytest.mark.parametrize(("name", "loss"), [("beale", 14.203125), ("himmelblau", 106.0), ("styblinski_tang", -20.0)])
def test_first_loss(name: str, loss: float) -> None:
    """The first loss is the one worked out by hand."""
    assert float(build(name).value(build(name).start_at(0))) == loss


def test_himmelblau_names_four_minima() -> None:
    """The four minimisers lie well apart, and at each the Hessian is positive definite."""
    objective = build("himmelblau")
    assert torch.pdist(torch.stack(objective.minimisers)).min() > 3
    for x in objective.minimisers:
        assert torch.linalg.eigvalsh(hessian(objective.value, x)).min() > 10


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_styblinski_minimum_is_exact(n: int) -> None:
    """The minimum is n times that of one coordinate, rounded once: found from the root of 4 t^3 - 32 t + 5."""
    with localcontext(prec=40):
        root = Decimal("-2.9")
        for _ in range(10):
            root -= (4 * root**3 - 32 * root + 5) / (12 * root**2 - 32)
        assert styblinski_tang(n).minimum == float(n * (root**4 - 16 * root**2 + 5 * root) / 2)
        assert float(styblinski_tang(n).minimisers[0][-1]) == float(root)


@pytest.mark.parametrize("dataset", ["breast_cancer", "digits"])
def test_logistic_is_scikit_learns(dataset: str) -> None:
    """Loss, gradient and minimum agree with scikit-learn's own scaler, loss and second-order solver."""
    from sklearn import datasets
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import StandardScaler

    features, target = getattr(datasets, f"load_{dataset}")(return_X_y=True)
    features = np.c_[StandardScaler().fit_transform(features), np.ones(len(target))]
    target = target % 2
    objective = logistic(0.01, dataset)

    def loss(w: np.ndarray) -> float:
        return log_loss(target, 1 / (1 + np.exp(-features @ w))) + 0.005 * w @ w

    for x in points(objective, 3):
        p = 1 / (1 + np.exp(-features @ x.numpy()))
        assert float(objective.value(x)) == pytest.approx(loss(x.numpy()), rel=1e-12)
        slope = features.T @ (p - target) / len(p) + 0.01 * x.numpy()
        np.testing.assert_allclose(gradient(objective, x), slope, rtol=1e-10)
    solver = LogisticRegression(C=1 / (0.01 * len(target)), fit_intercept=False, solver="newton-cholesky", tol=1e-10)
    found = solver.fit(features, target).coef_[0]
    np.testing.assert_allclose(objective.minimisers[0], found, rtol=1e-6, atol=1e-7)
    assert objective.minimum == pytest.approx(loss(found), rel=1e-12)


@pytest.mark.parametrize("l2", [1e-6, 1e-3, 10.0])
def test_logistic_optimum_for_every_penalty(l2: float) -> None:
    """The computed minimiser has a gradient of at most 1e-12, for weak and for strong penalties."""
    objective = logistic(l2)
    assert length(gradient(objective, objective.minimisers[0])) <= 1e-12


def test_mlp_starts_as_torch_does() -> None:
    """The start lies within torch's own bounds, fills them, and begins near the loss of a guess, log 10."""
    objective = mlp()
    start = objective.start_at(0)
    assert {name: tuple(leaf.shape) for name, leaf in start.items()} == {
        "0.weight": (32, 64), "0.bias": (32,), "2.weight": (10, 32), "2.bias": (10,)
    }  # fmt: skip
    for name, inputs in {"0.weight": 64, "0.bias": 64, "2.weight": 32, "2.bias": 32}.items():
        assert 0.7 < float(start[name].abs().max()) * inputs**0.5 <= 1
    assert float(objective.value(start)) == pytest.approx(math.log(10), abs=0.1)


def test_mlp_learns() -> None:
    """A few hundred steps of gradient descent bring the loss of a small network down by half."""
    objective = mlp(hidden=8, samples=200)
    x = objective.start_at(0)
    for _ in range(200):
        x = tree_map(lambda leaf, slope: leaf - 0.5 * slope, x, gradient(objective, x))
    assert objective.value(x) < objective.value(objective.start_at(0)) / 2


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (partial(rosenbrock, 1), "objective.n=1: it must be a whole number of at least 2; try objective.n=2"),
        (partial(quadratic, 2.5), "objective.n=2.5: it must be a whole number of at least 1"),
        (partial(quadratic, True), "objective.n=True: it must be a whole number"),
        (partial(quadratic, condition=0.5), "objective.condition=0.5: it must be a finite number of at least 1"),
        (partial(quadratic, condition=math.inf), "objective.condition=inf: it must be a finite number"),
        (partial(quadratic, 1), "objective.condition=100.0: n=1 has one eigenvalue only; set objective.condition=1"),
        (partial(quadratic, smoothness=0), "objective.smoothness=0: it must be a finite number above 0"),
        (partial(quadratic, instance=-1), "objective.instance=-1: it must be a whole number of at least 0"),
        (
            partial(quadratic, rotated="yes"),
            "objective.rotated='yes': it must be true or false; try objective.rotated=tr",
        ),
        (
            partial(quadratic, 4097),
            "objective.n=4097: rotated, it is a matrix of n x n numbers, and n at most 4096; set ob",
        ),
        (partial(quadratic, spectrum="flat"), "it must be one of clustered, geometric, outlier, uniform"),
        (partial(rosenbrock, instance=-1), "objective.instance=-1: it must be a whole number of at least 0"),
        (partial(styblinski_tang, 0), "objective.n=0: it must be a whole number of at least 1"),
        (partial(logistic, 0), "objective.l2=0: it must be a finite number of at least 1e-06; try objective.l2=0.01"),
        (partial(logistic, dataset="iris"), "objective.dataset='iris': it must be one of breast_cancer, digits"),
        (partial(mlp, hidden=0), "objective.hidden=0: it must be a whole number of at least 1"),
        (partial(mlp, samples=1798), "objective.samples=1798: it must be a whole number from 1 to 1797"),
    ],
)
def test_refusals_teach(factory: partial[Objective], said: str) -> None:
    """A size that cannot be had is refused in one line that says what came, what is allowed and what to do."""
    with pytest.raises(UsageError) as refusal:
        factory()
    message = str(refusal.value)
    assert said in message
    assert "\n" not in message
