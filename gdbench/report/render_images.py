"""Render Vega-Lite to SVG and PNG in processes of their own, which start while the report is being built."""

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

__all__ = ["ImageRenderer", "render_svg", "vega_bundle"]

SCALE = 1.5
VERSION = "6.4"
"""Vega-Lite's version: of those in vl-convert, the one that Altair targets."""
WARM_UP_SPEC = json.dumps(
    {"data": {"values": [{"a": 1}]}, "mark": "line", "encoding": {"x": {"field": "a", "type": "quantitative"}}}
)


class ImageRenderer:
    """Renders specifications to files with two processes: one runs JavaScript, which makes SVG, the other makes PNG.

    JavaScript takes a second to start and some pictures to get fast, so that two processes of it are not faster.
    """

    def __init__(self) -> None:
        """Start both processes."""
        context = multiprocessing.get_context("spawn")
        self.svg_pool, self.png_pool = (
            ProcessPoolExecutor(1, mp_context=context, initializer=exit_with_parent) for _ in range(2)
        )
        self.threads = ThreadPoolExecutor(3)  # one picture in each process, and one that waits
        with block_interrupts():  # a pool starts its process at the first call
            self.pending: list[Future[None]] = [
                self.svg_pool.submit(warm_up_javascript),
                self.png_pool.submit(warm_up_fonts),
            ]

    def draw(self, specification: dict[str, Any], stem: Path) -> None:
        """Start rendering ``stem``.svg and ``stem``.png in the background."""
        self.pending.append(self.threads.submit(self._draw_both, json.dumps(specification), str(stem)))

    def _draw_both(self, specification: str, stem: str) -> None:
        self.svg_pool.submit(write_svg, specification, stem).result()
        self.png_pool.submit(write_png, stem).result()

    def __enter__(self) -> Self:
        """Wait for all files at the end of the context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for all files, unless the block raised."""
        try:
            if kind is None:
                for future in self.pending:
                    future.result()
        finally:
            self.close()

    def close(self) -> None:
        """End the processes and cancel what is pending; may be called again."""
        for pool in (self.threads, self.svg_pool, self.png_pool):
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def block_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, so that only their parent handles it and they print no traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def exit_with_parent() -> None:
    """End this process when its parent has ended, also if that was killed."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def warm_up_javascript() -> None:
    """Start JavaScript and compile Vega."""
    render_svg(WARM_UP_SPEC)


def warm_up_fonts() -> None:
    """Find the fonts of this machine."""
    import vl_convert

    vl_convert.svg_to_png('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9">a</text></svg>')


def render_svg(specification: str | dict[str, Any]) -> str:
    """The SVG of a specification, rendered in this process."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(specification, vl_version=VERSION)
    return svg


def write_svg(specification: str, stem: str) -> None:
    """Render a specification to ``stem``.svg."""
    Path(f"{stem}.svg").write_text(render_svg(specification), encoding="utf-8")


def write_png(stem: str) -> None:
    """Render ``stem``.svg to ``stem``.png."""
    import vl_convert

    svg = Path(f"{stem}.svg").read_text(encoding="utf-8")
    Path(f"{stem}.png").write_bytes(vl_convert.svg_to_png(svg, scale=SCALE))


def vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script; bundling takes seconds, so it is cached in the user's cache."""
    import vl_convert

    file = find_cache_folder() / f"vega-{metadata.version('vl-convert-python')}.js"
    with contextlib.suppress(OSError):  # not cached, or not readable
        return file.read_text(encoding="utf-8")
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VERSION)
    script = script.replace("</script", "<\\/script")
    with contextlib.suppress(OSError):  # the cache is optional
        file.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(file) as beside:
            beside.write_text(script, encoding="utf-8")
    return script
