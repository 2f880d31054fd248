"""What was not measured never passes: absent, skipped, off or unavailable, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.repositories import change, commit, findings, git, repository
from support.tiers import representatives

from gdbench.errors import NotMeasured
from gdbench.gate.bisect import bisect_commits
from gdbench.gate.git_worktree import resolve_base
from gdbench.gate.series import SourceTree

EXACT = ("--config-dir", "mine", "--time", "off")
SUITE = """
defaults: {steps: 20, lr: 0.1, objective: quadratic}
series:
  - {optimizer: [sound, gone, generated, lazy, clone]}
  - {optimizer: heavy_ball, impl: torch}
"""
GONE = """
import a_package_that_is_gone
from own import clone as step
"""
GENERATED = """
from generated_version import VERSION
from own import clone as step
"""
LAZY = """
from gdbench.optimizers import first_order


def step(lr):
    def update(k, grad, state, x):
        import a_package_that_is_gone

        return x - lr * grad, state

    return first_order(lambda x: (), update)
"""
FEW = """
defaults: {steps: 20, lr: 0.1, objective: quadratic}
series:
  - {optimizer: [sound, clone]}
"""


def add_optimizer(top: Path, name: str, target: str, more: str = "") -> None:
    """Add an optimizer to a repository's folder."""
    (top / "mine" / "optimizer" / f"{name}.yaml").write_text(
        f"# My {name}\nmanual: {{_target_: {target}}}\ntorch: null\ndefault_lr: 0.1\n{more}"
    )


@pytest.mark.slow
def test_only_what_the_bases_tree_does_not_hold_is_new(gate: Callable[..., Any], tmp_path: Path) -> None:
    """A base that cannot be imported, that failed, or whose configuration git ignores is unmeasured, and says why."""
    top, mine = repository(tmp_path, SUITE), tmp_path / "mine"
    for name, code in (("gone", GONE), ("generated", GENERATED), ("lazy", LAZY)):
        (mine / f"{name}_steps.py").write_text(code)
        add_optimizer(top, name, f"{name}_steps.step")
    (top / ".gitignore").write_text("generated_version.py\nignored.yaml\noutputs\n")
    add_optimizer(top, "keyed", "own.sound")
    commit(top)
    (mine / "generated_version.py").write_text("VERSION = 1\n")
    for name in ("gone", "lazy"):
        (mine / f"{name}_steps.py").write_text("from own import clone as step\n")
    for name in ("ignored", "late"):
        add_optimizer(top, name, "own.sound")
    add_optimizer(top, "keyed", "own.adam", "inside: true\n")
    more = "  - {optimizer: [ignored, late]}\n  - {optimizer: keyed, optimizer.inside: true}\n"
    (mine / "gate" / "default.yaml").write_text(
        SUITE.replace(", clone]", "]") + more + "  - {optimizer: clone, policy: 'off'}\n"
    )
    done = gate(*EXACT)
    found = findings(top)

    assert done.code == 4, done.err
    assert {name: finding["verdict"] for name, finding in found.items()} == {
        **dict.fromkeys(("gone", "generated", "lazy", "ignored", "heavy_ball"), "unmeasured"),
        "sound": "same",
        "late": "new",
        "keyed": "new",
        "clone": "missing",
    }
    for name, reason in {
        "gone": "No module named 'a_package_that_is_gone'",
        "generated": "No module named 'generated_version'",
        "lazy": "its run is failed (ModuleNotFoundError: No module named 'a_package_that_is_gone'",
        "ignored": "git ignores mine/optimizer/ignored.yaml",
        "heavy_ball": "its run is unavailable",
        "clone": "in yours it is off",
    }.items():
        assert reason in found[name]["cause"]
    assert "NOT MEASURED (exit 4)" in done.out
    xml = max(top.glob("outputs/gate/*/gate.xml")).read_text()
    assert xml.count("<error ") == 6
    assert 'errors="6"' in xml


