"""The only composer of configurations, for command line, sweeper and API; composes once per choice of groups."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml  # type: ignore[import-untyped]
from hydra import compose, initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gdbench.libyaml import read_by_libyaml
from gdbench.schema import Run, UsageError, nearest

__all__ = [
    "CONFIG_NAME",
    "RAY",
    "Composer",
    "config_folder",
    "initialized",
    "mode_by_flag",
    "plain",
    "register",
    "register_sweeper",
    "reworded",
    "store",
]

CONFIG_NAME = "config"
NAMESPACE = "hydra_plugins.gdbench"
"""Hydra 1.3 takes plugins only from here; the names in it are aliases in its table of plugins."""
RAY = f"{NAMESPACE}.Ray"
EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}
"""Launchers that are installed on demand, with the extra that brings each."""


@dataclass
class RayArguments:
    """``hydra.launcher.ray``: the arguments of ``ray.init`` and ``ray.remote``; null is as if not given."""

    init: dict[str, Any] = field(default_factory=lambda: {"address": "local", "num_cpus": None, "num_gpus": None})
    """``local``: a cluster of this machine alone, which ends with the sweep; HOST:PORT, or auto: one that is there."""
    remote: dict[str, Any] = field(default_factory=lambda: {"num_cpus": 1, "num_gpus": None, "max_retries": 0})


@dataclass
class RayLauncher:
    """The node ``hydra/launcher=ray``."""

    _target_: str = RAY
    ray: RayArguments = field(default_factory=RayArguments)


def config_folder() -> Path:
    """Where the configurations lie: in the wheel beside the code, in a checkout at its top."""
    inside = Path(__file__).parent / "conf"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "conf"


def register(sweeper: type[Sweeper]) -> None:
    """Make schema and sweeper known to Hydra: by alias, as a folder on ``sys.path`` is lost on the way to workers."""
    store()
    register_sweeper("lanes", sweeper, {"params": None})


def store() -> None:
    """Put what no file of ``conf/`` holds where Hydra composes from: schema, sweeper and launcher."""
    OmegaConf.register_new_resolver("logspace", logspace, replace=True)
    Plugins.instance()  # the plugins that are installed store theirs first: our launcher takes the place of one
    nodes = ConfigStore.instance()
    # Hydra copies its repository, and this store in it, some ten times a run, at 30 ms each; what it takes out it
    # copies as well.
    nodes.__deepcopy__ = partial(_itself, nodes)  # type: ignore[attr-defined]
    nodes.store(name="schema", node=Run)
    nodes.store(group="hydra/sweeper", name="lanes", node={"_target_": f"{NAMESPACE}.Lanes", "params": None})
    if find_spec("ray"):
        nodes.store(group="hydra/launcher", name="ray", node=RayLauncher)


def _itself(store: ConfigStore, memo: Any) -> ConfigStore:
    """The store, in place of a copy; a function with a name, as launchers pickle the store and all it holds."""
    return store


def register_sweeper(name: str, sweeper: type[Sweeper], node: Mapping[str, Any]) -> None:
    """Make ``hydra/sweeper=name`` a sweeper of ours, with the settings in ``node``; one of a plugin's gives way."""
    target = f"{NAMESPACE}.{sweeper.__name__}"
    # Hydra looks a plugin up in this table before it imports; the table has no public door (hydra#1554).
    Plugins.instance().class_name_to_class[target] = sweeper
    ConfigStore.instance().store(group="hydra/sweeper", name=name, node={"_target_": target, **node})


@contextmanager
def mode_by_flag(words: Sequence[str]) -> Iterator[None]:
    """Let ``-m`` alone decide between run and sweep, where no word could name another mode.

    Hydra composes the whole configuration once for nothing but its ``hydra.mode``, a third of the time that a small
    sweep takes beyond its imports. No file of ``conf/`` but an experiment may set it.
    """
    asked = Hydra.get_mode
    if not any("hydra" in word or "experiment=" in word for word in words):
        Hydra.get_mode = lambda self, config_name, overrides: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = asked  # type: ignore[method-assign]


def logspace(low: float, high: float, count: int) -> list[float]:
    """``${logspace:-5,0,1000}``: so many numbers from 10^low to 10^high, evenly spaced in their logarithm."""
    numbers: list[float] = np.logspace(low, high, count).tolist()
    return numbers


@contextmanager
def initialized() -> Iterator[None]:
    """Hydra ready to compose where ``hydra.main`` has not made it so; an app around us gets its own Hydra back."""
    around = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with (
            read_by_libyaml(),
            initialize_config_dir(str(config_folder()), job_name="gdbench", version_base="1.3"),
        ):
            yield
    finally:
        GlobalHydra.instance().hydra = around


@dataclass(frozen=True)
class Composed:
    """A composed configuration without Hydra's own node, the option chosen in each group, and the axes declared."""

    config: DictConfig
    choices: Mapping[str, str]
    axes: Mapping[str, str] = field(default_factory=dict)
    """What an experiment sweeps of its own (hydra.sweeper.params)."""


