"""The specification of a cell, validated once."""

from __future__ import annotations

import json
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
    FACTORY_KEYS,
    GROUPS,
    IMPLS,
    KEEP_CHOICES,
    PARAMETER_GROUPS,
    SCALAR_SETTINGS,
    SETTINGS,
    SWEEP_SETTINGS,
    TRACES,
    Settings,
    Timing,
)
from gdbench.config.search_metric import parse_metric
from gdbench.config.target_metric import TargetMetric
from gdbench.config.unknown_keys import describe_unknown_key
from gdbench.config.validation import MAX_LANES, MAX_STEPS, check_choice, check_number, check_whole, format_for_message
from gdbench.errors import UsageError, did_you_mean
from gdbench.results.constant_column import is_constant, make_constant
from gdbench.results.run_ids import is_number

__all__ = ["CellSpec", "Choice", "resolve_impl"]


SHORTEST_LIMIT_S = 0.01
"""The least value of max_seconds and max_sweep_seconds."""


@dataclass(frozen=True)
class Choice:
    """The chosen option of a group, with its parameters."""

    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class CellSpec:
    """One cell: objective, optimizer, impl, dtype and device, and the axes whose product are its runs."""

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
    judge_every: int | str = "auto"
    target_metric: TargetMetric | str | None = "auto"
    """``auto``: that of the workload, unless target_loss is given."""
    metric: str = "steps_to_target"
    """The metric of a search; no part of a fingerprint, as it does not change the runs."""
    exact: bool = False
    keep: str | None = None
    code: str | None = None
    around: Mapping[str, Choice] = field(default_factory=dict)
    """The schedule, clipping, noise and averaging that wrap the method, where there are any."""

    @classmethod
    def parse(cls, config: Mapping[str, Any], choices: Mapping[str, str]) -> CellSpec:
        """The cell of a composed configuration (plain containers); ``UsageError`` in one line for a wrong setting."""
        _check_keys(config, choices)
        _check_no_lists(config)
        if config["trials"] is not None:
            check_whole("trials", config["trials"], 1, MAX_LANES)
        for name in ("max_seconds", "max_sweep_seconds"):
            if config[name] is not None:
                check_number(name, config[name], SHORTEST_LIMIT_S)
        optimizer = dict(config["optimizer"])
        if optimizer.get(PARAMETER_GROUPS) is None:  # none were asked for: a configuration may not know the key
            optimizer.pop(PARAMETER_GROUPS, None)
        numbers = {f"optimizer.{key}": value for key, value in optimizer.items() if _is_batchable(key, value)}
        given = {**{name: config[name] for name in ("lr", "lr_scale", "seed")}, **numbers}
        axes = tuple(Axis(name, value, config["points"]) for name, value in given.items())
        spec = cls(
            objective=choices["objective"],
            objective_config=dict(config["objective"]),
            optimizer=choices["optimizer"],
            optimizer_config={key: value for key, value in optimizer.items() if f"optimizer.{key}" not in numbers},
            axes=axes,
            impl=resolve_impl(check_choice("impl", config["impl"], IMPLS), optimizer),
            dtype=check_choice("dtype", config["dtype"], DTYPES),
            device=_check_device(config["device"]),
            steps=check_whole("steps", config["steps"], 1, MAX_STEPS),
            target=check_number("target", config["target"], 0.0, 1.0),
            target_loss=None if config["target_loss"] is None else check_number("target_loss", config["target_loss"]),
            start_noise=check_number("start_noise", config["start_noise"], 0.0),
            lr_scale_of=_check_scale_of(config["lr_scale_of"]),
            threads=check_whole("threads", config["threads"], 1, 1024),
            trace=check_choice("trace", config["trace"], TRACES),
            timing=_parse_timing(config["timing"]),
            judge_every=_check_judge_every(config["judge_every"]),
            target_metric=_parse_target_metric(config["target_metric"]),
            metric=parse_metric(config["metric"]),
            exact=_check_switch("exact", config["exact"]),
            keep=None if config["keep"] is None else check_choice("keep", config["keep"], KEEP_CHOICES),
            code=config.get("code"),
            around={
                group: Choice(choices.get(group, nothing), dict(config[group]))
                for group, nothing in AROUND.items()
                if config[group].get("_target_") is not None
            },
        )
        spec._check_combination()
        return spec

    def _check_combination(self) -> None:
        """``UsageError`` for settings that exclude each other, and for too many runs."""
        lr = next(axis for axis in self.axes if axis.name == "lr")
        scale = next(axis for axis in self.axes if axis.name == "lr_scale")
        if (scale.given != 1.0 or self.lr_scale_of) and lr.given is not None:
            raise UsageError(
                f"lr_scale multiplies a method's own lr: set lr=null with it (lr={format_for_message(lr.given)} came)."
            )
        if isinstance(self.target_metric, TargetMetric) and self.target_loss is not None:
            raise UsageError("target_metric and target_loss are two targets: give one; a run has one.")
        if self.size > MAX_LANES:
            raise UsageError(f"{self.size} runs in one cell are more than {MAX_LANES}: take fewer points.")

    @property
    def size(self) -> int:
        """The number of runs."""
        return math.prod(len(axis.values) for axis in self.axes)

    def lanes(self) -> dict[str, npt.NDArray[np.float64]]:
        """The columns of all axes, one entry a run; the first axis varies slowest."""
        grids = np.meshgrid(*(axis.values for axis in self.axes), indexing="ij", copy=False, sparse=True)
        shape = np.broadcast_shapes(*(grid.shape for grid in grids))
        columns = {}
        for axis, grid in zip(self.axes, grids, strict=True):
            fixed = grid.size == 1
            columns[axis.name] = (
                make_constant(grid.item(), math.prod(shape)) if fixed else np.broadcast_to(grid, shape).ravel()
            )
        return columns

    def seeds(self) -> npt.NDArray[np.int64]:
        """The column of seeds, as integers."""
        seeds = self.lanes()["seed"]
        return make_constant(int(seeds[0]), len(seeds)) if is_constant(seeds) else seeds.astype(np.int64)

    def swept_axes(self) -> tuple[str, ...]:
        """The names of the axes with more than one value."""
        return tuple(axis.name for axis in self.axes if len(axis.values) > 1)

    def constants(self) -> dict[str, Any]:
        """The settings that all runs share, by column name."""
        return {
            "objective": self.objective,
            **{f"objective.{key}": value for key, value in self.objective_config.items() if key not in FACTORY_KEYS},
            "optimizer": self.optimizer,
            **{
                f"optimizer.{key}": json.dumps(value) if isinstance(value, Mapping) else value
                for key, value in self.optimizer_config.items()
                if key not in FACTORY_KEYS
            },
            "impl": self.impl,
            "steps": self.steps,
            "target": self.target,
            "target_loss": self.target_loss,
            "target_metric": str(self.target_metric) if isinstance(self.target_metric, TargetMetric) else None,
            "exact": self.exact,
            "start_noise": self.start_noise,
            "threads": self.threads,
            **{group: choice.name for group, choice in self.around.items()},
            **{
                f"{group}.{key}": value
                for group, choice in self.around.items()
                for key, value in choice.config.items()
                if key not in FACTORY_KEYS
            },
        }


