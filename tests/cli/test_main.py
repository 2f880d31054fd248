from __future__ import annotations

import json
import re
import resource
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.processes import Process, Processes, Streams
from support.repositories import git
from support.tiers import representatives

import gdbench
from gdbench.cli.app import list_subverbs
from gdbench.cli.help import HELP, VERBS
from gdbench.cli.main import main

QUIET = ("timing=off", "--quiet")


def refused(done: Any) -> str:
    """The words of a refusal, which is exit code 2 and one line on stderr."""
    assert done.code == 2, done
    assert done.out == ""
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("gdbench: ")
    return done.err.removeprefix("gdbench: ").rstrip("\n")


# ------------------------------------------------------------------------------------------------------ bad input

LR = "must be a positive number, a list such as [0.01,0.1], tag(log,interval(1e-4,1)), or null"


BAD_INPUT = [
    ("lr=-1", f"lr=-1 {LR}"),
    ("lr=0", f"lr=0 {LR}"),
    ("lr=nan", f"lr=nan {LR}"),
    ("lr=inf", f"lr=inf {LR}"),
    ("lr=abc", f"lr=abc {LR}"),
    ("lr=[]", f"lr=[] {LR}"),
    ("lr=[0.1,-1]", f"lr=-1 {LR}"),
    ("-m lr=0.1,-1", f"lr=-1 {LR}"),
    ("-m lr=0.1,abc", f"lr=abc {LR}"),
    ("-m lr=interval(-1,1)", f"lr=-1 {LR}"),
    ("-m lr=tag(log,interval(0,1))", f"lr=tag(log,interval(0.0,1.0)) {LR}"),
    ("steps=0", "steps=0 must be a whole number from 1 to 1000000000."),
    ("steps=1e12", "steps=1e+12 must be a whole number from 1 to 1000000000."),
    ("steps=1.5", "steps=1.5 must be a whole number"),
    ("-m steps=10,0", "steps=0 must be a whole number"),
    ("objective=rosenbrok", "objective=rosenbrok is not known. Did you mean rosenbrock"),
    ("optimizer=adamm", "optimizer=adamm is not known. Did you mean adam"),
    ("-m optimizer=gd,adamm", "optimizer=adamm is not known. Did you mean adam"),
    ("dtype=float23", "dtype=float23 is not known. Did you mean float32"),
    ("impl=torsh", "impl=torsh is not known. Did you mean torch"),
    ("-m impl=manual,torsh", "impl=torsh is not known. Did you mean torch"),
    ("device=cuda:99", "device=cuda:99 is not available (torch finds: "),
    ("device=gpu", "device=gpu is not known."),
    ("+foo=1", "foo is not a setting."),
    ("foo=1", "foo is not a setting."),
    ("-m lrr=1,2", "lrr is not a setting. Did you mean lr"),
    ("-m lrr=1 lr=1,2", "lrr is not a setting. Did you mean lr"),
    ("--run lr=0.1,0.2", "lr=0.1,0.2 is a sweep: leave out --run, or write a list"),
    ("--run optimizer=gd,adam", "optimizer=gd,adam is a sweep: leave out --run"),
    ("--run lr=tag(log,interval(1e-4,1))", "lr=tag(log,interval(1e-4,1)) is a sweep: leave out --run"),
    ("--run experiment=notebook", "experiment=notebook is a sweep: leave out --run"),
    ("experiment=other", "experiment=other is not known. Allowed: "),
    ("timing=slow", "timing=slow is not known. Allowed: full, off, quick."),
    ("optimizer=adam optimizer.beta1=1.5", "optimizer.beta1=1.5 must be a number from 0 to below 1, or a list."),
    ("optimizer=adam optimizer.beta1=2", "optimizer.beta1=2 must be a number from 0 to below 1, or a list."),
    ("-m optimizer=adam optimizer.beta1=0.5,1.5", "optimizer.beta1=1.5 must be"),
    ("optimizer=adam optimizer.beta1=abc", "optimizer.beta1=abc must be a number."),
    ("optimizer=adam optimizer.amsgrad=maybe", "optimizer.amsgrad=maybe must be true or false."),
    ("optimizer=adam optimizer.amsgrad=1", "optimizer.amsgrad=1 must be true or false."),
    ("optimizer=lbfgs impl=torch optimizer.max_iter=abc", "optimizer.max_iter=abc must be a number."),
    (
        "optimizer.beta1=0.5",
        "optimizer.beta1 is not a setting of the chosen optimizer, gd. Those that have it: optimizer=",
    ),
    (
        "-m optimizer.beta1=0.5 lr=0.1,0.2",
        "optimizer.beta1 is not a setting of the chosen optimizer, gd. Those that have it: optimizer=",
    ),
    ("+optimizer.beta1=0.5", "optimizer.beta1 is not a parameter of optimizer=gd; gd takes: lr, "),
    ("+objective.n=3", "objective.n is not a parameter of objective=notebook_manual; notebook_manual takes: none."),
    ("lr_scale=2", "lr_scale multiplies a method's own lr: set lr=null with it"),
    ("lr=null lr_scale_of=L objective=rosenbrock", "lr_scale_of=L: objective=rosenbrock states no L"),
    ("target=2", "target=2 must be a number from 0 to below 1."),
    ("target_loss=low", "target_loss=low must be a number."),
    ("objective=rosenbrock objective.n=1", "objective.n=1: it must be a whole number of at least 2"),
    ("-m objective=rosenbrock objective.n=2,1", "objective.n=1: it must be a whole number of at least 2"),
    ("objective=quadratic objective.spectrum=flat", "objective.spectrum='flat': it must be one of clustered"),
    ("-m steps=interval(1,10)", "steps=interval(1,10): an interval makes lanes, which only lr"),
    ("-m steps=tag(log,interval(1,10))", "steps=tag(log,interval(1,10)): an interval makes lanes"),
    ("-m objective=quadratic objective.condition=interval(1,9)", "objective.condition=interval(1,9): an interval"),
    ("-m optimizer=glob(xyz*)", "the settings select no runs: an axis has no value. A glob(...) must match a name"),
    ("-m hydra/launcher=moon lr=1,2", "hydra/launcher=moon is not known."),
    ("seed=-1", "seed=-1 must be a whole number from 0"),
    ("seed=1.5", "seed=1.5 must be a whole number from 0"),
    ("start_noise=-1", "start_noise=-1 must be a number from 0."),
    ("threads=0", "threads=0 must be a whole number from 1"),
    ("trace=some", "trace=some is not known."),
    ("points=1", "points=1 must be a whole number from 2"),
    ("name=a/b", "name='a/b' must be one word, without spaces and any of , = * ? /; a note may be any text."),
    ("lr=(", "lr=( cannot be read"),
    ("lr=0.1,", "lr=0.1, cannot be read"),
    ("=3", "=3 has no setting before its =: write KEY=VALUE, such as lr=0.1."),
    ("~lr", "lr is missing"),
    ("~optimizer", "optimizer is missing"),
    ("part=3", "part is not a setting. Allowed: objective, "),
    ("objective._target_=no.such", "objective=notebook_manual: _target_ no.such cannot be imported"),
    ("objective._target_=numpy.geterr", "geterr returned dict; it must return a gdbench.objectives.Objective or "),
    ("--config-dir /no/such", "--config-dir /no/such is no folder: it must hold objective/*.yaml"),
    ("--fast", "unrecognized arguments: --fast."),
    ("--cfg everything", "argument --cfg/-c: invalid choice: 'everything'"),
    ("lst", "lst is neither a verb nor KEY=VALUE. Did you mean list?"),
    ("lr", "lr needs a value: write lr=0.1."),
    ("list", "list needs KIND: objectives, optimizers or columns. See python -m gdbench list --help."),
    ("list things", "list things is not known. Allowed: objectives, optimizers, columns."),
    ("list objective", "list objective is not known. Did you mean objectives?"),
    ("show", "outputs holds no sweep. Run one first, such as python -m gdbench lr=0.01,0.1."),
    ("show nothing", "outputs holds no sweep. Run one first, such as python -m gdbench lr=0.01,0.1."),
    ("show abc123", "outputs holds no sweep. Run one first, such as python -m gdbench lr=0.01,0.1."),
    ("show abc", "outputs holds no sweep. Run one first, such as python -m gdbench lr=0.01,0.1."),
    ("list columns step all", "Got unexpected extra argument"),
]


