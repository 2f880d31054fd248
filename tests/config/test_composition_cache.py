"""What was composed from shipped configurations serves the next sweep of a process, as long as it is the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl

import gdbench
from gdbench.config.compose import Composer, prepare_hydra, to_plain
from gdbench.config.composition_cache import MAX_ENTRIES, CompositionCache
from gdbench.config.config_folders import config_folder


@pytest.fixture
def compositions(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The overrides of each composition that Hydra makes."""
    made: list[Any] = []
    inner = ConfigLoaderImpl.load_configuration

    def load_configuration(loader: Any, name: Any, overrides: Any, *rest: Any, **options: Any) -> Any:
        made.append(list(overrides))
        return inner(loader, name, overrides, *rest, **options)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", load_configuration)
    return made


def test_a_second_sweep_of_the_same_groups_composes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compositions: list[Any]
) -> None:
    """Hydra composes once for a choice of groups, and what is asked beside it is that sweep's own."""
    monkeypatch.chdir(tmp_path)
    asked = {"optimizer": ["gd", "adam"], "timing": "off", "trace": "none", "steps": 2}
    first = gdbench.sweep("beale", lr=0.01, **asked)
    compositions.clear()
    second = gdbench.sweep("beale", lr=[0.02, 0.03], seed=4, **asked)
    third = gdbench.sweep("beale", lr=0.01, **asked)

    assert compositions == []
    assert second[["lr", "seed"]].to_numpy().tolist() == [[0.02, 4], [0.03, 4]] * 2
    assert third["run_id"].tolist() == first["run_id"].tolist()


def test_a_changed_file_is_composed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipped file that somebody edits while a process lives counts from its next sweep on."""
    conf = tmp_path / "conf"
    shutil.copytree(config_folder(), conf)
    monkeypatch.setattr("gdbench.config.compose.config_folder", lambda: conf)
    betas = []
    for text in ("", "beta1: 0.25\n"):
        file = conf / "optimizer" / "adam.yaml"
        file.write_text(file.read_text().replace("beta1: 0.9\n", text or "beta1: 0.9\n"))
        with prepare_hydra():
            betas.append(to_plain(Composer()(["optimizer=adam"]).config)["optimizer"]["beta1"])

    assert betas == [0.9, 0.25]


def test_a_file_of_the_users_is_composed_each_time(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folder of the user's own nothing is kept: each sweep has the values that stand there now."""
    monkeypatch.chdir(tmp_path)
    file = own / "objective" / "bowl.yaml"
    sizes = []
    for n in (3, 5):
        file.write_text(f"_target_: own_things.bowl\nn: {n}\nsteepness: 1.0\n")
        runs = gdbench.sweep("bowl", config_dir=own, steps=2, timing="off")
        sizes.append(int(runs["objective.n"].iloc[0]))

    assert sizes == [3, 5]


def test_the_number_of_kept_compositions_is_bounded() -> None:
    """The one that was not asked for the longest goes; what names Hydra's own settings is never kept."""
    kept = CompositionCache()
    for number in range(MAX_ENTRIES):
        kept.put((f"objective={number}",), number)
    assert kept.get(("objective=0",)) == 0
    kept.put(("objective=new",), "new")
    kept.put(("hydra.searchpath=[file:///mine]",), "mine")

    assert len(kept.bases) == MAX_ENTRIES
    assert kept.get(("objective=0",)) == 0
    assert kept.get(("objective=1",)) is None
    assert kept.get(("hydra.searchpath=[file:///mine]",)) is None
