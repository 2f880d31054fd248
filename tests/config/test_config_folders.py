"""Options of a user's own that have the name of one of gdbench's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gdbench
from gdbench.config.schema import GROUPS

SHIPPED = {"objective": "rosenbrock", "optimizer": "gd", "timing": "quick", "experiment": "gd_rate"}


@pytest.mark.parametrize("group", [*GROUPS, "experiment"])
def test_an_option_with_a_shipped_name_is_refused(command: Callable[..., Any], tmp_path: Path, group: str) -> None:
    """A file of one's own that gdbench would pass by for its own is named in one line, wherever the folder is given."""
    name = SHIPPED.get(group) or {"schedule": "cosine", "clip": "norm", "noise": "gaussian", "average": "ema"}[group]
    file = tmp_path / "mine" / group / f"{name}.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("lr: 0.1\n")
    line = f"{file}: gdbench ships {group}={name}, which would be taken instead; give yours another name."

    for words in (
        ["lr=0.1"],
        ["-m", "lr=0.1,0.2"],
        ["--dry-run", "lr=0.1"],
        ["list", "optimizers"],
        ["tune", "steps=5"],
    ):
        place = ["--config-dir", str(tmp_path / "mine")]
        done = command(*words, *place)
        assert (done.code, done.out, done.err) == (2, "", f"gdbench: {line}\n"), words
    with pytest.raises(gdbench.UsageError) as refusal:
        gdbench.sweep(config_dir=tmp_path / "mine", lr=0.1)
    assert str(refusal.value) == line
    assert not Path("outputs").exists()
