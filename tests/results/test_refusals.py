"""What the disk, a file, the home folder or Ctrl-C refuses, while anything is written, read or composed."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from decimal import Context, Inexact, localcontext
from pathlib import Path
from typing import Any

import pytest

import gdbench
from gdbench.config.compose import Composer, prepare_hydra
from gdbench.config.sweep_axes import list_values
from gdbench.errors import was_interrupted
from gdbench.objectives.classical import styblinski_tang
from gdbench.objectives.mgh.variable_dimension import solve_penalty1

QUIET = ("timing=off", "--quiet")
FILES = {
    "latin": "# caf\xe9\n_target_: own.bowl\n".encode("latin-1"),
    "late": b"_target_: own.bowl\n" + b"# x\n" * 4000 + b"# \xe9\n",
    "tab": b"_target_: own.bowl\n\tn: 3\n",
    "twice": b"_target_: own.bowl\nn: 2\nn: 3\n",
    "brace": b"_target_: {own\n",
    "control": b"_target_: own.bowl\nn: \x07\n",
    "number": b"3\n",
}
"""Files that cannot be read as YAML."""


def refused(done: Any) -> str:
    """The one line of a refusal."""
    assert done.code == 2, done
    assert done.err.startswith("gdbench: ")
    assert done.err.count("\n") == 1, done.err
    return str(done.err[9:-1])


# ----------------------------------------------------------------------------------------------------------- the disk


@pytest.fixture
def swept(once: Callable[..., Path], tmp_path: Path) -> Path:
    """Two sweeps, a and b, and a file in the way of a folder."""
    once(*(" ".join(("-m optimizer=gd,adam steps=20", f"name={name}", *QUIET)) for name in "ab"))
    (tmp_path / "file").touch()
    return tmp_path


WRITING = {
    "compare a b --format html --to {}": "{} cannot be written (",
    "compare a b --format md,tables --to {}": "{} cannot be written (",
    "report a --format md --to {}": "{} cannot be written (",
    "sweeps archive a --to {}": "{} cannot be written (",
    "export tensorboard a --uri {}": "tensorboard did not take outputs/",
    "gate save-baseline {}": "{} cannot be written (",
    "gate --outputs {}": "{}/gate/gate.json cannot be written (",
    "export pytest-benchmark a --uri {}": "",
    "sweeps restore a.zip --outputs {}": "{} cannot be written (",
    "timing=off outputs={}": "outputs={} cannot be written (",
    "-m lr=0.1,0.2 timing=off outputs={}": "outputs={} cannot be written (",
    "tune optimizer=gd steps=5 outputs={}": "outputs={} cannot be written (",
}
"""Every verb that writes where it is told to, and how it says that it cannot."""


@pytest.mark.parametrize("line", WRITING)
def test_what_cannot_be_written_is_one_line(command: Callable[..., Any], swept: Path, line: str) -> None:
    """Below a file, and where the system lets nobody write: what and why, exit code 2, at once."""
    if line.startswith("sweeps restore"):
        assert command("sweeps", "archive", "a", "--to", "a.zip").code == 0
    for place in ("file/x", "/proc/gdbench/x"):
        words = refused(command(*line.format(place).split()))
        assert words.startswith(WRITING[line].format(place)), words
        assert "Traceback" not in words


@pytest.mark.slow
@pytest.mark.parametrize("times", [2, pytest.param(6, marks=pytest.mark.campaign)])
def test_processes_that_draw_end_quietly_where_nothing_can_be_written(
    swept: Path, shell: Callable[..., Any], times: int
) -> None:
    """All forms are asked for, so that two processes are starting when the folder is refused: one line of them all."""
    for _ in range(times):  # once in six a process told of its end
        done = shell("-m", "gdbench", "compare", "a", "b", "--to", "file/x")

        assert refused(done).startswith("file/x cannot be written (Not a directory)")


def test_an_error_of_the_disk_that_nobody_foresaw_is_one_line(
    command: Callable[..., Any], swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever an OSError with a file's name comes from, the command line names the file and the reason."""
    (swept / "loop").symlink_to("loop")

    assert refused(command("sweeps", "label", "loop", "--note", "text"))
    assert refused(command("report", "a", "--to", "loop/x", "--format", "md"))


# ----------------------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("name", FILES)
def test_a_yaml_file_that_cannot_be_read_is_named(command: Callable[..., Any], own: Path, name: str) -> None:
    """An objective, a suite of the gate: the line begins with the file's own path."""
    for group in ("objective", "gate"):
        (own / group).mkdir(exist_ok=True)
    file, suite = own / "objective" / f"{name}.yaml", own / "gate" / f"{name}.yaml"
    file.write_bytes(FILES[name])
    told = [
        refused(command("--config-dir", str(own), f"objective={name}", *QUIET)),
        refused(command("--config-dir", str(own), "-m", f"objective={name}", "lr=0.1,0.2", *QUIET)),
    ]
    file.rename(suite)
    told.append(refused(command("gate", "save-baseline", "x.csv", "--config-dir", str(own), "--suite", name)))

    assert [line.partition(" cannot be read: ")[0] for line in told] == [str(file), str(file), str(suite)]
    assert command("list", "objectives", "--config-dir", str(own)).code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "objective=shape: its file must hold lines of the form KEY: VALUE."),
        ("", "objective=shape: its file names no factory: write _target_: package.module.name into it."),
        ("n: 2\n", "objective=shape: its file names no factory"),
    ],
)
def test_a_file_of_another_shape_is_told_by_its_name(
    command: Callable[..., Any], own: Path, text: str, words: str
) -> None:
    """YAML that says something else than a configuration is named by the choice that led to it."""
    (own / "objective" / "shape.yaml").write_text(text)

    assert refused(command("--config-dir", str(own), "objective=shape", *QUIET)).startswith(words)


