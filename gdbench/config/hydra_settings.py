"""Refuse Hydra settings that have no effect here, in one line that names what to use instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hydra._internal.utils import _locate
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from gdbench.errors import UsageError

__all__ = ["check_callbacks", "check_hydra_node", "check_hydra_words"]

PLACE = "outputs=FOLDER says where sweeps are kept, name=NAME what this one is called"
NUMBERED = "gdbench numbers the cells of a sweep itself"
BEFORE = "write the variable before the command, as in NAME=VALUE python -m gdbench ..."
CALLBACK = (
    "it is made of the _target_ of a class, such as a subclass of hydra.experimental.callback.Callback:"
    " +hydra.callbacks.NAME._target_=MODULE.CLASS."
)
NO_LOG = "gdbench writes no log; the table and its column error say what happened"
UNUSED: dict[str, tuple[Any, str]] = {
    "run.dir": (".", PLACE),
    "sweep.dir": (".", PLACE),
    "sweep.subdir": (".", PLACE),
    "output_subdir": (None, "each sweep keeps its configurations in a .hydra/ of its own"),
    "job.name": ("gdbench", "name=NAME says what a sweep is called"),
    "job.chdir": (False, "every cell runs in the folder that the command is given in"),
    "job.config.override_dirname.kv_sep": ("=", PLACE),
    "job.config.override_dirname.item_sep": (",", PLACE),
    "job.config.override_dirname.exclude_keys": ([], PLACE),
}
"""Keys below ``hydra`` that nothing reads: their value in ``conf/config.yaml``, and what to use instead."""
COUNTED: dict[str, tuple[Any, str]] = {"job.id": (None, NUMBERED), "job.num": (None, NUMBERED)}
"""Keys that Hydra sets itself for other sweepers than ours."""
LAUNCHED: dict[str, tuple[Any, str]] = {"job.env_set": ({}, BEFORE), "job.env_copy": ([], BEFORE)}
"""Keys that only a launcher's workers read."""
LOGGING = {"hydra/job_logging": ("none", NO_LOG)}
"""Groups that only a launcher's workers read."""
VERBOSE = {"verbose": (False, NO_LOG)}
"""Keys that only Hydra's log reads, which is off unless ``hydra/hydra_logging`` is set."""


def check_hydra_words(words: Iterable[str]) -> None:
    """``UsageError`` where a command line sets a key without effect, before Hydra creates folders or logs."""
    given = {key.lstrip("+~"): value for key, _, value in (word.partition("=") for word in words)}
    keys, groups = _list_unused(given)
    keys |= COUNTED
    for name, (default, instead) in {**{f"hydra.{key}": unused for key, unused in keys.items()}, **groups}.items():
        for key, value in given.items():
            same = value == ("null" if default is None else str(default).lower())
            if (key == name or key.startswith(f"{name}.")) and not same:
                raise UsageError(f"{key}={value} has no effect: {instead}.")


def check_hydra_node(node: DictConfig) -> None:
    """``UsageError`` where a composed configuration sets a key without effect."""
    check_callbacks(OmegaConf.to_container(node.callbacks, resolve=False))
    choices = node.runtime.choices
    keys, groups = _list_unused(choices)
    for key, (default, instead) in keys.items():
        value = _read_stated(node, key)
        if value is not None and value != default:
            raise UsageError(f"hydra.{key}={value} has no effect: {instead}.")
    for group, (default, instead) in groups.items():
        if choices.get(group, default) != default:
            raise UsageError(f"{group}={choices[group]} has no effect: {instead}.")


def check_callbacks(callbacks: Any, whole: bool = True) -> None:
    """``UsageError`` where ``hydra.callbacks`` holds anything but callbacks: Hydra would warn at each event.

    Not ``whole``: settings of a command line, whose callbacks may be defined in a file.
    """
    if not isinstance(callbacks, Mapping):
        raise UsageError(f"hydra.callbacks={callbacks} is no callback by its name: {CALLBACK}")
    for name, callback in callbacks.items():
        if not isinstance(callback, Mapping):
            raise UsageError(f"hydra.callbacks.{name}={callback} is no callback: {CALLBACK}")
        target = callback.get("_target_")
        if (target is None and not whole) or (isinstance(target, str) and _may_be_callback(target)):
            continue
        stated = "has no _target_" if target is None else f"with _target_={target} is no callback"
        raise UsageError(f"hydra.callbacks.{name} {stated}: {CALLBACK}")


def _may_be_callback(target: str) -> bool:
    """Whether a name is that of a class with a callback's method, or cannot be resolved here."""
    try:
        located = _locate(target)
    except Exception:  # a module of --config-dir that is found later; otherwise Hydra says why
        return True
    return not isinstance(located, type) or any(
        hasattr(located, event) for event in vars(Callback) if event[:3] == "on_"
    )


def _list_unused(choices: Mapping[Any, Any]) -> tuple[dict[str, tuple[Any, str]], dict[str, tuple[Any, str]]]:
    """The keys and the groups without effect, with the chosen launcher and log."""
    launched = choices.get("hydra/launcher", "basic") != "basic"
    logs = choices.get("hydra/hydra_logging", "none") != "none"
    keys = {**UNUSED, **({} if launched else LAUNCHED), **({} if logs else VERBOSE)}
    return keys, {} if launched else LOGGING


def _read_stated(node: DictConfig, key: str) -> Any:
    """The value of a key as it was written; None where there is none."""
    parent, _, name = key.rpartition(".")
    holder = OmegaConf.select(node, parent) if parent else node
    if holder is None or OmegaConf.is_missing(holder, name):
        return None
    if OmegaConf.is_interpolation(holder, name):
        written = OmegaConf.to_container(holder, resolve=False)
        assert isinstance(written, Mapping)
        return written[name]
    value = holder.get(name)  # a copy of the whole holder would take a millisecond a key
    return OmegaConf.to_container(value, resolve=False) if OmegaConf.is_config(value) else value
