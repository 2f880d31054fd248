"""Every tracker is the real one, read back through its own library."""

from __future__ import annotations

import json
import math
import shutil
import signal
import socket
import sqlite3
import struct
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.processes import Done, Process, Processes, Streams

import gdbench
from gdbench.errors import format_install_command
from gdbench.results.columns import is_setting
from gdbench.results.export import ExportFailed, export_sweep
from gdbench.results.export.build_payload import build_payload
from gdbench.results.export.payload import SweepPayload

BLOCK = 2**15
SERVER = ("mlflow", "flask", "flask_cors", "graphene", "aiohttp", "huey", "sqlalchemy", "alembic")
"""What ``mlflow server`` needs; mlflow-skinny brings the first alone."""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep of 40 runs, some of which diverge or are not finite."""
    lrs = [*(0.001 * 1.2**power for power in range(38)), 1.1, 1e300]
    outputs = tmp_path_factory.mktemp("trackers")
    runs = gdbench.run("notebook_manual", lr=lrs, steps=20, timing="off", outputs=str(outputs))
    assert set(runs["status"]) >= {"budget", "diverged", "nonfinite"}
    return Path(runs.attrs["folder"])


@pytest.fixture
def few(sweep: Path, tmp_path: Path) -> Path:
    """The folder of a sweep of three runs, in an empty working folder."""
    runs = gdbench.run("beale", lr=[1e-3, 1e-2, 10.0], steps=9, timing="off", outputs=str(tmp_path / "outputs"))
    return Path(runs.attrs["folder"])


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test calls home."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")


def finite(numbers: dict[str, float]) -> bool:
    """Whether a tracker can keep these as they are."""
    return all(map(math.isfinite, numbers.values()))


# ---------------------------------------------------------------------------------------------------------- reading


def test_a_run_is_told_whole(sweep: Path) -> None:
    """Every column of every run is a parameter, a finite metric or a tag; curves hold each recorded number."""
    told, runs, traces = build_payload(sweep), gdbench.load(sweep), gdbench.load(sweep, "traces")

    assert [run.tags["run_id"] for run in told.runs] == list(runs["run_id"])
    for run, (_, row) in zip(told.runs, runs.iterrows(), strict=True):
        known = {name: value for name, value in row.dropna().items() if value == value}
        assert set(known) == set(run.params) | set(run.metrics) | set(run.tags)
        assert set(run.params) == {name for name in known if is_setting(name)}
        assert finite(run.metrics)
    first = traces[traces["run_id"] == runs["run_id"][0]]
    assert [numbers["trace/loss"] for _, numbers in told.runs[0].curves.list_points()] == list(first["loss"])
    assert told.runs[-1].tags["status"] == "nonfinite"
    assert len({run.id for run in told.runs}) == len(runs)


def test_a_copied_folder_is_the_same_sweep(few: Path, tmp_path: Path) -> None:
    """A sweep keeps its identity wherever its folder lies, and the same question asked again is another run."""
    copy = shutil.copytree(few, tmp_path / "elsewhere" / "copy")
    again = gdbench.run("beale", lr=[1e-3, 1e-2, 10.0], steps=9, timing="off", outputs=str(tmp_path / "again"))
    ids = [{run.id for run in build_payload(Path(place)).runs} for place in (few, copy, again.attrs["folder"])]

    assert ids[0] == ids[1]
    assert not ids[0] & ids[2]


# ----------------------------------------------------------------------------------------------------------- MLflow


@pytest.fixture(scope="module")
def server(servers: Processes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real MLflow server on loopback."""
    if missing := [name for name in SERVER if not find_spec(name)]:
        pytest.skip(f"mlflow server needs {', '.join(missing)}: not installed")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--backend-store-uri", f"sqlite:///{folder}/s.db", "--artifacts-destination", str(folder / "artifacts")]
    words += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    spared = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = Streams(log=folder / "log")
    process = servers.start_python("-m", "mlflow", "server", *words, cwd=folder, env=spared, streams=log)
    _wait(f"http://127.0.0.1:{port}/health", process, folder / "log")
    return f"http://127.0.0.1:{port}"


