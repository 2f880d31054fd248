"""Carries out what a document tells its reader to do: in order, in one folder, files are written and commands run.

What cannot be had in a test (a cluster, a GPU, a server, a download) is said so in the document, by a comment
``# needs ...`` behind the command, and is checked as far as it can be: a sweep is planned, each of its cells checked;
of a verb the words are parsed; of an installation the extras have to be there.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
import yaml

from gdbench.cli.app import app
from gdbench.cli.help import VERBS
from gdbench.engine.git import make_clean_environment

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|yaml|yml))(?::.*)?\n")
"""A snippet that begins with a comment of this form is the content of that file."""
AT_HAND = ("gdbench[joblib]", "gdbench[tensorboard]", "gdbench[optuna]")
"""What documents need that tests have, and that does not take long."""


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a document."""

    document: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"

    @property
    def code(self) -> int:
        """The exit code that its commands are to have."""
        told = re.search(r"\(exit (\d)\)", self.text)
        return int(told[1]) if told else 0

    def commands(self) -> Iterator[tuple[str, str]]:
        """Each command of a block of bash, or behind ``$`` in what a terminal showed, and what it needs."""
        text = self.text.replace("\\\n", " ")
        if self.language != "bash":
            text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
        for line in text.splitlines():
            command, _, remark = line.partition(" # ") if " # " in line else line.partition("  #")
            needs = remark.strip().removeprefix("needs ") if remark.strip().startswith("needs ") else ""
            yield from ((each.strip(), needs) for each in command.split("&&") if each.strip())


def snippets(document: Path) -> list[Snippet]:
    """The fenced blocks of a document, in order."""
    text = document.read_text(encoding="utf-8")
    return [Snippet(document, text[: each.start()].count("\n") + 1, each[1], each[2]) for each in FENCE.finditer(text)]


@dataclass
class Reader:
    """Somebody who does what a document says, in the working folder.

    ``command(*words)`` carries out gdbench in this process; a command that holds one of ``checked`` is only checked;
    ``words`` replaces what stands for something of the reader's own; ``before`` is done before the first command that
    holds its key.
    """

    command: Callable[..., Any]
    checked: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)
    """What the document's Python has defined so far."""
    promises: Mapping[str, tuple[str, ...]] | None = None
    """What each command shall print, where only the clock is cut short; None where more is."""

    def follow(self, snippet: Snippet) -> int:
        """Do what a snippet says; returns how many things that were."""
        written = FILE.match(snippet.text)
        if written:
            self._write(Path(written[1]), snippet.text)
            return 1
        if snippet.language == "python":
            exec(compile(re.sub(*LONG_SEARCH, snippet.text), snippet.place, "exec"), self.names)
            return 1
        if snippet.language in ("bash", ""):
            told = list(snippet.commands())
            for command, needs in told:
                self._carry_out(command, needs, snippet)
            return len(told)
        assert snippet.language == "text", f"{snippet.place}: nobody knows how to try {snippet.language or 'this'}"
        return 0

    def _write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if file.suffix == ".yml":  # of GitHub Actions
            for job in yaml.safe_load(text)["jobs"].values():
                for step in job["steps"]:
                    if "run" in step:
                        self._check(shlex.split(step["run"]))

    def _carry_out(self, command: str, needs: str, snippet: Snippet) -> None:
        for key in [key for key in self.before if key in command]:
            self.before.pop(key)()
        words = [each for word in shlex.split(command) for each in self._meant(word, f"'{word}'" in command)]
        if words[:3] != ["python", "-m", "gdbench"]:
            if words[0] in ("git", "sed"):
                subprocess.run(["bash", "-c", command], env=make_clean_environment(), check=True, capture_output=True)
            else:
                self._check(words)
        elif not is_carried_out(command, needs, self.checked):
            self._check(words)
        else:
            done = self.command(*(_short(words[3:]) if self.promises is None else _hurried(words[3:])))
            assert done.code == snippet.code, f"{snippet.place}: {command}\n{done.out}\n{done.err}"
            for promised in (self.promises or {}).get(" ".join(command.split()), ()):
                assert promised in done.out + done.err, f"{snippet.place}: {command}\n{done.out}\n{done.err}"

    def _meant(self, word: str, quoted: bool) -> list[str]:
        """What a word stands for: what is the reader's own, or the files of a pattern."""
        word = self.words.get(word, word)
        return sorted(map(str, Path().glob(word))) if "*" in word and not quoted else [word]

    def _check(self, words: list[str]) -> None:
        """Check a command that is not carried out."""
        if words[:2] == ["pip", "install"]:
            extras = re.findall(r"\[([\w,]+)\]", " ".join(words))
            known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            assert {each for extra in extras for each in extra.split(",")} <= set(known)
        elif words[0] == "torchrun":
            self._check(["python", *words[words.index("-m") :]])
        elif words[2] != "gdbench":
            assert words[:2] == ["python", "-m"]
            assert find_spec(words[2]), words
        elif words[3] in VERBS and words[3] != "run":
            parsed(words[3:])
        else:
            planned = [word.replace("device=cuda", "device=cpu") for word in _short(words[3:])]
            done = self.command("--dry-run", *planned)
            assert done.code == 0, (words, done.err)


def is_carried_out(command: str, needs: str, checked: Mapping[str, str]) -> bool:
    """Whether a test has all that a command needs, so that it is more than checked."""
    return (not needs or needs in AT_HAND) and not any(part in command for part in checked)


def parsed(words: list[str]) -> None:
    """The words of a verb, read as its options and arguments; raises for what it does not know."""
    command: Any = typer.main.get_command(app)
    context = None
    while hasattr(command, "commands") and words and words[0] in command.commands:
        context = command.make_context(words[0], [], parent=context, resilient_parsing=True)
        command, words = command.commands[words[0]], words[1:]
    command.make_context(command.name, list(words), parent=context)


LONG_SEARCH = (r"(\.tune\(.*\bsteps=)\d{4,}", r"\g<1>200")
"""A search in a document's Python, of nine CPU s, and the same with fewer steps."""
LONG = (
    (r"^steps=\d{4,}$", "steps=200"),
    (r",\d{4,}\}$", ",50}"),
    (r"n_trials=\d+$", "n_trials=3"),
    (r"^points=.*", "points=8"),
)


CLOCK = "timing.seconds=0.05"
"""A tenth of a cell's time: what a command prints does not depend on how often its steps are timed."""


def _hurried(words: list[str]) -> list[str]:
    """The same command with less of the clock, for the runs that it makes, plans or goes on with."""
    return [*words, CLOCK] if _is_timed(words) else words


def _is_timed(words: list[str]) -> bool:
    """Whether a command makes runs, and says neither how they are timed nor where that stands."""
    runs = not words or words[0] in ("run", "tune") or words[0] not in VERBS
    return runs and not any(word.startswith(("timing=", "resume=", "--cfg", "--help")) for word in words)


def _short(words: list[str]) -> list[str]:
    """The same command without what takes long and shows nothing more: steps, lanes, the clock, a report's pictures."""
    for long, short in LONG:
        words = [re.sub(long, short, word) for word in words]
    if words[:1] == ["report"] and "--format" not in words:
        return [*(word for word in words if word != "--open"), "--format", "html,tables,md"]
    return [*words, "timing=off"] if _is_timed(words) else words


def forget(folder: Path, path: list[str]) -> None:
    """Forget the modules that a reader has written."""
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
