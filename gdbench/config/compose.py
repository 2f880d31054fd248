"""Compose the configurations of cells: by Hydra once per choice of groups, then by setting values in a copy."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import version
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from gdbench.config.composition_cache import CompositionCache, find_cache
from gdbench.config.config_folders import config_folder
from gdbench.config.hydra_errors import translate_error
from gdbench.config.hydra_loader import ConfigLoader
from gdbench.config.hydra_plugins import register_configs
from gdbench.config.hydra_schema import check_hydra_override, is_name
from gdbench.config.hydra_settings import check_callbacks, check_hydra_node
from gdbench.config.override_parser import parse_overrides
from gdbench.config.schema import FACTORY_KEYS, GROUPS, PARAMETER_GROUPS, SETTINGS
from gdbench.config.unknown_keys import describe_choice, describe_unknown_key
from gdbench.errors import UsageError

__all__ = [
    "CONFIG_NAME",
    "Composed",
    "Composer",
    "check_options",
    "lock_hydra",
    "prepare_hydra",
    "to_plain",
]


CONFIG_NAME = "config"


_COMPOSING = threading.RLock()
"""Held by the thread that composes: Hydra's version base and store, its parser's tables and OmegaConf's resolvers are
shared by the process."""


@contextmanager
def lock_hydra() -> Iterator[None]:
    """Lock composition for this thread, with version base 1.3; the caller's Hydra settings are restored afterwards.

    ``GlobalHydra`` is never touched: another thread of the calling app could read it meanwhile.
    """
    with _COMPOSING:
        around = version.getbase()
        version.setbase("1.3")
        try:
            yield
        finally:
            version.VersionBase.instance().version_base = around


@contextmanager
def prepare_hydra(folders: Sequence[Path] = ()) -> Iterator[None]:
    """Lock composition and register resolvers and schema; errors of Hydra become a ``UsageError`` of one line.

    ``folders`` hold the user's own configurations, whose files may be the cause of an error.
    """
    with lock_hydra():
        resolvers = BaseContainer._resolvers
        around = resolvers.get("logspace")
        setup_globals()
        register_configs()
        try:
            yield
        except UsageError:
            raise
        except Exception as error:
            raise translate_error(error, folders) from error
        finally:
            if around is not None:  # the calling app's, or ours
                resolvers["logspace"] = around


@dataclass(frozen=True)
class Composed:
    """A composed configuration without the ``hydra`` node, the chosen option of each group, and the declared axes."""

    config: DictConfig
    choices: Mapping[str, str]
    axes: Mapping[str, str] = field(default_factory=dict)
    """The axes of an experiment (hydra.sweeper.params)."""

    @classmethod
    def parse(cls, whole: DictConfig, hydra: DictConfig | None = None) -> Composed:
        """Split a whole configuration; ``hydra`` is its node where Hydra has removed it already."""
        node = whole.hydra if hydra is None else hydra
        check_hydra_node(node)
        choices = OmegaConf.to_container(node.runtime.choices)
        rest = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
        OmegaConf.set_struct(rest, True)  # unknown keys are refused, as by Hydra
        return cls(rest, choices, _read_axes(node.sweeper))  # type: ignore[arg-type]


def _read_axes(sweeper: Any) -> dict[str, Any]:
    """The axes that a configuration declares below ``hydra.sweeper.params``."""
    params = sweeper.get("params") if isinstance(sweeper, DictConfig) else sweeper
    axes = OmegaConf.to_container(params) if OmegaConf.is_config(params) else params
    if not isinstance(axes, (dict, type(None))):
        raise UsageError(f"hydra.sweeper.params={axes} must be settings, each a line KEY: VALUE, such as lr: 0.01,0.1.")
    return {str(key): value for key, value in (axes or {}).items()}


class Composer:
    """Composes cells: by Hydra once for each choice of groups, then by setting values in a copy."""

    def __init__(
        self,
        fixed: Sequence[str] = (),
        loader: ConfigLoader | None = None,
        known: tuple[Sequence[str], Composed] | None = None,
        config_dir: Path | None = None,
    ) -> None:
        """``fixed`` are overrides of all cells that only Hydra can apply: its search path.

        ``loader`` is the command line's, and ``known`` the overrides that Hydra has composed already and their result;
        ``config_dir`` is the user's folder where no loader exists yet.
        """
        self.fixed = list(fixed)
        self.composed: dict[tuple[str, ...], Composed] = {}
        self.parsed: dict[str, Override] = {}
        self.loader = loader or ConfigLoader(config_folder(), config_dir)
        self.cache = CompositionCache() if fixed else find_cache(self.loader, config_folder())
        if known is not None:
            overrides, composed = known
            slow = [override for override in overrides if self._needs_hydra(self.parse(override))]
            self.composed[tuple(self.fixed + slow)] = composed

    def is_group(self, override: Override) -> bool:
        """Whether an override chooses an option of a group, rather than setting a value."""
        key = override.key_or_group
        groups = self.cache.groups
        if key not in groups:  # Hydra copies its repository of files to answer
            groups[key] = bool(self.loader.get_group_options(key))
        return groups[key]

    def __call__(self, overrides: Sequence[str]) -> Composed:
        """The configuration of these overrides, equal to Hydra's own composition."""
        slow = [word for word in overrides if self._needs_hydra(self.parse(word))]
        for override in map(self.parse, slow):
            if self.is_group(override):
                _check_option(override)
        base = self._base(tuple(self.fixed + slow))
        composed = Composed(copy.deepcopy(base.config), base.choices, base.axes)
        return self.set(composed, [word for word in overrides if word not in slow])

    def set(self, composed: Composed, overrides: Iterable[str]) -> Composed:
        """The same configuration with values set in place; choices of groups cannot be made here."""
        for override in map(self.parse, overrides):
            for key, value in _split_tuple(composed, override.key_or_group, override.value()).items():
                try:
                    OmegaConf.update(composed.config, key, value, merge=False)
                except (ConfigAttributeError, ConfigKeyError):
                    own = _list_own_keys(composed, key)
                    raise UsageError(describe_unknown_key(key, composed.choices, own)) from None
        return composed

    def parse(self, override: str) -> Override:
        """An override as Hydra parses it, once: cells share most of theirs, and a parse takes 0.1 ms."""
        if override not in self.parsed:
            (self.parsed[override],) = parse_overrides([override], self.loader)
        return self.parsed[override]

    def parse_latest(self, overrides: Iterable[str]) -> dict[str, Override]:
        """The last override of each key."""
        return {override.key_or_group: override for override in map(self.parse, overrides)}

    def _needs_hydra(self, override: Override) -> bool:
        plain_value = not (override.is_add() or override.is_force_add() or override.is_delete())
        return not plain_value or override.key_or_group.startswith("hydra") or self.is_group(override)

    def _base(self, overrides: tuple[str, ...]) -> Composed:
        if overrides not in self.composed:
            base = self.cache.get(overrides)
            if base is None:
                whole = self.loader.load_configuration(CONFIG_NAME, list(overrides), RunMode.RUN, from_shell=False)
                base = Composed.parse(whole)
                self.cache.put(overrides, base)
            self.composed[overrides] = base
        return self.composed[overrides]


