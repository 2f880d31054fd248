from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gdbench.results.environment_file import find_environment, read_environment, read_start_time
from gdbench.results.load import load
from gdbench.results.sweep_lookup import find_newest_sweep

RUN = ("objective=rosenbrock", "steps=2", "timing=off", "name=mine", "--quiet")


@pytest.fixture
def two(once: Callable[..., Path]) -> tuple[Path, Path]:
    """Two sweeps of one name in an hour that came twice: that with the lower name began later."""
    made = once(" ".join(RUN))
    first, second = (Path("outputs") / "2026-10-25" / f"{hour}_mine" for hour in ("02-59-59", "02-00-01"))
    for place, at in ((first, "2026-10-25T00:59:59+00:00"), (second, "2026-10-25T01:00:01+00:00")):
        shutil.copytree(made, place)
        held = read_environment(place / "environment.json")
        (place / "environment.json").write_text(json.dumps({**held, "at": at}))
    shutil.rmtree(made)
    return first, second


def test_the_newest_sweep_began_last(two: tuple[Path, Path], command: Callable[..., Any]) -> None:
    """What counts is the instant that was written down, not the name: for report, watch, and going on by name."""
    _, second = two

    assert find_newest_sweep(Path("outputs")) == second
    assert command("report", "--format", "md,html").out.startswith(str(second))
    assert second.name in command("sweeps", "watch", "--once").out
    assert str(second) in command("--dry-run", *RUN[:-1], "--json").out + command("--dry-run", *RUN[:-1]).out


def test_a_sweep_that_wrote_nothing_down_began_as_it_is_named(two: tuple[Path, Path]) -> None:
    """Without an environment.json the folder's name has to do; without that, the time of the folder."""
    first, second = two
    for place in two:
        (place / "environment.json").unlink()

    assert find_newest_sweep(Path("outputs")) == first
    nameless = second.rename(second.with_name("nameless"))
    assert abs(read_start_time(nameless)[0] - time.time()) < 600


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"at": 3}', '{"at": "soon"}', "\x00"])
def test_an_environment_that_says_nothing_costs_nothing(two: tuple[Path, Path], content: str) -> None:
    """A file that is cut off, or holds something else, is as if it were not there."""
    first, _ = two
    (first / "environment.json").write_text(content)

    assert isinstance(read_start_time(first)[0], float)
    assert isinstance(find_environment(first, load(first).iloc[0]), dict)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the time zone of this process."""

    def put(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield put
    monkeypatch.undo()
    time.tzset()


@pytest.mark.slow
def test_the_order_is_the_same_in_every_time_zone(command: Callable[..., Any], zone: Callable[[str], None]) -> None:
    """Of a sweep in Tokyo and a later one in Honolulu, whose folder is of the day before, the later is the newest."""
    for name in ("Asia/Tokyo", "Pacific/Honolulu"):
        zone(name)
        assert command(*RUN, f"name={name.rpartition('/')[2]}").code == 0

    assert find_newest_sweep(Path("outputs")).name.endswith("_Honolulu")
