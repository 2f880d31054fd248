"""What people are told to install: it exists, and can be had before there is a release."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from gdbench import errors
from gdbench.errors import format_install_command

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TEXTS = sorted(
    file
    for place in (
        "*.md",
        "docs/**/*.md",
        "gdbench/**/*.py",
        "experiments/**/*.md",
        ".github/**/*.yml",
        "conf/**/*.yaml",
    )
    for file in ROOT.glob(place)
    if file.name != "CHANGELOG.md"
)


def test_install_command_names_the_checkout_in_use() -> None:
    """In a checkout the command names its folder, wherever the user stands."""
    assert format_install_command("mlflow") == f"pip install -c '{ROOT}/constraints.txt' -e '{ROOT}[mlflow]'"


def test_install_command_of_a_wheel_names_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed from a wheel, pip is given a requirement with the repository's URL, which it can parse."""
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "gdbench" / "installation.py"))
    monkeypatch.setattr(errors, "_repository", lambda: "https://github.com/OWNER/gdbench")
    words = format_install_command("mlflow")
    requirement = Requirement(re.fullmatch(r"pip install '(.*)'", words).group(1))

    assert (requirement.name, requirement.extras) == ("gdbench", {"mlflow"})
    assert requirement.url == "git+https://github.com/OWNER/gdbench"


def test_repository_url_stands_in_the_metadata() -> None:
    """The URL comes from pyproject.toml through the metadata of the package, not from the code."""
    assert errors._repository() == "https://github.com/OWNER/gdbench"


def test_no_text_installs_from_an_index_that_lacks_gdbench() -> None:
    """Nothing tells people to `pip install gdbench`, and each extra that is named exists."""
    for file in TEXTS:
        text = file.read_text(encoding="utf-8")
        bare = re.search(r"pip install (?:-\S+ )*['\"]?gdbench(?:\[\w+\])?['\"]?(?![\w @\[])", text)
        assert bare is None, f"{file}: {bare.group(0)}"
        named = {
            extra for group in re.findall(r"(?:\.|gdbench)\[([a-z,]+)\]['\" ]", text) for extra in group.split(",")
        }
        assert named <= set(EXTRAS), file
