"""One command line, handed to Hydra: what it sees of the words, and what became of the sweep."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import hydra
from hydra._internal.utils import get_args_parser

from gdbench.config.compose import CONFIG_NAME, check_options
from gdbench.config.hydra_errors import reworded
from gdbench.config.hydra_plugins import mode_by_flag, register_sweeper, store
from gdbench.config.hydra_settings import check_hydra_words
from gdbench.config.libyaml import read_by_libyaml
from gdbench.config.mistakes import check_words, describe_option
from gdbench.config.overrides import code_override
from gdbench.config.own_names import check_own_names
from gdbench.config.paths import config_folder
from gdbench.config.schema import GROUPS, Run
from gdbench.errors import UsageError
from gdbench.results.user_paths import expand_user
from gdbench.sweeps.hydra_sweeper import Lanes, Refusal, Session
from gdbench.sweeps.job_spec import Progress, Silent
from gdbench.sweeps.optuna_sweeper import register_trials

if TYPE_CHECKING:
    from gdbench.sweeps.executor import SweepResult

__all__ = ["is_value", "run_words", "split_words"]

SHOWING = ("--cfg", "-c", "--info", "-i", "--hydra-help", "--shell-completion", "-sc", "--resolve", "--package", "-p")
"""Options of Hydra's that show something, and run nothing."""
OWN_CONFIG = ("--config-name", "-cn", "--config-path", "-cp")
"""Options of Hydra's that put a configuration in the place of ours."""


def run_words(words: list[str], progress: Progress | None = None, plan_only: bool = False) -> SweepResult | None:
    """Hand the words to Hydra, which composes and calls our task or sweeper.

    Returns what became of the sweep, and None where Hydra only showed something.
    """
    options, overrides = split_words(words)
    completes = bool({"-sc", "--shell-completion"} & set(options))
    if not completes:  # whose words are no settings, such as install=bash
        check_words(overrides)
    check_hydra_words(overrides)
    overrides = [*overrides, *_code(options)]
    seen = overrides if _needs_all(options, overrides) else [word for word in overrides if not is_value(word)]
    asked = [word for word in overrides if not word.lstrip("+~").startswith("hydra")]
    session = Session(asked, seen != overrides, progress or Silent(), plan_only)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let its exceptions through: we word them ourselves
    store()
    register_sweeper("lanes", Lanes, {"params": None})
    register_trials()
    entry = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=CONFIG_NAME)(
        session.run_single
    )
    argv, sys.argv = sys.argv, ["gdbench", *options, *seen]
    try:
        foreign = completes or any(word.partition("=")[0] in OWN_CONFIG for word in options)
        check_options(
            seen,
            shown=bool({"--cfg", "-c"} & set(options)),
            foreign=foreign,
            own_files=foreign or bool(_own_folders(options)),
        )
        with mode_by_flag([*options, *seen]), read_by_libyaml():
            entry()
    except Refusal as refusal:
        raise UsageError(str(refusal.__cause__)) from None
    except UsageError:
        raise
    except Exception as error:
        raise reworded(error, _own_folders(options)) from error
    finally:
        sys.argv = argv
    return session.result


def is_value(override: str) -> bool:
    """Whether an override sets a value: ``schedule.over=10`` does, ``schedule=cosine`` chooses from a group.

    Hydra would refuse a value of a group that is swept, as it looks for it in the group's default option.
    """
    key = override.partition("=")[0].lstrip("+~")
    root = key.partition(".")[0]
    return root in Run.__dataclass_fields__ and (key != root or root not in GROUPS)


def _needs_all(options: Sequence[str], overrides: Sequence[str]) -> bool:
    """Whether Hydra itself must know all values: to show them, or to hand them to a sweeper that is none of ours."""
    shows = any(word.split("=")[0] in SHOWING for word in options)
    sweepers = [word.partition("=")[2] for word in overrides if word.startswith("hydra/sweeper=")]
    return shows or (bool(sweepers) and sweepers[-1] not in ("lanes", "optuna"))


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Options and overrides apart, as Hydra wants them; it would answer a mistake among them with a page of usage."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UsageError(describe_option(message))

    parser.error = refuse  # type: ignore[method-assign]
    overrides = list(parser.parse_intermixed_args(words).overrides or [])
    options, left = [], overrides.copy()
    for word in words:
        if left and word == left[0]:
            left.pop(0)
        else:
            options.append(word)
    return options, overrides


def _code(options: list[str]) -> list[str]:
    """The folder of --config-dir holds code too: tell every worker where it is."""
    return [code_override(folder) for folder in _own_folders(options)[:1]]


def _own_folders(options: Sequence[str]) -> list[Path]:
    """The folder that --config-dir names, if it is there."""
    following = dict(itertools.pairwise(options))
    named = [following[word] for word in ("--config-dir", "-cd") if word in following]
    named += [word.partition("=")[2] for word in options if word.startswith("--config-dir=")]
    for folder in named:
        if not expand_user(folder).is_dir():
            raise UsageError(
                f"--config-dir {folder} is no folder: it must hold objective/*.yaml or optimizer/*.yaml of your own."
            )
        check_own_names(expand_user(folder))
    return [expand_user(folder).resolve() for folder in named]