@pytest.mark.parametrize(("line", "words"), representatives(BAD_INPUT, BAD_INPUT[::2]))
def test_bad_input_is_one_clear_line(command: Callable[..., Any], tmp_path: Path, line: str, words: str) -> None:
    """Each mistake gives one line that names it, exit code 2, no traceback and no folder."""
    assert refused(command(*shlex.split(line))).startswith(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_no_cell_finds_is_refused_and_else_a_row(
    command: Callable[..., Any], tmp_path: Path, device: str
) -> None:
    """A device that all cells lack is a mistake; where some lack it, they are rows, and the rest runs."""
    from gdbench.engine.device import resolve_device
    from gdbench.errors import Unavailable

    try:
        resolve_device(device)
    except Unavailable:
        pass
    else:
        pytest.skip(f"{device} is there")
    words = f"device={device} is not available (torch finds: cpu). Use device=auto"
    for line in (
        [],
        ["-m", "optimizer=gd,adam"],
        ["--dry-run", "-m", "optimizer=gd,adam"],
        ["tune", "optimizer=gd,adam"],
    ):
        assert refused(command(*line, f"device={device}")).startswith(words)
    assert not list(tmp_path.iterdir())
    done = command("-m", f"device={device},cpu", *QUIET)
    runs = gdbench.load()

    assert done.code == 0
    assert runs.set_index(runs["device"].str.partition(":")[0])["status"].to_dict() == {
        device: "unavailable",
        "cpu": "target",
    }


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_in_the_way_of_the_outputs_is_refused(command: Callable[..., Any], tmp_path: Path, place: str) -> None:
    """Outputs that cannot be written are named, with a way out."""
    (tmp_path / "file").touch()
    words = refused(command(f"outputs={place}"))

    assert re.match(rf"outputs={place} cannot be written \(.+\)\. Choose another folder", words)


@pytest.mark.parametrize("limit", [10, 4096])
def test_a_full_disk_is_one_clear_line(shell: Callable[..., Any], limit: int) -> None:
    """Whether the first file finds no room or the tables do, the refusal is one line; no half file is left."""
    program = f"""
import resource, sys
from gdbench.cli.main import main
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
sys.exit(main(["timing=off", "outputs=full"]))
"""
    done = shell("-c", program)

    assert re.match(r"outputs=full\S* cannot be written \(File too large\)\.", refused(done))


def test_a_full_disk_has_no_room_for_a_patch_either(command: Callable[..., Any], tmp_path: Path) -> None:
    """What a dirty checkout has beyond its commit may be what does not fit: that is one line too, and no half file."""
    for words in (("init", "-q"), ("add", "text"), ("commit", "-qm", "one")):
        (tmp_path / "text").write_text("one")
        git(tmp_path, *words)
    (tmp_path / "text").write_text("two\n" * 100_000)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limit[1]))
    try:
        words = refused(command("timing=off", "outputs=full"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    assert re.match(r"outputs=full\S* cannot be written \(File too large\)\.", words)
    assert not [*tmp_path.rglob("*folder.diff*")]


def test_a_bad_second_cell_is_found_before_the_first_one_runs(
    command: Callable[..., Any], tmp_path: Path, own: Path
) -> None:
    """A sweep whose last cell is a mistake leaves no folder behind."""
    lines = ["steps=10,0", "objective=bowl,vector", "objective=rosenbrock objective.n=2,1", "impl=manual,torsh"]
    for line in lines:
        refused(command("-m", *line.split(), "--config-dir", str(own)))

    assert not (tmp_path / "outputs").exists()


# -------------------------------------------------------------------------------------------------- results, codes


@pytest.mark.parametrize(("lr", "statuses"), [("1e10", {"nonfinite", "diverged"}), ("1e300", {"nonfinite"})])
def test_a_wild_learning_rate_is_a_row(command: Callable[..., Any], lr: str, statuses: set[str]) -> None:
    """A run that blows up is a result: a row that says so, and exit code 0."""
    done = command(f"lr={lr}", "timing=off")

    assert done.code == 0
    assert set(gdbench.load()["status"]) <= statuses


def test_an_objective_that_raises_is_a_failed_row_and_the_others_finish(command: Callable[..., Any], own: Path) -> None:
    """The row tells the error in one line, the other cells run, and the exit code is 1."""
    done = command("-m", "objective=raises,bowl", "lr=0.1,0.2", "timing=off", "--config-dir", str(own))
    runs = gdbench.load()

    assert done.code == 1
    assert "Traceback" not in done.err + done.out
    assert runs.groupby("objective")["status"].agg(list).to_dict() == {
        "raises": ["failed", "failed"],
        "bowl": ["target", "target"],
    }
    assert set(runs["error"].dropna()) == {"ArithmeticError: no value here"}
    assert "failed: ArithmeticError: no value here (2 runs)" in done.out


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("vector", "objective=vector: the objective returned a tensor of shape [2], not a scalar: end it with .sum()"),
        ("detached", "objective=detached: the objective is not differentiable: its value does not depend on x"),
        ("number", "objective=number: the objective returned float, not a tensor"),
        ("bowl objective.n=x", "objective.n=x must be a number."),
        ("bowl optimizer=sign optimizer.flip=2", "optimizer.flip=2 must be true or false."),
        ("bowl optimizer=sing", "optimizer=sing is not known. Did you mean sign"),
    ],
)
def test_an_objective_that_cannot_be_descended_is_refused(
    command: Callable[..., Any], own: Path, objective: str, words: str
) -> None:
    """What is wrong with a user's own objective or settings is said with what to do about it."""
    done = command(*f"objective={objective}".split(), "--config-dir", str(own))

    assert refused(done).startswith(words)


