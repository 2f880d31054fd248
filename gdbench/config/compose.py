"""The only composer of configurations, for command line, sweeper and API; composes once per choice of groups."""

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
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.errors import OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from gdbench.config.composition_cache import KeptBases, kept_bases
from gdbench.config.hydra_errors import reworded
from gdbench.config.hydra_plugins import store
from gdbench.config.hydra_settings import check_callbacks, check_hydra_node
from gdbench.config.libyaml import read_by_libyaml
from gdbench.config.mistakes import describe_unreadable
from gdbench.config.paths import config_folder
from gdbench.config.schema import GROUPS, NOT_ASKED, SETTINGS
from gdbench.config.unknown_keys import describe_choice, describe_unknown_key
from gdbench.errors import UsageError

__all__ = [
    "CONFIG_NAME",
    "Composed",
    "Composer",
    "check_options",
    "composing",
    "initialized",
    "plain",
    "read_overrides",
]


CONFIG_NAME = "config"


_COMPOSING = threading.RLock()
"""Held by the thread that composes: Hydra's version base, its store, its parser's tables and OmegaConf's resolvers
belong to the process."""


@contextmanager
def initialized() -> Iterator[None]:
    """Let this thread alone compose, by Hydra 1.3's rules; an app around us finds its own Hydra as it left it.

    ``GlobalHydra`` is not touched, not even for a moment in which another thread of such an app could look.
    """
    with _COMPOSING, read_by_libyaml():
        around = version.getbase()
        version.setbase("1.3")
        try:
            yield
        finally:
            version.VersionBase.instance().version_base = around


@contextmanager
def composing(folders: Sequence[Path] = ()) -> Iterator[None]:
    """As ``initialized``, with all that configurations need; what Hydra refuses is a ``UsageError`` of one line.

    ``folders`` hold configurations of the user's own: a file in them may be what could not be read.
    """
    with initialized():
        resolvers = BaseContainer._resolvers
        around = resolvers.get("logspace")
        setup_globals()
        store()
        try:
            yield
        except UsageError:
            raise
        except Exception as error:
            raise reworded(error, folders) from error
        finally:
            if around is not None:  # of an app around us, or ours
                resolvers["logspace"] = around


@dataclass(frozen=True)
class Composed:
    """A composed configuration without Hydra's own node, the option chosen in each group, and the axes declared."""

    config: DictConfig
    choices: Mapping[str, str]
    axes: Mapping[str, str] = field(default_factory=dict)
    """What an experiment sweeps of its own (hydra.sweeper.params)."""

    @classmethod
    def parse(cls, whole: DictConfig, hydra: DictConfig | None = None) -> Composed:
        """Take a whole configuration apart; ``hydra`` is its own node where Hydra has taken it out."""
        node = whole.hydra if hydra is None else hydra
        check_hydra_node(node)
        choices = OmegaConf.to_container(node.runtime.choices)
        rest = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
        OmegaConf.set_struct(rest, True)  # a value for a key that is not there is refused, as by Hydra
        axes = OmegaConf.to_container(node.sweeper.get("params") or OmegaConf.create())
        return cls(rest, choices, axes)  # type: ignore[arg-type]


class Composer:
    """Composes cells: once with Hydra for each choice of groups, then by setting values on a copy."""

    def __init__(
        self,
        fixed: Sequence[str] = (),
        loader: ConfigLoader | None = None,
        known: tuple[Sequence[str], Composed] | None = None,
    ) -> None:
        """``fixed`` are overrides that every cell shares and only Hydra understands: its search path.

        ``loader`` is that of a command line, which knows its --config-dir, and ``known`` what Hydra has composed there
        and of which overrides.
        """
        self.fixed = list(fixed)
        self.composed: dict[tuple[str, ...], Composed] = {}
        self.parsed: dict[str, Override] = {}
        self.loader = loader or ConfigLoaderImpl(create_config_search_path(str(config_folder())))
        self.kept = KeptBases() if fixed else kept_bases(self.loader, config_folder())
        self.parser = OverridesParser.create(config_loader=self.loader)
        if known is not None:
            overrides, composed = known
            slow = [each for each in overrides if self._needs_hydra(self.parse(each))]
            self.composed[tuple(self.fixed + slow)] = composed

    def is_group(self, override: Override) -> bool:
        """Whether an override chooses an option of a group, rather than setting a value."""
        key = override.key_or_group
        groups = self.kept.groups
        if key not in groups:  # Hydra copies its repository of files to answer
            groups[key] = bool(self.loader.get_group_options(key))
        return groups[key]

    def __call__(self, overrides: Sequence[str]) -> Composed:
        """The configuration that Hydra would compose from these overrides."""
        slow = [each for each in overrides if self._needs_hydra(self.parse(each))]
        for override in map(self.parse, slow):
            if self.is_group(override):
                _check_option(override)
        base = self._base(tuple(self.fixed + slow))
        composed = Composed(copy.deepcopy(base.config), base.choices, base.axes)
        return self.set(composed, [each for each in overrides if each not in slow])

    def set(self, composed: Composed, overrides: Iterable[str]) -> Composed:
        """The same configuration with values set in place; overrides that choose from a group cannot come so late."""
        for override in map(self.parse, overrides):
            key = override.key_or_group
            try:
                OmegaConf.update(composed.config, key, override.value(), merge=False)
            except (ConfigAttributeError, ConfigKeyError):
                raise UsageError(describe_unknown_key(key, composed.choices, _own_keys(composed, key))) from None
        return composed

    def parse(self, override: str) -> Override:
        """What an override says; each is read once, as cells share most of theirs and Hydra's parser takes its time."""
        if override not in self.parsed:
            (self.parsed[override],) = read_overrides([override], self.parser)
        return self.parsed[override]

    def latest(self, overrides: Iterable[str]) -> dict[str, Override]:
        """The last override of each key."""
        return {each.key_or_group: each for each in map(self.parse, overrides)}

    def _needs_hydra(self, override: Override) -> bool:
        plain_value = not (override.is_add() or override.is_force_add() or override.is_delete())
        return not plain_value or override.key_or_group.startswith("hydra") or self.is_group(override)

    def _base(self, overrides: tuple[str, ...]) -> Composed:
        if overrides not in self.composed:
            base = self.kept.get(overrides)
            if base is None:
                whole = self.loader.load_configuration(CONFIG_NAME, list(overrides), RunMode.RUN, from_shell=False)
                base = Composed.parse(whole)
                self.kept.keep(overrides, base)
            self.composed[overrides] = base
        return self.composed[overrides]


