from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.browser import open_browser

import gdbench
from gdbench.report.inputs import read_inputs
from gdbench.report.page import escape_unbroken
from gdbench.report.style import vega_theme
from gdbench.report.summary_text import format_factor
from gdbench.report.writer import write_report

OVER = """(width) => [...document.querySelectorAll("main *, header *")]
  .filter((node) => node.getClientRects().length && !node.closest("svg svg, svg > *"))
  .filter((node) => node.getBoundingClientRect().right > width + 1)
  .map((node) => node.outerHTML.slice(0, 80))"""
BLOCKS = """() => [...document.querySelectorAll(`header, h2, h3, .sentences, figcaption, .chart svg.marks, table,
    main p, dl, pre`)]
  .filter((node) => node.getClientRects().length && !node.closest("figcaption *"))
  .map((node) => [node.getBoundingClientRect(), node.outerHTML.slice(0, 80)])
  .map(([box, text]) => [box.top, box.bottom, text])"""
PAPER = 703  # A4 between the margins that print.css sets, in CSS pixels


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of several objectives with more runs than a screen is high, wide tables, tabs and paths."""
    outputs, folder = tmp_path_factory.mktemp("outputs"), tmp_path_factory.mktemp("report")
    gdbench.sweep(
        ["rosenbrock", "quadratic", "beale"],
        optimizer=["gd", "momentum", "adam"],
        lr=[1e-3, 1e-2],
        seed=[0, 1],
        start_noise=0.1,
        steps=100,
        timing="off",
        device="cpu",
        outputs=outputs,
    )
    write_report(read_inputs([outputs]), folder, ["html"])
    return folder / "report.html"


@pytest.fixture
def page(written: Path) -> Iterator[Any]:
    """The page in a headless Chromium of the system's that prefers dark, without a network."""
    with open_browser("dark") as browser:
        opened = browser.new_page()
        opened.goto(written.as_uri())
        yield opened


@pytest.mark.slow
def test_the_printed_page_is_whole_and_nothing_overlaps(page: Any) -> None:
    """On paper all figures are drawn, in black on white, no block lies on the next, none is wider, no control shows."""
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER, "height": 1000})

    blocks = page.evaluate(BLOCKS)
    assert [(above[2], below[2]) for above, below in pairwise(blocks) if below[0] < above[1] - 1] == []
    assert page.evaluate(OVER, PAPER) == []
    charts = page.locator(".chart")
    assert charts.count() == page.locator(".chart > svg.marks").count() > 3
    assert all(chart.is_visible() for chart in charts.all())
    controls = page.locator("button:not(th *, td *), input, select, nav").all()
    assert [control.inner_text() for control in controls if control.is_visible() and control.is_enabled()] == []
    assert page.locator("details:not([open])").locator("visible=true").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    inks = page.evaluate("[...document.querySelectorAll('.chart svg text')].map((text) => text.getAttribute('fill'))")
    assert set(inks) <= {vega_theme(False)["axis"]["labelColor"], vega_theme(False)["legend"]["labelColor"], None}

    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#print").get_attribute("media") == "print"
    assert page.locator("main > section > details[open]").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_a_screen_never_scrolls_sideways(page: Any, width: int) -> None:
    """On a phone and on a desk the page is as wide as the screen: what is wider scrolls within itself."""
    page.set_viewport_size({"width": width, "height": 844})
    for box in page.locator(".chart:visible").all():
        box.scroll_into_view_if_needed()
        box.locator("svg.marks").wait_for()

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_large_factor_is_that_of_the_table() -> None:
    """A factor in a sentence has the digits that the table has."""
    assert [format_factor(ratio) for ratio in (1.414, 24.3, 1257.3)] == ["1.41×", "24×", "1260×"]


def test_a_number_is_never_broken_over_lines() -> None:
    """A number with an exponent is kept on one line, and the text around it is escaped."""
    assert escape_unbroken("gap 7.5e-05 <b>") == 'gap <span class="number">7.5e-05</span> &lt;b&gt;'