@pytest.mark.slow
def test_an_acceptance_forgives_its_numbers_alone(gate: Callable[..., Any], tmp_path: Path) -> None:
    """On the command line: one more clone than accepted fails, and so does the accepted one against a baseline."""
    top = repository(tmp_path, FEW)
    own = top / "mine" / "own.py"
    assert gate("save-baseline", "--config-dir", "mine").code == 0
    commit(top)
    change(top)
    only = (*EXACT, "--only", "clone *")
    assert gate(*only).code == 1
    accepted = gate("accept", "*", "--reason", "callers keep the gradient")
    assert gate(*only, "--baseline", "gate/baseline.csv").code == 1
    own.write_text(own.read_text().replace("grad.clone() if", "grad.clone().clone() if"))
    worse = gate(*only)

    assert re.search(r"ops per step \d+ -> \d+", accepted.out)
    assert worse.code == 1
    assert findings(top)["clone"]["forgiven"] == ""


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("series,fingerprint,status,trajectory,final_loss\n", 4, ""),
        ("series,status\nsound manual quadratic,budget\n", 2, "no number that is compared"),
        (
            "series,status,final_loss\nsound manual quadratic,budget,1\n" * 1 + "sound manual quadratic,budget,1\n",
            2,
            "sev",
        ),
        pytest.param("series,status,final_loss\nsound manual quadratic,,1\n", 4, "", marks=pytest.mark.slow),
    ],
    ids=["no rows", "no numbers", "a row twice", "no status"],
)
def test_a_baseline_that_tells_nothing_never_passes(
    gate: Callable[..., Any], tmp_path: Path, text: str, code: int, said: str
) -> None:
    """Without rows, without numbers, without a status nothing is compared."""
    (repository(tmp_path, FEW) / "baseline.csv").write_text(text)
    done = gate(*EXACT, "--only", "sound *", "--baseline", "baseline.csv")

    assert done.code == code, done.out
    assert said in done.err


def test_a_pull_request_whose_base_is_not_fetched_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other branch is used in its place."""
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    monkeypatch.setenv("GITHUB_BASE_REF", "release")

    with pytest.raises(NotMeasured, match="GITHUB_BASE_REF=release names no branch here"):
        resolve_base(tmp_path, None, "outputs", False)


DARK = [(dark, culprit) for dark in ((2,), (2, 3), (0, 1, 2, 3, 4), (4,)) for culprit in range(1, 6)]
"""Commits that cannot be measured, and the first that fails: it is one of them, beside them, or elsewhere."""


@pytest.mark.parametrize(
    ("dark", "culprit"), representatives(DARK, [((2,), 1), ((2, 3), 3), ((2, 3), 4), ((0, 1, 2, 3, 4), 5)])
)
def test_bisection_takes_no_commit_for_good_that_it_could_not_measure(
    tmp_path: Path, culprit: int, dark: tuple[int, ...]
) -> None:
    """It is skipped; if the culprit may be one of these, they are named."""
    git(tmp_path, "init", "--quiet")
    commits = []
    for number in range(6):
        (tmp_path / "file").write_text(str(number))
        commits.append(commit(tmp_path, str(number)))

    def fails(side: SourceTree) -> str:
        number = int((side.root / "file").read_text())
        if number in dark:
            raise NotMeasured("it does not import")
        return "bad" if number >= culprit else ""

    found = bisect_commits(tmp_path, commits, fails, lambda line: None)
    first = next(number for number in range(culprit, 6) if number not in dark)
    before = max((number for number in range(culprit) if number not in dark), default=-1)

    assert found.commit == commits[first]
    assert found.unmeasured == tuple(commits[before + 1 : first])


def test_bisection_of_a_bad_end_that_cannot_be_measured_is_none(tmp_path: Path) -> None:
    """A bad end that is not measured is an error."""
    git(tmp_path, "init", "--quiet")
    commits = [commit(tmp_path)]

    def fails(side: SourceTree) -> str:
        raise NotMeasured("it does not import")

    with pytest.raises(NotMeasured, match="cannot be measured: it does not import"):
        bisect_commits(tmp_path, commits, fails, lambda line: None)


@pytest.mark.slow
def test_no_slower_fails_where_nothing_could_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base that cannot be imported is no reason to skip the test; neither is time=off."""
    from gdbench.gate.pytest_plugin import BenchmarkFixture

    top = repository(tmp_path, FEW)
    own = top / "mine" / "own.py"
    whole = own.read_text()
    own.write_text(f"import a_package_that_is_gone\n{whole}")
    commit(top)
    own.write_text(whole)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with pytest.raises(pytest.fail.Exception, match=r"^sound manual quadratic is unmeasured: .*a_package_that_is_gone"):
        BenchmarkFixture().no_slower("sound *", config_dir="mine")
    with pytest.raises(pytest.fail.Exception, match="time=off"):
        BenchmarkFixture().no_slower("sound *", config_dir="mine", time="off")