def test_a_file_that_is_no_yaml_is_named_with_the_line(command: Callable[..., Any], own: Path) -> None:
    """A slip in a configuration file of one's own is told with the file, the line and what is wrong there."""
    file = own / "objective" / "slip.yaml"
    file.write_text("_target_: own.bowl\nn: [1\nm: 2\n")
    words = refused(command("objective=slip", "--config-dir", str(own)))

    assert words.startswith(f"{file} cannot be read: line 3, ")


def test_a_factory_that_raises_is_refused_in_one_line(command: Callable[..., Any], own: Path) -> None:
    """An objective that cannot even be made is a mistake of the configuration, told in one line."""
    words = refused(command("objective=broken", "--config-dir", str(own)))

    assert "broken" in words
    assert "ArithmeticError: no objective here" in words


def test_a_user_folder_works_from_an_empty_one(shell: Callable[..., Any], own: Path, tmp_path: Path) -> None:
    """A Python file and two YAML files of one's own run by --config-dir, in a process and a folder of their own."""
    words = ["-m", "gdbench", "-m", f"--config-dir={own.name}", "objective=bowl", "optimizer=sign,gd", "lr=0.25,0.5"]
    done = shell(*words, "timing=off", "steps=20")
    runs = gdbench.load(tmp_path / "outputs")

    assert done.code == 0, done.err
    assert runs["optimizer"].tolist() == ["sign", "sign", "gd", "gd"]
    assert runs["status"].tolist() == ["target"] * 4
    assert runs["objective.n"].tolist() == [3] * 4
    assert runs["optimizer.factor"].tolist()[:2] == [1.0, 1.0]


