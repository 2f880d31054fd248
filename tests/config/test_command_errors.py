"""What a person mistypes: each message names that fault, says what to write, and speaks of nothing inside gdbench."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.override_parser.overrides_parser import create_functions
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jargon import find_jargon
from support.tiers import representatives

import gdbench
from gdbench.config.command_errors import FUNCTIONS
from gdbench.config.schema import SETTINGS
from gdbench.errors import did_you_mean, list_few

MISTAKES = {
    # numbers
    "target=1": "target=1 must be a number from 0 to below 1.",
    "target=-1": "target=-1 must be a number from 0 to below 1.",
    "steps=ten": "steps=ten must be a whole number from 1 to",
    "steps=true": "steps=true must be a whole number",
    "lr=gd": "lr=gd must be a positive number, a list such as [0.01,0.1], tag(log,interval(1e-4,1)), or null",
    "lr=none": "lr=none must be a positive number",
    "lr=1/10": "lr=1/10 must be a positive number",
    "lr={a:1}": "lr={a:1} must be a positive number",
    "lr=true": "lr=true must be a positive number",
    "objective=quadratic objective.n=ten": "objective.n=ten must be a number.",
    "objective=quadratic 'objective.n=\"3\"'": "objective.n='3' must be a number, without quotes.",
    "objective=quadratic objective.n=[1,2]": "objective.n=[1,2] must be a number.",
    "objective=quadratic objective.n={a:1}": "objective.n={a:1} must be a number.",
    "optimizer=momentum optimizer.momentum=high": "optimizer.momentum=high must be a number",
    "seed=0.5": "seed=0.5 must be a whole number from 0",
    # names
    "optimizer=Adam": "optimizer=Adam is not known. Did you mean adam? All: python -m gdbench list optimizers",
    "optimizer=torch.optim.adam.Admm": "optimizer=torch.optim.adam.Admm is the name of no class that can be imported",
    "objective=Rosenbrock": "objective=Rosenbrock is not known. Did you mean rosenbrock?",
    "impl=pytorch": "impl=pytorch is not known. Did you mean torch?",
    "impl=true": "impl=true is not known.",
    "dtype=32": "dtype=32 is not known.",
    "retry=true": "retry=true is not known. Allowed: null, failed.",
    "tracker=none": "tracker=none is not known. Allowed: mlflow, wandb, trackio, tensorboard; null for none.",
    "schedule=cos": "schedule=cos is not known. Did you mean cosine",
    # a value for a group, a group for a value
    "objective={n:2}": "objective={n:2} gives settings where a name is due: write objective=NAME objective.n=2.",
    "optimizer=0.1": "optimizer=0.1 is no name: optimizer is chosen by its name, and numbers of it are set as",
    "clip=1": "clip=1 is no name: clip is chosen by its name, and numbers of it are set as clip.KEY=VALUE.",
    "timing=5": "timing=5 is no name: timing is chosen by its name",
    "timing=false": "timing=false is no name",
    "optimizer=[gd,adam]": "optimizer=[gd,adam] is a list, and a run has one optimizer",
    "hydra/launcher=3": "hydra/launcher=3 is no name",
    "hydra/launcher=inf": "hydra/launcher=inf is no name",
    "hydra/job_logging=[[]]": "hydra/job_logging=[[]] has no effect: gdbench writes no log",
    "noise='${logspace:-1,1,3}'": "noise=${logspace:-1,1,3} is no name",
    "-m hydra/sweeper=lanes,basic": "hydra/sweeper=lanes,basic: all cells share the settings of Hydra",
    "hydra.launcher=inf": "hydra.launcher=inf must be settings, each written hydra.launcher.KEY=VALUE; another is",
    "-m hydra.sweeper.params=[[]]": "hydra.sweeper.params=[[]] must be settings",
    "+hydra.job=3": "+hydra.job=3 must be settings, each written hydra.job.KEY=VALUE.",
    "hydra.job.chdir=maybe": "hydra.job.chdir=maybe has no effect: every cell runs",
    "hydra.mode=WALK": "hydra.mode=WALK must be one of RUN, MULTIRUN.",
    "hydra.searchpath=mine": "hydra.searchpath=mine must be a list of texts",
    "hydra.runtime.cwd=x": "hydra.runtime.cwd=x cannot be set: Hydra notes there what it was given.",
    "~hydra.run": "~hydra.run cannot be removed: Hydra needs it.",
    "~hydra/launcher": "~hydra/launcher cannot be removed",
    "timing=[1,[2]]": "timing=[1,[2]] is a list, and a run has one timing",
    "code=nan": "code is not a setting. Allowed: objective, ",
    "++code.x=1": "code is not a setting. Allowed: objective, ",
    "optimizer@a=adam": "optimizer@a is not a setting: a run has one optimizer. Write optimizer=VALUE.",
    "+optimizer.lr=1": "optimizer.lr is not a setting of the chosen optimizer. lr is a setting of the run",
    "optimizer.torch=/proc/x": "optimizer=gd: torch=/proc/x must be null, or settings with the _target_ of a factory",
    "objective._target_=3": "objective=notebook_manual: _target_=3 is no name of a factory",
    f"steps={'9' * 400}": "steps=999",
    f"lr={'[' * 300}{']' * 300}": "lr=[[[",
    "'target=${..}'": "target cannot be read: its ${...} has no value.",
    "'lr=${logspace:0,1,1000000000000}'": "lr cannot be read: logspace makes from 1 to 10000000 numbers",
    "'name=a\nb'": "name=a␊b cannot be read",
    # keys
    "optimizer/lr=0.1": "optimizer/lr is not a setting. lr is a setting of the run: write lr=VALUE.",
    "objective=quadratic objective/n=3": "objective/n is written with a dot: objective.n=VALUE.",
    "objective/n=three": "objective/n is written with a dot: objective.n=VALUE.",
    "optimizer.lr=0.1": "optimizer.lr is not a setting of the chosen optimizer. lr is a setting of the run",
    "momentum=0.9": "momentum is not a setting. Did you mean optimizer.momentum?",
    "optimizer=momentum optimizer.beta=0.9": "optimizer.beta is not a setting of the chosen optimizer, momentum."
    " momentum has: momentum, dampening",
    "optimizer.momentum=0.9": "optimizer.momentum is not a setting of the chosen optimizer, gd. Those that have it:"
    " optimizer=momentum, ",
    "optimizer=adam optimizer.momentun=0.9": "optimizer.momentun is not a setting of the chosen optimizer, adam."
    " Did you mean optimizer.momentum? Those that have it: optimizer=momentum, ",
    "optimizer=adam optimizer.betta1=0.9": "optimizer.betta1 is not a setting of the chosen optimizer, adam."
    " Did you mean beta1? adam has: beta1, ",
    "momentun=0.9": "momentun is not a setting. Did you mean optimizer.momentum? Allowed: ",
    "report --formt md": "No such option: --formt. Did you mean --format? See python -m gdbench report --help.",
    "clip.max_norm=1": "clip.max_norm is not a setting of the chosen clip, none. Those that have it: clip=norm",
    "lr.a=1": "lr.a is not a setting: lr has no settings of its own.",
    "epochs=10": "epochs is not a setting. Did you mean steps?",
    "learning_rate=0.1": "learning_rate is not a setting. Did you mean lr?",
    "seeds=0,1": "seeds is not a setting. Did you mean seed?",
    "config_dir=mine": "config_dir is not a setting. Did you mean the option --config-dir FOLDER?",
    "code=mine": "code is not a setting. Allowed: objective, ",
    "part.cell=3": "part is not a setting. Allowed: objective, ",
    "hydra=3": "hydra is not a setting.",
    "+lr=0.1": "lr is there already: write lr=VALUE, without the +.",
    "@lr=0.1": "@lr=0.1 names no setting before its =: write KEY=VALUE",
    # blanks, dashes, signs
    "lr": "lr needs a value: write lr=0.1.",
    "optimizer gd": "optimizer needs a value: write optimizer=gd.",
    "lr =0.1": "lr has a blank before its =: write lr=0.1, without blanks.",
    "lr = 0.1": "lr has a blank before its =: write lr=0.1, without blanks.",
    "lr= 0.1": "lr= has a blank behind its =: write lr=0.1, without blanks.",
    "gd": "gd has no =: it is the name of an optimizer; write optimizer=gd.",
    "rosenbrock lr=0.1": "rosenbrock has no =: it is the name of an objective; write objective=rosenbrock.",
    "tune optimizer=gd lr": "lr needs a value: write lr=0.1.",
    "run --dry-run lr": "lr needs a value: write lr=0.1.",
    "lr:0.1": "lr:0.1 has no =: write lr=0.1.",
    "lr==0.1": "lr==0.1 cannot be read: one = is enough; write lr=0.1.",
    "name=my run": "run has no =: settings are written KEY=VALUE. If it belongs to the word before, put both in quotes:"
    " 'name=my run'.",
    "--lr=0.1": "--lr=0.1 is no option: settings are written without dashes, lr=0.1.",
    "--lr 0.1": "--lr is no option: settings are written without dashes, lr=0.1.",
    "-lr 0.1": "-lr is no option: settings are written without dashes, lr=0.1.",
    "--config_dir mine": "unrecognized arguments: --config_dir. Did you mean --config-dir?",
    "--config-dir lr=0.1": "--config-dir lr=0.1 is no folder: it must hold",
    # brackets, commas, quotes, functions
    "lr=[0.1": "lr=[0.1 cannot be read: the [ is not closed by ].",
    "lr=0.1]": "lr=0.1] cannot be read: the ] closes nothing.",
    "lr={0.1,0.2}": "lr={0.1,0.2} cannot be read: a list stands in square brackets; write lr=[0.1,0.2].",
    "'lr=(0.1, 0.2)'": "lr=(0.1, 0.2) cannot be read: a list stands in square brackets; write lr=[0.1,0.2].",
    "'lr=0.1;0.2'": "lr=0.1;0.2 cannot be read: values are separated by commas; write lr=0.1,0.2.",
    "optimizer=adam,": "optimizer=adam, cannot be read: a comma stands between two values; write optimizer=adam.",
    "\"name='a\"": "name='a cannot be read: the ' is not closed.",
    "lr=0.1=0.2": "lr=0.1=0.2 cannot be read: the grammar of Hydra, which reads it, takes = in a text only in quotes,"
    " within those of the shell: \"lr='0.1=0.2'\".",
    "'outputs=/tmp/naïve dir'": "outputs=/tmp/naïve dir cannot be read: the grammar of Hydra, which reads it, takes ï"
    " in a text only in quotes, within those of the shell: \"outputs='/tmp/naïve dir'\".",
    "name=a&b": "name=a&b cannot be read: the grammar of Hydra, which reads it, takes & in a text only in quotes",
    # launchers and options
    "-m optimizer=gd hydra/launcher=jobib": "hydra/launcher=jobib is not known. Did you mean joblib? Allowed: basic, ",
    "-m optimizer=gd hydra.launcher.n_jobs=8": "hydra.launcher.n_jobs is not a setting of the chosen launcher: choose",
    "--hlep": "unrecognized arguments: --hlep. Did you mean --help?",
    "gate acept": "No such command 'acept'. Did you mean 'accept'? See python -m gdbench gate --help.\n",
    "gate accept x": "gate accept needs --reason: why the change is intended. See python -m gdbench gate",
    "report 'outputs/2026-*'": "SWEEP=outputs/2026-* is no sweep of outputs. No folder fits this pattern. Allowed: a",
    "sweeps ls": "sweeps ls is not known. Did you mean sweeps, which lists all of them? Allowed: watch, ",
    "sweeps remove x": "sweeps remove is not known. Did you mean sweeps rm? Allowed: watch, ",
    "sweeps show": "sweeps show is not known. Did you mean show SWEEP, without sweeps? Allowed: watch, ",
    "sweeps anything": "sweeps anything is not known. Allowed: watch, label, archive, restore, rm, or a query COLUMN=",
    "export mlfow nothing": "export mlfow is not known. Did you mean mlflow? Allowed: mlflow, ",
    # Hydra's callbacks
    "+hydra.callbacks.a=3": "hydra.callbacks.a=3 is no callback: it is made of the _target_ of a class",
    "-m +hydra.callbacks.a=3": "hydra.callbacks.a=3 is no callback: it is made of the _target_ of a class",
    "tune +hydra.callbacks.a._target_=mine.Mine": "+hydra.callbacks.a._target_=mine.Mine: tune has its own sweeper",
    "hydra.callbacks=3": "hydra.callbacks=3 is no callback by its name",
    "+hydra.callbacks.a.b=1": "hydra.callbacks.a has no _target_: it is made of the _target_ of a class",
    "+hydra.callbacks.a._target_=builtins.int": "hydra.callbacks.a with _target_=builtins.int is no callback",
    "+hydra.callbacks.a._target_=nowhere.Mine": "hydra.callbacks.a: Error loading 'nowhere.Mine'.",
    "-m 'lr=linspace(0,1,3)'": "lr=linspace(0,1,3) cannot be read: linspace(...) is not known. Allowed: interval(",
    "-m 'lr=interval(1)'": "lr=interval(1) cannot be read: it takes other arguments; write lr=interval(LOW,HIGH).",
    "'lr=${logspace:-3,0}'": "lr cannot be read: logspace takes LOW,HIGH,COUNT. '${logspace:-5,0,1000}' is",
    "'lr=${lospace:-3,0,5}'": "lr cannot be read: it calls lospace, which is not known.",
    "'lr=${foo}'": "lr cannot be read: it refers to foo, which is not a setting.",
    "'lr=${lr}'": "lr cannot be read: it refers to itself.",
    # sweeps
    "--run lr=0.1,0.2": "lr=0.1,0.2 is a sweep: leave out --run, or write a list such as lr=[0.1,0.2].",
    "--run objective=rosenbrock,quadratic": "objective=rosenbrock,quadratic is a sweep: leave out --run.\n",
    "--run steps=100,200": "steps=100,200 is a sweep: leave out --run.\n",
    "steps=[100,200]": "steps=[100,200] is a list, and a run has one steps: for a run of each write steps=100,200.",
}  # fmt: skip
"""What was typed, and how the answer begins."""


@pytest.mark.parametrize("line", representatives(MISTAKES, list(MISTAKES)[::4]))
def test_a_mistake_is_answered_by_its_own_fault(command: Callable[..., Any], tmp_path: Path, line: str) -> None:
    """One line that names what was typed and what to write, in no words but ours, exit code 2, and no folder."""
    done = command(*shlex.split(line))

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"gdbench: {MISTAKES[line]}")
    assert done.err.count("\n") == 1
    assert not find_jargon(done.err, [line]), done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ['steps="100"', 'target="0.5"', 'lr="0.1"', 'seed="1"', "points='7'"])
def test_a_number_in_quotes_is_a_number(command: Callable[..., Any], words: str) -> None:
    """Quotes that reach us, as from a file, change nothing of a number of the run."""
    done = command("--dry-run", words)

    assert (done.code, done.err) == (0, "")


def test_the_functions_that_are_named_are_those_of_the_grammar() -> None:
    """What a message offers can be called, and what can be called is offered: Hydra's own table has the same names."""
    assert set(FUNCTIONS) == set(create_functions().functions)