class Composer:
    """Composes cells: once with Hydra for each choice of groups, then by setting values on a copy."""

    def __init__(self, fixed: Sequence[str] = (), composed: DictConfig | None = None) -> None:
        """``fixed`` are overrides that every cell shares and only Hydra understands: its search path.

        ``composed`` is what Hydra has made of this command line itself, its axes left out.
        """
        self.fixed = list(fixed)
        self.composed: dict[tuple[str, ...], Composed] = {}
        self.groups: dict[str, bool] = {}
        self.parsed: dict[str, Override] = {}
        self.loader = GlobalHydra.instance().config_loader()
        self.parser = OverridesParser.create(config_loader=self.loader)
        if composed is not None:
            given = [*composed.hydra.overrides.hydra, *composed.hydra.overrides.task]
            parsed = [self.parse(each) for each in given if not each.startswith("hydra.mode=")]
            slow = [str(each.input_line) for each in parsed if self._needs_hydra(each)]
            self.composed[tuple(self.fixed + slow)] = _without_hydra(composed)

    def is_group(self, override: Override) -> bool:
        """Whether an override chooses an option of a group, rather than setting a value."""
        key = override.key_or_group
        if key not in self.groups:  # Hydra copies its repository of files to answer
            self.groups[key] = bool(self.loader.get_group_options(key))
        return self.groups[key]

    def __call__(self, overrides: Sequence[str]) -> Composed:
        """The configuration that Hydra would compose from these overrides."""
        slow = [each for each in overrides if self._needs_hydra(self.parse(each))]
        base = self._base(tuple(self.fixed + slow))
        composed = Composed(copy.deepcopy(base.config), base.choices, base.axes)
        return self.set(composed, [each for each in overrides if each not in slow])

    def set(self, composed: Composed, overrides: Iterable[str]) -> Composed:
        """The same configuration with values set in place; overrides that choose from a group cannot come so late."""
        for each in map(self.parse, overrides):
            OmegaConf.update(composed.config, each.key_or_group, each.value(), merge=False)
        return composed

    def parse(self, override: str) -> Override:
        """What an override says; each is read once, as cells share most of theirs and Hydra's parser takes its time."""
        if override not in self.parsed:
            (self.parsed[override],) = self.parser.parse_overrides([override])
        return self.parsed[override]

    def latest(self, overrides: Iterable[str]) -> dict[str, Override]:
        """The last override of each key."""
        return {each.key_or_group: each for each in map(self.parse, overrides)}

    def _needs_hydra(self, override: Override) -> bool:
        plain_value = not (override.is_add() or override.is_force_add() or override.is_delete())
        return not plain_value or override.key_or_group.startswith("hydra") or self.is_group(override)

    def _base(self, overrides: tuple[str, ...]) -> Composed:
        if overrides not in self.composed:
            whole = compose(CONFIG_NAME, overrides=list(overrides), return_hydra_config=True)
            self.composed[overrides] = _without_hydra(whole)
        return self.composed[overrides]


def _without_hydra(whole: DictConfig) -> Composed:
    """A whole configuration, taken apart."""
    choices = OmegaConf.to_container(whole.hydra.runtime.choices)
    rest = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    OmegaConf.set_struct(rest, True)  # a value for a key that is not there is refused, as by Hydra
    axes = OmegaConf.to_container(whole.hydra.sweeper.get("params") or OmegaConf.create())
    return Composed(rest, choices, axes)  # type: ignore[arg-type]


def plain(config: DictConfig) -> dict[str, Any]:
    """A configuration as plain containers, interpolations resolved."""
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


# ---------------------------------------------------------------------------------------------------------- errors


def reworded(error: Exception) -> UsageError:
    """What Hydra and OmegaConf say in paragraphs, in one line and our words."""
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        if group == "hydra/launcher" and name in EXTRAS:
            return UsageError(f"{group}={name} is not installed: pip install 'gdbench[{EXTRAS[name]}]'.")
        return UsageError(
            f"{group}={name} is not known.{nearest(name, error.options)} {_where_listed(group, error.options)}"
        )
    if isinstance(error, OverrideParseException):
        return UsageError(
            f"{error.override} cannot be read ({_line(error)}). Write KEY=VALUE, in quotes where it holds ( or ,."
        )
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        place = error.problem_mark
        return UsageError(f"{place.name} cannot be read: line {place.line + 1}, {error.problem}.")
    text = f"{error} {error.__cause__ or ''}"
    if match := re.search(r"(?:Sweep parameters|Ambiguous value for argument) '(.*?)'", text):
        return UsageError(f"{match.group(1)} is a sweep: add -m, or write a list such as lr=[0.01,0.1].")
    if match := re.search(r"(?:Could not override '|full_key: )([\w.]+)", text):
        if re.search(r"is not in struct|not in '", text):
            return UsageError(_unknown_key(match.group(1)))
        return UsageError(f"{match.group(1)}: {_line(error.__cause__ or error)}.")
    if isinstance(error, (ConfigCompositionException, HydraException, OmegaConfBaseException, ValueError)):
        return UsageError(f"{_line(error)}. See python -m gdbench --help.")
    raise error


def _where_listed(group: str, options: Sequence[str]) -> str:
    if group in ("objective", "optimizer"):
        return f"All: python -m gdbench list {group}s"
    return f"Allowed: {', '.join(options)}."


def _unknown_key(key: str) -> str:
    group = key.partition(".")[0]
    if group == "hydra":
        return f"{key} is not a setting of Hydra's. See them with: python -m gdbench --cfg hydra; add one as +{key}=..."
    if "." in key:
        see = f"python -m gdbench {group}=NAME --cfg job -p {group}"
        return f"{key} is not a setting of the chosen {group}. See its settings with: {see}"
    known = [name for name in Run.__dataclass_fields__ if name not in ("code", "part")]
    return f"{key} is not a setting.{nearest(key, known)} Allowed: {', '.join(known)}."


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".:") if str(error).strip() else type(error).__name__
