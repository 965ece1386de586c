"""Set up a headless browser, Ctrl-C and Hypothesis: no deadlines (the machine may be busy), fixed examples on CI."""

import os
import shutil
import signal

import pytest
from chainrule.rewriting import repetition, rerolling
from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# A shell starts what runs in the background, as .ci/run does, with Ctrl-C ignored.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on the PATH")
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except sync_api.Error as error:
            # Such as Ubuntu's chromium-browser, which only says where to find a browser.
            pytest.skip(f"{path} does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Load a page from a file; anything it logs, or requests beyond its own file, fails the test."""
    troubles, contexts = [], []

    def open_file(path, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        address = path.as_uri()
        page.on("request", lambda request: request.url in (address, "data:,") or troubles.append(request.url))
        page.goto(address)
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def eager_recognition(monkeypatch):
    """Recognise whatever can be recognised, however short."""
    for name, least in (("WORK", 0), ("WORK_ALONE", 0), ("_SMALL", 0), ("_GAIN", 1e9)):
        monkeypatch.setattr(rerolling, name, least)
    monkeypatch.setattr(repetition, "LEAST", 2)
