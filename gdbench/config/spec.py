"""The question a run answers, validated once, with a stable key; and the axes along which questions multiply."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.config.overrides import format_value
from gdbench.config.spacing import count_up, count_values, space_linearly, space_logarithmically
from gdbench.errors import UsageError, nearest
from gdbench.results.constant_column import constant, is_constant

__all__ = [
    "DTYPES",
    "FACTS",
    "GROUPS",
    "IMPLS",
    "METRICS",
    "OF_THE_SWEEP",
    "SETTINGS",
    "Axis",
    "Question",
    "Run",
    "Timing",
    "resolve_impl",
    "run_keys",
    "written",
]


IMPLS = ("auto", "manual", "torch", "foreach", "fused", "capturable", "differentiable", "compiled")
"""Who may carry a method out; auto: the first of manual and torch that the method has."""
LENGTHS = tuple(f"schedule.{name}" for name in ("over", "every", "period", "warmup", "decay"))
"""Numbers that count steps if they are whole, and are shares of the run if they are floats up to 1.0."""
DTYPES = ("auto", "float32", "float64", "float16", "bfloat16")
RECORDS = ("thin", "full", "none")
METRICS = (
    *("steps_to_target", "gradients_to_target", "time_to_target", "steps_to_settle"),
    *("final_gap", "best_gap", "final_loss", "best_loss"),
)
"""What a search can rank by; lower is better in all of them (``gdbench.analysis.tuning_metric``)."""
NOT_ASKED = ("_target_", "manual", "torch", "default_lr")
"""Keys of an objective or optimizer that say how it is made, not what is asked of it."""
FACTS = ("smoothness", "strong_convexity", "minimum")
"""Parameters of an optimizer that are null where the objective's own is meant."""
AROUND = {"schedule": "constant", "clip": "none", "noise": "none"}
"""Groups of what is put around a method, and the option of each that puts nothing there: its ``_target_`` is null."""
GROUPS = ("objective", "optimizer", "timing", *AROUND)
"""Settings that are an option of a group, with its own settings below it."""
MAX_STEPS = 10**9
MAX_LANES = 10**7


@dataclass
class Timing:
    """How much of the clock a cell gets."""

    name: str = "quick"
    seconds: float = 0.5
    """The time budget of a cell; 0 times nothing."""
    alone: bool = True
    """Whether timed cells that a launcher carries take turns on each machine."""


@dataclass(frozen=True)
class Choice:
    """An option chosen in a group, with its parameters."""

    name: str
    config: Mapping[str, Any]


@dataclass
class Run:
    """The schema of ``conf/config.yaml``: what a user may set. The values are checked by ``Question.parse``."""

    objective: Any = None
    optimizer: Any = None
    timing: Timing = field(default_factory=Timing)
    schedule: Any = None
    clip: Any = None
    noise: Any = None
    lr: Any = 0.1
    lr_scale: Any = 1.0
    lr_scale_of: Any = None
    points: Any = 100
    steps: Any = 100
    seed: Any = 0
    start_noise: Any = 0.0
    impl: Any = "auto"
    dtype: Any = "auto"
    device: Any = "auto"
    target: Any = 1e-6
    target_loss: Any = None
    metric: Any = "steps_to_target"
    """What a search ranks by; no part of the question, as the runs are the same whatever is made of them."""
    trials: Any = None
    """How many points a search tries in each row; None: what suits the number of ranges."""
    threads: Any = 1
    record: Any = "thin"
    name: Any = None
    outputs: Any = "outputs"
    resume: Any = None
    retry: Any = None
    tracker: Any = None
    """What the sweep is copied to when it has ended; no part of the question."""
    code: Any = None
    """A folder of the user's own code (that of --config-dir), importable wherever the cell runs."""
    part: Any = None
    """Where a launched job writes its part of a sweep; set by the sweeper."""


SETTINGS = tuple(each.name for each in fields(Run) if each.name not in ("code", "part"))
"""What a user may set."""
OF_THE_SWEEP = ("code", "metric", "name", "outputs", "resume", "retry", "trials")
"""Settings that a sweep has once, for all of its cells."""
ONE_VALUE = tuple(
    each.name for each in fields(Run) if each.name not in (*GROUPS, "lr", "lr_scale", "seed", "tracker", "part")
)
"""Settings that are no axis within a cell, and so take no list."""


# ---------------------------------------------------------------------------------------------------------- axes

LR_FORMS = "a positive number, a list such as [0.01,0.1], tag(log,interval(1e-4,1)), or null for the method's own"
LR_SCALE_FORMS = "a positive number, a list such as [0.01,0.1], or tag(log,interval(1e-4,1))"
SEED_FORMS = "a whole number from 0, or a list such as [0,1,2]"