def resolve_impl(impl: str, optimizer: Mapping[str, Any]) -> str:
    """The implementation that runs; for ``auto`` the first of manual and torch that the optimizer has."""
    if impl != "auto":
        return impl
    return "torch" if optimizer.get("torch") and not optimizer.get("manual") else "manual"


def _check_keys(config: Mapping[str, Any], choices: Mapping[str, str]) -> None:
    """``UsageError`` for unknown settings, and for groups without one option."""
    known = [field.name for field in fields(Settings)]
    for key in config:
        if key not in known:
            raise UsageError(f"{key} is not a setting.{did_you_mean(key, SETTINGS)} Allowed: {', '.join(SETTINGS)}.")
    for key in known:
        if key in GROUPS and key in choices and not isinstance(config.get(key) or {}, Mapping):
            raise UsageError(f"{key}={choices[key]}: its file must hold lines of the form KEY: VALUE.")
        if key in ("objective", "optimizer", *AROUND) and key in choices:
            _check_factories(f"{key}={choices[key]}", config.get(key) or {})
        is_without_option = key in ("objective", "optimizer") and key not in choices
        if key not in config or is_without_option or (key in GROUPS and not isinstance(config[key], Mapping)):
            raise UsageError(f"{key} is missing: every run needs one. Leave it out to have the default.")
    if "lr" in config["optimizer"]:
        raise UsageError(describe_unknown_key("optimizer.lr", choices))