def test_settings_have_no_key_of_the_inside() -> None:
    """Where the allowed settings are listed, those that only gdbench sets are left out."""
    assert {"code", "part"}.isdisjoint(SETTINGS)


@settings(deadline=None)
@given(st.text("runegd", min_size=1, max_size=6), st.lists(st.text("runegd", min_size=1, max_size=6), max_size=8))
def test_no_guess_names_a_word_twice(word: str, known: list[str]) -> None:
    """However often a name is known, as of two sweeps of one name, it is guessed once."""
    guessed = re.findall(r"\w+", did_you_mean(word, known * 2).removeprefix(" Did you mean"))

    assert set(guessed) - {"or"} <= set(known)
    assert len([name for name in guessed if name != "or"]) == len(set(guessed) - {"or"})


@given(st.lists(st.text("abc", min_size=1, max_size=3), max_size=12), st.integers(1, 5))
def test_a_few_names_say_how_many_there_are(names: list[str], most: int) -> None:
    """Names are shown once each, and those left out are counted, without an ellipsis before a full stop."""
    different = list(dict.fromkeys(names))
    shown, _, others = list_few(names, most).partition(" and ")

    assert "..." not in shown + others
    assert [name for name in shown.split(", ") if name] == different[
        : len(different) - int(others.split()[0] if others else 0)
    ]


