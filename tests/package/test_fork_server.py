"""A fork is what a real start of Python is: what it prints, how it ends, and what it begins with."""

from __future__ import annotations

import ast
import os
import re
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.processes import LIMIT, ROOT, Done, Processes

ENDS = {
    "nothing": ("pass", Done(0, "", "")),
    "unflushed": ("print('x', end='')", Done(0, "x", "")),
    "code": ("import sys; sys.exit(300)", Done(44, "", "")),
    "words": ("import sys; sys.exit('so')", Done(1, "", "so\n")),
    "at once": ("import os; print('lost'); os._exit(3)", Done(3, "", "")),
    "at exit": ("import atexit; atexit.register(print, 'last'); print('first')", Done(0, "first\nlast\n", "")),
    "no reader": ("import os; os.close(1); os.open('/dev/full', os.O_WRONLY); print('x')",
        Done(
            120,
            "",
            "Exception ignored in: <_io.TextIOWrapper name='<stdout>' mode='w' encoding='utf-8'>\n"
            "OSError: [Errno 28] No space left on device\n",
        ),
    ),
    "a thread": (
        "import threading, time; threading.Thread(target=lambda: print('late')).start()",
        Done(0, "late\n", ""),
    ),
    "an error": (
        "def f():\n    raise ValueError('no')\ntry:\n    1 / 0\nfinally:\n    f()",
        Done(
            1,
            "",
            'Traceback (most recent call last):\n  File "<string>", line 4, in <module>\n'
            "ZeroDivisionError: division by zero\n\n"
            "During handling of the above exception, another exception occurred:\n\n"
            'Traceback (most recent call last):\n  File "<string>", line 6, in <module>\n'
            '  File "<string>", line 2, in f\nValueError: no\n',
        ),
    ),
    "a hook": (
        "import sys; sys.excepthook = lambda *given: print(given[0].__name__, given[2].tb_frame.f_code.co_name)\n1 / 0",
        Done(1, "ZeroDivisionError <module>\n", ""),
    ),
    "an error at exit": (
        "import atexit; atexit.register(lambda: 1 / 0); print('x')",
        Done(
            0,
            "x\n",
            'Exception ignored in atexit callback: <function <lambda> at 0x>\nTraceback (most recent call last):\n'
            '  File "<string>", line 1, in <lambda>\nZeroDivisionError: division by zero\n',
        ),
    ),
    "interrupted": (
        "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
        Done(
            -2,
            "",
            'Traceback (most recent call last):\n  File "<string>", line 1, in <module>\nKeyboardInterrupt\n',
        ),
    ),
    "terminated": ("import os; print('lost'); os.kill(os.getpid(), 15)", Done(-15, "", "")),
    "killed": ("import os; print('lost'); os.kill(os.getpid(), 9)", Done(-9, "", "")),
}  # fmt: skip
"""By its way to end a program, and what a shell sees of it."""

STATE = """
import os, signal, sys
print(sys.argv, sys.orig_argv[1:], sys.path, sys.flags, sys.warnoptions, os.getcwd())
print(__name__, sorted(globals()), type(__loader__).__name__, sys.modules["__main__"].__dict__ is globals())
for stream in (sys.stdin, sys.stdout, sys.stderr):
    print(stream, stream.errors, stream.newlines, stream.line_buffering, stream.write_through, stream.isatty())
    print(getattr(stream.buffer, "raw", stream.buffer))
print({number.name: signal.getsignal(number) for number in signal.Signals}, signal.pthread_sigmask(0, ()))
print(sorted(os.environ.items()), sorted(os.listdir("/proc/self/fd")), os.getsid(0) == os.getpid())
import torch
print(torch.get_num_threads(), torch.get_num_interop_threads(), torch.get_default_dtype())
print(sys.getrecursionlimit(), sys.getswitchinterval(), sys.gettrace(), sys.excepthook is sys.__excepthook__)
"""
"""Prints what a program begins with."""

DRAWS = "import random, numpy, torch; print(random.random(), numpy.random.random(), torch.initial_seed())"

SPOILS = """
import os, random, sys, torch, gdbench.cli.main
os.environ["SPOILED"] = "1"
sys.path.append("spoiled")
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
gdbench.cli.main.main(["objective=rosenbrock", "steps=3", "timing=off", "--quiet"])
gdbench.cli.main.main = None
os.chdir("/")
"""


