"""Error lines for unknown keys and options: the nearest known ones, and where a key exists."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from gdbench.config.command_errors import LINE, read_option_files
from gdbench.config.schema import GROUPS, SETTINGS
from gdbench.errors import did_you_mean, find_similar, list_few

__all__ = ["describe_choice", "describe_object", "describe_unknown_key", "list_options"]

SYNONYMS = {
    **dict.fromkeys(("epochs", "iterations", "iters", "max_steps", "n_steps", "num_steps"), "steps"),
    **dict.fromkeys(("learning_rate", "step_size", "eta", "alpha"), "lr"),
    **dict.fromkeys(("function", "problem", "loss"), "objective"),
    **dict.fromkeys(("method", "algorithm", "opt"), "optimizer"),
    **dict.fromkeys(("precision", "float"), "dtype"),
    **dict.fromkeys(("backend", "implementation"), "impl"),
    "output": "outputs",
    "tol": "target",
}
"""Names that other tools use for our settings."""
SEVERAL = 4
"""Options with a key that an error line names."""
MANY = 25
"""Groups with more options are listed by a verb instead."""
KEY = re.compile(r"^(\w+):", re.MULTILINE)
"""A setting in the file of an option."""
HIDDEN = ("_target_", "manual", "torch", "default_lr", "defaults")
"""What such a file holds for gdbench alone."""
LISTED = {"objective": "python -m gdbench list objectives", "optimizer": "python -m gdbench list optimizers"}


def describe_unknown_key(key: str, chosen: Mapping[str, str] | None = None, known: Collection[str] = ()) -> str:
    """The error line for a key; ``chosen`` are the options of all groups, ``known`` the keys of the chosen one."""
    if key.startswith("hydra.launcher."):
        return (
            f"{key} is not a setting of the chosen launcher: choose another by hydra/launcher=NAME, such as joblib, and"
            " see its settings by --cfg hydra -p hydra.launcher."
        )
    if key.startswith("hydra"):
        see = "See them with: python -m gdbench --cfg hydra; add one as"
        return f"{key} is not a setting of Hydra's. {see} +{key}=..." if "." in key else f"{key} is not a setting."
    if key == "experiment":
        return (
            "the file of an experiment must begin with the line # @package _global_, and hold lines of the form"
            " KEY: VALUE, which set what the command line would."
        )
    if "@" in key:
        group = key.partition("@")[0]
        return f"{key} is not a setting: a run has one {group or 'option of each group'}. Write {group or 'KEY'}=VALUE."
    if "/" in key and key.partition("/")[0] in SETTINGS:
        dotted = key.replace("/", ".")
        taken = _suggest_run_setting(dotted)
        return f"{key} is not a setting.{taken}" if taken else f"{key} is written with a dot: {dotted}=VALUE."
    if "." in key:
        return _describe_below(key, chosen or {}, known)
    names = [f"{group}.{key}" for group in GROUPS if _list_options_with(group, key)]
    names = [SYNONYMS[key], *names] if key in SYNONYMS else names
    names = names or find_similar(key, SETTINGS) or _find_similar_below(key)
    meant = f" Did you mean {' or '.join(names)}?" if names else ""
    if key.replace("-", "_") == "config_dir":
        meant = " Did you mean the option --config-dir FOLDER?"
    return f"{key} is not a setting.{meant} Allowed: {', '.join(SETTINGS)}."


def _describe_below(key: str, chosen: Mapping[str, str], known: Collection[str]) -> str:
    """The error line for a key with a dot."""
    group, _, name = key.partition(".")
    if group not in GROUPS:
        inner = f"{group} has no settings of its own" if group in SETTINGS else f"{group} is not a setting"
        return f"{key} is not a setting: {inner}. {_list_groups()}"
    if taken := _suggest_run_setting(key):
        return f"{key} is not a setting of the chosen {group}.{taken}"
    near, elsewhere = did_you_mean(name, known), ""
    if not near and not _list_options_with(group, name):
        similar = find_similar(name, _list_keys(group))
        if len(similar) == 1:  # beta may mean beta1 as well as beta2
            name, elsewhere = similar[0], f" Did you mean {group}.{similar[0]}?"
    options = sorted(
        (option for option in _list_options_with(group, name) if option != chosen.get(group)), key=name.__ne__
    )
    few = list_few((f"{group}={option}" for option in options), SEVERAL)
    others = f"{elsewhere} Those that have it: {few}." if options and not near else ""
    if group not in chosen:
        see = f"python -m gdbench {group}=NAME --cfg job -p {group}"
        return f"{key} is not a setting of the chosen {group}.{near}{others} See its settings with: {see}"
    own = f"{chosen[group]} has: {', '.join(known)}." if known else f"{chosen[group]} has no settings."
    return f"{key} is not a setting of the chosen {group}, {chosen[group]}.{near}{others} {own}"


def _suggest_run_setting(key: str) -> str:
    """The hint that ``optimizer.lr`` is written ``lr``; empty for keys that are no settings of the run."""
    name = key.rpartition(".")[2]
    plain = name in SETTINGS and name not in GROUPS
    return f" {name} is a setting of the run: write {name}=VALUE." if plain else ""


def _find_similar_below(key: str) -> list[str]:
    """The settings of shipped options, as ``optimizer.momentum``, that a mistyped name most likely means."""
    keys = {group: _list_keys(group) for group in GROUPS}
    similar = find_similar(key, [name for names in keys.values() for name in names])
    return [f"{group}.{name}" for name in similar for group in GROUPS if name in keys[group]]


def _list_keys(group: str) -> list[str]:
    """The settings that any shipped option of a group has."""
    found = (KEY.findall(text) for text in read_option_files(group).values())
    return sorted({key for keys in found for key in keys if key not in HIDDEN})


def _list_options_with(group: str, key: str) -> list[str]:
    """The shipped options of a group with a setting of this name."""
    options = read_option_files(group).items()
    return [] if key in HIDDEN else [name for name, text in options if key in KEY.findall(text)]


def _list_groups() -> str:
    return f"Settings below others are those of {', '.join(GROUPS)}."


def describe_choice(text: str, group: str, value: object) -> str:
    """The error line for a group that was given anything but a name."""
    if isinstance(value, Mapping):
        given = " ".join(f"{group}.{key}={setting}" for key, setting in value.items())
        return f"{text} gives settings where a name is due: write {group}=NAME {given}. {list_options(group)}"
    return (
        f"{text} is no name: {group} is chosen by its name, and numbers of it are set as {group}.KEY=VALUE."
        f" {list_options(group)}"
    )


def describe_object(group: str, value: object) -> str:
    """The error line for a group that was given a Python class, function or other object."""
    kind = "class" if isinstance(value, type) else "function" if callable(value) else "object"
    named = value if hasattr(value, "__qualname__") else type(value)
    name = str(getattr(named, "__qualname__", named))
    came = f"{group}={name} is a Python {kind}, and {group}= takes a name"
    if group == "objective":
        return f"{came}, or a function alone, not in a list, with its start x0=. {list_options(group)}"
    if group != "optimizer":
        return f"{came}. {list_options(group)}"
    last = name.rpartition(".")[2]
    last = last if last.isidentifier() else "NAME"  # of a lambda
    return (
        f"{came}, or a class that can be imported again, which one of __main__, a lambda or a local one cannot: put it"
        f" into a file of its own, such as mine.py, and give optimizer=mine.{last} after import mine."
        f" {list_options(group)}"
    )


def list_options(group: str, options: Collection[str] | None = None) -> str:
    """The options of a group, or the verb that lists them."""
    names = list(options or read_option_files(group))
    if group in LISTED and len(names) > MANY:
        return f"All: {LISTED[group]}"
    return f"Allowed: {', '.join(names)}." if names else LINE
