"""Everything that README and docs tell their reader to do, done; and what the site's reference says."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.documents import ROOT, Reader, forget, is_carried_out, snippets
from support.promises import NOT_OURS, PROMISES
from support.repositories import git

import gdbench as package
from gdbench.results.columns import COLUMNS

README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").rglob("*.md"))]
FOLDER = re.compile(r"20\d\d-\d\d-\d\d/(?:\d\d-\d\d-\d\d_\w+|[AB]\b)")

CHECKED = {
    "hydra/launcher=": "other processes and machines: tests/sweeps/test_launchers.py",
    "tracker=mlflow": "servers: tests/results/test_trackers.py",
    "export mlflow": "as before",
    "gate save-baseline": "the whole of the shipped suite: tests/gate/test_command.py",
    "gate --baseline": "as before",
    "--base-python": "another torch: tests/gate/test_dual_import.py",
    "gate bisect": "many revisions: tests/gate/test_history.py",
    "gate history": "as before",
    "sweeps --sql": "DuckDB: tests/results/test_sweep_list.py",
    "tune experiment=training_comparison": "minutes: tests/sweeps/test_training_selection.py",
    "tune objective=rosenbrock optimizer=gd,momentum,adam steps=3000": "27 CPU s: tests/sweeps/test_tuning.py",
}
"""What README says without room for a remark, and where it is carried out."""


class MyOptimizer(torch.optim.SGD):
    """The optimizer that the reader of a document has."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr=lr, momentum=0.9)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that the reader of a document has made before."""
    outputs = tmp_path_factory.mktemp("documents") / "outputs"
    runs = package.sweep(optimizer=["gd", "adam"], lr=[0.01, 0.1], timing="off", outputs=outputs)
    return Path(runs.attrs["folder"])


@pytest.fixture
def reader(
    made: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gdbench: Any
) -> Iterator[Reader]:
    """Somebody in an empty folder, who has a sweep, an optimizer, git and no browser."""
    for name, value in {"NAME": "reader", "EMAIL": "reader@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    folder = f"outputs/2026-11-23/{made.name}"
    words = {"RUN": str(package.load(made)["run_id"].iloc[0]), "A": folder, "B": folder, "FOLDER": folder}
    before = {"gate --config-dir mine --time off": commit_and_change}
    path = list(sys.path)
    monkeypatch.setenv("BROWSER", "true")  # which opens nothing
    yield Reader(command, CHECKED, {**words, "dac917": words["RUN"]}, before, {"MyOptimizer": MyOptimizer})
    forget(tmp_path, path)


def commit_and_change() -> None:
    """What README's section on the gate begins with: a change, of one operation more, to what was committed."""
    for words in (["init", "-q", "-b", "main"], ["add", "mine"], ["commit", "-qm", "As it was"]):
        git(Path.cwd(), *words)
    file = Path("mine/bowl.py")
    file.write_text(file.read_text().replace("grad.sign()", "grad.clone().sign()"))


SHORT = ROOT / "docs" / "how-to" / "objective.md"
"""A document of files, commands and Python, at a tenth of the tutorial's time."""


def test_a_short_document_does_what_it_says_cut_short(reader: Reader, made: Path, gdbench: Any) -> None:
    """Each file, command and piece of Python of a how-to works, in order, untimed and with few steps."""
    follow(SHORT, reader, made, gdbench)


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_document_does_what_it_says(document: Path, reader: Reader, made: Path, gdbench: Any) -> None:
    """Each file, command and piece of Python of a document works, less of the clock apart, and prints its promise."""
    reader.promises = PROMISES
    follow(document, reader, made, gdbench)


def test_every_command_has_its_words_or_its_reason() -> None:
    """A command of README, CONTRIBUTING or docs is in PROMISES with its words, or in one place with its reason."""
    commands = {
        " ".join(command.split()): needs
        for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]
        for snippet in snippets(document)
        if snippet.language in ("bash", "")
        for command, needs in snippet.commands()
    }
    gdbench_commands = [command for command in commands if command.startswith("python -m gdbench")]
    run = [command for command in gdbench_commands if is_carried_out(command, commands[command], CHECKED)]

    assert [command for command in run if command not in PROMISES] == []
    assert [command for command in PROMISES if command not in run] == []
    others = [command for command in commands if command not in gdbench_commands]
    assert [command for command in others if not command.startswith(tuple(NOT_OURS))] == []