LIMITS: dict[str, tuple[float, float, str]] = {
    **dict.fromkeys(("beta1", "beta2", "alpha", "rho", "shrink"), (0.0, 1.0, "a number from 0 to below 1")),
    **dict.fromkeys(("momentum", "weight_decay", "eps", "lr_decay"), (0.0, math.inf, "a number from 0 upward")),
    **dict.fromkeys(("smoothness", "strong_convexity"), (math.ulp(0.0), math.inf, "a number above 0")),
    "minimum": (-math.inf, math.inf, "a finite number"),
}
"""Hyper-parameters with the same meaning in every method: lowest value, first value above, in words."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_INTERVAL = re.compile(rf"^interval\(({_NUMBER}),({_NUMBER})\)$")
_RANGE = re.compile(rf"^range\(({_NUMBER}),({_NUMBER})(?:,({_NUMBER}))?\)$")


@dataclass(frozen=True)
class Axis:
    """The values of one number: a scalar, a list, or a specification that travels unexpanded.

    ``interval(a,b)`` is ``points`` evenly spaced values from a to b, ``tag(log,interval(a,b))`` the same in log space,
    ``range(a,b,step)`` counts from a up to but without b, as Hydra does.
    """

    name: str
    given: Any
    points: int = 100

    @classmethod
    def parse(cls, name: str, given: Any, points: Any = 100) -> Axis:
        """Check a value of any form; ``UsageError`` in one line if it is none of them."""
        axis = cls(name, given, _whole("points", points, 2, MAX_LANES))
        axis.values()
        return axis

    @property
    def scalar(self) -> bool:
        """Whether this is one plain number, and so no lane axis."""
        return not isinstance(self.given, (list, tuple, np.ndarray)) and len(self.values()) == 1

    def values(self) -> npt.NDArray[np.float64]:
        """The values, float64; ``lr=null`` is one NaN, which stands for the method's default."""
        if self.given is None and self.name == "lr":
            return np.array([np.nan])
        values = self._expand(self.given)
        bad = values[~self._allowed(values)]
        if len(bad) or not len(values):
            raise self._error(f"{bad[0]:g}" if len(bad) else written(self.given))
        return values

    def _expand(self, given: Any) -> npt.NDArray[np.float64]:
        if isinstance(given, (list, tuple, np.ndarray)):
            if all(map(_is_number, given)):  # a million of them are one array, not a million
                return np.array(given, dtype=np.float64)
            return np.concatenate([self._expand(each) for each in given]) if len(given) else np.empty(0)
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return np.array([float(given)])
        text = re.sub(r"\s", "", str(given))
        if re.fullmatch(_NUMBER, text):
            return np.array([float(text)])
        log = re.fullmatch(r"tag\(log,(.*)\)", text)
        if match := _INTERVAL.match(log.group(1) if log else text):
            low, high = Decimal(match.group(1)), Decimal(match.group(2))
            if not math.isfinite(float(high) - float(low)) or (log and (float(low) <= 0 or float(high) <= 0)):
                raise self._error(text)
            return (space_logarithmically if log else space_linearly)(low, high, self.points)
        if match := _RANGE.match(text):
            low, high, step = (Decimal(number or 1) for number in match.groups())
            if any(abs(number.adjusted()) > 330 for number in (low, high, step)) or step == 0:
                raise self._error(text)
            if (count := count_values(low, high, step)) > MAX_LANES:
                raise UsageError(
                    f"{self.name}={text} must be at most {MAX_LANES} values, not {count} values: give"
                    " range(START,STOP,STEP) a larger step."
                )
            return count_up(low, high, step)
        raise self._error(text if isinstance(given, str) else written(given))

    def _allowed(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        low, high, _ = LIMITS.get(self.name.removeprefix("optimizer."), (-math.inf, math.inf, ""))
        allowed = np.isfinite(values) & (values >= low) & (values < high)
        if self.name in ("lr", "lr_scale"):
            allowed &= values > 0
        if self.name == "seed":
            allowed &= (values >= 0) & (values < 2**53) & (values == np.floor(values))
        return allowed

    def _error(self, came: str) -> UsageError:
        kind = self.name.removeprefix("optimizer.")
        forms = {"lr": LR_FORMS, "lr_scale": LR_SCALE_FORMS, "seed": SEED_FORMS}.get(kind)
        forms = forms or (f"{LIMITS[kind][2]}, or a list" if kind in LIMITS else "a finite number, or a list of them")
        return UsageError(f"{self.name}={came} must be {forms}.")


# ------------------------------------------------------------------------------------------------------ questions


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
    record: str
    timing: Timing
    code: str | None = None
    around: Mapping[str, Choice] = field(default_factory=dict)
    """What is put around the method: a schedule, clipping or noise, each if there is any."""

    @classmethod
    def parse(cls, config: Mapping[str, Any], choices: Mapping[str, str]) -> Question:
        """Check a composed configuration (plain containers); ``UsageError`` in one line if something is amiss."""
        _no_others(config, choices)
        _no_lists(config)
        _one_of("metric", config["metric"], METRICS)
        if config["trials"] is not None:
            _whole("trials", config["trials"], 1, MAX_LANES)
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
            impl=resolve_impl(_one_of("impl", config["impl"], IMPLS), optimizer),
            dtype=_one_of("dtype", config["dtype"], DTYPES),
            device=_device(config["device"]),
            steps=_whole("steps", config["steps"], 1, MAX_STEPS),
            target=_number("target", config["target"], 0.0, 1.0),
            target_loss=None if config["target_loss"] is None else _number("target_loss", config["target_loss"]),
            start_noise=_number("start_noise", config["start_noise"], 0.0),
            lr_scale_of=_scale_of(config["lr_scale_of"]),
            threads=_whole("threads", config["threads"], 1, 1024),
            record=_one_of("record", config["record"], RECORDS),
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
                constant(grid.item(), math.prod(shape)) if fixed else np.broadcast_to(grid, shape).ravel()
            )
        return columns

    def seeds(self) -> npt.NDArray[np.int64]:
        """The column of seeds as whole numbers."""
        seeds = self.lanes()["seed"]
        return constant(int(seeds[0]), len(seeds)) if is_constant(seeds) else seeds.astype(np.int64)

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
            raise UsageError(f"{key} is not a setting.{nearest(key, SETTINGS)} Allowed: {', '.join(SETTINGS)}.")
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
        return bool(value) and all(map(_is_number, value))
    if isinstance(value, str):
        return bool(re.match(r"(tag|interval|range)\(", value))
    return isinstance(value, float) or (key in LIMITS and _is_number(value))  # a beta is a float, however written


