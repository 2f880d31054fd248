"""The question that a cell answers, validated once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.config.axis import LIMITS, Axis
from gdbench.config.schema import (
    AROUND,
    DTYPES,
    GROUPS,
    IMPLS,
    METRICS,
    NOT_ASKED,
    OF_THE_SWEEP,
    ONE_VALUE,
    SETTINGS,
    TRACES,
    Run,
    Timing,
)
from gdbench.config.validation import MAX_LANES, MAX_STEPS, check_choice, check_number, check_whole, written
from gdbench.errors import UsageError, did_you_mean
from gdbench.results.constant_column import is_constant, make_constant
from gdbench.results.run_ids import is_number

__all__ = ["Choice", "Question", "resolve_impl"]


@dataclass(frozen=True)
class Choice:
    """An option chosen in a group, with its parameters."""

    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """One cell: an objective, optimizer, impl, dtype and device, and the axes whose product are its lanes."""

    objective: str
    objective_config: Mapping[str, Any]
    optimizer: str
    optimizer_config: Mapping[str, Any]
    axes: tuple[Axis, ...]
    impl: str
    dtype: str
    device: str
    steps: int
    target: float
    target_loss: float | None
    start_noise: float
    lr_scale_of: str | None
    threads: int
    trace: str
    timing: Timing
    code: str | None = None
    around: Mapping[str, Choice] = field(default_factory=dict)
    """What is put around the method: a schedule, clipping or noise, each if there is any."""

    @classmethod
    def parse(cls, config: Mapping[str, Any], choices: Mapping[str, str]) -> Question:
        """Check a composed configuration (plain containers); ``UsageError`` in one line if something is amiss."""
        _no_others(config, choices)
        _no_lists(config)
        check_choice("metric", config["metric"], METRICS)
        if config["trials"] is not None:
            check_whole("trials", config["trials"], 1, MAX_LANES)
        optimizer = dict(config["optimizer"])
        numbers = {f"optimizer.{key}": value for key, value in optimizer.items() if _lanable(key, value)}
        given = {**{name: config[name] for name in ("lr", "lr_scale", "seed")}, **numbers}
        axes = tuple(Axis.parse(name, value, config["points"]) for name, value in given.items())
        question = cls(
            objective=choices["objective"],
            objective_config=dict(config["objective"]),
            optimizer=choices["optimizer"],
            optimizer_config={key: value for key, value in optimizer.items() if f"optimizer.{key}" not in numbers},
            axes=axes,
            impl=resolve_impl(check_choice("impl", config["impl"], IMPLS), optimizer),
            dtype=check_choice("dtype", config["dtype"], DTYPES),
            device=_device(config["device"]),
            steps=check_whole("steps", config["steps"], 1, MAX_STEPS),
            target=check_number("target", config["target"], 0.0, 1.0),
            target_loss=None if config["target_loss"] is None else check_number("target_loss", config["target_loss"]),
            start_noise=check_number("start_noise", config["start_noise"], 0.0),
            lr_scale_of=_scale_of(config["lr_scale_of"]),
            threads=check_whole("threads", config["threads"], 1, 1024),
            trace=check_choice("trace", config["trace"], TRACES),
            timing=_timing(config["timing"]),
            code=config.get("code"),
            around={
                group: Choice(choices.get(group, nothing), dict(config[group]))
                for group, nothing in AROUND.items()
                if config[group].get("_target_") is not None
            },
        )
        return question._checked()

    def _checked(self) -> Question:
        lr = next(axis for axis in self.axes if axis.name == "lr")
        scale = next(axis for axis in self.axes if axis.name == "lr_scale")
        if (scale.given != 1.0 or self.lr_scale_of) and lr.given is not None:
            raise UsageError(
                f"lr_scale multiplies a method's own lr: set lr=null with it (lr={written(lr.given)} came)."
            )
        if self.size > MAX_LANES:
            raise UsageError(f"{self.size} runs in one cell are more than {MAX_LANES}: take fewer points.")
        return self

    @property
    def size(self) -> int:
        """How many runs this cell holds."""
        return math.prod(len(axis.values()) for axis in self.axes)

    def lanes(self) -> dict[str, npt.NDArray[np.float64]]:
        """Every numeric axis as a column, one entry a run; the first axis varies slowest."""
        grids = np.meshgrid(*(axis.values() for axis in self.axes), indexing="ij", copy=False, sparse=True)
        shape = np.broadcast_shapes(*(grid.shape for grid in grids))
        columns = {}
        for axis, grid in zip(self.axes, grids, strict=True):
            fixed = grid.size == 1
            columns[axis.name] = (
                make_constant(grid.item(), math.prod(shape)) if fixed else np.broadcast_to(grid, shape).ravel()
            )
        return columns

    def seeds(self) -> npt.NDArray[np.int64]:
        """The column of seeds as whole numbers."""
        seeds = self.lanes()["seed"]
        return make_constant(int(seeds[0]), len(seeds)) if is_constant(seeds) else seeds.astype(np.int64)

    def swept(self) -> tuple[str, ...]:
        """The names of the axes that hold more than one value."""
        return tuple(axis.name for axis in self.axes if len(axis.values()) > 1)

    def constants(self) -> dict[str, Any]:
        """What all runs of the cell share and what tells their question from others, by column name."""
        return {
            "objective": self.objective,
            **{f"objective.{key}": value for key, value in self.objective_config.items() if key not in NOT_ASKED},
            "optimizer": self.optimizer,
            **{f"optimizer.{key}": value for key, value in self.optimizer_config.items() if key not in NOT_ASKED},
            "impl": self.impl,
            "steps": self.steps,
            "target": self.target,
            "target_loss": self.target_loss,
            "start_noise": self.start_noise,
            "threads": self.threads,
            **{group: choice.name for group, choice in self.around.items()},
            **{
                f"{group}.{key}": value
                for group, choice in self.around.items()
                for key, value in choice.config.items()
                if key not in NOT_ASKED
            },
        }


def resolve_impl(impl: str, optimizer: Mapping[str, Any]) -> str:
    """The implementation that runs: of ``auto`` the first of manual and torch that an optimizer's configuration has."""
    if impl != "auto":
        return impl
    return "torch" if optimizer.get("torch") and not optimizer.get("manual") else "manual"