@pytest.fixture
def fork_server(fork_server: Processes) -> Iterator[Processes]:
    """The worker's server, of which a test that failed leaves no process to the next one."""
    yield fork_server
    fork_server.end_all()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Processes]:
    """A server beside the one of this worker."""
    server = Processes(tmp_path / "server.log")
    yield server
    server.close()


def without_addresses(done: Done) -> Done:
    """The same without what differs from process to process."""
    return Done(done.code, *(re.sub(r"(?<=0x)[0-9a-f]+", "", text) for text in done[1:]))


def test_a_fork_ends_as_a_shell_sees_a_program_end(shell: Callable[..., Done]) -> None:
    """Exit code and output are those of a real start, for each way in which a program can end."""
    ends = {way: without_addresses(shell("-c", code)) for way, (code, _) in ENDS.items()}

    assert ends == {way: end for way, (_, end) in ENDS.items()}


@pytest.mark.slow
def test_a_real_start_ends_in_the_same_way(shell: Callable[..., Done]) -> None:
    """What the forks are held to is what Python itself does."""
    ends = {way: without_addresses(shell("-c", code, real=True)) for way, (code, _) in ENDS.items()}

    assert ends == {way: end for way, (_, end) in ENDS.items()}


@pytest.mark.slow
def test_a_fork_begins_with_what_a_real_start_begins_with(shell: Callable[..., Done], tmp_path: Path) -> None:
    """Arguments, path, flags, streams, signals, environment, descriptors and torch's settings are the same."""
    (tmp_path / "state.py").write_text(STATE)
    for words in (("-c", STATE, "a", "-m"), ("state.py", "a", "-c"), ("-m", "state", "b")):
        real, fork = (shell(*words, env={"OWN": "x y"}, real=real) for real in (True, False))

        assert real.code == 0, real.err
        assert without_addresses(fork).out.splitlines() == without_addresses(real).out.splitlines()
        assert fork.err == real.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "-m gdbench --version",
        "-m gdbench list optimizers",
        "-m gdbench optimizer=adm",
        "-m gdbench lr=0.1 --cfg job",
        "-m gdbench -m optimizer=gd,adam lr=0.1,0.2 steps=20 timing=off name=same",
        "-m gdbench -m optimizer=gd,lbfgs impl=manual,torch lr=0.1 steps=20 timing=off --json",
        "-m gdbench show nothing",
    ],
)
def test_a_command_is_the_same_by_a_fork_and_by_a_real_start(processes: Processes, tmp_path: Path, line: str) -> None:
    """Exit code, output and errors are equal, but for times, and what has been run in other forks changes nothing."""
    ends = []
    for start in (processes.start_python, processes.fork):
        place = tmp_path / start.__name__ / "work"
        place.mkdir(parents=True)
        code, *texts = start(*line.split(), cwd=place).communicate()
        ends.append((code, *(without_times(text) for text in texts)))

    assert ends[0] == ends[1]


def without_times(text: str) -> str:
    """A text without dates, times of day and speeds."""
    text = re.sub(r"\d{4}-\d\d-\d\d[T/ ]\d\d[-:]\d\d[-:]\d\d(\.\d+)?\S*", "WHEN", text)
    text = re.sub(r'("\w+_s": )[\d.e-]+', r"\1SECONDS", text)
    text = re.sub(r'("process": )"\w+"', r"\1PROCESS", text)
    return re.sub(r"\S+ lane-steps/s", "PACE", text)


def test_a_fork_inherits_nothing_from_another_fork(shell: Callable[..., Done], tmp_path: Path) -> None:
    """What one has set, imported, run or replaced is not there in the next; each draws numbers of its own."""
    fresh = "import os, sys, torch, gdbench.cli.main; "
    fresh += "print(gdbench.cli.main.main is None, 'spoiled' in sys.path, os.getcwd(), "
    fresh += "torch.get_default_dtype(), os.environ.get('SPOILED'), 'gdbench.objectives.classical' in sys.modules)"
    before = shell("-c", fresh)
    spoiled = shell("-c", SPOILS)

    assert spoiled == (0, "", "")
    assert shell("-c", fresh) == before == (0, f"False False {tmp_path} torch.float32 None False\n", "")
    assert len({word for _ in range(2) for word in shell("-c", DRAWS).out.split()}) == 6


