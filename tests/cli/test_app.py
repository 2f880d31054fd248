from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.tiers import representatives

import gdbench
from gdbench.cli.app import build_command, list_subverbs
from gdbench.cli.help import FORMER_VERBS, VERBS
from gdbench.results.columns import COLUMNS

ROOT = Path(__file__).parents[2]
NOT_EXACT = re.compile(
    r"_s$|_s_|^step_time_ratio|^time|^sweep$|^cell|^overrides$|^started_at$|^lanes$|^implementation$|peak_bytes|^lr_scale"
)
"""Columns that may differ between a run in a sweep and the same run repeated alone."""


@pytest.mark.parametrize("group", ["objective", "optimizer"])
def test_list_tells_all_there_are(command: Callable[..., Any], group: str) -> None:
    """Every shipped name is listed once, in order, with what it is and where it comes from."""
    done = command("list", f"{group}s")
    lines = done.out.splitlines()

    assert (done.code, done.err) == (0, "")
    assert [line.split()[0] for line in lines] == sorted(path.stem for path in ROOT.glob(f"conf/{group}/*.yaml"))
    assert all(re.search(r"  \S.*\(.*\d{4}|  \S.*\(.*\)$", line) for line in lines)
    assert max(map(len, lines)) <= 140


def test_list_tells_those_of_a_user(command: Callable[..., Any], own: Path) -> None:
    """With --config-dir the user's own configurations stand among ours."""
    listed = command("list", "objectives", "--config-dir", str(own)).out

    assert re.search(r"^bowl +My bowl$", listed, re.MULTILINE)
    assert re.search(r"^beale ", listed, re.MULTILINE)


def test_columns_tells_every_column(command: Callable[..., Any]) -> None:
    """One line a column: name, meaning, unit, and which way is better."""
    done = command("list", "columns")
    lines = done.out.splitlines()

    assert done.code == 0
    assert [line.split()[0] for line in lines] == list(COLUMNS)
    assert re.search(r"^step_s +median time per step .* \[s\] \(lower is better\)$", done.out, re.MULTILINE)


def test_a_terminal_sets_the_width(tmp_path: Path) -> None:
    """In a terminal of 60 columns a sentence goes on in further lines; a pipe has every line whole."""
    shown, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 60, 0, 0))
    words = [sys.executable, "-m", "gdbench", "list", "columns"]
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    environment = {**kept, "PYTHONPATH": str(ROOT)}
    piped = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    with subprocess.Popen(words, cwd=tmp_path, env={**environment, "TERM": "xterm"}, stdout=terminal) as process:
        os.close(terminal)
        text = b""
        with contextlib.suppress(OSError):  # EIO: the terminal was closed
            while part := os.read(shown, 4096):
                text += part
        os.close(shown)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).splitlines()

    assert process.returncode == 0
    assert max(map(len, lines)) <= 60 < max(map(len, piped.splitlines()))
    assert " ".join("".join(f"{line} " for line in lines).split()) == " ".join(piped.split())


@pytest.mark.parametrize("verb", ["list", "show", "sweeps"])
def test_every_verb_has_help(command: Callable[..., Any], verb: str) -> None:
    """VERB --help says what the verb does."""
    done = command(verb, "--help")

    assert done.code == 0
    assert f"python -m gdbench {verb}" in done.out


def parse_json(command: Callable[..., Any], *words: str) -> Any:
    """What a verb prints with --json, after it ended well and wrote nothing else."""
    done = command(*words, "--json")
    assert (done.code, done.err) == (0, ""), done
    return json.loads(done.out)


