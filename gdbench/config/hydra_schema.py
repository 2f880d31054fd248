"""Check settings of Hydra's own against its schema, before it composes: it refuses few, and fails later at many."""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.conf import HydraConf
from hydra.core.override_parser.types import Override

from gdbench.config.overrides import format_value
from gdbench.config.unknown_keys import describe_choice
from gdbench.errors import UsageError, did_you_mean

__all__ = ["check_hydra_override", "is_name"]

OWN = ("overrides", "runtime")
"""Keys below ``hydra`` in which Hydra notes what it was given."""
OPEN = ("launcher", "sweeper", "sweeper.params")
"""Keys whose settings depend on a choice; the schema knows nothing of them."""
OPTIONAL = ("callbacks", "sweeper.params", "job.env_set")
"""Keys below which a setting may be removed."""
SEE = "See python -m gdbench --cfg hydra"
KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    str: "a text",
    list: "a list of texts in brackets",
}


def check_hydra_override(override: Override) -> None:
    """``UsageError`` for a setting or group below ``hydra`` that is removed, swept, noted there, or of another kind."""
    written, key = str(override.input_line), override.key_or_group
    if override.is_sweep_override():
        raise UsageError(f"{written}: all cells share the settings of Hydra; give one value, a list in brackets.")
    if not key.startswith("hydra."):
        return _check_group(override)
    path = key.removeprefix("hydra.")
    if path.partition(".")[0] in OWN:
        raise UsageError(f"{written} cannot be set: Hydra notes there what it was given. {SEE}.")
    if override.is_delete():
        if not path.startswith(tuple(f"{name}." for name in OPTIONAL)):
            raise UsageError(f"{written} cannot be removed: Hydra needs it. Leave it out to have the default. {SEE}.")
        return None
    if path.partition(".")[0] == "callbacks":  # what a callback is made of is checked with the rest of its settings
        return None
    if (kind := _find_type(path.split("."))) is not None and not _is_of(kind, value := override.value()):
        raise UsageError(f"{written} must be {_describe_kind(key, kind, value)}")
    return None


def _check_group(override: Override) -> None:
    """``UsageError`` for a group of Hydra's, such as ``hydra/launcher``, that is given anything but a name."""
    written, group = str(override.input_line), override.key_or_group
    if override.is_delete():
        raise UsageError(f"{written} cannot be removed: Hydra needs it. Leave it out to have the default. {SEE}.")
    if not is_name(override.value()):
        raise UsageError(describe_choice(written, group, override.value()))


def is_name(value: Any) -> bool:
    """Whether a value can be the name of a group's option, which Hydra looks for before it resolves ``${...}``."""
    return isinstance(value, str) and "${" not in value


def _find_type(names: list[str]) -> Any:
    """The type that Hydra's schema states for a key; None where it states none."""
    kind: Any = HydraConf
    if ".".join(names) in OPEN:
        return dict
    for name in names:
        kind = _strip_optional(kind)
        if is_dataclass(kind):
            kind = get_type_hints(kind).get(name)
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            return None
    return None if kind is Any else kind


def _strip_optional(kind: Any) -> Any:
    """A type without its None."""
    return next(part for part in get_args(kind) if part is not type(None)) if _is_optional(kind) else kind


def _is_optional(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _is_of(kind: Any, value: Any) -> bool:
    """Whether a value is of a type; what an interpolation stands for is known to none but OmegaConf."""
    if value is None:
        return _is_optional(kind)
    kind = _strip_optional(kind)
    if is_dataclass(kind) or dict in (kind, get_origin(kind)):
        return isinstance(value, Mapping)
    if get_origin(kind) is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return isinstance(value, str) and value in kind.__members__
    return isinstance(value, (str, int, float) if kind is str else (kind, str) if _is_interpolation(value) else kind)


def _is_interpolation(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _describe_kind(key: str, kind: Any, value: Any) -> str:
    """What a value must be, and what to write."""
    kind = _strip_optional(kind)
    if is_dataclass(kind) or dict in (kind, get_origin(kind)):
        group = key.replace(".", "/")
        choose = f"; another is chosen by {group}=NAME" if key in ("hydra.launcher", "hydra.sweeper") else ""
        return f"settings, each written {key}.KEY=VALUE{choose}. {SEE} -p {key}."
    if get_origin(kind) is list:
        return f"{KINDS[list]}, such as {key}=[{format_value('text')}]."
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"one of {', '.join(kind.__members__)}.{did_you_mean(str(value), kind.__members__)}"
    return f"{KINDS[kind]}. {SEE}."