def _wait(address: str, process: Process, log: Path) -> None:
    """Wait until a server answers, or has ended."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])


def held(server: str, sweep: SweepPayload) -> tuple[Any, dict[str, Any]]:
    """MLflow's client, and the runs that it gives of a sweep, by our id."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("gdbench").experiment_id
    found = client.search_runs([experiment], f"tags.`gdbench.sweep` = '{sweep.id}'", max_results=1000)
    by_id = {run.data.tags["gdbench.run"]: run for run in found}
    assert len(by_id) == len(found)
    return client, by_id


@pytest.mark.slow
def test_a_server_of_mlflow_gives_back_what_it_was_sent(server: str, sweep: Path) -> None:
    """40 runs have the same parameters, metrics, curves and statuses there; a second time adds nothing."""
    told = build_payload(sweep)
    sent = export_sweep("mlflow", sweep, server)
    client, found = held(server, told)
    parent = found.pop(told.id)

    experiment = client.get_experiment_by_name("gdbench").experiment_id
    assert (sent.added, sent.already_present) == (40, 0)
    assert sent.view_hint == f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning"
    assert set(found) == {run.id for run in told.runs}
    for run in told.runs:
        data = found[run.id].data
        assert data.params == {name: str(value) for name, value in run.params.items()}
        assert {name: data.metrics[name] for name in run.metrics} == run.metrics
        assert data.tags["status"] == run.tags["status"]
        assert data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert found[run.id].info.status == "FINISHED"
    for run in (told.runs[0], told.runs[-2], told.runs[-1]):
        history = client.get_metric_history(found[run.id].info.run_id, "trace/loss")
        points = [
            (step, numbers["trace/loss"]) for step, numbers in run.curves.list_points() if "trace/loss" in numbers
        ]
        assert [(point.step, point.value) for point in history] == points
    assert parent.info.status == "FINISHED"
    kind = client.get_experiment_by_name("gdbench").tags["mlflow.experimentKind"]
    assert kind == "custom_model_development", "or the page opens on the traces of language models"
    assert {"environment.json", "runs.parquet"} <= {each.path for each in client.list_artifacts(parent.info.run_id)}

    again = export_sweep("mlflow", sweep, server)
    assert (again.added, again.already_present) == (0, 40)
    assert len(held(server, told)[1]) == 41


