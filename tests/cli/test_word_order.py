"""Options before a verb: they are the verb's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from gdbench.cli.app import app
from gdbench.cli.help import VERBS
from gdbench.cli.word_order import place_verb_first


def options() -> list[tuple[list[str], str, bool]]:
    """Every option of every verb, of the gate's too: the verb's words, the option, and whether it takes a value."""
    root: Any = typer.main.get_command(app)
    gate = root.commands["gate"]
    verbs = [([name], command) for name, command in root.commands.items()]
    verbs += [(["gate", name], command) for name, command in gate.commands.items()]
    return [
        (words, name, not parameter.is_flag)
        for words, command in verbs
        for parameter in command.params
        if parameter.param_type_name == "option"
        for name in parameter.opts
    ]


def test_any_option_may_stand_before_its_verb() -> None:
    """The law over all verbs and options: before the verb, or before the last word of it, is behind it."""
    law = options()
    for verb, option, valued in law:
        given = [option, "list"] if valued else [option]  # a value that is itself the name of a verb

        assert place_verb_first([*given, *verb, "x"], VERBS) == [*verb, *given, "x"]
        if len(verb) > 1:
            assert place_verb_first(["gate", *given, verb[1], "x"], VERBS) == [*verb, *given, "x"]
        assert place_verb_first([*verb, *given, "x"], VERBS) == [*verb, *given, "x"]
    assert len(law) > 50


@pytest.mark.parametrize(
    "line",
    [
        "-m lr=0.1,0.2",
        "--config-dir list objective=bowl",
        "--cfg job",
        "lr=0.1",
        "sweeps runs=2",
        "show list",
        "-m",
        "",
    ],
)
def test_a_command_without_such_a_verb_stays_as_it_is(line: str) -> None:
    """A value that is named like a verb, and words behind a verb, are left where they are."""
    assert place_verb_first(line.split(), VERBS) == line.split()


def test_what_stands_before_a_verb_counts(command: Callable[..., Any], own: Path) -> None:
    """A folder of the user's own, a format, the options of the gate: as if they stood behind."""
    listed = command("--config-dir", str(own), "list", "objectives")
    planned = command("--config-dir", str(own), "-m", "--dry-run", "run", "objective=bowl", "lr=0.1,0.2")
    suite = command("--suite", "none", "gate", "save-baseline")
    wrong = command("--quiet", "list", "optimizers")

    assert "bowl " in listed.out
    assert "2 runs" in planned.out
    assert suite.err.startswith("gdbench: --suite none is not known.")
    assert wrong.err == "gdbench: No such option: --quiet. See python -m gdbench list --help.\n"


def test_tune_takes_m(command: Callable[..., Any]) -> None:
    """Commas make rows of tune without -m, and with it as well."""
    done = command("tune", "-m", "optimizer=gd,adam", "steps=3", "lr=0.1", "timing=off", "--quiet")

    assert done.code in (0, 2)
    assert "No such option" not in done.err
