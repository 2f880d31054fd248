"""From a command line to a sweep: options, overrides, what Hydra must know of them, and the result."""

from __future__ import annotations

import os
import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import hydra
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.types import RunMode
from hydra.version import setbase

from gdbench.config.command_errors import check_words, describe_option
from gdbench.config.compose import CONFIG_NAME, check_options
from gdbench.config.config_folders import config_folder, find_config_dir
from gdbench.config.hydra_errors import translate_error
from gdbench.config.hydra_loader import ConfigLoader
from gdbench.config.hydra_plugins import register_configs, register_sweeper
from gdbench.config.hydra_settings import check_hydra_words
from gdbench.config.override_parser import parse_overrides
from gdbench.config.schema import GROUPS, Settings
from gdbench.errors import UsageError
from gdbench.sweeps.hydra_sweeper import BatchingSweeper
from gdbench.sweeps.optuna_sweeper import register_optuna
from gdbench.sweeps.progress import Progress, Silent
from gdbench.sweeps.single_cell_task import HydraTask, HydraUsageError
from gdbench.sweeps.sweep_result import SweepResult
from gdbench.sweeps.sweep_spec import list_code_override

__all__ = ["is_value", "run_command"]

SHOWING = ("cfg", "info", "hydra_help", "shell_completion", "resolve", "package", "experimental_rerun")
"""Options that Hydra's own main function carries out; they show something, and run nothing of ours."""
OUR_SWEEPERS = ("lanes", "optuna")


@dataclass(frozen=True)
class CommandLine:
    """A command line, taken apart."""

    options: list[str]
    """The words that are options and their values, in their order."""
    overrides: list[str]
    args: Namespace
    """The options as Hydra's parser reads them."""

    @classmethod
    def parse(cls, words: list[str]) -> CommandLine:
        """Take words apart; ``UsageError`` for what is no option, where Hydra would print a page of usage."""
        parser = get_args_parser()

        def refuse(message: str) -> NoReturn:
            raise UsageError(describe_option(message))

        parser.error = refuse  # type: ignore[method-assign]
        args = parser.parse_intermixed_args(words)
        overrides = list(args.overrides or [])
        options, left = [], overrides.copy()
        for word in words:
            if left and word == left[0]:
                left.pop(0)
            else:
                options.append(word)
        if args.run and args.multirun:
            raise UsageError("only one of --run and --multirun can be given.")
        return cls(options, overrides, args)

    @property
    def shows(self) -> bool:
        """Whether Hydra only shows something."""
        return any(getattr(self.args, name) for name in SHOWING)

    @property
    def is_foreign(self) -> bool:
        """Whether keys may be other ones than our settings: of a user's own configuration, or of completion."""
        return bool(self.args.shell_completion or self.args.config_name or self.args.config_path)

    @property
    def needs_all(self) -> bool:
        """Whether Hydra must know all overrides: to show them, or for a sweeper that is none of ours."""
        sweepers = [word.partition("=")[2] for word in self.overrides if word.startswith("hydra/sweeper=")]
        return self.shows or (bool(sweepers) and sweepers[-1] not in OUR_SWEEPERS)


def run_command(words: list[str], progress: Progress | None = None, plan_only: bool = False) -> SweepResult | None:
    """Run or plan the sweep of a command line; returns its result, and None where Hydra only showed something."""
    command = CommandLine.parse(words)
    if not command.args.shell_completion:  # whose words are no settings, such as install=bash
        check_words(command.overrides)
    check_hydra_words(command.overrides)
    config_dir = find_config_dir(command.args.config_dir, "--config-dir ")
    # Values are set by us, when the groups of a cell are known: Hydra looks for a value of a group that is swept in the
    # group's default option, and would refuse it.
    values = [] if command.needs_all else [word for word in command.overrides if is_value(word)]
    seen = [word for word in [*command.overrides, *list_code_override(config_dir)] if word not in values]
    setbase("1.3")
    register_configs()
    register_sweeper("lanes", BatchingSweeper, {"params": None})
    register_optuna()
    check_options(
        seen,
        shown=bool(command.args.cfg),
        foreign=command.is_foreign,
        own_files=command.is_foreign or config_dir is not None,
    )
    own = [word for word in command.overrides if not word.lstrip("+~").startswith("hydra")]
    try:
        loader = ConfigLoader(command.args.config_path or config_folder(), config_dir)
        task = HydraTask(loader, None if command.needs_all else own, config_dir, progress or Silent(), plan_only)
        if not command.shows:
            return _compose_and_run(task, command, seen)
        _run_hydra_main(task, [*command.options, *seen])
        return task.finished[-1] if task.finished else None
    except HydraUsageError as error:
        raise UsageError(str(error.__cause__)) from None
    except UsageError:
        raise
    except Exception as error:
        raise translate_error(error, [config_dir] if config_dir else [], seen) from error


def _compose_and_run(task: HydraTask, command: CommandLine, seen: list[str]) -> SweepResult | None:
    """Let Hydra compose, call callbacks, and call our task or the sweeper."""
    app = Hydra("gdbench", task.loader)
    name = command.args.config_name or CONFIG_NAME
    if _choose_mode(app, name, command, seen) == RunMode.RUN:
        result = app.run(name, task, [*seen, "hydra.mode=RUN"]).return_value
    else:
        result = app.multirun(name, task, [*seen, "hydra.mode=MULTIRUN"])
    if isinstance(result, SweepResult):
        return result
    return task.finished[-1] if task.finished else None


def _choose_mode(app: Hydra, name: str, command: CommandLine, seen: Sequence[str]) -> RunMode:
    """A sweep or a run: by -m or --run, else by the mode that a configuration states, else by whether there are axes.

    No file of ``conf/`` but an experiment may state a mode or axes, and composing only for them takes 50 ms.
    """
    if command.args.run or command.args.multirun:
        return RunMode.MULTIRUN if command.args.multirun else RunMode.RUN
    axes, fixed = _split_by_values(command.overrides)
    if name == CONFIG_NAME and not any(re.search("hydra|experiment=", word) for word in seen):
        return RunMode.MULTIRUN if axes else RunMode.RUN
    composed = app.compose_config(name, list(seen), RunMode.MULTIRUN, validate_sweep_overrides=False)
    declared = set(composed.hydra.sweeper.get("params") or ()) - fixed
    return composed.hydra.mode or (RunMode.MULTIRUN if axes or declared else RunMode.RUN)


def _split_by_values(words: Sequence[str]) -> tuple[set[str], set[str]]:
    """The settings with several values or an interval, and those with one: a list or a text is one."""
    ours = [word for word in words if not word.lstrip("+~").startswith(("hydra", "tracker="))]
    latest = {override.key_or_group: override.is_sweep_override() for override in parse_overrides(ours)}
    axes = {key for key, sweeps in latest.items() if sweeps}
    return axes, set(latest) - axes


def _run_hydra_main(task: HydraTask, words: list[str]) -> None:
    """Let Hydra's main function show something; it reads the words from ``sys.argv``."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let its exceptions through: we word them ourselves
    entry = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=CONFIG_NAME)(task)
    argv, sys.argv = sys.argv, ["gdbench", *words]
    try:
        entry()
    finally:
        sys.argv = argv


def is_value(override: str) -> bool:
    """Whether an override sets a value: ``schedule.over=10`` does, ``schedule=cosine`` chooses from a group."""
    key = override.partition("=")[0].lstrip("+~")
    root = key.partition(".")[0]
    return root in Settings.__dataclass_fields__ and (key != root or root not in GROUPS)