@pytest.mark.slow
def test_an_interrupted_export_goes_on(server: str, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was whole stays, what was not is sent again, and what was missing comes."""
    import gdbench.results.export.mlflow as adapter

    told, real = build_payload(few), adapter.MlflowClient.set_terminated

    def cut(self: Any, run_id: str, *rest: Any) -> None:
        """End one run, and be interrupted at the next."""
        if stopped:
            raise KeyboardInterrupt
        stopped.append(run_id)
        real(self, run_id, *rest)

    stopped: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(adapter.MlflowClient, "set_terminated", cut)
        patched.setattr(adapter, "WORKERS", 1)
        with pytest.raises(KeyboardInterrupt):
            export_sweep("mlflow", few, server)
    assert [run.info.status for run in held(server, told)[1].values()].count("RUNNING") >= 2

    sent = export_sweep("mlflow", few, server)
    _, found = held(server, told)
    assert (sent.added, sent.already_present) == (2, 1)
    assert set(found) == {told.id, *(run.id for run in told.runs)}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert all(len(found[run.id].data.params) == len(run.params) for run in told.runs)


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("mlflow"), reason="mlflow is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, of SQLAlchemy
@pytest.mark.parametrize(("owner", "kept"), [("new", "wal"), ("old", "delete")])
def test_a_store_that_is_a_file_keeps_the_journal_it_has(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, kept: str
) -> None:
    """A new file of MLflow's writes ahead and holds all runs by itself; one that its owner made otherwise stays so."""
    monkeypatch.chdir(tmp_path)  # where MLflow makes the folder of its artifacts
    file = tmp_path / "runs.db"
    if owner == "old":
        file.touch()
    sent = export_sweep("mlflow", few, f"sqlite:///{file}")
    again = export_sweep("mlflow", few, f"sqlite:///{file}")
    alone = shutil.copy(file, tmp_path / "copy.db")

    assert (sent.added, again.added, again.already_present) == (3, 0, 3)
    assert len(held(f"sqlite:///{alone}", build_payload(few))[1]) == 4
    assert journal(file) == kept


def journal(file: Path) -> str:
    """How a SQLite file is written."""
    with closing(sqlite3.connect(file)) as opened:
        return str(opened.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, of SQLAlchemy
@pytest.mark.parametrize(
    "count", [pytest.param(1, marks=pytest.mark.campaign), 10, pytest.param(60, marks=pytest.mark.campaign), 200]
)
def test_a_first_export_to_mlflow_that_is_killed_can_be_repeated(
    few: Path, command: Callable[..., Any], shell: Callable[..., Done], count: int
) -> None:
    """An export that is killed at its n-th statement of SQL leaves no store or a whole one, and another one goes on."""
    script = (
        "import os, signal, sys\n"
        "from sqlalchemy import Engine, event\n"
        "left = [int(sys.argv[1])]\n"
        "def kill(*_):\n"
        "    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "event.listen(Engine, 'before_cursor_execute', kill)\n"
        "from pathlib import Path\n"
        "from gdbench.results.export import export_sweep\n"
        "export_sweep('mlflow', Path(sys.argv[2]), 'sqlite:///made.db')\n"
    )
    assert shell("-c", script, str(count), str(few)).code == -signal.SIGKILL
    done = command("export", "mlflow", str(few), "--uri", "sqlite:///made.db")
    assert done.code == 0, done.err
    assert ": 3 runs added" in done.out or count == 200


def test_passwords_of_an_address_are_not_shown(few: Path, command: Callable[..., Any]) -> None:
    """What an export says hides the password and the token of an address, in the command that repeats it as well."""
    done = command("export", "mlflow", str(few), "--uri", "http://me:s3cret@127.0.0.1:9/?token=abc123")
    assert done.code == 2
    assert "s3cret" not in done.err
    assert "abc123" not in done.err
    assert done.err.count("me:***@127.0.0.1:9") == 2


@pytest.mark.slow
def test_trackio_that_cannot_write_is_no_success(few: Path, shell: Callable[..., Done], tmp_path: Path) -> None:
    """An export to a place where Trackio cannot keep it fails in one line, and counts no runs as added."""
    place = tmp_path / "file"
    place.write_text("no folder")
    done = shell("-m", "gdbench", "export", "trackio", str(few), "--uri", str(place / "below"))
    assert done.code == 2, done
    assert done.err.count("\n") == 1, done.err
    assert "trackio did not take" in done.err


@pytest.mark.skipif(not find_spec("mlflow"), reason="mlflow is not installed")
def test_a_server_that_is_down_costs_a_line(
    command: Callable[..., Any], few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``export`` fails with one line and the command to try again; at the end of a sweep that is a warning."""
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        export = command("export", "mlflow", str(few), "--uri", address)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with warnings.catch_warnings():
            warnings.simplefilter("default", ExportFailed)
            swept = command("lr=0.1", "timing=off", "tracker=mlflow", "--quiet", "outputs=mine")

    (folder,) = Path("mine").glob("*/*")
    assert (export.code, swept.code) == (2, 0)
    assert (export.err.count("\n"), swept.err.count("\n")) == (1, 1)
    assert f"{address} does not answer" in export.err
    assert f"Try again with: python -m gdbench export mlflow {few} --uri {address}" in export.err
    assert swept.err.rstrip().endswith(f"Try again with: python -m gdbench export mlflow {folder}")
    assert len(gdbench.load("mine")) == 1


# ------------------------------------------------------------------------------------------------------- the others


def logged(content: bytes) -> Iterator[bytes]:
    """The records of a .wandb file: seven bytes, then LevelDB's log of blocks, in which a long record has parts.

    wandb has its own reader in Go; what the records hold is read by its protobuf classes.
    """
    assert content[:4] == b":W&B"
    place, parts = 7, []
    while place + 7 <= len(content):
        left = BLOCK - place % BLOCK
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts.append(content[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


@pytest.fixture
def service() -> Iterator[None]:
    """Ends the process that W&B keeps for as long as the one that exports."""
    yield
    import wandb

    wandb.teardown()


@pytest.mark.slow
@pytest.mark.usefixtures("service")
def test_weights_and_biases_files_read_back_equal(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline files hold configuration, curves and summary of each run; a second time writes none."""
    pytest.importorskip("wandb", reason="wandb is not installed")
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.chdir(few.parent)
    monkeypatch.setenv("WANDB_SILENT", "true")
    told = build_payload(few)
    assert export_sweep("wandb", few).added == 3
    assert export_sweep("wandb", few)[:2] == (0, 3)
    for run in told.runs:
        (file,) = Path("wandb").glob(f"offline-run-*-{run.id}/*.wandb")
        records = [Record.FromString(each) for each in logged(file.read_bytes())]
        config = {
            each.key: json.loads(each.value_json)
            for record in records
            if record.WhichOneof("record_type") == "run"
            for each in record.run.config.update
        }
        history = [
            {each.key or each.nested_key[0]: json.loads(each.value_json) for each in record.history.item}
            for record in records
            if record.WhichOneof("record_type") == "history"
        ]
        summary = {
            each.key or each.nested_key[0]: json.loads(each.value_json)
            for record in records
            if record.WhichOneof("record_type") == "summary"
            for each in record.summary.update
        }
        assert {name: config[name] for name in run.params} == run.params
        assert {name: summary[name] for name in run.metrics} == run.metrics
        assert [
            (each["_step"], {name: each[name] for name in each if name.startswith("trace/")}) for each in history
        ] == run.curves.list_points()


def test_tensorboards_event_files_read_back_equal(few: Path, tmp_path: Path) -> None:
    """Curves and numbers come back in float32, hyper-parameters with every digit; a second time adds nothing."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2
    from tensorboard.util.tensor_util import make_ndarray

    told, logs = build_payload(few), tmp_path / "logs"
    assert export_sweep("tensorboard", few, str(logs)).added == 3
    assert export_sweep("tensorboard", few, str(logs))[:2] == (0, 3)
    assert not list(logs.glob(".making*"))
    for run in told.runs:
        (folder,) = logs.glob(f"*/*_{run.id}")
        events = EventAccumulator(str(folder))
        events.Reload()
        read_back = {
            name: [(each.step, make_ndarray(each.tensor_proto).item()) for each in events.Tensors(name)]
            for name in (*run.metrics, "trace/gap")
        }
        assert {name: read_back[name] for name in run.metrics} == {
            name: [(0, float32(run.metrics[name]))] for name in run.metrics
        }
        points = [(step, numbers["trace/gap"]) for step, numbers in run.curves.list_points() if "trace/gap" in numbers]
        assert read_back["trace/gap"] == [(step, float32(gap)) for step, gap in points]
        assert all(tensor.dtype == DT_FLOAT for name in read_back for tensor in tensors_of(events, name)), "or dropped"
        content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        kept = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
        assert kept["lr"].number_value == run.params["lr"]
        assert kept["status"].string_value == run.tags["status"]


def float32(number: float) -> float:
    """The nearest number that float32 holds."""
    return struct.unpack("f", struct.pack("f", number))[0]


DT_FLOAT = 1
"""TensorFlow's number for float32, the only kind of scalar that TensorBoard's fast loader shows."""


def tensors_of(events: Any, name: str) -> list[Any]:
    """The protocol buffers of a scalar's points."""
    return [point.tensor_proto for point in events.Tensors(name)]


@pytest.mark.slow
def test_tensorboards_own_server_shows_every_metric(
    processes: Processes, sweep: Path, few: Path, tmp_path: Path
) -> None:
    """What `tensorboard --logdir` serves to its page holds every finite metric and curve of every run."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    logs = tmp_path / "logs"
    for folder in (sweep, few):
        export_sweep("tensorboard", folder, str(logs))
    runs = [*build_payload(sweep).runs, *build_payload(few).runs]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--logdir", str(logs), "--host", "127.0.0.1", "--port", str(port)]
    log = Streams(log=tmp_path / "log")
    process = processes.start_python("-m", "tensorboard.main", *words, cwd=tmp_path, streams=log)
    address = f"http://127.0.0.1:{port}/data/plugin/scalars/tags"
    _wait(address, process, tmp_path / "log")
    tags = _tags_of(address, len(runs))
    shown = {run_id: names for path, names in tags.items() for run_id in [path.rpartition("_")[2]]}
    for run in runs:
        curves = {name for _, numbers in run.curves.list_points() for name in numbers}
        drawable = {name for name, value in run.metrics.items() if abs(value) < 3e38}
        assert drawable | {name for name in curves if run.tags["status"] != "nonfinite"} <= set(shown[run.id])


def _tags_of(address: str, runs: int) -> dict[str, Any]:
    """The scalars of each run, once the server has read all of them."""
    for _ in range(300):
        with urllib.request.urlopen(address, timeout=30) as answer:
            tags: dict[str, Any] = json.load(answer)
        if len(tags) >= runs:
            return tags
        time.sleep(0.2)
    raise AssertionError(f"{len(tags)} of {runs} runs are shown")


@pytest.mark.slow
def test_trackios_store_reads_back_equal(few: Path, tmp_path: Path) -> None:
    """The store holds configuration, curves and numbers of each run; a second time adds nothing."""
    told, place = build_payload(few), tmp_path / "trackio"
    assert export_sweep("trackio", few, str(place)).added == 3
    assert export_sweep("trackio", few, str(place))[:2] == (0, 3)
    from trackio import context_vars
    from trackio.sqlite_storage import SQLiteStorage  # it reads once, when it is imported, where its store is

    assert context_vars.current_run.get() is None, "it would print a line when this process ends"
    for run in told.runs:
        logs = SQLiteStorage.get_logs("gdbench", f"{run.name} {run.id}")
        config = SQLiteStorage.get_run_config("gdbench", f"{run.name} {run.id}")
        *curve, end = logs
        assert [(each["step"], {name: each[name] for name in each if name.startswith("trace/")}) for each in curve] == [
            *run.curves.list_points()
        ]
        assert {name: end[name] for name in run.metrics} == run.metrics
        assert {name: config[name] for name in run.params} == run.params


# ---------------------------------------------------------------------------------------------------------- the rim


@pytest.mark.skipif(not find_spec("tensorboard"), reason="tensorboard is not installed")
def test_an_export_that_is_interrupted_says_how_to_go_on(
    command: Callable[..., Any], few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends with code 130 and one line that holds the command, which then makes up for it."""
    with monkeypatch.context() as patched:
        patched.setattr("gdbench.results.export.tensorboard.hparams", cut_off)
        done = command("export", "tensorboard", str(few))
    again = f"python -m gdbench export tensorboard {few}"

    assert (done.code, done.out) == (130, "")
    assert done.err == f"gdbench: interrupted. What tensorboard has taken stays. Try again with: {again}\n"
    assert command(*again.split()[3:]).code == 0


def cut_off(*args: Any, **others: Any) -> None:
    """Somebody presses Ctrl-C."""
    raise KeyboardInterrupt


@pytest.mark.skipif(not find_spec("tensorboard"), reason="tensorboard is not installed")
def test_a_sweep_may_end_in_trackers(command: Callable[..., Any]) -> None:
    """``tracker=`` sends each sweep when it has ended; commas are several trackers there, and no runs."""
    done = command("-m", "lr=0.1,0.2", "timing=off", "tracker=tensorboard,tensorboard", "--quiet")

    assert (done.code, done.err) == (0, "")
    assert len(gdbench.load()) == 2
    assert len(list(Path("outputs/tensorboard").glob("*/*"))) == 2


def test_mistakes_are_told_before_anything_runs(
    command: Callable[..., Any], few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracker that is not known or not installed, and a folder of no or several sweeps, cost one line each."""
    unknown = [command("export", "mlflo", str(few)), command("lr=0.1", "tracker=mlflo", "outputs=none")]
    monkeypatch.setattr("gdbench.results.export.find_spec", lambda name: None)
    absent = [command("export", "wandb", str(few)), command("lr=0.1", "tracker=[wandb]", "outputs=none")]
    monkeypatch.undo()

    for done, place in zip(unknown, ("export mlflo", "tracker=mlflo"), strict=True):
        assert f"{place} is not known. Did you mean mlflow? Allowed: mlflow, wandb, " in done.err
    assert all(each.err.endswith(f"wandb is not installed: {format_install_command('wandb')}\n") for each in absent)
    assert {each.code for each in (*unknown, *absent)} == {2}
    assert {each.err.count("\n") for each in (*unknown, *absent)} == {1}
    assert not Path("none").exists()


@pytest.mark.skipif(not find_spec("tensorboard"), reason="tensorboard is not installed")
def test_export_tells_of_folders_that_are_no_sweep(command: Callable[..., Any], few: Path) -> None:
    """What is no sweep, or many of them, is refused in one line."""
    refused = [command("export", "tensorboard", str(place)) for place in ("nowhere", few.parents[1])]

    assert [each.code for each in refused] == [2, 2]
    assert all("is no sweep of outputs." in each.err for each in refused)
    assert {each.err.count("\n") for each in refused} == {1}
