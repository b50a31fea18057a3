"""A report made here from two smoke runs, and the system's Chromium to read it with. Run by `make test-browser` alone.

Chromium is Debian's, or the program that $CAPSIM_CHROMIUM names; Playwright only drives it and downloads no browser.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from experiments.cli import main

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    pytest.exit("tests/browser must have its driver: `make test-browser` installs it", returncode=2)

CHROMIUM = os.environ.get("CAPSIM_CHROMIUM") or shutil.which("chromium")
QUIET = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip  # nothing of Chromium's own goes to the network
DESK = {"width": 1280, "height": 900}


class Reader:
    """A page in a browser that is offline, with all that it said and asked for.

    Attributes:
        page: Playwright's page.
        said: lines of the console and uncaught errors.
        asked: addresses that it requested.
    """

    def __init__(self, context, path):
        self.page = context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def text(self, selector):
        """The words of one element."""
        return self.page.locator(selector).text_content()


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """The page of a store that holds the smoke runs of codebook and heads, as `make demo` makes them."""
    folder = tmp_path_factory.mktemp("browser")
    store = str(folder / "store")
    for study in ("codebook", "heads"):
        assert main(["run", study, "--preset", "smoke", "--store", store]) == 0
    assert main(["report", "--preset", "smoke", "--store", store, "--out", str(folder / "report")]) == 0
    return folder / "report" / "index.html"


@pytest.fixture(scope="session")
def records(report):
    """What the page's explorer was given, read from the page as text."""
    text = report.read_text(encoding="utf-8")
    return json.loads(text.split('id="explorer-data">')[1].split("</script>")[0])


@pytest.fixture(scope="session")
def chromium():
    """The browser, one for all tests."""
    if CHROMIUM is None or not Path(CHROMIUM).exists():
        pytest.exit("tests/browser must have Chromium: `apt-get install chromium`, or its path in $CAPSIM_CHROMIUM",
                    returncode=2)  # fmt: skip
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to sandbox what root starts
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *sandbox])
        yield browser
        browser.close()


@pytest.fixture
def read(chromium):
    """Opens a page: read(path, viewport, **settings of the browser's context)."""
    contexts = []

    def open_page(path, viewport=DESK, **settings):
        contexts.append(chromium.new_context(viewport=viewport, offline=True, **settings))
        return Reader(contexts[-1], path)

    yield open_page
    for context in contexts:
        context.close()