def test_every_verb_answers_in_json(once: Callable[..., Path], command: Callable[..., Any]) -> None:
    """--json prints one JSON value on standard output, with the numbers that the verb prints for people."""
    folder = str(once("-m lr=0.1,0.2 steps=5 timing=off --quiet"))
    run = gdbench.load()["run_id"][0]

    assert [row["name"] for row in parse_json(command, "list", "columns")] == list(COLUMNS)
    assert [row["name"] for row in parse_json(command, "list", "optimizers") if "radient descent" in row["description"]]
    assert [row["lr"] for row in parse_json(command, "show")] == [0.1, 0.2]
    assert parse_json(command, "show", run)["command"].startswith("python -m gdbench ")
    assert parse_json(command, "reproduce", run)["same"] is True
    assert [row["verdict"] for row in parse_json(command, "compare", folder, folder)] == ["same", "same"]
    assert parse_json(command, "compare", folder, folder, "--settings")["verdicts"] == {"same": 2}
    assert parse_json(command, "report", folder, "--format", "md")["files"] == [f"{folder}/report.md"]
    assert parse_json(command, "--dry-run", f"resume={folder}")[0]["state"] == "done"
    assert parse_json(command, "sweeps")[0]["runs"] == 2
    assert parse_json(command, "sweeps", "watch", "--once")["state"] == "ended"
    assert parse_json(command, "sweeps", "label", folder, "--tag", "a")["tags"] == ["a"]
    assert parse_json(command, "sweeps", "archive", folder, "--to", "a.zip")["archive"] == "a.zip"
    assert parse_json(command, "sweeps", "restore", "a.zip", "--outputs", "b")["restored"] == [
        folder.replace("outputs", "b")
    ]
    done = command("sweeps", "rm", folder, "--yes", "--json")
    assert json.loads(done.out) == {"removed": [folder]}


@pytest.mark.slow
def test_outputs_means_the_same_everywhere(once: Callable[..., Path], command: Callable[..., Any]) -> None:
    """Every verb that reads sweeps finds them by name in --outputs DIR, and writes what is made of several there."""
    folder = once("-m lr=0.1,0.2 steps=5 timing=off --quiet name=mine outputs=elsewhere")
    run = gdbench.load(folder)["run_id"][0]
    for words in (
        ["report", "mine", "--format", "md"],
        ["report", "--format", "md"],
        ["compare", "mine", "mine", "--format", "tables"],
        ["compare", "mine", run, "--settings"],
        ["show", "mine"],
        ["show", run],
        ["reproduce", run],
        ["sweeps", "name=mine"],
        ["sweeps", "watch", "mine", "--once"],
        ["sweeps", "label", "mine"],
        ["export", "pytest-benchmark", "mine"],
    ):
        done = command(*words, "--outputs", "elsewhere")
        assert done.code == (2 if words[0] == "export" else 0), done  # the sweep was not timed, which its folder says
        assert "is no sweep" not in done.err
    assert list(Path("elsewhere/compare").iterdir())
    assert not Path("outputs").exists()


def test_every_sweep_verb_has_outputs_and_every_result_json() -> None:
    """No verb lacks the options that all others have."""
    commands = build_command().commands
    verbs = {**commands, **commands["sweeps"].commands}
    options = {name: {option for param in verb.params for option in param.opts} for name, verb in verbs.items()}

    assert {name for name in verbs if "--outputs" not in options[name]} == {"tune", "list"}
    assert {name for name in verbs if "--json" not in options[name]} == set()


@pytest.mark.parametrize("verb", FORMER_VERBS)
def test_a_former_verb_names_the_new_one(command: Callable[..., Any], tmp_path: Path, verb: str) -> None:
    """Who types a verb of an earlier version is told, in one line, what to write now; and that exists."""
    done = command(verb, "x")
    new = FORMER_VERBS[verb].split()

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"gdbench: {verb} is not a verb. Did you mean {FORMER_VERBS[verb]}?")
    assert new[0] in VERBS
    assert new[0] != "sweeps" or len(new) == 1 or new[1] in list_subverbs("sweeps")


def test_an_argument_that_is_missing_is_named_in_words(command: Callable[..., Any]) -> None:
    """The line says what to write, where typer would say that an argument 'b' is missing."""
    for words, line in (
        (["compare", "a"], "compare needs B: another sweep, or with --settings another run_id."),
        (["reproduce"], "reproduce needs RUN: the first digits of a run_id."),
        (["sweeps", "restore"], "sweeps restore needs FILE: a zip file that sweeps archive wrote."),
    ):
        done = command(*words)
        path = " ".join(word for word in words if word != "a")
        assert (done.code, done.err) == (2, f"gdbench: {line} See python -m gdbench {path} --help.\n")


