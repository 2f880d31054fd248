"""Register the schema, the sweepers and the Ray launcher with Hydra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.util import find_spec
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from gdbench.config.schema import Settings
from gdbench.config.spacing import space_powers_of_ten
from gdbench.config.validation import MAX_LANES

__all__ = [
    "NAMESPACE",
    "RAY",
    "SCHEMA",
    "RayArguments",
    "RayLauncher",
    "logspace",
    "register_configs",
    "register_sweeper",
]


NAMESPACE = "hydra_plugins.gdbench"
"""Hydra 1.3 takes plugins only from this namespace; the names in it are aliases in its table of plugins."""
SCHEMA = "gdbench_schema"
"""Its name in Hydra's store, which the process shares: a calling app may have a ``schema`` of its own."""
RAY = f"{NAMESPACE}.Ray"
LARGEST_EXPONENT = 308
"""A float64 ends at 1.8e308."""


@dataclass
class RayArguments:
    """``hydra.launcher.ray``: the arguments of ``ray.init`` and ``ray.remote``; null means not given."""

    init: dict[str, Any] = field(default_factory=lambda: {"address": "local", "num_cpus": None, "num_gpus": None})
    """``local``: a cluster of this machine alone, which ends with the sweep; HOST:PORT, or auto: one that is there."""
    remote: dict[str, Any] = field(default_factory=lambda: {"num_cpus": 1, "num_gpus": None, "max_retries": 0})


@dataclass
class RayLauncher:
    """The node ``hydra/launcher=ray``."""

    _target_: str = RAY
    ray: RayArguments = field(default_factory=RayArguments)


_REGISTERED: list[Any] = []
"""The node of our schema in Hydra's store."""


def register_configs() -> None:
    """Store schema, sweeper and launcher in Hydra's ConfigStore: no file of ``conf/`` holds them."""
    OmegaConf.register_new_resolver("logspace", logspace, replace=True)
    Plugins.instance()  # installed plugins store theirs first: our Ray launcher replaces one
    nodes = ConfigStore.instance()
    if _REGISTERED and nodes.repo.get(f"{SCHEMA}.yaml") is _REGISTERED[-1]:
        return  # making the nodes again takes a sixth of a search's time
    nodes.store(name=SCHEMA, node=Settings)
    _REGISTERED[:] = [nodes.repo[f"{SCHEMA}.yaml"]]
    nodes.store(group="hydra/sweeper", name="lanes", node={"_target_": f"{NAMESPACE}.BatchingSweeper", "params": None})
    if find_spec("ray"):
        nodes.store(group="hydra/launcher", name="ray", node=RayLauncher)


def register_sweeper(name: str, sweeper: type[Sweeper], node: Mapping[str, Any]) -> None:
    """Register ``hydra/sweeper=name`` with the settings in ``node``; it replaces a plugin's of this name."""
    target = f"{NAMESPACE}.{sweeper.__name__}"
    # Hydra looks a plugin up in this table before it imports; the table has no public door (hydra#1554).
    Plugins.instance().class_name_to_class[target] = sweeper
    ConfigStore.instance().store(group="hydra/sweeper", name=name, node={"_target_": target, **node})


def logspace(low: Any, high: Any, count: Any) -> list[float]:
    """``${logspace:-5,0,1000}``: ``count`` numbers from 10^low to 10^high, evenly spaced in their logarithm."""
    if not (isinstance(count, int) and 1 <= count <= MAX_LANES):
        raise ValueError(f"logspace makes from 1 to {MAX_LANES} numbers, not {count}")
    if not all(isinstance(exponent, (int, float)) and abs(exponent) <= LARGEST_EXPONENT for exponent in (low, high)):
        raise ValueError(f"the exponents of logspace are numbers from -{LARGEST_EXPONENT} to {LARGEST_EXPONENT}")
    numbers: list[float] = space_powers_of_ten(Decimal(str(low)), Decimal(str(high)), count).tolist()
    return numbers