def _one_of(name: str, given: Any, known: tuple[str, ...]) -> str:
    if str(given) not in known:
        raise UsageError(
            f"{name}={written(given)} is not known.{nearest(str(given), known)} Allowed: {', '.join(known)}."
        )
    return str(given)


def written(value: Any) -> str:
    """A value as a person writes it in a command; text that could be mistaken for a number is in quotes."""
    if isinstance(value, str):
        return f"'{value}'" if re.fullmatch(_NUMBER, value.strip()) else value
    return format_value(value)


def _number(name: str, given: Any, low: float = -math.inf, below: float = math.inf) -> float:
    """A number from ``low`` up to but without ``below``."""
    bounds = (
        "a number"
        if low == -math.inf
        else f"a number from {low:g}" + ("" if below == math.inf else f" to below {below:g}")
    )
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(given, bool) or not low <= number < below or math.isinf(number):
        raise UsageError(f"{name}={written(given)} must be {bounds}.")
    return number


def _whole(name: str, given: Any, low: int, high: int) -> int:
    text = isinstance(given, str) and re.fullmatch(_NUMBER, given.strip())  # "100" in a file, as lr takes it too
    number = float(given) if text else given if _is_number(given) else math.nan
    if not low <= number <= high or number != int(number):
        came = f"{given:g}" if isinstance(given, float) else written(given)
        raise UsageError(f"{name}={came} must be a whole number from {low} to {high}.")
    return int(number)


def _device(given: Any) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", str(given)):
        raise UsageError(
            f"device={written(given)} is not known.{nearest(str(given), ('auto', 'cpu', 'cuda', 'mps'))}"
            " Allowed: auto, cpu, cuda, cuda:N, mps."
        )
    return str(given)


def _timing(given: Mapping[str, Any]) -> Timing:
    alone = given.get("alone", True)
    if not isinstance(alone, bool):
        raise UsageError(f"timing.alone={written(alone)} must be true or false.")
    return Timing(str(given["name"]), _number("timing.seconds", given["seconds"], 0.0, math.inf), alone)


def _scale_of(given: Any) -> str | None:
    if given not in (None, "L"):
        raise UsageError(
            f"lr_scale_of={written(given)} is not known. Allowed: null (the method's default lr), L (1/L)."
        )
    return None if given is None else str(given)


# ----------------------------------------------------------------------------------------------------------- keys


def run_keys(constants: Mapping[str, Any], columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bytes_]:
    """A stable 16-digit key for each run: equal for equal questions, however they were asked.

    Every (name, value) pair is hashed alone and the hashes are added, so that order does not matter and a number
    counts the same whether it was a constant or a lane. Vectorised: a million keys take well under a second.
    """
    words = {name: value for name, value in constants.items() if not _is_number(value) or _is_whole_run(name, value)}
    total = np.uint64(sum(_hash_text(f"{name}={_canonical(value)}") for name, value in words.items()) % 2**64)
    keys = np.full(len(next(iter(columns.values()))), total, dtype=np.uint64)
    numbers = {name: np.array([float(value)]) for name, value in constants.items() if name not in words}
    for name, column in {**numbers, **columns}.items():
        values = column[:1] if is_constant(column) else column
        bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # + 0.0 makes one of the two zeros
        keys += _mix(bits ^ np.uint64(_hash_text(name)))
    digits = np.array([b"%02x" % byte for byte in range(256)])
    return digits[_mix(keys).astype(">u8").view(np.uint8)].view("S16")


def _is_whole_run(name: str, value: Any) -> bool:
    """Whether a schedule's length is 1.0, the whole run: not the question that 1, a single step, is."""
    return name in LENGTHS and isinstance(value, float) and value == 1.0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _hash_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _mix(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014), which spreads every bit over all."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
