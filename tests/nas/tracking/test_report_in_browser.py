"""The report as a browser shows it: no complaint, pointing at a trial, choosing axes, filters, light and dark."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hasnas.nas.tracking.report import collect, render_report
from tests.chromium import Browser, chromium

from .test_report import EVIL, hostile

pytestmark = pytest.mark.slow

MODEL = "Bokeh.documents.map((doc) => doc.get_model_by_name({name!r})).find((model) => model)"
# Where a point of a source of the explorer is on the window.
PLACE = """(() => {
  const chart = %s, source = %s, view = Bokeh.index.get_by_id(chart.id);
  const box = view.canvas_view.el.getBoundingClientRect(), {x_scale, y_scale} = view.frame;
  return [box.left + x_scale.compute(source.data.x[0]), box.top + y_scale.compute(source.data.y[0])];
})()"""


def model(name: str) -> str:
    return MODEL.format(name=name)


def wait_for(found: Callable[[], Any]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 30
    while not found():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def choose(browser: Browser, control: str, value: str) -> None:
    """Set a control as a reader does."""
    event = "new Event('input', {bubbles: true})"
    found = f"document.getElementById({control!r})"
    browser.evaluate(f"{found}.value = {value!r}; {found}.dispatchEvent({event})")


@pytest.fixture
def browser(run: Path, tmp_path: Path) -> Iterator[Browser]:
    """The report of a run in whose names there is markup, once its explorer is drawn."""
    page = tmp_path / "report.html"
    page.write_text(render_report(hostile(collect(run)), interactive=True))
    with chromium(tmp_path / "profile", "--window-size=1200,900") as opened:
        opened.open(page)
        wait_for(lambda: opened.evaluate("performance.getEntriesByName('explorer drawn').length"))
        yield opened


def test_the_explorer_answers_and_nothing_is_complained_about(browser: Browser):
    text = "document.getElementById({!r}).textContent".format
    shown = model("front of the search") + ".data.key"
    assert len(browser.evaluate(shown)) == 3

    # Pointing at a trial shows its network, drawn, and what it costs; what is markup in a name is text.
    browser.evaluate("document.getElementById('controls').scrollIntoView()")
    choose(browser, "verdict", "failed")
    assert EVIL not in browser.evaluate(text("facts"))
    browser.point_at(*browser.evaluate(PLACE % (model("explorer"), model("failed"))))
    wait_for(lambda: EVIL in browser.evaluate(text("facts")))
    assert "0.4 uJ of 1 uJ" in browser.evaluate(text("facts"))
    assert browser.evaluate(model("words") + ".data.text") == [EVIL] * 2

    # Axes and filters.
    choose(browser, "verdict", "limit energy")
    assert browser.evaluate(shown) == []
    assert browser.evaluate(model("over budget") + ".data.x") == [2.0]
    choose(browser, "verdict", "")
    names = browser.evaluate("[...document.getElementById('across').options].map((one) => one.text)")
    choose(browser, f"limit{names.index('energy')}", "0.7")
    assert len(browser.evaluate(shown)) == 2
    choose(browser, "across", str(names.index("parameters")))
    assert browser.evaluate(model("explorer") + ".below.find((one) => one.axis_label).axis_label") == "parameters"

    # All charts, in the dark too.
    browser.call("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    places = browser.evaluate("document.querySelectorAll('.chart').length")
    for number in range(places):
        browser.evaluate(f"document.getElementById('chart{number}').scrollIntoView()")
        wait_for(lambda: browser.evaluate(f"document.getElementById('chart{number}').childElementCount"))  # noqa: B023
    assert browser.evaluate(model("explorer") + ".left[0].major_label_text_color") == "#e3e6ea"
    assert browser.complaints() == []