def test_the_exit_code_is_1_where_no_run_could_run(command: Callable[..., Any]) -> None:
    """A method that has no twin here gives a row with its reason, the table still prints, and the last line says it."""
    done = command("optimizer=lbfgs", "impl=manual", "timing=off")

    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("gdbench: 1 of 1 runs have no result: 1 unavailable (optimizer=lbfgs")
    assert "unavailable: optimizer=lbfgs has no manual implementation; try impl=torch" in done.out


# ------------------------------------------------------------------------------------------------- what is printed


def test_the_table_goes_to_stdout_and_progress_to_stderr(command: Callable[..., Any]) -> None:
    """Without a terminal, stderr has a plain line a cell and stdout the report, without a colour code."""
    done = command("-m", "optimizer=gd,adam", "lr=0.1,0.2", "steps=50", "timing=off")

    assert done.code == 0
    assert [line.split("  ")[:3] for line in done.err.splitlines()] == [
        ["cell 1/2", "notebook_manual gd manual", "2 target"],
        ["cell 2/2", "notebook_manual adam manual", "2 budget"],
    ]
    assert done.out.startswith("gdbench ")
    assert "cell 1/2" not in done.out
    assert "\x1b" not in done.out + done.err


def test_the_next_command_can_be_typed_as_it_stands(command: Callable[..., Any]) -> None:
    """A folder whose name holds a blank is quoted for the shell where the next command is told."""
    done = command("outputs=so what", "steps=2", "timing=off")
    following = re.search("^Next: python -m gdbench (.*)$", done.out, re.MULTILINE)

    assert following
    assert command(*shlex.split(following[1]), "--format", "md").code == 0