def _check_factories(chosen: str, group: Mapping[str, Any]) -> None:
    """``UsageError`` where what names a factory is a number, a list or settings, or is given no place for its name."""
    for block in ("manual", "torch"):
        if not isinstance(group.get(block), (Mapping, type(None))):
            raise UsageError(
                f"{chosen}: {block}={format_for_message(group[block])} must be null, or settings with the _target_ of a"
                f" factory: {block}: {{_target_: package.module.name}}."
            )
    for holder in (group, group.get("manual") or {}, group.get("torch") or {}):
        if isinstance(target := holder.get("_target_"), (bool, int, float, list, tuple, Mapping)):
            raise UsageError(
                f"{chosen}: _target_={format_for_message(target)} is no name of a factory: write package.module.name."
            )


def _check_no_lists(config: Mapping[str, Any]) -> None:
    """``UsageError`` where a setting with one value was given a list."""
    for name in SCALAR_SETTINGS:
        value = config.get(name)
        if isinstance(value, (list, tuple)):
            given = ",".join(map(format_for_message, value))
            instead = f"a sweep has one {name}; give one value"
            if name not in SWEEP_SETTINGS:
                instead = f"and a run has one {name}: for a run of each write {name}={given or 'A,B'}"
            raise UsageError(f"{name}=[{given}] is a list{':' if name in SWEEP_SETTINGS else ','} {instead}.")


def _is_batchable(key: str, value: Any) -> bool:
    """Whether an optimizer's parameter is a float, or an axis of them, and so may vary within a cell."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(is_number, value))
    if isinstance(value, str):
        return bool(re.match(r"(tag|interval|range)\(", value))
    return isinstance(value, float) or (key in LIMITS and is_number(value))  # a beta is a float, however written


def _check_device(given: Any) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", str(given)):
        raise UsageError(
            f"device={format_for_message(given)} is not known."
            f"{did_you_mean(str(given), ('auto', 'cpu', 'cuda', 'mps'))} Allowed: auto, cpu, cuda, cuda:N, mps."
        )
    return str(given)


def _parse_timing(given: Mapping[str, Any]) -> Timing:
    exclusive = _check_switch("timing.exclusive", given.get("exclusive", True))
    return Timing(str(given["name"]), check_number("timing.seconds", given["seconds"], 0.0, math.inf), exclusive)


def _check_switch(name: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise UsageError(f"{name}={format_for_message(given)} must be true or false.")
    return given


def _parse_target_metric(given: Any) -> TargetMetric | str | None:
    return given if given in (None, "auto") else TargetMetric.parse(given)


def _check_judge_every(given: Any) -> int | str:
    return "auto" if given == "auto" else check_whole("judge_every", given, 1, MAX_STEPS)


def _check_scale_of(given: Any) -> str | None:
    if given not in (None, "L"):
        raise UsageError(
            f"lr_scale_of={format_for_message(given)} is not known. Allowed: null (the method's default lr), L (1/L)."
        )
    return None if given is None else str(given)