def test_an_option_that_has_another_name_now_is_answered_by_it(command: Callable[..., Any]) -> None:
    """So is a verb below sweeps that was mistyped."""
    assert "No such option: --rerun. Did you mean reproduce RUN? See" in command("show", "x", "--rerun").err
    assert "No such option: --each. Did you mean --all-runs? See" in command("show", "--each").err
    assert "sweeps labl is not known. Did you mean label?" in command("sweeps", "labl", "x").err
    assert "gate record is not a verb. Did you mean gate save-baseline? See" in command("gate", "record").err


def repeated(command: Callable[..., Any], run: str, *options: str) -> pd.Series:
    """The row that the printed command makes, from a folder that holds nothing else."""
    printed = command("show", run, *options).out.rstrip("\n").splitlines()[-1]
    words = shlex.split(printed)
    assert words[:3] == ["python", "-m", "gdbench"]
    done = command(*words[3:], "--quiet", "outputs=again")
    assert done.err == ""
    again = gdbench.load("again")
    assert len(again) == 1
    return again.iloc[0]


SWEEPS = {
    "lanes": "-m optimizer=adam impl=manual,torch lr=0.1,0.30000000000000004 optimizer.beta1=0.5,0.9 steps=20",
    "log": "-m objective=rosenbrock lr=tag(log,interval(1e-5,1e-3)) points=4 steps=30",
    "range": "-m lr=range(0.1,0.4,0.1) steps=7 name=mine",
    "seeds": "-m seed=0,3 start_noise=0.5 objective=rosenbrock objective.n=3 lr=1e-3 steps=20",
    "default lr": "-m optimizer=gd,adam lr=null lr_scale=0.5,2 steps=5",
    "half of 1/L": "-m objective=quadratic objective.condition=10,100 lr=null lr_scale=0.5 lr_scale_of=L steps=9",
    "switches": "-m optimizer=adam optimizer.amsgrad=true,false optimizer.maximize=false dtype=float64 lr=[1] steps=5",
    "experiment": "-m experiment=notebook lr=0.01,0.1",
    "unavailable": "-m optimizer=lbfgs,gd impl=manual lr=null",
    "target loss": "target_loss=0.5 lr=[0.1,0.2] steps=50",
    "nonfinite": "-m lr=0.1,1e300 steps=50",
}


@pytest.mark.parametrize("name", representatives(SWEEPS, ("seeds",)))
def test_the_printed_command_repeats_the_run(command: Callable[..., Any], name: str) -> None:
    """Copied from ``show``, the command asks the same question: the same key, and the same exact columns."""
    timing = [] if name == "experiment" else ["timing=off"]
    assert command(*shlex.split(SWEEPS[name]), *timing, "--quiet").code == 0
    row = gdbench.load().iloc[-1]
    again = repeated(command, row["run_id"][:10])
    exact = [name for name in row.index if not NOT_EXACT.search(name) and name in again]

    assert len(exact) > 40
    pd.testing.assert_series_equal(again[exact], row[exact], check_names=False)


def test_the_printed_command_finds_code_of_ones_own(command: Callable[..., Any], own: Path) -> None:
    """A run of the user's own objective and optimizer is repeated with the --config-dir that holds them."""
    words = ["-m", "objective=bowl", "optimizer=sign", "lr=0.25,0.5", "optimizer.factor=1,2", "timing=off", "--quiet"]
    assert command(*words, "--config-dir", str(own)).code == 0
    row = gdbench.load().iloc[1]

    assert repeated(command, row["run_id"])["run_id"] == row["run_id"]


def test_show_tells_the_columns_and_the_configuration(command: Callable[..., Any]) -> None:
    """Everything that is known of a run is printed, and the configuration of its cell."""
    command("-m", "optimizer=gd,adam", "lr=0.1,0.2", "timing=off", "--quiet")
    row = gdbench.load().iloc[2]
    done = command("show", row["run_id"])

    assert done.code == 0
    assert re.search(r"^optimizer +adam$", done.out, re.MULTILINE)
    assert re.search(rf"^final_loss +{re.escape(str(row['final_loss']))}$", done.out, re.MULTILINE)
    assert "_target_: gdbench.optimizers.adam" in done.out