def test_quiet_prints_nothing(command: Callable[..., Any]) -> None:
    """--quiet leaves only the files and the exit code."""
    done = command("-m", "lr=0.1,0.2", *QUIET)

    assert done == (0, "", "")
    assert len(gdbench.load()) == 2


def test_json_prints_the_rows(command: Callable[..., Any]) -> None:
    """--json prints one JSON list of all rows, with the same columns and numbers as the table on disk."""
    done = command("-m", "lr=0.1,1e300", "timing=off", "--json")
    rows, runs = json.loads(done.out), gdbench.load()

    assert (done.code, done.err) == (0, "")
    assert [row["run_id"] for row in rows] == runs["run_id"].tolist()
    assert list(rows[0]) == list(runs.columns)
    assert [row["lr"] for row in rows] == [0.1, 1e300]
    assert rows[0]["final_loss"] == runs["final_loss"][0]


def test_a_multirun_without_commas_is_a_sweep_of_one(command: Callable[..., Any]) -> None:
    """-m with nothing to multiply runs one cell of one run."""
    assert command("-m", "lr=0.1", *QUIET).code == 0
    assert len(gdbench.load()) == 1


@pytest.mark.parametrize("line", ["-m lr=0.1,0.2 steps=5", "lr=0.1,0.2 -m steps=5", "lr=0.1,0.2 steps=5 --multirun"])
def test_options_may_stand_anywhere(command: Callable[..., Any], own: Path, line: str) -> None:
    """Options before, between or after the overrides mean the same."""
    done = command(*line.split(), "--config-dir", str(own), "objective=bowl", *QUIET)

    assert done == (0, "", "")
    assert gdbench.load()[["objective", "lr", "steps"]].to_numpy().tolist() == [["bowl", 0.1, 5], ["bowl", 0.2, 5]]


def test_cfg_prints_the_configuration_and_runs_nothing(command: Callable[..., Any], tmp_path: Path) -> None:
    """--cfg job is for looking: no folder is made."""
    done = command("--cfg", "job", "lr=0.5")

    assert done.code == 0
    assert "lr: 0.5" in done.out
    assert not (tmp_path / "outputs").exists()


# ------------------------------------------------------------------------------------------------ help, completion


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["lr=0.1", "--help"], ["run", "--help"]])
def test_help_is_for_people(command: Callable[..., Any], words: list[str]) -> None:
    """Help names every verb, key and option, and is no mistake."""
    done = command(*words)

    assert (done.code, done.out, done.err) == (0, HELP, "")
    assert all(f"\n  {verb}" in HELP for verb in VERBS)


