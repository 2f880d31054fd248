"""Fixtures of the tests at the rim: the command line in this process, and in one of its own."""

from __future__ import annotations

import gc
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings
from support.leftovers import list_children, list_repository
from support.processes import Done, Process, Processes

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a job in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Two workers of pytest on two cores: more threads than one each would spin while they wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What a killed process had not flushed is lost for a user, so it is for the processes of the tests.
os.environ.pop("PYTHONUNBUFFERED", None)

ROOT = Path(__file__).parent.parent

# How long an example takes on a busy machine says nothing of what it tests.
settings.register_profile("fast", deadline=None, max_examples=15)
settings.register_profile("slow", deadline=None, max_examples=50)


def pytest_configure(config: pytest.Config) -> None:
    """Laws have fewer examples by default than with ``-m``, as in ``-m "slow or hypothesis"``."""
    settings.load_profile("fast" if config.option.markexpr == "not slow" else "slow")


# Ten thousand tests and what they import stay to the end: looking through them for garbage costs a fifth of collection.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a name that another worker of pytest would give another text: it collects the same tests in vain."""
    changing = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if changing:
        raise pytest.UsageError(f"an address of this process is in the name of {changing[0]}: give ids=")


def pytest_collection_finish() -> None:
    """Look for garbage from here on, not among what was collected, and a tenth as often as Python would."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place for the key with which sweeps are stamped, and not the home folder of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield Path(os.environ["XDG_STATE_HOME"])


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """The one server of this worker, which starts with the first process that a test asks for."""
    server = Processes(tmp_path_factory.getbasetemp() / "fork_server.log")
    yield server
    server.close()


@pytest.fixture
def processes(fork_server: Processes) -> Iterator[Processes]:
    """Starts processes that end with the test; what they leave behind when they have ended themselves fails it."""
    yield fork_server
    strays = fork_server.end_all()
    assert not strays, f"left by processes that have ended: {strays}"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Starts real programs that serve all tests of a file, and end with them."""
    server = Processes(tmp_path_factory.getbasetemp() / "servers.log")
    yield server
    server.close()


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a child of this process, or a file at the top of the repository."""
    before = list_children(), list_repository()
    yield
    children, files = list_children() - before[0], list_repository() - before[1]
    assert not children, f"processes left by {request.node.name}: {children}"
    assert not files, f"files left by {request.node.name} in the repository: {files}"


@pytest.fixture
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Sweeps are written to an empty folder of the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Done]:
    """Carries out a command line in this process, from an empty folder."""
    from gdbench.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)  # hydra takes its words from there: give them back

    def carry_out(*words: str) -> Done:
        capsys.readouterr()
        code = main(words)
        return Done(code, *capsys.readouterr())

    return carry_out


@pytest.fixture(scope="session")
def carried_out(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Carries out command lines in a folder of their own, once for all tests of this process."""
    places: dict[tuple[str, ...], Path] = {}

    def carry_out(*lines: str) -> Path:
        from gdbench.cli.main import main

        if lines not in places:
            place = tmp_path_factory.mktemp("once")
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(place)
                patch.setattr(sys, "argv", sys.argv)
                for line in lines:
                    assert main(shlex.split(line)) == 0
            places[lines] = place
        return places[lines]

    return carry_out


@pytest.fixture
def once(carried_out: Callable[..., Path], command: Callable[..., Done], tmp_path: Path) -> Callable[..., Path]:
    """Gives this test, in its folder, a copy of what command lines write, and returns the folder of the last sweep.

    For tests that look at a sweep, change its files or go on with it; how it was made is for others.
    """

    def copy(*lines: str) -> Path:
        shutil.copytree(carried_out(*lines), tmp_path, dirs_exist_ok=True)
        return max(place.relative_to(tmp_path) for place in tmp_path.glob("*/*/*") if (place / "runs.parquet").exists())

    return copy


@pytest.fixture
def gate(command: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Carries out a verb of the gate in the folder in which we are."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("GITHUB_BASE_REF", raising=False)
    return lambda *words: command("gate", *words)


@pytest.fixture
def shell(processes: Processes, tmp_path: Path) -> Callable[..., Done]:
    """Carries out ``python ...`` in a process of its own, from an empty folder and without a terminal.

    With ``real=True`` it is a new interpreter instead of a fork: for what a process has loaded, and how it starts.
    """

    def carry_out(*words: str, env: Mapping[str, str] | None = None, real: bool = False) -> Done:
        start: Callable[..., Process] = processes.start_python if real else processes.fork
        return start(*words, cwd=tmp_path, env=env).communicate()

    return carry_out


OWN = """
import torch
from gdbench.objectives import Objective
from gdbench.optimizers import Method, first_order
from gdbench.tree import per_run


def bowl(n: int = 2, steepness: float = 1.0) -> Objective:
    return Objective(fn=lambda x: steepness * (x**2).sum(), start=torch.ones(n, dtype=torch.float64), minimum=0.0)


def raises() -> Objective:
    def fn(x):
        raise ArithmeticError("no value\\nhere")

    return Objective(fn=fn, start=torch.ones(2, dtype=torch.float64))


def vector() -> Objective:
    return Objective(fn=lambda x: x**2, start=torch.ones(2, dtype=torch.float64))


def detached() -> Objective:
    return Objective(fn=lambda x: (x.detach() ** 2).sum(), start=torch.ones(2, dtype=torch.float64))


def number() -> Objective:
    return Objective(fn=lambda x: (x**2).sum().item(), start=torch.ones(2, dtype=torch.float64))


def broken() -> Objective:
    raise ArithmeticError("no objective here")


def sign(lr, factor=1.0, flip: bool = False) -> Method:
    return first_order(lambda x: (), lambda k, grad, state, x: (x - per_run(lr * factor, x) * torch.sign(grad), state))
"""
OBJECTIVES = ("bowl", "raises", "vector", "detached", "number", "broken")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of a user's own: a Python file, and the YAML files that name what is in it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_things", raising=False)
    folder = tmp_path / "own"
    for name in ("objective", "optimizer"):
        (folder / name).mkdir(parents=True)
    (folder / "own_things.py").write_text(OWN)
    for name in OBJECTIVES:
        (folder / "objective" / f"{name}.yaml").write_text(f"# My {name}\n_target_: own_things.{name}\n")
    with (folder / "objective" / "bowl.yaml").open("a") as file:
        file.write("n: 3\nsteepness: 1.0\n")
    (folder / "optimizer" / "sign.yaml").write_text(
        "# My sign descent\nmanual: {_target_: own_things.sign}\ntorch: null\n"
        "default_lr: 0.1\nfactor: 1.0\nflip: false\n"
    )
    yield folder
    sys.modules.pop("own_things", None)