@pytest.mark.slow
def test_show_takes_a_sweep_kept_elsewhere(command: Callable[..., Any]) -> None:
    """The line that a sweep ends with is a command that works, also where outputs= led elsewhere."""
    done = command("-m", "lr=0.1,0.2", "timing=off", "outputs=else/where")
    (line,) = (line for line in done.out.splitlines() if line.startswith("Next: "))

    assert command(*shlex.split(line)[4:]).code == 0


def test_show_refuses_what_is_no_run_or_several(command: Callable[..., Any]) -> None:
    """A key that fits none or several runs is refused with the ones it could mean."""
    command("-m", "lr=0.1,0.2", "timing=off", "--quiet")
    none, several, neither = command("show", "fff"), command("show", ""), command("show", "zzz")

    assert none.err.startswith("gdbench: fff is neither a sweep nor the start of a run_id in outputs. Allowed: ")
    assert neither.err.startswith("gdbench: zzz is neither a sweep nor ")
    assert all(run in several.err for run in gdbench.load()["run_id"])
    assert {none.code, several.code, neither.code} == {2}
    assert {none.err.count("\n"), several.err.count("\n"), neither.err.count("\n")} == {1}


def test_show_prints_the_table_of_a_sweep_again(command: Callable[..., Any]) -> None:
    """By folder, name or nothing, which is the newest, show prints what the sweep printed; --all-runs a row a run."""
    words = ("-m", "objective=rosenbrock", "lr=0.001,0.002", "seed=0,1,2", "start_noise=0.1", "steps=5", "timing=off")
    first, second = (command(*words, f"name={name}") for name in ("first", "second"))
    whole = command(*words, "name=third", "--all-runs")
    folder = next(line for line in first.out.splitlines() if line.startswith("Files: ")).removeprefix("Files: ")

    assert command("show", folder).out == command("show", "first").out == first.out
    assert command("show", "--all-runs").out == whole.out
    assert command("show", "second").out == second.out
    assert " · 3 seeds" in first.out.splitlines()[0]
    assert (len(first.out.split("\n\n")[1].splitlines()), len(whole.out.split("\n\n")[1].splitlines())) == (3, 7)
    refused = command("show", gdbench.load()["run_id"][0], "--all-runs")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert refused.err.startswith("gdbench: show --all-runs is for a sweep, and ")


def test_show_of_a_run_asked_twice_shows_the_latest(command: Callable[..., Any]) -> None:
    """The same question in two sweeps is one run: the latest answer is shown."""
    for name in ("first", "second"):
        command("lr=0.1", "timing=off", "--quiet", f"name={name}")
    run = gdbench.load()["run_id"].unique()

    assert len(run) == 1
    assert re.search(r"^sweep +\S+_second$", command("show", run[0]).out, re.MULTILINE)


def test_a_name_comes_before_a_folder_without_sweeps(command: Callable[..., Any]) -> None:
    """A sweep's name is found although a folder of code has that name too; an empty folder is refused."""
    assert command("lr=0.1", "steps=2", "timing=off", "name=mine", "--quiet").code == 0
    Path("mine").mkdir()
    Path("empty").mkdir()
    found, refused = command("report", "mine", "--format", "md"), command("report", "empty", "mine", "--format", "md")

    assert "1 run" in found.out
    assert command("sweeps", "watch", "mine", "--once").code == 0
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "empty" in refused.err


def test_compare_names_its_sides_and_what_compares_runs(once: Callable[..., Path], command: Callable[..., Any]) -> None:
    """Its first sentence says which sweep is a and which is b; of two runs it names the command that compares them."""
    folder = once("-m lr=0.1,0.2 steps=5 timing=off --quiet name=mine outputs=elsewhere")
    runs = gdbench.load(folder)["run_id"]
    sides = command("compare", str(folder), str(folder), "--format", "md")
    refused = command("compare", runs[0], runs[1], "--outputs", str(folder.parents[1]))

    assert re.search(r"^- a is (.*), b is \1\.$", sides.out, re.MULTILINE)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        f"gdbench: {runs[0]} is a run, and compare reports on sweeps. What differs between two runs is told by:"
        f" python -m gdbench compare {runs[0]} {runs[1]} --settings\n"
    )
