"""Cache of composed shipped configurations for later sweeps of this process: saves half of the time of a small one."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from gdbench.config.hydra_loader import ConfigLoader

__all__ = ["MAX_ENTRIES", "CompositionCache", "find_cache"]

MAX_ENTRIES = 64
"""Compositions of 100 kB each: a sweep over all objectives and optimizers has thousands."""
OUR_NODES = {"hydra", "_dummy_empty_config_.yaml", "gdbench_schema.yaml"}
"""Top-level entries of Hydra's store, unless the calling app has stored configurations of its own."""


@dataclass
class CompositionCache:
    """Compositions of one state of the files, by the overrides that choose from groups; and which keys are groups."""

    bases: OrderedDict[tuple[str, ...], Any] = field(default_factory=OrderedDict)
    groups: dict[str, bool] = field(default_factory=dict)

    def get(self, overrides: tuple[str, ...]) -> Any:
        """The composition of these overrides; None where there is none."""
        if overrides in self.bases:
            self.bases.move_to_end(overrides)
        return self.bases.get(overrides)

    def put(self, overrides: tuple[str, ...], base: Any) -> None:
        """Store a composition, which nobody changes; the least recently used one is dropped.

        Compositions with Hydra's own settings are not stored, which refer to other folders and to plugins, nor those
        with an optimizer's class, whose code may change.
        """
        if not any("hydra" in override or re.match(r"optimizer=.*\.", override) for override in overrides):
            self.bases[overrides] = base
            if len(self.bases) > MAX_ENTRIES:
                self.bases.popitem(last=False)


_LATEST: tuple[Hashable, CompositionCache] = (None, CompositionCache())


def find_cache(loader: ConfigLoader, folder: Path) -> CompositionCache:
    """The cache for the files of ``folder`` as they are now; an empty one where other sources may matter."""
    global _LATEST
    places = [str(place.path) for place in loader.get_search_path().get_path()]
    if places != ["pkg://hydra.conf", str(folder), "structured://"] or set(ConfigStore.instance().repo) - OUR_NODES:
        return CompositionCache()
    state = (str(folder), *_list_files(str(folder)))
    if _LATEST[0] != state:
        _LATEST = (state, CompositionCache())
    return _LATEST[1]


def _list_files(folder: str) -> Iterator[tuple[str, int, int]]:
    """The path, size and time of change of every file below a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _list_files(entry.path)
            else:
                status = entry.stat()
                yield entry.path, status.st_size, status.st_mtime_ns