def follow(document: Path, reader: Reader, made: Path, gdbench: Any) -> None:
    """Do what a document says, from top to bottom."""
    for name in {*FOLDER.findall(document.read_text(encoding="utf-8")), f"2026-11-23/{made.name}"}:
        shutil.copytree(made, Path("outputs") / name)
    told = snippets(document)

    assert sum(map(reader.follow, told)) >= len(told) / 2
    for name, test in list(reader.names.items()):
        if name.startswith("test_"):
            test(gdbench)


# ------------------------------------------------------------------------------------------------------ the reference


def test_formulas_are_set_as_they_were_written() -> None:
    """Indices, powers and Greek names of a docstring become HTML; names of columns and unknown words stay."""
    from website.typeset import prose, typeset

    assert typeset("x_{i+1}^2 <= beta1 y_i") == "x<sub>i+1</sub><sup>2</sup> ≤ β<sub>1</sub> y<sub>i</sub>"
    assert (
        typeset("sqrt(kappa) |s|_1 Q_L = sum_i x_i")
        == r"√(κ) \|s\|<sub>1</sub> Q<sub>L</sub> = Σ<sub>i</sub> x<sub>i</sub>"
    )
    assert typeset("The sum of squares, 10 sum x^2.") == "The sum of squares, 10 Σ x<sup>2</sup>."
    assert typeset("steps_to_target in 2^n.") == r"steps\_to\_target in 2<sup>n</sup>."
    assert prose("f(x) = x^2, x of shape [1]. Start 1.").startswith(
        '<span class="formula alone">f(x) = x<sup>2</sup></span>'
    )
    assert prose("``weight_decay`` and ``x - lr g``") == '`weight_decay` and <span class="formula">x − lr g</span>'


def test_tex_becomes_mathml() -> None:
    """What stands in the page as TeX is drawn by the browser alone."""
    from website.typeset import mathml

    page = mathml(r'<p><span class="arithmatex">\(x &lt; 1\)</span></p><div class="arithmatex">\[y\]</div>')

    assert page.count("<math") == 2
    assert "&#x0003C;" in page
    assert "arithmatex" not in page


@pytest.mark.slow
def test_every_constant_of_how_we_measure_is_read_from_the_code() -> None:
    """Each {{name}} of the page is replaced by a number or a list of the code."""
    from website.measuring import filled

    page = filled((ROOT / "docs" / "measure.md").read_text(encoding="utf-8"))

    assert "{{" not in page
    assert "All targets 1e-01 ... 1e-12 are tested" in page


def test_the_reference_leaves_nothing_out() -> None:
    """Every column, objective, optimizer, setting and verb has its place, and a function of two numbers its picture."""
    from gdbench.cli.help import VERBS
    from gdbench.config.config_folders import config_folder
    from website import reference
    from website.facts import by_family, entries

    for group, words in (("objective", reference.OBJECTIVES), ("optimizer", reference.OPTIMIZERS)):
        names = {file.stem for file in (config_folder() / group).glob("*.yaml")}
        assert {each.name for members in by_family(entries(group)).values() for each in members} == names
        assert set(re.findall(r"(?<!measure)\.md#(\w+)\)", reference.overview(group, words))) == names
    classical = by_family(entries("objective"))["classical"]
    page = reference.family_page("classical", classical, reference.objective)
    settings, columns, commands = reference.all_settings(), reference.columns(), reference.commands()

    assert page.count("<svg") == page.count("\n## ") == len(classical)
    assert all(f'id="{name}"' in columns for name in COLUMNS)
    assert all(f"\n## {verb}\n" in commands for verb in VERBS if verb != "run")  # whose help is that of gdbench
    assert settings.count("<svg") == len(entries("schedule")) - 1  # the constant has no factory
    groups = ("schedule", "clip", "noise", "average")
    assert all(f"| `{each.name}` |" in settings for group in groups for each in entries(group))