def test_the_configuration_of_a_stored_sweep_is_named(command: Callable[..., Any]) -> None:
    """A cell's file that is not UTF-8 any more: show still shows the run, and what repeats it names the file."""
    command("name=s", *QUIET)
    run = gdbench.load()["run_id"].iloc[0]
    (file,) = Path("outputs").glob("*/*/.hydra/cell-00000.yaml")
    file.write_bytes(b"objective: caf\xe9\n")

    assert command("show", run).code == 0
    assert refused(command("reproduce", run)).startswith(f"{file} cannot be read: line 1 holds the byte 0xe9")


# ----------------------------------------------------------------------------------------------------- the home folder


@pytest.mark.slow
@pytest.mark.parametrize("home", [None, "/proc/none", "/nonexistent"], ids=["unset", "unwritable", "not there"])
def test_a_machine_without_a_home_folder_works(shell: Callable[..., Any], home: str | None) -> None:
    """A sweep, its report, and resume: what would be kept at home is not, and nothing else is different."""
    unset = "XDG_STATE_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", *(() if home else ("HOME",))
    program = f"""
import os, sys
for name in {unset!r}:
    os.environ.pop(name, None)
{f'os.environ["HOME"] = {home!r}' if home else ""}
from gdbench.cli.main import main
codes = [main(["-m", "lr=0.1,0.2", "timing=off", "name=s", "--quiet"]), main(["report", "--format", "html,md"]),
         main(["-m", "lr=0.1,0.2", "timing=off", "name=s", "--quiet"]), main(["sweeps"])]
sys.exit(max(codes))
"""
    done = shell("-c", program)

    assert done.code == 0, done.err
    assert "Traceback" not in done.err


# ------------------------------------------------------------------------------------------------------------- Ctrl-C


def cut_at(call: Callable[[], Any], number: int) -> Any:
    """What a call returns into whose function call of this number Ctrl-C falls."""
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        if event == "call":
            count += 1
            if count == number:
                sys.setprofile(None)
                raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        return call()
    finally:
        sys.setprofile(None)


def test_ctrl_c_that_a_cleanup_replaces_is_still_ctrl_c(command: Callable[..., Any]) -> None:
    """The very point at which OmegaConf raised an error of its own instead: 130, one line."""
    from omegaconf import DictConfig

    asked = DictConfig._set_flag
    try:
        calls = iter(range(10**9))

        def set_flag(self: Any, flags: Any, values: Any) -> Any:
            if next(calls) == 40:
                raise AttributeError(
                    "'NoneType' object has no attribute '_invalidate_flags_cache'"
                ) from KeyboardInterrupt()
            return asked(self, flags, values)

        DictConfig._set_flag = set_flag  # type: ignore[method-assign]
        done = command("--dry-run", "optimizer=gd")
    finally:
        DictConfig._set_flag = asked  # type: ignore[method-assign]

    assert (done.code, done.err) == (130, "gdbench: interrupted.\n")


@pytest.mark.slow
@pytest.mark.parametrize("times", [8, pytest.param(25, marks=pytest.mark.campaign)])
@pytest.mark.parametrize(
    "line", ["run --dry-run -m optimizer=gd,adam lr=0.1,0.2", "tune optimizer=gd steps=5 timing=off --quiet"]
)
def test_ctrl_c_anywhere_is_130_and_one_line(command: Callable[..., Any], line: str, times: int) -> None:
    """While a command composes, whatever function it interrupts, also one that cleans up."""
    command(*line.split())
    points = random.Random(0).sample(range(1000, 500_000), times)
    for point in points:
        done = cut_at(lambda: command(*line.split()), point)
        if done.code != 0:  # it had ended before that many calls
            assert done.code == 130, (point, done.err)
            assert done.err.splitlines()[-1].startswith("gdbench: interrupted."), (point, done.err)
            assert "Traceback" not in done.err


def test_an_interruption_is_found_behind_other_errors() -> None:
    """Cause and context are searched, to any depth, in circles too."""
    behind, circle = ValueError(), ValueError()
    behind.__context__ = OSError()
    behind.__context__.__cause__ = KeyboardInterrupt()
    circle.__cause__ = circle

    assert was_interrupted(behind)
    assert not was_interrupted(circle)


# ----------------------------------------------------------------------------------------------------- decimal contexts


@pytest.mark.parametrize("context", [Context(prec=2), Context(prec=5, traps=[Inexact])], ids=["two digits", "trapping"])
def test_ranges_are_counted_in_no_context_of_the_callers(context: Context) -> None:
    """An app that computes in decimals of its own gets the same cells, lanes and minima."""
    with prepare_hydra():
        composer = Composer()
        words = [
            "steps=range(1000,1004)",
            "objective.a=range(0.123456,0.123459,0.000001)",
            "lr=range(0.1234,0.1237,0.0001)",
        ]
        plain = [list_values(composer.parse(word)) for word in words]
        minima = styblinski_tang(7).minimum, solve_penalty1(7)
        with localcontext(context):
            assert [list_values(composer.parse(word)) for word in words] == plain
            assert (styblinski_tang(7).minimum, solve_penalty1(7)) == minima
    assert plain[0] == ["1000", "1001", "1002", "1003"]
    assert plain[1] == ["0.123456", "0.123457", "0.123458"]
