"""The package as it is shipped, the direction of its imports, and the links of its documents."""

from __future__ import annotations

import ast
import re
import shutil
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from support.processes import Processes

from gdbench import __version__

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gdbench"

LAYERS = (
    {"errors", "tree"},
    {"objectives", "results"},
    {"config", "optimizers"},
    {"analysis", "engine"},
    {"report", "sweeps"},
    {"gate"},
    {"__init__", "cli"},
    {"__main__"},
)
"""The modules and folders of the package, lowest first."""

RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
TABLE = {
    "analysis",
    "config",
    "errors",
    "report",
    "results",
}
"""What knows of tables alone: no tensor and no run."""

WITH_TENSORS = {"report/plotting.py", "results/export/tensorboard.py"}
"""Files of these that draw the surface of an objective, or whose library takes tensors."""

ONLY_IN = {
    "hydra": {"config", "sweeps"},
    "hydra_plugins": {"sweeps"},
    "ray": {"sweeps"},
    "submitit": {"sweeps"},
    "pandas": {"analysis", "cli", "engine", "gate", "report", "results", "sweeps"},
    "altair": {"report"},
    "vl_convert": {"report"},
    "pyarrow": {"cli", "report", "results"},
    "duckdb": {"results"},
    "typer": {"cli"},
    "mlflow": {"results"},
    "optuna": {"sweeps"},
    "safetensors": {"sweeps"},
    "sklearn": {"objectives"},
    "tensorboard": {},
    "trackio": {"results"},
    "wandb": {"results"},
}
"""Where a library may be imported when gdbench runs; an import for the type checker alone is free."""

MOST_LINES = 300
DATA_TABLES: frozenset[str] = frozenset()
"""Modules that hold tables of data alone, and so may have more lines; none needs it."""

INFO = f"gdbench-{__version__}.dist-info"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("experiments/**/*.md")]
)  # those in docs are held by mkdocs build --strict


def component(file: Path) -> str:
    """The module, or the folder, directly below gdbench that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def files() -> Iterator[tuple[str, Path]]:
    """Every source file of the package, with its component."""
    return ((component(file), file) for file in sorted(PACKAGE.rglob("*.py")))


def named_files() -> Iterator[tuple[str, Path]]:
    """Every source file of the package, with the full name of its module."""
    return ((".".join(file.relative_to(ROOT).with_suffix("").parts), file) for _, file in files())


def statements(node: ast.AST, typing: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements below a node; those under ``if TYPE_CHECKING`` only if ``typing``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test) and not typing:
            yield from (each for other in child.orelse for each in statements(other, typing))
        else:
            yield from statements(child, typing)


@cache
def imported(file: Path, typing: bool) -> set[str]:
    """The full names of all that a file imports, also inside functions: ``a.b.c`` for ``from a.b import c``."""
    names = set()
    for node in statements(ast.parse(file.read_text()), typing):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{file}: write the import of {node.module} in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def internal(file: Path) -> set[str]:
    """The components of gdbench that a file imports; a name that is no module comes from ``__init__``."""
    names = {name for name in imported(file, typing=True) if name.split(".")[0] == "gdbench"}
    parts = [name.split(".") for name in names - {"gdbench.__version__"}]  # a constant, for everybody
    return {each[1] if len(each) > 1 and is_module(each[1]) else "__init__" for each in parts}


def is_module(name: str) -> bool:
    """Whether gdbench has a module or a folder of this name."""
    return (PACKAGE / f"{name}.py").exists() or (PACKAGE / name).is_dir()


def libraries(file: Path) -> set[str]:
    """The top-level names of what a file imports when it runs."""
    return {name.split(".")[0] for name in imported(file, typing=False)}


def test_every_module_has_a_layer() -> None:
    """A new module says where in the flow it stands before anything else may import it."""
    homeless = {name for name, _ in files()} - set(RANK)

    assert not homeless, f"give these a place in LAYERS: {sorted(homeless)}"


def test_imports_point_one_way() -> None:
    """An import leads to a lower layer or stays inside its own folder."""
    upward = [
        f"{file.relative_to(ROOT)} imports {other}"
        for name, file in files()
        for other in sorted(internal(file) - {name})
        if RANK.get(other, 0) >= RANK.get(name, len(LAYERS))
    ]

    assert not upward


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Within a folder too imports have a direction, also those inside functions and for the type checker alone."""
    modules = {name.removesuffix(".__init__"): file for name, file in named_files() if name != "gdbench.__init__"}
    graph = {}
    for module, file in modules.items():
        names = imported(file, typing=True)
        graph[module] = {name if name in modules else name.rpartition(".")[0] for name in names} & set(modules)

    try:
        TopologicalSorter({module: others - {module} for module, others in graph.items()}).prepare()
    except CycleError as circle:
        pytest.fail(f"give one of these what the others share: {' <- '.join(circle.args[1])}")


def test_no_file_is_long() -> None:
    """A source file has at most 300 lines, so that it has one task; tables of data may have more."""
    lengths = {name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in named_files()}
    too_long = {name: lines for name, lines in lengths.items() if lines > MOST_LINES and name not in DATA_TABLES}

    assert not too_long, f"split these by task: {too_long}"
    assert all(lengths.get(name, 0) > MOST_LINES for name in DATA_TABLES), "a table that is short needs no exception"


