"""Translate the errors of Hydra and OmegaConf into one line."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from gdbench.config.command_errors import LINE, describe_sweep, describe_unreadable
from gdbench.config.config_folders import config_folder
from gdbench.config.unknown_keys import describe_unknown_key, list_options
from gdbench.config.yaml_files import (
    NO_MAPPING,
    describe_cycle,
    describe_decoding_error,
    describe_shape_error,
    describe_yaml_error,
)
from gdbench.errors import UsageError, did_you_mean, format_install_command, was_interrupted

__all__ = ["translate_error"]

EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}
"""Optional launchers, with the extra that installs each."""
KEY = r"([\w./@-]+)"
INTERPOLATIONS = (
    (r"Unsupported interpolation type (\S+)", "it calls {}, which is not known"),
    (r"Interpolation key '(.*?)' not found", "it refers to {}, which is not a setting"),
    (r"Recursive interpolation|recursion depth", "it refers to itself"),
    (r"Environment variable '(.*?)' not found", "the environment variable {} is not set"),
    (r"raised while resolving interpolation: (.*logspace .*)", "{}"),
    (r"logspace\(\)", "logspace takes LOW,HIGH,COUNT"),
    (r"interpolation|mismatched input|extraneous input|no viable|token recognition", "its ${{...}} has no value"),
)
"""Messages of OmegaConf about ``${...}``, and what we say instead."""
VALUES = (
    (r"expected one of \[(.*?)\]", "it must be one of {}"),
    (r"could not be converted to Integer", "it must be a whole number"),
    (r"could not be converted to Float", "it must be a number"),
    (r"could not be converted to Bool|is not a valid bool", "it must be true or false"),
    (r"is not a subclass of|not a (dict|mapping)", "it holds settings of its own, each written KEY.NAME=VALUE"),
    (r"[Mm]issing mandatory value", "it needs a value"),
    (r"", "its value is of another kind than it takes"),
)
"""Messages of OmegaConf about other values, and what we say instead; the last stands for all others."""
COMPOSING = {"hydra", "omegaconf", "antlr4", "yaml"}
"""Packages that read nothing but what the user wrote: an error raised there is one of the command or of a file."""
LOGSPACE = "'${logspace:-5,0,1000}' is a thousand numbers from 1e-5 to 1"


def translate_error(error: Exception, folders: Iterable[Path] = (), words: Iterable[str] = ()) -> UsageError:
    """The ``UsageError`` of one line for an error of Hydra or OmegaConf; any other error is raised again.

    ``folders`` hold the user's own configurations, whose files may be the cause; ``words`` is what Hydra was given.
    """
    if was_interrupted(error):
        raise KeyboardInterrupt from error
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        if group == "hydra/launcher" and name in EXTRAS:
            return UsageError(f"{group}={name} is not installed: {format_install_command(EXTRAS[name])}")
        installable = EXTRAS if group == "hydra/launcher" else {}
        options = list(dict.fromkeys([*error.options, *installable]))
        return UsageError(f"{group}={name} is not known.{did_you_mean(name, options)} {list_options(group, options)}")
    if isinstance(error, OverrideParseException):
        return UsageError(describe_unreadable(str(error.override)))
    if isinstance(error, UnicodeDecodeError):
        line = describe_decoding_error(error, [*folders, config_folder()])
        return UsageError(line or f"a YAML file of the configuration is not UTF-8 ({_first_line(error)}).")
    if line := describe_yaml_error(error):
        return UsageError(line)
    if isinstance(error, OSError) and "Invalid loaded object type" in str(error):
        return UsageError(describe_shape_error([*folders, config_folder()]) or f"a YAML file {NO_MAPPING}")
    text = f"{error} {error.__cause__ or ''}"
    if "recursion" in text and (line := describe_cycle([*folders, config_folder()])):
        return UsageError(line)
    if match := re.search(r"(?:Sweep parameters|Ambiguous value for argument) '(.*?)'", text):
        return UsageError(describe_sweep(match.group(1)))
    if match := re.search(rf"An item is already at '{KEY}'", text):
        return UsageError(f"{match.group(1)} is there already: write {match.group(1)}=VALUE, without the +.")
    if match := re.search(rf"(?:Could not override '|full_key: ){KEY}", text):
        return UsageError(_describe_value(match.group(1), text))
    if isinstance(error, (HydraException, OmegaConfBaseException)) or _was_raised_while_composing(error):
        return UsageError(_describe_composition(text, words))
    raise error


def _describe_value(key: str, text: str) -> str:
    """The message for an unknown key, or for its value."""
    if "@" in key or re.search(r"is not in struct|not in '|No match in the defaults list", text):
        return describe_unknown_key(key)
    if loading := re.search(r"Error loading '.*?'", text):
        return f"{key}: {loading[0]}."
    if reason := _find_reason(text, INTERPOLATIONS):
        return f"{key} cannot be read: {reason}. {LOGSPACE}."
    return f"{key} cannot be set so: {_find_reason(text, VALUES)}. {LINE}"


def _describe_composition(text: str, words: Iterable[str]) -> str:
    """The message for an error that names no key: what Hydra was given, of which something is at fault."""
    reason = _find_reason(text, INTERPOLATIONS) or "a name or a value is of another kind than Hydra takes"
    given = ", ".join(words)
    return f"no configuration can be composed{f' of {given}' if given else ''}: {reason}. {LINE}"


def _find_reason(text: str, reasons: Iterable[tuple[str, str]]) -> str | None:
    """Our words for the first pattern that an error's text has; None where it has none."""
    for pattern, words in reasons:
        if match := re.search(pattern, text):
            return words.format(*match.groups()).rstrip(".")
    return None


def _was_raised_while_composing(error: BaseException) -> bool:
    """Whether an exception comes from Hydra or a library below it, and not from what it calls of ours or others'."""
    modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    packages = [module.partition(".")[0] for module in modules]
    others = [package for package in packages if package not in sys.stdlib_module_names]
    return bool(others) and others[-1] in COMPOSING


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".:") if str(error).strip() else type(error).__name__
