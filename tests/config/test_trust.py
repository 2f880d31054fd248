from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.tiers import representatives

import gdbench
import gdbench.objectives
from gdbench.config.trust import (
    GROUPS,
    _iterate_foreign_words,
    _iterate_targets,
    add_stamp,
    check_command,
    check_configuration,
    is_stamped,
    list_shipped_targets,
    read_configuration,
    remove_stamp,
)
from gdbench.engine.loss_landscape import _load_objective
from gdbench.errors import UsageError

ROOT = Path(__file__).parents[2]
CELL = ".hydra/cell-00000.yaml"
COMMAND = ".hydra/command.json"
RAN = "ran"
"""A file that a stranger's code writes when it is imported or called."""
LOOKS = (
    ("report",), ("report", "--format", "html,md"), ("sweeps",), ("sweeps", "watch", "--once"), ("show", "KEY"),
    ("compare", "FOLDER", "FOLDER", "--settings"),
    ("compare", "FOLDER", "FOLDER", "--format", "md"), ("sweeps", "archive", "FOLDER", "--to", "again.zip"),
    ("list", "columns"),
    ("export", "tensorboard", "FOLDER"),
)  # fmt: skip
REPEATS = (("--dry-run", "resume=FOLDER"), ("resume=FOLDER",), ("reproduce", "KEY"))


@pytest.fixture
def shared(once: Callable[..., Path]) -> Path:
    """A sweep of one run of two coordinates, of which a report draws contours."""
    return once("objective=rosenbrock steps=5 timing=off trace=full --quiet")


def rewrite(folder: Path, objective: dict[str, Any], words: list[str], **settings: Any) -> None:
    """Make a sweep's files name other things, as a stranger may."""
    config = yaml.safe_load((folder / CELL).read_text())
    (folder / CELL).write_text(yaml.safe_dump({**config, **settings, "objective": objective}))
    held = json.loads((folder / COMMAND).read_text())
    (folder / COMMAND).write_text(json.dumps({**held, "words": words}))


@pytest.fixture
def archived(
    shared: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Path]:
    """A stranger's sweep, unpacked: it brings a package that writes a file when it is imported, and names it."""
    package = shared / "package"
    package.mkdir()
    (package / "__init__.py").write_text(f"open({str(tmp_path / RAN)!r}, 'w').close()\ndef factory(**given): ...\n")
    dotted = f"outputs.{shared.parent.name}.{shared.name}.package"
    rewrite(
        shared,
        {"_target_": "gdbench.objectives.cutest.find_spec", "name": f"{dotted}.inner"},
        [f"objective._target_={dotted}.factory"],
    )
    assert command("sweeps", "archive", str(shared), "--to", "given.zip").code == 0
    shutil.rmtree("outputs")
    monkeypatch.syspath_prepend(str(tmp_path))  # as python -m has it
    assert command("sweeps", "restore", "given.zip").code == 0
    yield shared
    for name in [name for name in sys.modules if name.partition(".")[0] == "outputs"]:
        del sys.modules[name]  # or the next test's package, of the same name, would not be imported again


def words_for(folder: Path, words: tuple[str, ...]) -> list[str]:
    """A command line about a sweep."""
    key = gdbench.load(folder, columns=["run_id"])["run_id"].iloc[0]
    return [word.replace("FOLDER", str(folder)).replace("KEY", key) for word in words]


# ------------------------------------------------------------------------------------------- a stranger's sweep


@pytest.mark.parametrize(
    "words",
    [pytest.param(words, id=" ".join(words), marks=[pytest.mark.slow] * (words == LOOKS[0])) for words in LOOKS],
)  # figures are drawn in processes of their own, of what was read for the page
def test_looking_at_a_strangers_sweep_runs_nothing_of_it(
    archived: Path, command: Callable[..., Any], words: tuple[str, ...]
) -> None:
    """No verb that looks imports the package that an archive brought, or calls what its files name."""
    if words[0] == "export":
        pytest.importorskip("tensorboard")
    done = command(*words_for(archived, words))

    assert done.code == 0, done.err
    assert not Path(RAN).exists()


@pytest.mark.parametrize("words", REPEATS, ids=" ".join)
def test_what_would_run_is_named_first(archived: Path, command: Callable[..., Any], words: tuple[str, ...]) -> None:
    """--dry-run, resume and reproduce of a stranger's sweep say in one line what they would run, and run nothing."""
    done = command(*words_for(archived, words))

    assert done.code == 2
    assert re.search(r"does not ship: .*(package\.factory|cutest\.find_spec).* add --trust", done.err)
    assert done.err.count("\n") == 1
    assert not Path(RAN).exists()


def test_python_asks_as_well(archived: Path) -> None:
    """gdbench.sweep(resume=) of a stranger's folder refuses without trust=True."""
    with pytest.raises(UsageError, match=r"package\.factory.*trust=True"):
        gdbench.sweep(resume=archived)

    assert not Path(RAN).exists()


