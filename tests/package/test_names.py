"""Names: a function says what it returns, a loop variable what it is, and a class name has one meaning."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gdbench"

PARTICIPLE = re.compile(r"\w+(ed|en)")
IRREGULAR = re.compile(
    "begun|bound|brought|built|done|drawn|found|gone|grown|held|kept|known|left|lost|made|meant|met|said|seen|sent|"
    "shown|sought|told|torn|won|worn"
)
PARTICLES = re.compile("about|apart|away|by|down|from|in|off|on|out|over|to|up|with")
TERMS = re.compile(
    "between|children|embed|eigen|feed|flatten|hidden|laned|lengthen|need|normalised|open|screen|seed|shorten|speed|"
    "token|trefethen|unflatten|unseen|when|widen"
)
"""Words that end like a participle: verbs, other words, and terms of the field."""


def is_bare_participle(name: str) -> bool:
    """Whether a name is a participle alone, or one with a particle, as in ``carried_out``."""
    first, *rest = name.strip("_").split("_")
    regular = PARTICIPLE.fullmatch(first) and not TERMS.fullmatch(first)
    return bool(regular or IRREGULAR.fullmatch(first)) and all(map(PARTICLES.fullmatch, rest))


def list_functions(tree: ast.AST) -> Iterator[str]:
    """The names of all functions and methods."""
    return (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def list_loop_variables(tree: ast.AST) -> Iterator[str]:
    """The names that loops and comprehensions bind."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield from (name.id for name in ast.walk(node.target) if isinstance(name, ast.Name))


@cache
def parse(file: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def list_files() -> list[Path]:
    """The source files of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def test_no_function_is_named_by_a_bare_participle() -> None:
    """A function is a verb with a noun, or the noun that it returns: ``find_runs``, not ``found``."""
    names = [
        f"{file.relative_to(PACKAGE)}: {name}"
        for file in list_files()
        for name in list_functions(parse(file))
        if is_bare_participle(name)
    ]

    assert not names


def test_no_loop_variable_is_called_each() -> None:
    """A loop variable says what it is: ``run``, ``cell``, ``file``."""
    files = [str(file.relative_to(PACKAGE)) for file in list_files() if "each" in list_loop_variables(parse(file))]

    assert not files


def test_a_class_name_has_one_meaning() -> None:
    """No two classes have one name."""
    places = defaultdict(list)
    for file in list_files():
        for node in ast.walk(parse(file)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(file)
    shared = {name: files for name, files in places.items() if len(files) > 1}

    assert not shared


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("judged", True),
        ("_carried_out", True),
        ("found", True),
        ("written", True),
        ("seed", False),
        ("find_runs", False),
        ("closed_form", False),
        ("told_by", True),
        ("speed", False),
    ],
)
def test_a_bare_participle_is_recognised(name: str, expected: bool) -> None:
    """Regular and irregular participles are, alone or with a particle; terms of the field and noun phrases are not."""
    assert is_bare_participle(name) == expected


def test_all_loop_variables_are_seen() -> None:
    """Loops, comprehensions, and tuples in either."""
    source = "for a, (b, c) in x: pass\n[d for d in x for e in d]\n{f: g for f, g in x}\n"

    assert sorted(list_loop_variables(ast.parse(source))) == list("abcdefg")
