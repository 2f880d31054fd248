"""The Python API from several threads at once, and inside of apps that use Hydra themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobRuntime
from hydra.version import getbase
from omegaconf import OmegaConf

import gdbench

pytestmark = pytest.mark.usefixtures("own_folder")


def ask(number: int, **settings: Any) -> pd.DataFrame:
    """A sweep that no other number asks for."""
    lrs = [0.01 * (number + 1), 0.001 * (number + 1)]
    settings |= {"optimizer": ["gd", "adam"], "lr": lrs, "steps": number + 2, "timing": "off"}
    return gdbench.sweep(["notebook_square", "beale"][number % 2], **settings)


def is_answer(runs: pd.DataFrame, number: int) -> bool:
    """Whether a table is the one that was asked for."""
    return (
        len(runs) == 4
        and runs["steps"].unique().tolist() == [number + 2]
        and runs["objective"].unique().tolist() == [["notebook_square", "beale"][number % 2]]
        and runs["lr"].tolist() == [0.01 * (number + 1), 0.001 * (number + 1)] * 2
    )


def in_threads(count: int, threads: int, call: Callable[[int], Any]) -> list[Any]:
    """The answers of calls that start together."""
    start = threading.Barrier(threads)

    def begin() -> None:
        start.wait()

    with ThreadPoolExecutor(threads, initializer=begin) as pool:
        return list(pool.map(call, range(count)))


@pytest.mark.slow
def test_eight_sweeps_over_four_threads_each_return_their_own_table() -> None:
    """Each call has the table that it asked for, in a folder of its own, and torch's threads are as they were."""
    threads = torch.get_num_threads()
    tables = in_threads(8, 4, ask)

    assert [is_answer(runs, number) for number, runs in enumerate(tables)] == [True] * 8
    assert len({runs.attrs["folder"] for runs in tables}) == 8
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("calls", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_each_call_of_two_threads_returns_its_own_table(calls: int) -> None:
    """Of two threads with as many sweeps each, every call returns the table that it asked for."""
    tables = in_threads(2 * calls, 2, ask)

    assert [is_answer(runs, number) for number, runs in enumerate(tables)] == [True] * (2 * calls)


def test_tune_run_load_resume_and_refusals_go_on_side_by_side(tmp_path: Path) -> None:
    """Whatever is called in the other threads, a call returns its own, and its own refusal."""
    begun = ask(3, outputs=tmp_path / "begun")

    def call(number: int) -> Any:
        match number % 5:
            case 0:
                winners = gdbench.tune("notebook_square", optimizer="gd", steps=20 + number, points=3, trials=5)
                return winners["steps"].tolist() == [20 + number]
            case 1:
                return gdbench.run(lr=0.1 + number, steps=1, timing="off")["lr"].tolist() == [0.1 + number]
            case 2:
                return is_answer(gdbench.load(begun.attrs["folder"]), 3)
            case 3:
                return is_answer(gdbench.sweep(resume=begun.attrs["folder"]), 3)
            case _:
                with pytest.raises(gdbench.UsageError, match=f"steps=-{number} must"):
                    gdbench.run(steps=-number, timing="off")
                return True

    results = []
    for number, result in enumerate(in_threads(10, 3, lambda number: outcome(call, number))):
        if number % 5 == 3 and isinstance(result, gdbench.UsageError):  # two threads, one folder: one of them waits
            assert "is being written by another gdbench" in str(result)
        else:
            results.append(result)

    assert results == [True] * len(results)


def outcome(call: Callable[[int], Any], number: int) -> Any:
    """What a call returns, or the refusal that it raises."""
    try:
        return call(number)
    except gdbench.UsageError as refusal:
        return refusal


def test_an_objective_may_run_a_sweep_of_its_own() -> None:
    """Cells of a process take turns, but for those that a cell itself asks for."""
    inner: list[float] = []

    def nested(x: torch.Tensor) -> torch.Tensor:
        if not inner:
            inner.append(0.0)
            inner[0] = float(gdbench.run(lr=0.1, steps=1, timing="off")["final_loss"][0])
        return (x**2).sum()

    assert gdbench.run(nested, x0=[1.0], steps=2, timing="off")["status"].tolist() == ["budget"]
    assert inner[0] > 0


def test_sweeps_run_from_an_event_loop() -> None:
    """asyncio.to_thread carries several sweeps, as a notebook's cell or a server does."""

    async def gather() -> list[pd.DataFrame]:
        return list(await asyncio.gather(*(asyncio.to_thread(ask, number) for number in range(4))))

    assert [is_answer(runs, number) for number, runs in enumerate(asyncio.run(gather()))] == [True] * 4


def test_an_app_around_us_keeps_all_that_is_its_own(tmp_path: Path) -> None:
    """Hydra, version base, job name, store, resolvers and folder of the app are never ours, not for a moment."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "mine.yaml").write_text("defaults:\n  - schema\n  - _self_\nspan: ${logspace:1,2}\n")
    OmegaConf.register_new_resolver("logspace", lambda low, high: f"theirs {low} {high}", replace=True)
    ConfigStore.instance().store("schema", {"theirs": True})
    try:
        with initialize_config_dir(str(tmp_path / "app"), job_name="theirs", version_base="1.2"):
            hydra, base = GlobalHydra.instance().hydra, getbase()
            seen: list[bool] = []
            done = threading.Event()

            def look() -> None:
                while not done.is_set():
                    seen.append(GlobalHydra.instance().hydra is hydra and JobRuntime.instance().get("name") == "theirs")

            watcher = threading.Thread(target=look)
            watcher.start()
            try:
                runs = gdbench.run(lr="${logspace:-1,0,2}", steps=1, timing="off")
            finally:
                done.set()
                watcher.join()

            assert runs["lr"].tolist() == [0.1, 1.0]
            assert all(seen)
            assert getbase() == base
            assert OmegaConf.to_container(compose("mine"), resolve=True) == {"theirs": True, "span": "theirs 1 2"}
    finally:
        OmegaConf.clear_resolver("logspace")
        ConfigStore.instance().repo.pop("schema.yaml")