def test_no_help_has_a_line_above_80_columns(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The help of gdbench and that of every verb, also of those below another, fits a terminal of 80 columns."""
    from typer.main import get_command

    from gdbench.cli.app import app

    monkeypatch.setenv("COLUMNS", "200")
    paths: list[tuple[str, ...]] = [()]
    listed: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    for path, verb in listed:
        below = [((*path, name), inner) for name, inner in getattr(verb, "commands", {}).items()]
        listed += below
        paths += [inner_path for inner_path, _ in below]
    helps = {path: command(*path, "--help").out for path in paths}
    wide = [(path, line) for path, text in helps.items() for line in text.splitlines() if len(line) > 80]

    assert {"run", *(name for path in paths for name in path)} == {
        *VERBS,
        *(name for verb in VERBS for name in list_subverbs(verb)),
    }
    assert all(helps.values())
    assert not wide


def test_help_names_every_key() -> None:
    """No setting of a run is missing from the help."""
    from gdbench.config.schema import Settings

    assert not [name for name in Settings.__dataclass_fields__ if name not in HELP and name not in ("code", "part")]


def test_version_is_printed(command: Callable[..., Any]) -> None:
    """--version prints name and version."""
    assert command("--version") == (0, f"gdbench {gdbench.__version__}\n", "")


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_load_nothing_slow(shell: Callable[..., Any], word: str) -> None:
    """Help waits for no torch, pandas, hydra, pyarrow, rich or typer."""
    program = f"""
import sys
from gdbench.cli.main import main
assert main([{word!r}]) == 0
slow = ("torch", "pandas", "hydra", "omegaconf", "pyarrow", "rich", "typer", "scipy", "sklearn")
loaded = [name for name in slow if name in sys.modules]
assert not loaded, loaded
"""
    done = shell("-c", program, real=True)

    assert done.code == 0, done.err


MISTAKES = (
    "--nonsense", "nonsense", "optimzer=adam", "optimizer=nothing", "optimizer.beta9=1", "lr=-1", "-m lr=0.1,-1",
    "-m impl=manual,nothing", "--dry-run lr=-1", "tune optimzer=adam", "tune steps=0", "list nothing", "show a b c",
    "-m hydra/sweeper=optuna optimzer=adam",
)  # fmt: skip
UNLOADED = """
import os, rlcompleter, sys
import gdbench
from gdbench.cli.main import main

for line in {lines!r}:
    assert main(line.split()) == 2, line
    assert "torch" not in sys.modules, line
os.environ["COMP_LINE"], os.environ["COMP_POINT"] = "gdbench optimizer=adagr", "23"
assert main(["-sc", "query=bash"]) == 0
shell = rlcompleter.Completer(vars())
offered = [shell.complete("gdbench.", place) for place in range(len(gdbench.__all__))]
assert offered == [f"gdbench.{{name}}" for name in sorted(gdbench.__all__)], offered
assert not {{"torch", "pandas"}} & set(sys.modules)
gdbench.plot
assert gdbench.load.__module__ == "gdbench.results.load"
assert "torch" not in sys.modules
"""


@pytest.mark.slow
def test_a_mistake_and_a_completion_do_not_wait_for_torch(shell: Callable[..., Any]) -> None:
    """Neither a word that is refused, nor the shell's completion, nor gdbench.<TAB> in Python's shell loads torch."""
    done = shell("-c", UNLOADED.format(lines=MISTAKES), real=True)

    assert done.code == 0, done.err
    assert done.out == "optimizer=adagrad\n"
    assert len(done.err.splitlines()) == len(MISTAKES)


def test_the_package_lists_its_api() -> None:
    """dir(gdbench) is what gdbench promises, each name can be set and put back, and an unknown one is refused."""
    assert [name for name in dir(gdbench) if not name.startswith("_")] == sorted(gdbench.__all__)
    assert [name for name in gdbench.__all__ if getattr(gdbench, name) is None] == []
    load = gdbench.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gdbench, "load", len)
        assert gdbench.load is len
    assert gdbench.load is load
    with pytest.raises(AttributeError, match="module 'gdbench' has no attribute 'nothing'"):
        gdbench.nothing  # noqa: B018


def complete(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """What the shell would offer for a line."""
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    done = command("-sc", "query=bash")
    assert done.code == 0, done
    return done.out.split()


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("gdbench optimizer=ad", {"optimizer=adam", "optimizer=adamw", "optimizer=adagrad"}),
        ("gdbench objective=rosen", {"objective=rosenbrock"}),
        ("gdbench optimizer=adam optimizer.be", {"optimizer.beta1=", "optimizer.beta2="}),
        ("gdbench ste", {"steps="}),
        ("gdbench l", {"list", "lr="}),
        ("gdbench sh", {"show"}),
        ("gdbench list o", {"objectives", "optimizers"}),
        ("gdbench sweeps ", {"watch", "label", "archive", "restore", "rm"}),
        ("gdbench run optimizer=rms", {"optimizer=rmsprop"}),
        ("gdbench -m lr=0.1,0.2 impl", {"impl="}),
        ("gdbench -m optimizer=rms", {"optimizer=rmsprop"}),
    ],
)
def test_completion_offers_verbs_names_and_settings(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, line: str, some: set[str]
) -> None:
    """Shell completion knows the verbs, every choice of a group, and every setting."""
    assert some <= set(complete(command, monkeypatch, line))


@pytest.mark.slow
def test_the_installed_script_completes(processes: Processes, tmp_path: Path) -> None:
    """bash asks the script gdbench as Hydra's completion function does, and is answered with choices."""
    script = Path(sys.executable).with_name("gdbench")
    if not script.exists():
        pytest.skip("gdbench is not installed as a script here")
    line = "gdbench optimizer=adagr"
    env = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    done = processes.start(script, "-sc", "query=bash", cwd=tmp_path, env=env).communicate()

    assert done == (0, "optimizer=adagrad\n", "")


# --------------------------------------------------------------------------------------------------- interruptions


@pytest.fixture
def begun(processes: Processes, tmp_path: Path) -> Process:
    """A sweep of a short and an endless cell, of which the short one has ended."""
    words = ["-m", "gdbench", "-m", "steps=10,1000000000", "lr=0.1,0.2", "timing=off", "trace=none"]
    process = processes.fork(*words, cwd=tmp_path)
    assert process.read_line().startswith("cell 1/2")
    return process


def test_an_interrupted_sweep_keeps_what_has_ended(begun: Process, tmp_path: Path) -> None:
    """Ctrl-C ends with code 130, the table so far, and one line that says where the finished cells are."""
    begun.send_signal(signal.SIGINT, group=True)
    done = begun.communicate()
    (folder,) = tmp_path.glob("outputs/*/*")
    runs = gdbench.load(folder)

    assert done.code == 130
    assert "2 runs: 1 target, 1 budget." in done.out or "2 runs: 2 budget." in done.out
    *cells, last = done.err.splitlines()
    assert last == f"gdbench: interrupted. Finished cells: {folder.relative_to(tmp_path)}"
    assert all(cell.startswith("cell 1/2 ") for cell in cells)  # told again where the second takes its time
    assert runs["steps"].tolist() == [10, 10]


@pytest.mark.parametrize(
    ("verb", "under_way"), [("list optimizers", "config.config_folders.config_folder"), ("gate", "cli.gate._compare")]
)
def test_an_interrupted_verb_says_so(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, verb: str, under_way: str
) -> None:
    """Ctrl-C ends every verb with code 130 and one line, where typer alone would end it without a word."""

    def cut_off(*args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"gdbench.{under_way}", cut_off)

    assert command(*verb.split()) == (130, "", "gdbench: interrupted.\n")


def test_a_killed_sweep_can_be_read(begun: Process, tmp_path: Path) -> None:
    """What ended before a kill is on disk as parts, and loads like any sweep."""
    begun.kill()
    assert begun.wait() == -signal.SIGKILL
    (folder,) = tmp_path.glob("outputs/*/*")

    assert not (folder / "runs.parquet").exists()
    assert gdbench.load(folder)["steps"].tolist() == [10, 10]
    assert gdbench.load(tmp_path / "outputs")["lr"].tolist() == [0.1, 0.2]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("list columns", 0),
        pytest.param("list optimizers", 0, marks=pytest.mark.slow),
        ("--help", 0),
        pytest.param("list columns --help", 0, marks=pytest.mark.slow),
        ("sweeps", 2),
        ("lr=0.1 steps=2 timing=off", 0),
        pytest.param("tune steps=2 trials=9 timing=off", 0, marks=pytest.mark.slow),
        pytest.param("-m optimizer=lbfgs impl=manual,torch steps=2 timing=off", 0, marks=pytest.mark.slow),
        ("-m optimizer=lbfgs impl=manual seed=0,1 steps=2 timing=off", 1),
    ],
)
def test_a_reader_that_has_left_changes_nothing(processes: Processes, tmp_path: Path, line: str, code: int) -> None:
    """Where nobody reads what is printed a command ends as it would have: its exit code, its sweep, no complaint."""
    done = processes.fork("-m", "gdbench", *line.split(), cwd=tmp_path, streams=Streams(is_read=False)).communicate()

    assert done.code == code
    assert not re.search("Traceback|Broken pipe|Exception", done.err)
    assert len(list(tmp_path.glob("outputs/*/*/runs.parquet"))) == ("timing=off" in line)


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error(processes: Processes, tmp_path: Path) -> None:
    """``gdbench list columns | head -1`` ends without a traceback."""
    line = '"$0" -m gdbench list columns | head -1'
    done = processes.start("bash", "-c", line, sys.executable, cwd=tmp_path).communicate()

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("run_id ")


def test_logspace_is_an_axis_of_a_single_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``${logspace:-5,0,1000}`` makes a thousand lanes without -m, and a mistake in it is one line."""
    words = ["optimizer=gd", "timing=off", "steps=1", "trace=none", f"outputs={tmp_path}", "--quiet"]

    assert main(["lr=${logspace:-5,0,1000}", *words]) == 0
    runs = gdbench.load(tmp_path)
    assert runs["lr"].to_numpy() == pytest.approx(np.geomspace(1e-5, 1, 1000))
    assert set(runs["cell"]) == {0}

    capsys.readouterr()
    assert main(["lr=${logspace:-5,0}", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
