"""One line for each mistake that typer finds in the words of a verb."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["describe_mistake"]

FORMER_OPTIONS = {
    "--rerun": "reproduce RUN",
    "--each": "--all-runs",
    "--folder": "--outputs",
    "--remove": "--untag TAG, or --note ''",
}
"""What took the place of options of earlier versions."""
FORMER_GATE_VERBS = {
    "record": "gate save-baseline",
    "self-test": "gate calibrate",
    "benchmarks": "export pytest-benchmark",
}


def describe_mistake(error: Any, words: Sequence[str]) -> str:
    """What is wrong, in one line, and which help to read; ``error`` is typer's exception."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else f"python -m gdbench {words[0]}"
    message = _describe_missing(error, path) or " ".join(str(error.format_message()).split()).rstrip(".")
    if possible := re.search(r" \(Possible options: (.*)\)$", message):
        near = " or ".join(possible[1].split(", "))
        message = f"{message[: possible.start()]}. Did you mean {near}?"
    if (unknown := re.match("No such command '(.*?)'", message)) and unknown[1] in FORMER_GATE_VERBS:
        message = f"gate {unknown[1]} is not a verb. Did you mean {FORMER_GATE_VERBS[unknown[1]]}?"
    if (option := getattr(error, "option_name", "")) in FORMER_OPTIONS:
        message = f"{message.partition(' Did you mean')[0].rstrip('.')}. Did you mean {FORMER_OPTIONS[option]}?"
    return f"{message}{'' if message.endswith('?') else '.'} See {path} --help."


def _describe_missing(error: Any, path: str) -> str:
    """``compare needs B: another sweep``; empty unless an argument or option is missing."""
    parameter = getattr(error, "param", None)
    if type(error).__name__ != "MissingParameter" or parameter is None:
        return ""
    name = parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]
    return f"{path.removeprefix('python -m gdbench ')} needs {name}: {parameter.help}"