def test_the_server_runs_no_tensor_operation(processes: Processes, tmp_path: Path) -> None:
    """It has one thread, but for those of allocators: no pool that a fork would lack."""
    assert processes.fork("-c", "pass", cwd=tmp_path).communicate().code == 0
    described = processes.ask("describe")

    assert described["imported"]
    assert [name for name in described["threads"] if name != "jemalloc_bg_thd"][1:] == []


@pytest.mark.parametrize("name", ["PYTHONHASHSEED", "OMP_NUM_THREADS", "LC_ALL"])
def test_what_is_read_when_python_starts_needs_a_real_start(processes: Processes, tmp_path: Path, name: str) -> None:
    """A fork that could not honour a variable is refused."""
    with pytest.raises(AssertionError, match=f"^{name}: read when Python or a library starts"):
        processes.fork("-c", "pass", cwd=tmp_path, env={name: "7"})


# ---------------------------------------------------------------------------------------------------------- signals


def test_sigint_has_its_default_where_the_suite_ignores_it(other: Processes, tmp_path: Path) -> None:
    """Started in the background by a shell that ignores SIGINT, forks and real programs can still be interrupted."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sleeps = other.start("sleep", "1000", cwd=tmp_path)
        waits = other.start_python("-S", "-c", "import signal; print('on', flush=True); signal.pause()", cwd=tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert waits.read_line("out") == "on\n"
    for process in (sleeps, waits):
        assert process.send_signal(signal.SIGINT)

    assert [sleeps.wait(), waits.wait()] == [-signal.SIGINT, -signal.SIGINT]
    assert not sleeps.send_signal(signal.SIGINT), "its id may be another's by now"


def test_a_fork_can_be_interrupted_and_terminated(processes: Processes, tmp_path: Path) -> None:
    """Signals from outside do what they do to a program that a terminal has started."""
    code = "import signal, sys; print('on', flush=True); signal.pause()"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        process = processes.fork("-c", code, cwd=tmp_path)
        assert process.read_line("out") == "on\n"
        process.send_signal(number, group=True)

        assert process.wait() == -number


# ------------------------------------------------------------------------------------------------------------- ends


def test_what_a_process_leaves_is_found_and_ended(fork_server: Processes, tmp_path: Path) -> None:
    """A child that has left session and parent is a stray of its test; one whose parent lives is not told of."""
    fork_server.start("sh", "-c", "setsid sleep 1000 & exec true", cwd=tmp_path).wait()
    lives = fork_server.start("sh", "-c", "sleep 2000 & echo on; wait", cwd=tmp_path)
    assert lives.read_line("out") == "on\n"

    while "sleep 2000" not in (lines := fork_server.wait_for_all(0)):  # a shell's child is a shell before it is sleep
        time.sleep(0.01)
    assert sorted(line for line in lines if "sleep" in line) == [
        "sh -c sleep 2000 & echo on; wait", "sleep 1000", "sleep 2000",
    ]  # fmt: skip
    assert fork_server.end_all() == ["sleep 1000"]
    assert fork_server.wait_for_all(0) == []
    assert lives.wait() == -signal.SIGKILL


CLIENT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from support.processes import Processes
place = Path(sys.argv[2])
server = Processes(place / "server.log")
server.start("sh", "-c", "setsid sleep 1000 & sleep 2000", cwd=place)
holder = os.fork()  # has the socket too
if holder:
    print(server.server.pid, flush=True)
signal.pause()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for the end of a process that is not its child")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_with_its_client(fork_server: Processes, tmp_path: Path, number: signal.Signals) -> None:
    """However its client ends, also when a fork of it still has the socket, the server goes, with all below it."""
    client = fork_server.start_python("-c", CLIENT, str(ROOT / "tests"), str(tmp_path), cwd=tmp_path)
    server = os.pidfd_open(int(client.read_line("out")))
    client.send_signal(number)

    assert client.wait() == -number
    assert select.select([server], [], [], LIMIT)[0]
    assert not [line for line in fork_server.wait_for_all(0) if line.startswith("sleep")]
    os.close(server)
    assert len(fork_server.end_all()) == 1, "the fork with the socket"


def is_sleep(node: ast.AST) -> bool:
    """Whether this is a call of ``time.sleep``."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")


def test_no_test_waits_for_a_time() -> None:
    """A test sleeps within a loop alone, which looks for the event that it waits for."""
    for file in Path(__file__).parent.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        polling = {id(inner) for loop in nodes if isinstance(loop, ast.For | ast.While) for inner in ast.walk(loop)}
        assert [node.lineno for node in nodes if is_sleep(node) and id(node) not in polling] == [], file
