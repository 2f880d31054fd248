"""What user code draws from global generators depends on the seed and the step, and on nothing that ran before."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, Done
from support.cells import Tiny, parabola, small
from support.tiers import representatives

import gdbench
from gdbench.engine.random_state import compute_number, preserve_globals, read_states, seed_globals
from gdbench.engine.randomness_check import find_draws
from gdbench.engine.runner import run_cell
from gdbench.optimizers import Method
from gdbench.optimizers.sgd import gd
from gdbench.results.columns import is_exact

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

DRAWING = """
import random
import secrets

import numpy as np
import torch
import torch.nn.functional as F
from gdbench.objectives import Objective
from gdbench.optimizers import first_order

RNG = np.random.default_rng(0)


def noisy(lr):
    def update(k, grad, state, x):
        return x - lr * (grad + torch.randn_like(x)), state
    return lambda x: (), update


def starting(lr):
    return lambda x: torch.randn_like(x), lambda k, grad, state, x: (x - lr * (grad + state), state)


def made(lr):
    noise = random.random()
    return lambda x: (), lambda k, grad, state, x: (x - lr * (grad + noise), state)


def python(lr):
    return lambda x: (), lambda k, grad, state, x: (x - lr * random.random() * grad, state)


def numpy(lr):
    return lambda x: (), lambda k, grad, state, x: (x - lr * np.random.rand() * grad, state)


def late(lr):
    def update(k, grad, state, x):
        return x - lr * (grad + (torch.randn_like(x) if k >= 10 else 0)), state
    return lambda x: (), update


def fixed(lr):
    def update(k, grad, state, x):
        torch.manual_seed(k)
        return x - lr * (grad + torch.randn_like(x)), state
    return lambda x: (), update


def unseeded(lr):
    def update(k, grad, state, x):
        return x - lr * (1 + secrets.randbelow(1 << 40) / (1 << 40)) * grad, state
    return lambda x: (), update


def module(lr):
    return lambda x: (), lambda k, grad, state, x: (x - lr * RNG.random() * grad, state)


def dropout():
    def fn(x):
        return (F.dropout(x, 0.5) ** 2).sum()
    return Objective(fn=fn, start=torch.arange(1.0, 9.0, dtype=torch.float64))


def drawn_data():
    data = torch.randn(5, dtype=torch.float64)
    return Objective(fn=lambda x: ((x - data) ** 2).sum(), start=torch.zeros(5, dtype=torch.float64))


def drawn_start():
    return Objective(fn=lambda x: (x**2).sum(), start=lambda seed: torch.randn(3, dtype=torch.float64))
