"""A cell ready to run: an objective in its dtype, a method factory, and one column per hyper-parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from gdbench.config.target_metric import TargetMetric
from gdbench.engine.oracle import CompilableOracle, EagerOracle, SampledOracle, oracle
from gdbench.engine.random_state import FACTORY_STEP, START_STEP, SeededOracle, seed_method, set_globals
from gdbench.engine.targets import measure_rounding_size
from gdbench.engine.training.functional import FunctionalOracle
from gdbench.engine.training.judge import Judge
from gdbench.engine.training.module_function import ModuleFunction
from gdbench.errors import describe_exception
from gdbench.objectives.base import Objective, cast, make_generator
from gdbench.objectives.training_objective import make_seeded_module
from gdbench.optimizers.base import Hyper, Method, Oracle
from gdbench.results.constant_column import is_constant, take_rows
from gdbench.tree import Params, numel, put_lanes_last, tree_map

if TYPE_CHECKING:  # the compiler takes its time
    from gdbench.engine.compile.program import CompiledLanes, Program
    from gdbench.engine.compile.step_code import ObservePoint
    from gdbench.engine.training.compiled_loss import CompiledLoss

__all__ = ["Cell", "MethodFactory"]

Columns = Mapping[str, npt.NDArray[np.float64]]

FUSED_STEPS = 5
"""Steps in one compiled call of lanes: with more, the counters would no longer stay in registers."""
MAX_FUSED_SIZE = 16
"""With points of more numbers a step takes long enough for a call of its own."""
MODULE_SOURCES = frozenset({"torch"})
"""The generators that are set where a module is made, whatever the step."""
MIN_FUSED_WORK = 10**8
"""With fewer steps over all runs of a cell, compiling fused steps takes longer than it saves."""


@dataclass(frozen=True)
class MethodFactory:
    """Makes the methods of a cell from their hyper-parameters, eager or compiled."""

    eager: Callable[[Mapping[str, Hyper]], Method]
    """The method with these hyper-parameters, not compiled."""
    implementation: str
    """The implementation that runs, for the column of that name."""
    lanes: bool
    """Whether a method takes hyper-parameters with a lane axis."""
    program: Program | None = None
    """The compiled program, where there is one."""
    uses_module: bool = False
    """Whether its steps train the module of a workload itself."""
    compiled_loss: CompiledLoss | None = None
    """The compiled loss of that module, where it is compiled."""
    compiled: Callable[[Mapping[str, Hyper]], Method] | None = None
    """The method that trains by that loss."""

    @property
    def is_compiled(self) -> bool:
        """Whether its steps go through torch.compile."""
        return self.program is not None

    @property
    def compile_s(self) -> float | None:
        """Seconds that torch.compile has taken so far; None where nothing is compiled."""
        compiled = self.program or self.compiled_loss
        return compiled.compile_s if compiled else None

    def __call__(self, hyper: Mapping[str, Hyper]) -> Method:
        """The method with these hyper-parameters."""
        return self.program.method(hyper) if self.program else (self.compiled or self.eager)(hyper)

    def in_lanes(self, hyper: Mapping[str, Hyper], look: ObservePoint) -> CompiledLanes:
        """The same method in compiled lanes, observed within the graph."""
        assert self.program
        return self.program.in_lanes(hyper, look)


@dataclass(frozen=True)
class Cell:
    """A cell, as ``run_cell`` takes it: every array has one entry per run."""

    stated: Objective
    """The objective as it was stated, in float64."""
    make_method: MethodFactory
    hyper: Columns
    seeds: npt.NDArray[np.int64]
    steps: int
    dtype: torch.dtype
    device: torch.device
    target: float = 1e-6
    target_loss: float | None = None
    start_noise: float = 0.0
    maximize: bool = False
    trace: str = "log"
    seconds: float = 0.0
    """The time budget for timing; 0 times nothing."""
    noisy: bool = False
    """Whether the gradients that the method sees have a noise, which the seed decides."""
    judge_every: int = 1
    """A run is judged at x_0, at every so many steps, and at its last point."""
    target_metric: TargetMetric | None = None
    exact: bool = False
    """Whether the first hit of a target is found between two judgements, by making the run again."""
    keeps_weights: bool = False
    """Whether the weights of each run's selected step are a result."""
    draws: frozenset[str] = frozenset()
    """The global generators that its code draws from, which are set from (seed, step) before every step."""

    @cached_property
    def objective(self) -> Objective:
        """The objective in the dtype and on the device of the runs."""
        return self.stated.to(self.dtype, self.device)

    @property
    def size(self) -> int:
        """How many runs there are."""
        return len(self.seeds)

    @property
    def f_star(self) -> float | None:
        """The minimum that gaps refer to; None where the method maximizes."""
        return None if self.maximize else self.objective.minimum

    @cached_property
    def rounding(self) -> float | None:
        """Size of the summed terms at the minimum; None where no minimiser is known, or f fails near it."""
        return self._rounding[0]

    @property
    def rounding_failure(self) -> str:
        """Why ``rounding`` could not be measured at the stated minimisers, in one line; empty where it could."""
        return self._rounding[1]

    @cached_property
    def _rounding(self) -> tuple[float | None, str]:
        try:
            return measure_rounding_size(self.stated), ""
        except Exception as error:  # must not fail a run: one that closes over float64 has no float32 form
            return None, describe_exception(error)[:120]

    def start(self, seed: int) -> Params:
        """x_0 of a seed: the objective's start, with normal noise where ``start_noise`` asks for it.

        Noise is added in float64, so that a start means the same in every dtype.
        """
        set_globals(self.draws if self.objective.training is None else self.draws - MODULE_SOURCES, seed, START_STEP)
        if not self.start_noise:
            return self.objective.start_at(seed)
        generator = make_generator(seed)

        def perturb(leaf: torch.Tensor) -> torch.Tensor:
            return leaf + self.start_noise * torch.randn(leaf.shape, generator=generator, dtype=torch.float64)

        noisy: Params = cast(tree_map(perturb, self.stated.start_at(seed)), self.dtype, self.device)
        return noisy

    def starts(self) -> Params:
        """The starts of all runs as lanes, which lie last in memory; those of modules lie first, for their products."""
        seeds, which = _index_seeds(self.seeds)
        index = torch.from_numpy(which).to(self.device)
        distinct = [self.start(int(seed)) for seed in seeds]
        lanes = tree_map(lambda *starts: torch.stack(starts)[index], distinct[0], *distinct[1:])
        return lanes if self.objective.training is not None else tree_map(put_lanes_last, lanes)

    def solo_hyper(self, row: int) -> dict[str, Hyper]:
        """One run's hyper-parameters as plain numbers."""
        return {name: float(column[row]) for name, column in self.hyper.items()}

    def laned_hyper(self) -> dict[str, Hyper]:
        """All runs' hyper-parameters: a number where the cell's runs agree, else a float64 tensor ``[L]``."""
        home = "cpu" if self.device.type == "mps" else self.device  # MPS has no float64
        return {
            name: torch.from_numpy(column.copy()).to(home) if name in self.varying_hyper else float(column[0])
            for name, column in self.hyper.items()
        }

    @cached_property
    def varying_hyper(self) -> frozenset[str]:
        """The hyper-parameters in which runs differ; parts of a cell inherit it, so that they compile alike."""
        return frozenset(name for name, column in self.hyper.items() if not _is_uniform(column))

    @cached_property
    def one_seed(self) -> bool:
        """Whether all runs have the same seed; parts of a cell inherit it."""
        return bool((self.seeds == self.seeds[0]).all())

    @cached_property
    def steps_per_call(self) -> int:
        """How many steps in lanes a compiled call takes; parts of a cell inherit it."""
        few = numel(self.start(int(self.seeds[0]))) <= MAX_FUSED_SIZE
        return FUSED_STEPS if few and self.size * self.steps >= MIN_FUSED_WORK else 1

    def take(self, rows: npt.NDArray[Any]) -> Cell:
        """The same cell with some of its runs."""
        hyper = {name: take_rows(column, rows) for name, column in self.hyper.items()}
        return self.with_fields(hyper=hyper, seeds=take_rows(self.seeds, rows))

    def with_fields(self, **fields: Any) -> Cell:
        """The same cell with some fields changed, none of which its objective or oracles depend on."""
        part = replace(self, **fields)
        # What does not depend on the runs is not rebuilt: compiled steps are cached by their oracle's identity.
        shared = {name: made for name, made in self.__dict__.items() if name not in Cell.__dataclass_fields__}
        part.__dict__.update(shared)
        return part

    def oracle(self, laned: bool, row: int = 0) -> EagerOracle | SampledOracle | CompilableOracle | FunctionalOracle:
        """The oracle of the objective's values and gradients, for all runs as lanes or for one run.

        It is one object but for the seeds, as compiled steps are cached by its identity. That of a training workload is
        new each time, as it holds the buffers of the module.
        """
        if self.objective.training is not None:
            return self._make_training_oracle(laned, row)
        known = self._laned_oracle if laned else self._solo_oracle
        if not self.objective.is_stochastic:
            return known
        seeds = self.seeds.copy() if laned and not self.one_seed else self.seeds[row]
        return known.of(torch.as_tensor(seeds, device=self.device))

    @cached_property
    def _laned_oracle(self) -> EagerOracle | SampledOracle | CompilableOracle:
        return oracle(self.objective, True, self.make_method.is_compiled)

    @cached_property
    def _solo_oracle(self) -> EagerOracle | SampledOracle | CompilableOracle:
        return oracle(self.objective, False, self.make_method.is_compiled)

    def _make_training_oracle(self, laned: bool, row: int) -> FunctionalOracle:
        if laned:
            seeds = torch.from_numpy(np.array(self.seeds))
            return FunctionalOracle.in_lanes(self._make_module(True), self.objective, seeds, bool(self.draws))
        return FunctionalOracle.alone(self._make_module(True), self.objective, int(self.seeds[row]))

    def _make_module(self, trains: bool) -> ModuleFunction:
        assert self.objective.training is not None
        return ModuleFunction(make_seeded_module(self.objective.training, 0)[0].train(trains))

    def training_judge(self, laned: bool) -> Judge:
        """What judges the module of a training workload."""
        return Judge(self._make_module(False), self.objective, laned)

    def judge(self, laned: bool, row: int = 0) -> Oracle:
        """The oracle for recorded losses: the same, with generators set from (seed, step) where the cell draws."""
        inner = self.oracle(laned, row)
        return SeededOracle(inner, int(self.seeds[row]), self.draws) if self.draws else inner

    def solo_method(self, row: int, eager: bool = False) -> Method:
        """The method of one run, with generators set from (seed, step) where the cell draws."""
        make, seed = self.make_method.eager if eager else self.make_method, int(self.seeds[row])
        set_globals(self.draws, seed, FACTORY_STEP)
        method = make(self.solo_hyper(row))
        return seed_method(method, seed, self.draws) if self.draws else method

    def starts_differ(self) -> bool:
        """Whether the seed changes the start."""
        return self.objective.has_random_start or self.start_noise > 0

    def seed_matters(self) -> bool:
        """Whether the seed changes anything."""
        return self.starts_differ() or self.objective.is_stochastic or self.noisy or bool(self.draws)


def _index_seeds(seeds: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """The distinct seeds, and the index among them of each run."""
    if is_constant(seeds):
        return seeds[:1], np.zeros(len(seeds), dtype=np.intp)
    return np.unique(seeds, return_inverse=True)


def _is_uniform(column: npt.NDArray[np.float64]) -> bool:
    return is_constant(column) or bool((column == column[0]).all())
