"""Error lines for the words of a command: what came, what is allowed, what to write."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gdbench.config.config_folders import config_folder
from gdbench.config.schema import SETTINGS
from gdbench.errors import UsageError, did_you_mean

__all__ = ["LINE", "check_words", "describe_option", "describe_sweep", "describe_unreadable", "read_option_files"]

FUNCTIONS = {
    "interval": "interval(LOW,HIGH)",
    "range": "range(START,STOP,STEP)",
    "tag": "tag(log,interval(LOW,HIGH))",
    "glob": "glob(PATTERN)",
    "choice": "choice(A,B)",
    "shuffle": "shuffle(A,B)",
    "sort": "sort(A,B)",
    "int": "int(VALUE)",
    "float": "float(VALUE)",
    "str": "str(VALUE)",
    "bool": "bool(VALUE)",
}
"""Functions of the override grammar, and how each is called."""
UNQUOTED = re.compile(r"[^A-Za-z0-9_/\\\-+.$%*@?|:,\s]")
"""A character that Hydra's grammar allows only in quotes."""
USUAL = 4
"""Functions that the error line for an unknown one names."""
PAIRS = {"[": "]", "{": "}", "(": ")"}
EXAMPLES = {"lr": "0.1", "optimizer": "gd", "objective": "rosenbrock", "seed": "1", "steps": "1000", "dtype": "float64"}
LISTS = ("lr", "lr_scale", "seed")
"""Settings that may have a list of values within a cell."""
OPTIONS = (
    *(
        "--config-dir",
        "--multirun",
        "--quiet",
        "--json",
        "--all-runs",
        "--dry-run",
        "--trust",
        "--cfg",
        "--resolve",
        "--package",
    ),
    *("--version", "--help"),
)
LINE = "See python -m gdbench --help."


def check_words(words: Sequence[str]) -> None:
    """``UsageError`` for the first word that is no ``KEY=VALUE``."""
    for position, word in enumerate(words):
        key = word.partition("=")[0].lstrip("+~").partition(".")[0]
        if key.partition("/")[0].partition("@")[0] in ("code", "part"):  # reserved for gdbench's own workers
            raise UsageError(f"{key} is not a setting. Allowed: {', '.join(SETTINGS)}.")
        if "=" in word and not word.startswith("="):
            continue
        if word.startswith("~"):  # Hydra's form for removing a setting
            continue
        before = words[position - 1] if position else ""
        after = "".join(
            words[position + 1 : position + 3 if words[position + 1 : position + 2] == ["="] else position + 2]
        )
        raise UsageError(_describe_bare(word, before, after))


def _describe_bare(word: str, before: str, after: str) -> str:
    """The error line for a word without ``=``, and what to write instead."""
    key, colon, value = word.partition(":")
    if before.endswith("=") and word != "=":
        return f"{before} has a blank behind its =: write {before}{word}, without blanks."
    if after.startswith("=") and word[:1].isalpha():
        return f"{word} has a blank before its =: write {word}={after.strip('=') or 'VALUE'}, without blanks."
    if word.startswith("="):
        return f"{word} has no setting before its =: write KEY=VALUE, such as lr=0.1."
    if colon and key in SETTINGS:
        return f"{word} has no =: write {key}={value}."
    if word in SETTINGS or word == "experiment":
        named = after if after and after in read_option_files(word) else EXAMPLES.get(word, "VALUE")
        return f"{word} needs a value: write {word}={named}. {LINE}"
    for group in ("optimizer", "objective"):
        if word in read_option_files(group):
            return f"{word} has no =: it is the name of an {group}; write {group}={word}."
    if before.partition("=")[1]:
        return (
            f"{word} has no =: settings are written KEY=VALUE. If it belongs to the word before, put both in quotes:"
            f" '{before} {word}'."
        )
    return f"{word} has no =: settings are written KEY=VALUE, such as lr=0.1. {LINE}"