def test_what_may_be_meant_is_counted_and_named_once(command: Callable[..., Any], tmp_path: Path) -> None:
    """Of many sweeps of one name a guess names one, and a message that lists some of them has no row of dots."""
    for number in range(6):
        folder = tmp_path / f"outputs/2026-11-0{number + 1}/10-00-00_run"
        folder.mkdir(parents=True)
        (folder / "runs.parquet").touch()
    guess, several = command("show", "runn"), command("report", "run")
    having = command("optimizer=gd", "optimizer.beta1=0.9")

    assert guess.err.startswith("gdbench: runn is neither a sweep nor the start of a run_id in outputs. Did you mean")
    assert "mean run? Allowed: " in guess.err
    assert "SWEEP=run is ambiguous (6 sweeps): " in several.err
    assert " and 2 others. Give the folder of one.\n" in several.err
    assert re.search(r"Those that have it: (optimizer=\w+, ){3}optimizer=\w+ and \d+ others\. gd has: ", having.err)
    assert "...." not in guess.err + several.err + having.err


@pytest.mark.parametrize("word", ["zzzz", "99", "a b"])  # no folder is of hour 99
def test_show_says_that_a_run_is_allowed_too(command: Callable[..., Any], tmp_path: Path, word: str) -> None:
    """A word that is neither a sweep nor a run is answered by both that it might be."""
    assert command("steps=2", "timing=off", "--quiet", "outputs=here").code == 0
    done = command("show", word, "--outputs", "here")

    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"gdbench: {word} is neither a sweep nor the start of a run_id in here. Allowed: ")
    assert "the first digits of a run_id, from the table that show SWEEP prints" in done.err


