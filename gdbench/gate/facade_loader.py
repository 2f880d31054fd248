"""Finds the facade of the gdbench that a process imports: its own, or an adapter for the layout before there was one.

The probe loads this file by its path, since the gdbench that it imports is its side's. A base older than
``gdbench.gate.facade`` has its modules flat at the top of the package, under the names used here, which are fixed and
do not change when files move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

__all__ = ["find_facade"]

VERSION = 1
"""The version of the facade that this gate uses."""
FACADE = "gdbench.gate.facade"


def find_facade() -> Any:
    """The facade of the side imported here. Raises ImportError if it has none that this gate can use."""
    try:
        facade = import_module(FACADE)
    except ModuleNotFoundError as error:
        if error.name not in (FACADE, FACADE.rpartition(".")[0]):
            raise
        return OlderLayout()
    if facade.VERSION != VERSION:
        raise ImportError(f"its facade is of version {facade.VERSION}, and this gate uses version {VERSION}")
    return facade


class OlderLayout:
    """The facade of a gdbench older than the facade. Raises ImportError if its modules are not there either."""

    def __init__(self) -> None:
        """Import the composition; what builds and runs is imported when it is used."""
        self.config: Any = import_module("gdbench.config")
        self.composer, self.initialized = self.config.Composer, self.config.initialized
        self.config.store()

    def compose(self, requests: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Iterator[dict[str, Any] | Exception]:
        """``facade.compose``."""
        with self.initialized():
            composers: dict[tuple[str, ...], Any] = {}
            for fixed, words in requests:
                try:
                    composer = composers.get(tuple(fixed)) or self.composer(list(fixed))
                    composers[tuple(fixed)] = composer
                    composed = composer(words)
                    yield {"config": self.config.plain(composed.config), "choices": dict(composed.choices)}
                except Exception as error:
                    yield error

    @staticmethod
    def parse(composed: Mapping[str, Any]) -> Any:
        """``facade.parse``."""
        return import_module("gdbench.schema").Question.parse(composed["config"], composed["choices"])

    @staticmethod
    def build(parsed: Any) -> OlderCell:
        """``facade.build``."""
        import_module("torch").set_num_threads(parsed.threads)
        cell = import_module("gdbench.build").build(parsed)
        return OlderCell(cell, parsed.threads, cell.maker.compiled, str(cell.dtype).removeprefix("torch."))

    @staticmethod
    def run(built: OlderCell) -> dict[str, Any]:
        """``facade.run``."""
        columns = import_module("gdbench.runner").run_cell(built.cell).columns
        return {name: values[0] for name, values in columns.items()}

    @staticmethod
    def descend(
        solo: OlderSolo, x: Any, steps: range, *state: Any, look: Callable[[Any, float], None] | None = None
    ) -> Any:
        """``facade.descend``."""
        if look is None:
            return solo.descent(solo.method, solo.oracle, x, steps, *state)
        return solo.descent(
            solo.method, solo.oracle, x, steps, *state, look=lambda _, at, seen: look(at, float(seen.loss.detach()))
        )


@dataclass(frozen=True)
class OlderSolo:
    """``facade.Solo``."""

    descent: Callable[..., Any]
    method: Any
    oracle: Any
    start: Callable[[], Any]
    steps: int

    @property
    def constant_cost(self) -> bool:
        """``facade.Solo.constant_cost``."""
        return bool(self.method.constant_cost)

    def copy(self, x: Any, *state: Any) -> Any:
        """``facade.Solo.copy``."""
        return self.method.copy(x, *(state or (self.method.init(x),)))

    def with_extra_work(self, work: Callable[[], None]) -> OlderSolo:
        """``facade.Solo.with_extra_work``."""
        step = self.method.step

        def step_and_work(oracle: Any, k: Any, x: Any, state: Any) -> Any:
            result = step(oracle, k, x, state)
            work()
            return result

        return replace(self, method=replace(self.method, step=step_and_work))


@dataclass(frozen=True)
class OlderCell:
    """``facade.Built``."""

    cell: Any
    threads: int
    compiled: bool
    dtype: str

    def solo(self) -> OlderSolo:
        """``facade.Built.solo``."""
        return _solo(self.cell, self.cell.maker(self.cell.solo_hyper(0)))

    def seeded_solo(self) -> OlderSolo:
        """``facade.Built.seeded_solo``; ``solo`` if that gdbench has no seeded draws."""
        cell = self.cell
        try:
            cell = import_module("gdbench.draw_check").check_draws(cell)[0]
        except ModuleNotFoundError as error:
            if error.name != "gdbench.draw_check":
                raise
        return _solo(cell, cell.solo_method(0) if hasattr(cell, "solo_method") else cell.maker(cell.solo_hyper(0)))


def _solo(cell: Any, method: Any) -> OlderSolo:
    seed = int(cell.seeds[0])
    descent = import_module("gdbench.descent").descent
    return OlderSolo(descent, method, cell.oracle(False), lambda: cell.start(seed), cell.steps)