def _split_tuple(composed: Composed, key: str, value: Any) -> dict[str, Any]:
    """The settings that an override sets: of ``optimizer.betas=[0.9,0.95]``, as torch writes it, beta1 and beta2."""
    if not isinstance(value, list) or not re.fullmatch(r"optimizer\.\w+s", key):
        return {key: value}
    own, name = _list_own_keys(composed, key), key.removeprefix("optimizer.")
    members = [f"{name[:-1]}{i}" for i in range(1, len(value) + 1)]
    if not members or name in own or not set(members) <= set(own):
        return {key: value}
    return {f"optimizer.{member}": number for member, number in zip(members, value, strict=True)}


def _list_own_keys(composed: Composed, key: str) -> list[str]:
    """The settings of the chosen option of a key's group."""
    group = composed.config.get(key.partition(".")[0])
    if not isinstance(group, DictConfig):
        return []
    return sorted((str(name) for name in group if name not in FACTORY_KEYS), key=lambda name: name == PARAMETER_GROUPS)


def check_options(
    overrides: Sequence[str], shown: bool = False, foreign: bool = False, own_files: bool = False
) -> None:
    """``UsageError`` for unknown keys and for groups that are given no name, before Hydra composes.

    ``shown``: a configuration is only printed, so a sweep is refused. ``foreign``: keys may be unknown to us, in the
    user's own main configuration or in Hydra's completion. ``own_files``: the user's files may define callbacks, of
    which the command line changes a setting.
    """
    for override in parse_overrides(overrides):
        root = override.key_or_group.partition(".")[0]
        if root == "":
            raise UsageError(f"{override.input_line} names no setting before its =: write KEY=VALUE, such as lr=0.1.")
        if re.match("hydra[./]", override.key_or_group):
            check_hydra_override(override)
        if re.match(r"hydra\.callbacks(\.|$)", override.key_or_group) and not override.is_delete():
            check_callbacks(_nest(override.key_or_group.split(".")[2:], override.value()), whole=not own_files)
        if root == "hydra" and "." not in override.key_or_group:
            raise UsageError(describe_unknown_key(root))
        known = root in (*SETTINGS, "code", "experiment", "hydra") or "/" in root
        if not known and not foreign:
            raise UsageError(describe_unknown_key(override.key_or_group))
        if shown and override.is_sweep_override():
            raise UsageError(
                f"{override.input_line} is a sweep, and --cfg shows one configuration: give one value, or write"
                " --dry-run instead of --cfg to see the cells."
            )
        if override.key_or_group in (*GROUPS, "experiment"):
            _check_option(override)


def _nest(names: Sequence[str], value: Any) -> Any:
    """A value nested below these names."""
    return {names[0]: _nest(names[1:], value)} if names else value


def _check_option(override: Override) -> None:
    """``UsageError`` where a group is given anything but a name or a sweep of names."""
    group, value = override.key_or_group, override.value()
    if override.is_sweep_override() or override.is_delete() or is_name(value):
        return
    if isinstance(value, list):
        names = ",".join(name for name in value if isinstance(name, str)) or "A,B"
        raise UsageError(
            f"{override.input_line} is a list, and a run has one {group}: for a run of each write {group}={names}."
        )
    if value is not None or group != "experiment":
        raise UsageError(describe_choice(str(override.input_line), group, value))


def to_plain(config: DictConfig) -> dict[str, Any]:
    """A configuration as plain containers, with interpolations resolved; UsageError for a value that must be given."""
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    for group in GROUPS:
        below = container.get(group)
        if isinstance(below, dict) and (key := next((key for key in below if below[key] == "???"), None)):
            raise UsageError(f"{group}.{key} has no default: give it, as in {group}.{key}=VALUE.")
    return {str(key): value for key, value in container.items()}