"""
MANUAL = ("noisy", "starting", "made", "python", "numpy", "late", "fixed", "unseeded", "module")
OBJECTIVES = ("dropout", "drawn_data", "drawn_start")
PACKAGED = {"kron": "pytorch_optimizer.Kron", "gravity": "pytorch_optimizer.Gravity"}
TIMED = {"timing": "quick", "timing.seconds": 0.01}
DRAWS = ("noisy", "starting", "made", "python", "numpy", "late", "kron", "gravity")
"""Methods that draw from global generators."""


@pytest.fixture
def drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with methods and objectives that draw at random, and two classes of a package that do."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_draws", raising=False)
    folder = tmp_path / "drawing"
    for name in ("objective", "optimizer"):
        (folder / name).mkdir(parents=True)
    (folder / "own_draws.py").write_text(DRAWING)
    for name in MANUAL:
        text = f"# {name}\nmanual: {{_target_: own_draws.{name}}}\ntorch: null\ndefault_lr: 0.01\n"
        (folder / "optimizer" / f"{name}.yaml").write_text(text)
    for name, target in PACKAGED.items():
        text = f"# {name}\nmanual: null\ntorch: {{_target_: {target}}}\ndefault_lr: 0.01\n"
        (folder / "optimizer" / f"{name}.yaml").write_text(text)
    for name in OBJECTIVES:
        (folder / "objective" / f"{name}.yaml").write_text(f"# {name}\n_target_: own_draws.{name}\n")
    yield folder
    sys.modules.pop("own_draws", None)


def sweep(folder: Path, objective: str, optimizer: str | list[str], **asked: Any) -> pd.DataFrame:
    """The runs of seeds 0, 1 and 2."""
    settings = {"seed": [0, 1, 2], "lr": 1e-3, "steps": 20, "timing": "off", **asked}
    return gdbench.sweep(
        objective, config_dir=folder, optimizer=optimizer, outputs=str(folder.parent / "out"), **settings
    )


def impl(optimizer: str) -> str:
    """Who carries it out."""
    return "torch" if optimizer in PACKAGED else "manual"


def facts(runs: pd.DataFrame) -> pd.DataFrame:
    """What must be the same bits when it is asked again, however the runs were carried, in the order of the seeds."""
    names = [name for name in runs.columns if is_exact(name) and name not in ("lanes", "implementation")]
    return runs[sorted(names)].sort_values(["optimizer", "lr", "seed"]).reset_index(drop=True)


@pytest.mark.parametrize("optimizer", representatives(DRAWS, ("noisy",)))
def test_seeds_are_runs_of_their_own_that_repeat(drawing: Path, optimizer: str) -> None:
    """Seeds give three runs, timed as they were watched, and the same ones again beside and after other runs."""
    runs = sweep(drawing, "rosenbrock", optimizer, impl=impl(optimizer), dtype="float64", **TIMED)
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    other = {"seed": [2, 1, 0], "lr": [5e-4, 1e-3]}
    again = sweep(drawing, "rosenbrock", optimizer, impl=impl(optimizer), dtype="float64", **other)

    assert runs.final_loss.nunique() == 3
    assert runs.seed_used.all()
    assert runs.deterministic.all()
    assert runs.error.isna().all()
    assert runs.timed.any()
    assert runs.implementation.str.contains("run by run: ").all()
    pd.testing.assert_frame_equal(facts(runs), facts(again[again.lr == 1e-3]))


@pytest.mark.parametrize("objective", representatives(["dropout", "drawn_start"], ["dropout"]))
def test_an_objective_draws_by_the_same_rule(drawing: Path, objective: str) -> None:
    """Where the objective draws, in its loss or its start, seeds are runs of their own and repeat."""
    runs = sweep(drawing, objective, ["gd", "adam"], **TIMED)
    torch.manual_seed(5)
    again = sweep(drawing, objective, ["adam", "gd"])

    assert (runs.groupby("optimizer").final_loss.nunique() == 3).all()
    assert runs.seed_used.all()
    assert runs.deterministic.all()
    assert runs.error.isna().all()
    pd.testing.assert_frame_equal(facts(runs), facts(again))


def test_a_judgement_draws_as_the_step_does(drawing: Path) -> None:
    """The loss that is judged at the start is the one that the first step sees: both draw from (seed, 0)."""
    one, two = (sweep(drawing, "dropout", "gd", seed=3, steps=steps, trace="full") for steps in (1, 2))
    assert list(one.start_loss) == list(two.start_loss)
    first, longer = (gdbench.load(str(drawing.parent / "out"), "traces"),) * 2
    losses = first.groupby("step").loss.nunique()

    assert len(longer)
    assert losses[0] == 1
    assert losses[1] == 1  # the last point of the short run, and a step of the long one


def test_data_that_a_factory_draws_do_not_depend_on_what_ran_before(drawing: Path) -> None:
    """A factory that draws its data gives the same objective in every process: the generators are set for it."""
    from gdbench.engine.factory_import import locate
    from gdbench.engine.random_state import FACTORY_STEP

    torch.manual_seed(77)
    runs = sweep(drawing, "drawn_data", "gd", seed=0, steps=1)
    with seed_globals(0, FACTORY_STEP):
        made = locate("own_draws.drawn_data", "")()

    assert runs.start_loss[0] == float(made.value(made.start_at(0)))
    assert not runs.seed_used.any()


def test_code_that_sets_its_own_seed_has_no_replicates(drawing: Path) -> None:
    """Where a step sets the generator itself, all seeds are one run, and the rows say that the seed changes nothing."""
    runs = sweep(drawing, "rosenbrock", "fixed", dtype="float64")

    assert runs.final_loss.nunique() == 1
    assert not runs.seed_used.any()
    assert runs.deterministic.all()


@pytest.mark.parametrize("optimizer", ["unseeded", "module"])
def test_what_no_seed_reaches_says_so(drawing: Path, optimizer: str) -> None:
    """A step that draws from the system, or from a generator of its module, is not deterministic."""
    runs = sweep(drawing, "rosenbrock", optimizer, dtype="float64")

    assert not runs.deterministic.any()
    assert not runs.seed_used.any()


def test_compiled_draws_are_unavailable(drawing: Path) -> None:
    """A compiled step would draw another stream: it is unavailable, and says why."""
    runs = sweep(drawing, "rosenbrock", "noisy", impl="compiled", seed=0)

    assert list(runs.status) == ["unavailable"]
    assert "draws at random (torch), which a compiled graph does otherwise" in runs.error[0]


@pytest.mark.slow
def test_the_users_generators_are_as_they_were(drawing: Path, command: Callable[..., Done]) -> None:
    """A sweep that draws, on the command line or from Python, leaves the generators of the process as they were."""
    words = ("objective=drawn_data", "optimizer=made", "lr=0.01", "steps=5", "timing=off")
    command("--config-dir", str(drawing), *words)  # the first one imports packages, one of which draws meanwhile
    torch.manual_seed(1)
    before = read_states()
    sweep(drawing, "dropout", ["noisy", "python", "numpy"], **TIMED)
    done = command("--config-dir", str(drawing), *words)

    assert done.code == 0, done.err
    assert read_states() == before


def test_who_never_draws_pays_nothing() -> None:
    """A method and an objective that do not draw are driven bare: no step is wrapped, and lanes stay lanes."""
    method = gd(0.25)
    cell, repeats = find_draws(small(parabola(), Tiny(lambda lr: method)))
    columns = run_cell(small(parabola(), lr=[0.25, 0.1], seeds=[0, 1])).columns

    assert cell.solo_method(0) is method
    assert repeats
    assert list(columns["lanes"]) == [2, 2]
    assert not columns["seed_used"].any()


def test_every_draw_of_a_run_has_a_stream_of_its_own() -> None:
    """Start, state and steps of a run, and the same step of two seeds, are set to different numbers of 32 bits."""
    steps = [compute_number(seed=1, step=step) for step in range(-3, 10_000)]
    seeds = [compute_number(seed, step=7) for seed in range(100_000)]

    assert len(set(steps)) == len(steps)
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) < 2**32


@preserve_globals()
def draw_and_raise() -> None:
    """Draw from all generators, then fail."""
    random.random()
    np.random.rand()  # noqa: NPY002
    torch.rand(1)
    raise ArithmeticError


def test_generators_are_given_back_after_an_error() -> None:
    """Whatever is raised inside, the states of before are restored."""
    before = read_states()
    with pytest.raises(ArithmeticError):
        draw_and_raise()

    assert read_states() == before


def test_steps_made_once_more_are_counted_once() -> None:
    """A run that is found out to draw late is made again, and its progress is that of one pass."""
    inner, heard = gd(0.1), []

    def step(oracle: Any, k: Any, x: Any, state: Any) -> Any:
        x, state, seen = inner.step(oracle, k, x, state)
        return (x + torch.rand_like(x) if k == 7 else x), state, seen

    columns = run_cell(small(parabola(), Tiny(lambda lr: Method(inner.init, step))), progress=heard.append).columns

    assert sum(heard) == 10
    assert columns["seed_used"].all()


ALL_OF_CONF = """
import sys
from pathlib import Path
import yaml
from gdbench.config.compose import Composer, prepare_hydra, to_plain
from gdbench.sweeps.executor import execute
from gdbench.sweeps.job import Job
from gdbench.sweeps.progress import Silent
from gdbench.sweeps.sweep_spec import SweepSpec
from gdbench.config.spec import CellSpec