def test_the_table_side_knows_no_tensors() -> None:
    """Columns, records, analysis and report import each other and neither torch nor anything that runs a method."""
    found = [
        f"{file.relative_to(ROOT)} imports {other}"
        for name, file in files()
        if name in TABLE and file.relative_to(PACKAGE).as_posix() not in WITH_TENSORS
        for other in sorted((internal(file) - TABLE) | (libraries(file) & {"torch"}))
    ]

    assert not found


@pytest.mark.parametrize("library", ONLY_IN)
def test_libraries_stay_at_the_rim(library: str) -> None:
    """Hydra, pandas and the other heavy libraries are imported only where the plan of the package allows them."""
    found = [
        str(file.relative_to(ROOT))
        for name, file in files()
        if name not in ONLY_IN[library] and library in libraries(file)
    ]

    assert not found


def build_packages(processes: Processes, folder: Path) -> tuple[set[str], set[str]]:
    """The names of the files in the sdist, and in the wheel made from it, of a checkout that has been worked in."""
    checkout = folder / "checkout"
    junk = shutil.ignore_patterns(".*cache", ".git", ".venv", "venv", "build", "dist", "__pycache__", "outputs")
    shutil.copytree(ROOT, checkout, ignore=junk)
    for left in ("outputs/2026-01-01/09-00-00_sweep", "experiments/outputs/2026-01-01/run", "gdbench/__pycache__"):
        (checkout / left).mkdir(parents=True)
        (checkout / left / "runs.parquet").write_bytes(b"left behind")
    built = processes.start_python("-m", "build", "--no-isolation", "--outdir", folder, checkout, cwd=folder)
    assert built.communicate().code == 0
    (sdist,) = folder.glob("gdbench-*.tar.gz")
    (wheel,) = folder.glob("gdbench-*.whl")
    with tarfile.open(sdist) as tar, zipfile.ZipFile(wheel) as zipped:
        return {name.partition("/")[2] for name in tar.getnames()}, set(zipped.namelist())


def shipped(folder: str, pattern: str) -> set[str]:
    """The files of a folder of this checkout that belong in a package."""
    return {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / folder).rglob(pattern)
        if not {"__pycache__", "outputs"} & set(file.parts[len(ROOT.parts) :])
    }


@pytest.mark.slow
def test_sdist_and_wheel_hold_what_belongs_in_them(processes: Processes, tmp_path: Path) -> None:
    """Both are built once, from a checkout with outputs and caches in it, and hold all that is needed and no more."""
    sdist, wheel = build_packages(processes, tmp_path)

    check_configurations_of_wheel(wheel)
    check_package_in_wheel(wheel)
    check_sources_of_sdist(sdist)
    check_no_outputs_in_sdist(sdist)


def check_configurations_of_wheel(wheel: set[str]) -> None:
    """The whole of conf/ travels inside the wheel as gdbench/conf."""
    configurations = shipped("conf", "*.yaml")

    assert {"conf/config.yaml", "conf/objective/rosenbrock.yaml", "conf/optimizer/gd.yaml"} <= configurations
    assert {f"gdbench/{name}" for name in configurations} == {name for name in wheel if name.endswith(".yaml")}


def check_package_in_wheel(wheel: set[str]) -> None:
    """Installing the wheel adds the folder gdbench, its types and its licence: no tests, no outputs, no caches."""
    sources = {name for name in wheel if name.endswith(".py")}

    assert {name.split("/")[0] for name in wheel} == {"gdbench", INFO}
    assert sources == shipped("gdbench", "*.py")
    assert {"gdbench/py.typed", f"{INFO}/licenses/LICENSE"} <= wheel
    assert not [name for name in wheel if "outputs" in name or "__pycache__" in name or name.endswith(".parquet")]


def check_sources_of_sdist(sdist: set[str]) -> None:
    """An unpacked sdist can be tested and built as the checkout can."""
    expected = {
        ".ci/run",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "constraints.txt",
        "mkdocs.yml",
        "pyproject.toml",
    }

    assert expected <= sdist
    assert (
        shipped("conf", "*.yaml") | shipped("gdbench", "*.py") | shipped("tests", "*.py") | shipped("website", "*.py")
        <= sdist
    )
    assert shipped("docs", "*") - {each for each in shipped("docs", "*") if (ROOT / each).is_dir()} <= sdist


def check_no_outputs_in_sdist(sdist: set[str]) -> None:
    """Results of sweeps never leave in an sdist, wherever in the checkout they were made."""
    assert not [name for name in sdist if "outputs" in name.split("/") and not name.endswith(".gitignore")]
    assert not [name for name in sdist if name.endswith(".parquet")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(document: Path) -> None:
    """Every relative link and picture of a document exists in the checkout."""
    text = re.sub(r"```.*?```|`[^`]*`", "", document.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    relative = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]

    assert not [link for link in relative if not (document.parent / link).exists()]


def test_pins_are_exact_and_complete() -> None:
    """constraints.txt pins each direct dependency to one public version, so that any wheel of it satisfies the pin."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    wanted = {re.split(r"[<>=!~; ]", each)[0] for each in asked}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]

    assert not [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]
    assert not wanted - {line.partition("==")[0] for line in lines}