@pytest.mark.parametrize("verb", [[], ["-m"], ["tune"]], ids=str)
def test_an_anchor_that_holds_itself_is_named_with_its_file(
    command: Callable[..., Any], tmp_path: Path, verb: list[str]
) -> None:
    """A YAML file whose anchors form a cycle is one line with file, line and anchor."""
    file = tmp_path / "mine" / "objective" / "ring.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("_target_: ring.ring\nwidth: &w\n  - 1\n  - [*w]\n")
    done = command(*verb, "--config-dir", "mine", "objective=ring")

    words = "cannot be read: line 4, *w stands within &w, which would hold itself without end."
    assert (done.code, done.err) == (2, f"gdbench: {file} {words}\n")


def make_local_class() -> type:
    """An optimizer of one's own that no module has."""

    class Local(torch.optim.SGD):
        pass

    return Local


@pytest.mark.parametrize("begin", [gdbench.run, gdbench.sweep, gdbench.tune])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"optimizer": make_local_class()}, "and optimizer= takes a name, or a class that can be imported again"),
        (
            {"optimizer": ["gd", make_local_class()]},
            "such as mine.py, and give optimizer=mine.Local after",
        ),
        ({"optimizer": lambda points: None}, "give optimizer=mine.NAME after import mine. All: python -m gdbench list"),
        ({"optimizer": 3 + 4j}, "optimizer=complex is a Python object, and optimizer= takes a name"),
        ({"schedule": len}, "schedule=len is a Python function, and schedule= takes a name. Allowed: constant, cosine"),
        ({"objective": ["quadratic", len]}, "objective=len is a Python function, and objective= takes a name, or"),
    ],
    ids=["class", "list", "lambda", "object", "builtin", "function"],
)
def test_a_python_object_in_place_of_a_name_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, begin: Callable[..., Any], given: dict[str, Any], words: str
) -> None:
    """A class, function or object where a name is due: what came, what is allowed, and the lines to write."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gdbench.UsageError) as refusal:
        begin(**given)

    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_what_a_message_says_to_write_makes_the_class_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A class in a file of its own, as the message says, is given by itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(gdbench.UsageError) as refusal:
        gdbench.run(optimizer=make_local_class())
    found = re.search(r"such as (mine)\.py, and give optimizer=mine\.(Local)", str(refusal.value))
    assert found
    (tmp_path / f"{found[1]}.py").write_text(f"import torch\n\n\nclass {found[2]}(torch.optim.SGD):\n    pass\n")
    try:
        runs = gdbench.run(optimizer=getattr(importlib.import_module(found[1]), found[2]), steps=3, timing="off")
    finally:
        sys.modules.pop(found[1], None)

    assert runs["optimizer"].tolist() == ["mine.Local"]
    assert runs["status"].tolist() == ["budget"]
