from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gdbench
from gdbench.results.user_paths import expand_user

RUN = ("objective=rosenbrock", "steps=2", "timing=off", "--quiet")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.mark.slow
def test_a_path_from_home_is_in_the_home_folder(command: Callable[..., Any], home: Path, own: Path) -> None:
    """Every place that takes a path means the home folder by ~, and none makes a folder of that name."""
    own.rename(home / "own")
    assert command(*RUN, "outputs=~/x", "--config-dir=~/own", "objective=bowl").code == 0
    (folder,) = (home / "x").glob("*/*")
    tilde = f"~/{folder.relative_to(home)}"
    key = gdbench.load("~/x")["run_id"].iloc[0]
    words = [
        ("--dry-run", f"resume={tilde}"), (f"resume={tilde}", "--quiet"), ("sweeps", "--outputs=~/x"),
        ("sweeps", "watch", "--once", tilde),
        ("report", tilde, "--format=md", "--to=~/report"), ("show", key, "--outputs=~/x"),
        ("compare", tilde, tilde, "--json"),
        ("compare", tilde, tilde, "--settings"), ("list", "objectives", "--config-dir=~/own"),
        ("sweeps", "label", tilde, "--note=word", "--outputs=~/x"),
        ("sweeps", "archive", tilde, "--to=~/all.zip", "--outputs=~/x"),
        ("sweeps", "restore", "~/all.zip", "--outputs=~/y"),
        ("tune", "outputs=~/x", "--config-dir=~/own", "objective=bowl", "steps=2", "timing=off", "lr=interval(0.1,0.2)",
         "points=2", "trials=2", "--quiet"),
    ]  # fmt: skip
    for each in words:
        done = command(*each)
        assert (done.code, done.err) == (0, done.err), (each, done.err)
    runs = gdbench.sweep("bowl", config_dir="~/own", outputs="~/z", steps=2, timing="off")
    gdbench.sweep(resume=f"~/{Path(runs.attrs['folder']).relative_to(home)}")

    assert {path.name for path in home.iterdir()} >= {"x", "y", "z", "own", "report", "all.zip"}
    assert not list(Path().glob("~*"))
    assert not list(home.rglob("~*"))


@given(
    st.text(st.characters(codec="ascii", exclude_characters="\0/"), min_size=1), st.text(st.characters(codec="ascii"))
)
def test_only_a_home_is_replaced(first: str, rest: str) -> None:
    """A path that does not begin with ~, or with the name of nobody, is as it was."""
    whole = f"{first}/{rest}"

    assert expand_user(whole) == Path(whole) or re.match(r"~", whole)


def test_the_name_of_nobody_is_a_folder() -> None:
    """~name is a folder where there is no such user."""
    assert expand_user("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
