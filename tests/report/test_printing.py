from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.processes import Done

import gdbench
from gdbench.__main__ import escape_unprintable
from gdbench.cli.help import VERBS
from gdbench.cli.main import main

NOTE = "naïve ✓ 名 ×"
WORDS = {
    "columns": ("list", "columns"),
    "compare": ("compare", "FOLDER", "FOLDER", "--format", "md"),
    "compare --settings": ("compare", "FOLDER", "FOLDER", "--settings"),
    "export": ("export", "--help"),
    "gate": ("gate", "--help"),
    "list": ("list", "objectives"),
    "reproduce": ("reproduce", "KEY"),
    "report": ("report", "FOLDER", "--format", "md"),
    "run": ("run", "--dry-run", "resume=FOLDER"),
    "show": ("show", "KEY"),
    "sweeps": ("sweeps",),
    "sweeps --csv": ("sweeps", "--csv"),
    "sweeps --json": ("sweeps", "--json"),
    "sweeps archive": ("sweeps", "archive", "FOLDER", "--to", "名.zip"),
    "sweeps label": ("sweeps", "label", "FOLDER", "--name", "名", "--tag", "名"),
    "sweeps restore": ("sweeps", "restore", "名.zip"),
    "sweeps rm": ("sweeps", "rm", "FOLDER", "--yes"),
    "sweeps watch": ("sweeps", "watch", "FOLDER", "--once"),
    "tune": (
        "tune",
        "objective=rosenbrock",
        "steps=5",
        "lr=interval(0.001,0.002)",
        "points=2",
        "trials=2",
        "timing=off",
    ),
    "a mistake": ("list", "名"),
    "help": ("--help",),
    "a run": ("name='名'", "objective=rosenbrock", "steps=5", "timing=off"),
    "a sweep": ("-m", "lr=0.01,0.1", "objective=rosenbrock", "steps=5", "timing=off"),
}
"""Each verb, and what a run prints itself, with words that hold characters of many kinds."""


def test_every_verb_is_tried() -> None:
    """A new verb is printed here too."""
    assert {words.partition(" ")[0] for words in WORDS} >= set(VERBS)


@pytest.mark.slow
def test_every_verb_prints_wherever_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each verb ends as it does in UTF-8, and what the encoding lacks comes as an escape."""
    monkeypatch.chdir(tmp_path)
    gdbench.sweep("rosenbrock", lr=[1e-3, 1e-4], steps=5, timing="off", name="mine")
    folder = next(Path("outputs").glob("*/*"))
    key = str(gdbench.load(folder)["run_id"].iloc[0])
    narrow = [io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", narrow[0])
    monkeypatch.setattr(sys, "stderr", narrow[1])
    monkeypatch.setattr(sys, "argv", sys.argv)
    escape_unprintable()
    main(["sweeps", "label", str(folder), "--note", NOTE])
    codes = {}
    order = sorted(
        WORDS, key=lambda label: (label in ("sweeps rm", "sweeps restore"), label == "sweeps restore", label)
    )  # what removes it comes last
    for label in order:
        codes[label] = main([word.replace("FOLDER", str(folder)).replace("KEY", key) for word in WORDS[label]])
    for stream in narrow:
        stream.flush()
    printed = b"".join(stream.buffer.getvalue() for stream in narrow)  # type: ignore[attr-defined]

    assert codes == {label: 2 if label == "a mistake" else 0 for label in WORDS}
    assert b"\\u540d" in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=str,
)
def test_a_run_ends_well_in_any_locale(shell: Callable[..., Done], env: dict[str, str]) -> None:
    """The command itself prints its table and ends with 0, also where files are not read as UTF-8 by themselves."""
    done = shell("-m", "gdbench", "objective=styblinski_tang", "steps=5", "timing=off", env=env, real=True)

    assert (done.code, "Traceback" in done.err) == (0, False), done.err
    assert "Files: outputs" in done.out