def test_what_is_trusted_runs(archived: Path, command: Callable[..., Any]) -> None:
    """--trust lets the stranger's code run; that it makes no objective is another matter."""
    done = command(f"resume={archived}", "--trust")

    assert done.code == 2
    assert "factory returned NoneType" in done.err
    assert Path(RAN).exists()


@pytest.mark.parametrize(
    "words",
    [
        ["objective._target_=subprocess.getoutput"], ["hydra.callbacks.x._target_=subprocess.getoutput"],
        ["part={cell:0}"],
        ["--config-dir", "somewhere"], ["--config-dir=somewhere"], ["hydra/launcher=ray"], ["code=somewhere"],
        ["hydra.searchpath=[file://somewhere]"], ["name=${oc.env:HOME}"], ["objective=../../somewhere"],
        ["+a=1"], ["-cn=x"],
        ["optimizer={torch:{_target_:os.system}}"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_recorded_command_that_names_more_than_settings_is_refused(
    shared: Path, command: Callable[..., Any], words: list[str]
) -> None:
    """Only plain settings of a recorded command that nobody vouches for are gone on with."""
    rewrite(shared, {"_target_": "gdbench.objectives.rosenbrock"}, words)
    done = command("--dry-run", f"resume={shared}")

    assert done.code == 2
    assert "does not ship" in done.err
    assert words[0] in done.err


def test_a_strangers_sweep_of_ours_alone_goes_on(
    shared: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What names only what gdbench ships needs nobody's trust, whoever made it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))

    assert command("--dry-run", f"resume={shared}").code == 0
    assert command(*words_for(shared, ("reproduce", "KEY"))).code == 0


@pytest.mark.parametrize(
    "tag",
    representatives(["python/object/apply:os.system", "python/name:os.system"], ["python/object/apply:os.system"]),
)
def test_a_configuration_is_read_as_data(
    shared: Path, command: Callable[..., Any], tag: str, recwarn: pytest.WarningsRecorder
) -> None:
    """YAML that asks for an object of Python is refused in one line, and costs a report its contours alone."""
    (shared / CELL).write_text(f"objective: {tag} ['touch {RAN}']\noptimizer: {{}}\n")

    assert command("report", "--format", "html").code == 0
    done = command(*words_for(shared, ("reproduce", "KEY")))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert not Path(RAN).exists()


@pytest.mark.slow
def test_only_what_conf_names_is_called_for_contours(shared: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Of all that can be seen under gdbench.objectives, a report calls the factories of conf/objective and no more."""
    row = pd.Series({"cell": 0, "sweep": f"{shared.parent.name}/{shared.name}"})
    rewrite(shared, {"_target_": "TARGET"}, [])
    text = (shared / CELL).read_text()
    for target in visible():
        (shared / CELL).write_text(text.replace("TARGET", target))
        assert target in list_shipped_targets("objective") or _load_objective([shared], row) is None


def visible() -> Iterator[str]:
    """The full names of everything in the modules of gdbench.objectives, each thing by one name."""
    known = set()
    for module in pkgutil.walk_packages(gdbench.objectives.__path__, "gdbench.objectives."):
        for name, value in inspect.getmembers(importlib.import_module(module.name)):
            if callable(value) and id(value) not in known:
                known.add(id(value))
                yield f"{module.name}.{name}"
    yield from (f"gdbench.objectives.{name}" for name in gdbench.objectives.modules)


def test_arguments_that_are_no_plain_data_are_not_handed_over(shared: Path) -> None:
    """A factory of ours is not called for looking with anything but numbers and text."""
    row = pd.Series({"cell": 0, "sweep": f"{shared.parent.name}/{shared.name}"})
    for argument in ({"_target_": "os.system"}, [{"a": 1}]):
        rewrite(shared, {"_target_": "gdbench.objectives.rosenbrock", "n": argument}, [])
        assert _load_objective([shared], row) is None


# ----------------------------------------------------------------------------------------------- a dry run runs nothing


@pytest.mark.parametrize(
    "target", ["subprocess.getoutput", "os.system", "builtins.exec", "gdbench.engine.build.importlib.import_module"]
)
@pytest.mark.parametrize("verb", representatives([["--dry-run"], []], [[]]), ids=["dry run", "run"])
def test_a_function_of_pythons_own_library_is_not_called(
    command: Callable[..., Any], tmp_path: Path, target: str, verb: list[str]
) -> None:
    """A _target_ that is no maker of objectives is refused before it is imported or called, in a dry run too."""
    (tmp_path / "mine" / "objective").mkdir(parents=True)
    (tmp_path / "mine" / "objective" / "bad.yaml").write_text(f"_target_: {target}\ncmd: touch {RAN}\n")
    done = command(*verb, "--config-dir", "mine", "objective=bad", "timing=off")

    assert done.code == 2
    assert target in done.err
    assert not Path(RAN).exists()


def test_a_users_module_may_be_called_as_one_of_pythons(
    command: Callable[..., Any], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of one's own counts as one's own, whatever its name."""
    (own / "this.py").write_text((own / "own_things.py").read_text())
    (own / "objective" / "bowl.yaml").write_text("_target_: this.bowl\nn: 3\n")

    assert command("--config-dir", str(own), "objective=bowl", "timing=off", "--quiet").code == 0


# ------------------------------------------------------------------------------------------------ a sweep of one's own


def test_ones_own_sweep_goes_on_without_a_question(
    command: Callable[..., Any], own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The user who made a sweep repeats it as before; another one is told what would run, and may name the folder."""
    assert command("--config-dir", str(own), "-m", "objective=bowl", "lr=0.1", "timing=off", "--quiet").code == 0
    (folder,) = Path("outputs").glob("*/*")
    repeats = [words_for(folder, words) for words in REPEATS]
    assert [command(*words).code for words in repeats] == [0, 0, 0]

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    for words in repeats:
        refused = command(*words)
        assert refused.code == 2
        assert str(own) in refused.err
    assert [command(*words, "--trust").code for words in repeats] == [0, 0, 0]
    assert command("--dry-run", "--config-dir", str(own), f"resume={folder}").code == 0
    assert len(gdbench.sweep(resume=folder, trust=True)) == 1


def test_code_inside_of_a_sweep_is_never_ones_own(tmp_path: Path) -> None:
    """A stamp vouches for a file's text; code that came in the same folder may have been replaced since."""
    place = tmp_path / "sweep"
    (place / ".hydra").mkdir(parents=True)
    file = place / CELL
    file.write_text(add_stamp(f"code: {place}/own\n"))

    assert is_stamped(file.read_text())
    with pytest.raises(UsageError, match="the code in"):
        check_configuration(file, {"code": f"{place}/own"}, False, "reproduce")
    with pytest.raises(UsageError, match="--config-dir"):
        check_command(place / COMMAND, ["--config-dir", f"{place}/own"], True, False, "resume")


@given(text=st.text(), other=st.text())
def test_a_stamp_is_of_one_text_alone(text: str, other: str) -> None:
    """A text is known again to the letter, and no other one passes with its stamp."""
    content = f"{text}\n"
    whole = add_stamp(content)

    assert is_stamped(whole)
    assert remove_stamp(whole) == content
    assert not is_stamped(content)
    assert other == text or not is_stamped(f"{other}\n" + whole.removeprefix(content))


def test_everything_that_conf_names_is_shipped() -> None:
    """No configuration of ours needs anybody's trust."""
    for group in GROUPS:
        for file in sorted((ROOT / "conf" / group).glob("*.yaml")):
            config = {"objective": {}, "optimizer": {}, "code": None, group: yaml.safe_load(file.read_text())}
            check_configuration(file, config, False, "reproduce")
            assert {str(name) for name in _iterate_targets(config)} <= list_shipped_targets(group)


@given(
    key=st.sampled_from(["lr", "steps", "objective.n", "optimizer.beta1", "schedule.over", "timing.seconds", "name"]),
    value=st.one_of(
        st.floats(0, 1).map(str), st.sampled_from(["0.1,0.2", "range(0,5)", "'tag(log,interval(1e-4,1))'"])
    ),
)
def test_plain_settings_need_no_trust(key: str, value: str) -> None:
    """Numbers and axes are settings, in whatever form they are written."""
    assert not list(
        _iterate_foreign_words(["-m", "objective=rosenbrock,beale", f"{key}={value}", "lr=${logspace:-5,0,10}"])
    )


@given(st.text(st.characters(codec="ascii", exclude_characters="=")), st.text(st.characters(codec="ascii")))
def test_a_word_passes_only_as_a_known_setting(key: str, value: str) -> None:
    """Whatever a recorded word is, it passes only if its key is a setting of a run and it names no object."""
    for word in (key, f"{key}={value}", f"{key}._target_={value}", f"-{key}", f"hydra.{key}={value}"):
        if not list(_iterate_foreign_words([word])):
            assert word == "-m" or re.fullmatch(r"(lr|[a-z_]+)(\.\w+)*", word.partition("=")[0])
            assert "_target_" not in word
            assert not word.startswith(("hydra", "code", "part"))


def test_a_configuration_looks_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpolation in a kept configuration stays text: the environment of whoever reads it is not in it."""
    monkeypatch.setenv("SECRET", "word")
    (tmp_path / "cell.yaml").write_text("objective: {a: '${oc.env:SECRET}'}\noptimizer: {}\n")

    assert read_configuration(tmp_path / "cell.yaml")["objective"] == {"a": "${oc.env:SECRET}"}