def _own_keys(composed: Composed, key: str) -> list[str]:
    """The settings of the option that a key is meant to belong to."""
    group = composed.config.get(key.partition(".")[0])
    return [str(name) for name in group if name not in NOT_ASKED] if isinstance(group, DictConfig) else []


def read_overrides(words: Sequence[str], parser: OverridesParser | None = None) -> list[Override]:
    """What overrides say; ``UsageError`` for the first that the grammar cannot read."""
    parser = parser or OverridesParser.create()
    try:
        return list(parser.parse_overrides(list(words)))
    except OverrideParseException as error:
        raise UsageError(describe_unreadable(str(error.override))) from None


def check_options(
    overrides: Sequence[str], shown: bool = False, foreign: bool = False, own_files: bool = False
) -> None:
    """``UsageError`` where a command line gives one of our groups anything but a name, before Hydra reads it.

    With ``shown``, a configuration is only to be printed, and a sweep is none. With ``foreign``, the keys may be
    other ones than our settings: of a configuration of the user's own, or of Hydra's completion. ``own_files`` may name
    callbacks, of which the command line changes a setting.
    """
    for override in read_overrides(overrides):
        root = override.key_or_group.partition(".")[0]
        if root == "":
            raise UsageError(f"{override.input_line} names no setting before its =: write KEY=VALUE, such as lr=0.1.")
        if re.match(r"hydra\.callbacks(\.|$)", override.key_or_group) and not override.is_delete():
            check_callbacks(_nest(override.key_or_group.split(".")[2:], override.value()), whole=not own_files)
        if root == "hydra" and "." not in override.key_or_group:
            raise UsageError(describe_unknown_key(root))
        if root.startswith("hydra/") and isinstance(override.value(), (int, float, dict)):
            raise UsageError(describe_choice(str(override.input_line), root, override.value()))
        known = root in (*SETTINGS, "code", "experiment") or root.startswith("hydra") or re.search("[/@]", root)
        if not known and not foreign and not (override.is_add() or override.is_force_add()):
            raise UsageError(describe_unknown_key(override.key_or_group))
        if shown and override.is_sweep_override():
            raise UsageError(
                f"{override.input_line} is a sweep, and --cfg shows one configuration: give one value, or write"
                " --dry-run instead of --cfg to see the cells."
            )
        if override.key_or_group in (*GROUPS, "experiment"):
            _check_option(override)


def _nest(names: Sequence[str], value: Any) -> Any:
    """A value below these names."""
    return {names[0]: _nest(names[1:], value)} if names else value


def _check_option(override: Override) -> None:
    """``UsageError`` where a group is given anything but one name, or a sweep of names."""
    group, value = override.key_or_group, override.value()
    if override.is_sweep_override() or override.is_delete() or isinstance(value, str):
        return
    if isinstance(value, list):
        names = ",".join(name for name in value if isinstance(name, str)) or "A,B"
        raise UsageError(
            f"{override.input_line} is a list, and a run has one {group}: for a run of each write -m {group}={names}."
        )
    if value is not None or group != "experiment":
        raise UsageError(describe_choice(str(override.input_line), group, value))


def plain(config: DictConfig) -> dict[str, Any]:
    """A configuration as plain containers, interpolations resolved."""
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
