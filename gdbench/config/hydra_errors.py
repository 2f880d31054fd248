"""Translate the errors of Hydra and OmegaConf into one line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from gdbench.config.command_errors import describe_sweep, describe_unreadable
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
    (r"Recursive interpolation", "it refers to itself"),
    (r"raised while resolving interpolation: (.*)", "{}"),
)
"""Messages of OmegaConf about ``${...}``, and what we say instead."""
LOGSPACE = "'${logspace:-5,0,1000}' is a thousand numbers from 1e-5 to 1"


def translate_error(error: Exception, folders: Iterable[Path] = ()) -> UsageError:
    """The ``UsageError`` of one line for an error of Hydra or OmegaConf; any other error is raised again.

    ``folders`` hold the user's own configurations, whose files may be the cause.
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
        return UsageError(_describe_value(match.group(1), text, error))
    if isinstance(error, (ConfigCompositionException, HydraException, OmegaConfBaseException, ValueError)):
        return UsageError(f"{_first_line(error)}. See python -m gdbench --help.")
    raise error


def _describe_value(key: str, text: str, error: Exception) -> str:
    """The message for an unknown key, or for its value."""
    if re.search(r"is not in struct|not in '|No match in the defaults list", text):
        return describe_unknown_key(key)
    for pattern, words in INTERPOLATIONS:
        if match := re.search(pattern, text):
            reason = words.format(*match.groups()).rstrip(".")
            reason = "logspace takes LOW,HIGH,COUNT" if reason.startswith("logspace() ") else reason
            return f"{key} cannot be read: {reason}. {LOGSPACE}."
    return f"{key}: {_first_line(error.__cause__ or error)}."


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".:") if str(error).strip() else type(error).__name__