def read_option_files(group: str) -> dict[str, str]:
    """The text of each shipped option of a group, by its name; empty for an unknown group."""
    folder = config_folder() / group
    return {file.stem: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.yaml"))}


def describe_option(message: str) -> str:
    """The error line for an unknown option, from the message of the option parser."""
    words = message.removeprefix("unrecognized arguments: ").split()
    if words == message.split():  # another error
        return f"{message}. {LINE}"
    word = words[0]
    name, _, value = word.lstrip("-").partition("=")
    if name.partition(".")[0].partition("/")[0] in SETTINGS:
        return (
            f"{word} is no option: settings are written without dashes, {name}={value or EXAMPLES.get(name, 'VALUE')}."
        )
    near = did_you_mean(f"--{name.replace('_', '-')}", OPTIONS)
    return f"unrecognized arguments: {' '.join(words)}.{near} {LINE}"


def describe_sweep(override: str) -> str:
    """The error line for several values with ``--run``, which asks for one."""
    key, _, values = override.partition("=")
    several = (key in LISTS or key.startswith("optimizer.")) and not re.search(r"[(\[{]", values) and "," in values
    written = f", or write a list such as {key}=[{values}]" if several else ""
    if key in LISTS and not several:
        written = f", or write a list such as {key}=[{'0,1' if key == 'seed' else '0.01,0.1'}]"
    return f"{override} is a sweep: leave out --run{written}."


def describe_unreadable(override: str) -> str:
    """The error line for an override that the grammar cannot read."""
    key, _, value = override.partition("=")
    return f"{override} cannot be read: {_find_fault(key, value)}"


def _find_fault(key: str, value: str) -> str:
    """The most likely fault of an override, and what to write."""
    value = value.strip()
    inside = value[1:-1]
    if not re.fullmatch(r"[+~]*[A-Za-z_][\w./@:-]*", key):
        return f"{key or 'nothing'} is no name of a setting; write KEY=VALUE, such as lr=0.1."
    if value.startswith("="):
        return f"one = is enough; write {key}={value.lstrip('=')}."
    if re.fullmatch(r"\([^()]*\)", value) or re.fullmatch(r"\{[^:{}]*\}", value):
        return f"a list stands in square brackets; write {key}=[{','.join(map(str.strip, inside.split(',')))}]."
    if unclosed := _find_unclosed(value):
        return unclosed
    if value.endswith(",") or ",," in value or value.startswith(","):
        return f"a comma stands between two values; write {key}={','.join(filter(None, value.split(',')))}."
    if ";" in value:
        return f"values are separated by commas; write {key}={value.replace(';', ',')}."
    for name in re.findall(r"([A-Za-z_]\w*)\(", value):
        if name not in FUNCTIONS:
            usual = ", ".join(list(FUNCTIONS.values())[:USUAL])
            hint = did_you_mean(name, FUNCTIONS)
            return f"{name}(...) is not known.{hint} Allowed: {usual}, and '${{logspace:-5,0,100}}'."
    if called := re.match(r"([A-Za-z_]\w*)\(", value):
        return f"it takes other arguments; write {key}={FUNCTIONS[called[1]]}."
    quoted = f"within those of the shell: {_quote_twice(key, value)}."
    if strange := re.search(UNQUOTED, value):
        return f"the grammar of Hydra, which reads it, takes {strange[0]} in a text only in quotes, {quoted}"
    return f"put what holds quotes, brackets, = or : into quotes, {quoted}"


def _find_unclosed(value: str) -> str | None:
    """The error line for an unmatched bracket or quotation mark; None where all match."""
    open_: list[str] = []
    quote = ""
    for character in value:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in PAIRS:
            open_.append(character)
        elif character in PAIRS.values() and (not open_ or PAIRS[open_.pop()] != character):
            return f"the {character} closes nothing."
    if quote:
        return f"the {quote} is not closed."
    return f"the {open_[-1]} is not closed by {PAIRS[open_[-1]]}." if open_ else None


def _quote_twice(key: str, value: str) -> str:
    """An override with its value in quotes for Hydra, within quotes for the shell."""
    return f"\"{key}='{value}'\"" if "'" not in value else f"'{key}=\"{value}\"'"