conf, order = Path(sys.argv[1]), int(sys.argv[3])
shared = ["seed=[0,1,2]", "steps=3", "timing=off", f"outputs={sys.argv[2]}"]


def sweep(group, *words):
    # Hydra composes one configuration, for it takes longer than the runs; each file of the group is put in it
    words = [*shared, *words]
    with prepare_hydra():
        composed = Composer()(words)
        config = to_plain(composed.config)
    jobs = []
    for number, file in enumerate(sorted((conf / group).glob("*.yaml"))[::order]):
        asked = {**config, group: yaml.safe_load(file.read_text())}
        question = CellSpec.parse(asked, {**composed.choices, group: file.stem})
        jobs.append(Job(question, number, (*words, f"{group}={file.stem}"), asked))
    execute(SweepSpec(given=words), jobs, Silent())


halves = [("optimizer", "objective=quadratic", "lr=1e-3"), ("objective", "optimizer=gd", "lr=1e-6")]
for half in halves[::order]:
    sweep(*half)
"""


@pytest.mark.slow
def test_all_of_conf_repeats_in_another_process_and_order(shell: Callable[..., Done], tmp_path: Path) -> None:
    """Over all of conf/, seeds are distinct runs where they are effective, and all is the same in another order."""
    script = tmp_path / "all_of_conf.py"
    script.write_text(ALL_OF_CONF)
    answers = []
    for order in (1, -1):
        done = shell(str(script), str(ROOT / "conf"), f"out{order}", str(order), real=order < 0)  # with other hashes
        assert done.code == 0, done.err
        runs = gdbench.load(str(tmp_path / f"out{order}"))
        names = sorted(name for name in runs.columns if is_exact(name))
        answers.append(runs[names].sort_values(["objective", "optimizer", "lr", "seed"]).reset_index(drop=True))
    ran = answers[0][~answers[0].status.isin(["failed", "unavailable"])]
    by_cell = ran.groupby(["objective", "optimizer", "lr"])
    distinct = by_cell[["start_loss", "final_loss", "grad_norm"]].nunique().max(axis=1)
    effective = by_cell.seed_used.all()

    assert len(by_cell) > 150
    assert ran.deterministic.all()
    assert [key[0] for key in distinct[effective & (distinct < 3)].index] in (
        [],
        ["reddi"],
    )  # whose seeds 1 and 2 draw alike
    assert list(distinct[~effective & (distinct > 1)].index) == []
    pd.testing.assert_frame_equal(*answers)