def _no_others(config: Mapping[str, Any], choices: Mapping[str, str]) -> None:
    known = [each.name for each in fields(Run)]
    for key in config:
        if key not in known:
            raise UsageError(f"{key} is not a setting.{did_you_mean(key, SETTINGS)} Allowed: {', '.join(SETTINGS)}.")
    for key in known:
        if key in GROUPS and key in choices and not isinstance(config.get(key) or {}, Mapping):
            raise UsageError(f"{key}={choices[key]}: its file must hold lines of the form KEY: VALUE.")
        if key not in config or (key in GROUPS and not isinstance(config[key], Mapping)):
            raise UsageError(f"{key} is missing: every run needs one. Leave it out to have the default.")


def _no_lists(config: Mapping[str, Any]) -> None:
    """``UsageError`` where a setting of one value was given several."""
    for name in ONE_VALUE:
        value = config.get(name)
        if isinstance(value, (list, tuple)):
            given = ",".join(map(written, value))
            instead = f"a sweep has one {name}; give one value"
            if name not in OF_THE_SWEEP:
                instead = f"and a run has one {name}: for a run of each write -m {name}={given or 'A,B'}"
            raise UsageError(f"{name}=[{given}] is a list{':' if name in OF_THE_SWEEP else ','} {instead}.")


def _lanable(key: str, value: Any) -> bool:
    """Whether an optimizer's parameter is a float, and so may be a lane axis; a list or specification of them too."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(is_number, value))
    if isinstance(value, str):
        return bool(re.match(r"(tag|interval|range)\(", value))
    return isinstance(value, float) or (key in LIMITS and is_number(value))  # a beta is a float, however written


def _device(given: Any) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", str(given)):
        raise UsageError(
            f"device={written(given)} is not known.{did_you_mean(str(given), ('auto', 'cpu', 'cuda', 'mps'))}"
            " Allowed: auto, cpu, cuda, cuda:N, mps."
        )
    return str(given)


def _timing(given: Mapping[str, Any]) -> Timing:
    exclusive = given.get("exclusive", True)
    if not isinstance(exclusive, bool):
        raise UsageError(f"timing.exclusive={written(exclusive)} must be true or false.")
    return Timing(str(given["name"]), check_number("timing.seconds", given["seconds"], 0.0, math.inf), exclusive)


def _scale_of(given: Any) -> str | None:
    if given not in (None, "L"):
        raise UsageError(
            f"lr_scale_of={written(given)} is not known. Allowed: null (the method's default lr), L (1/L)."
        )
    return None if given is None else str(given)
