"""Hydra's configuration loader, with YAML read by libyaml and copies that share what nobody changes.

Without these two a sweep of 24 cells takes 10-20% longer to plan.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource

from gdbench.config.libyaml import read_config

Plugins.instance()  # its scan runs the modules of core plugins, and would replace the classes imported here

from hydra._internal.core_plugins.file_config_source import FileConfigSource  # noqa: E402
from hydra._internal.core_plugins.importlib_resources_config_source import (  # noqa: E402
    ImportlibResourcesConfigSource,
)

__all__ = ["ConfigLoader"]


class ConfigLoader(ConfigLoaderImpl):
    """Composes configurations from a main folder, Hydra's own files, the store, and a user's folder if there is one."""

    def __init__(self, main: Path | str, config_dir: Path | None = None) -> None:
        """``main`` is the folder, or ``pkg://`` module, of ``config.yaml``; ``config_dir`` is that of --config-dir."""
        search_path = create_config_search_path(str(main))
        if config_dir is not None:
            search_path.prepend("command-line", f"file://{config_dir}", SearchPathQuery(provider="schema"))
        super().__init__(search_path)
        self.repository = _Repository(search_path)


class _Repository(ConfigRepository):
    """The sources of a search path."""

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        super().initialize_sources(config_search_path)
        fast = {"file": _FileSource, "pkg": _PackageSource}
        self.sources = [
            fast[source.scheme()](source.provider, f"{source.scheme()}://{source.path}")
            if source.scheme() in fast
            else source
            for source in self.sources
        ]

    def __deepcopy__(self, memo: object) -> _Repository:
        """A repository of the same sources, which hold no state; Hydra copies it, and its store, at 30 ms each time."""
        copy = _Repository.__new__(_Repository)
        copy.sources = list(self.sources)
        return copy


class _FileSource(FileConfigSource):
    """The YAML files of a folder."""

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path, self._normalize_file_name(config_path)).resolve()
        with open(str(path), encoding="utf-8") as file:  # noqa: PTH123  (a mistake in YAML is told by this name)
            return _read(self, file)


class _PackageSource(ImportlibResourcesConfigSource):
    """The YAML files of a package."""

    def _read_config(self, res: Any) -> ConfigResult:
        with res.open(encoding="utf-8") as file:
            return _read(self, file)


def _read(source: ConfigSource, file: Any) -> ConfigResult:
    header = ConfigSource._get_header_dict(file.read(512))
    file.seek(0)
    place = f"{source.scheme()}://{source.path}"
    return ConfigResult(config=read_config(file), path=place, provider=source.provider, header=header)
