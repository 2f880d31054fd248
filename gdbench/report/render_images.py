"""Vega-Lite to SVG and PNG, in processes of their own that start while the report is still being put together."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gdbench.results.atomic import replace_atomically
from gdbench.results.user_paths import find_cache_folder

__all__ = ["Images", "as_svg", "bundle"]

SCALE = 1.5
VERSION = "6.4"
"""Of Vega-Lite; of those that vl-convert carries, the one that Altair writes for."""
WARM = json.dumps(
    {"data": {"values": [{"a": 1}]}, "mark": "line", "encoding": {"x": {"field": "a", "type": "quantitative"}}}
)


class Images:
    """Draws specifications into files, on two cores: one process runs JavaScript, which makes SVG, the other makes PNG.

    JavaScript takes a second to start and some pictures to get fast, so that two processes of it draw no earlier.
    """

    def __init__(self) -> None:
        """Start both processes."""
        context = multiprocessing.get_context("spawn")
        self.script = ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent)
        self.pixels = ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent)
        self.carriers = ThreadPoolExecutor(3)  # one picture in each process, and one that waits
        with without_interrupts():  # a pool starts its process at the first call
            self.pending: list[Future[None]] = [self.script.submit(warm), self.pixels.submit(warm_pixels)]

    def draw(self, specification: dict[str, Any], stem: Path) -> None:
        """Have ``stem``.svg and ``stem``.png drawn."""
        self.pending.append(self.carriers.submit(self._both, json.dumps(specification), str(stem)))

    def _both(self, specification: str, stem: str) -> None:
        self.script.submit(svg, specification, stem).result()
        self.pixels.submit(png, stem).result()

    def __enter__(self) -> Self:
        """Wait for all of them at the end of the context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait, unless something went wrong."""
        try:
            if kind is None:
                for each in self.pending:
                    each.result()
        finally:
            self.close()

    def close(self) -> None:
        """End the processes, whatever is left to draw; once more changes nothing."""
        for pool in (self.carriers, self.script, self.pixels):
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: the one that started them decides, and they print no traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this process when the one that started it has ended, however that was: a killed one cannot say so."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def warm() -> None:
    """Let JavaScript start and compile Vega."""
    as_svg(WARM)


def warm_pixels() -> None:
    """Find the fonts of this machine."""
    import vl_convert

    vl_convert.svg_to_png('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9">a</text></svg>')


def as_svg(specification: str | dict[str, Any]) -> str:
    """Draw one specification, here and now."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(specification, vl_version=VERSION)
    return drawn


def svg(specification: str, stem: str) -> None:
    """Draw one specification into ``stem``.svg."""
    Path(f"{stem}.svg").write_text(as_svg(specification), encoding="utf-8")


def png(stem: str) -> None:
    """Draw ``stem``.svg once more, as pixels."""
    import vl_convert

    drawn = Path(f"{stem}.svg").read_text(encoding="utf-8")
    Path(f"{stem}.png").write_bytes(vl_convert.svg_to_png(drawn, scale=SCALE))


def bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script, which takes seconds to make and is kept in the user's cache."""
    import vl_convert

    kept = find_cache_folder() / f"vega-{metadata.version('vl-convert-python')}.js"
    with contextlib.suppress(OSError):  # none, or one that is not ours to read
        return kept.read_text(encoding="utf-8")
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VERSION)
    script = script.replace("</script", "<\\/script")
    _keep(kept, script)
    return script


def _keep(file: Path, text: str) -> None:
    """Write whole or not at all; a cache that cannot be written is none."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(file) as beside:
            beside.write_text(text, encoding="utf-8")
