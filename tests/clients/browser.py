"""A browser on this machine, driven by Playwright: Debian's Chromium, or any other that is on the path."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.clients.programs import package

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
REQUEST_FAILED = re.compile(r"Failed to load resource|net::ERR_")
"""What a browser logs for each error of the API, and without a network."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser. Skips the test, with a reason, on a machine without one."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: install one of {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        # Chromium's sandbox refuses to run for root.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [], timeout=90_000
        )
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page of the dashboard at `root`, and what the browser has complained about."""

    page: Page
    root: str
    complaints: list[str] = field(default_factory=list[str])

    def open(self, address: str = "") -> None:
        self.page.goto(f"{self.root}/console/{address}")

    def sign_in(self, key: str) -> None:
        self.page.goto(f"{self.root}/")
        self.try_key(key)
        self.page.get_by_role("navigation").wait_for()

    def try_key(self, key: str) -> None:
        self.page.get_by_label("Key").fill(key)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def show(self, name: str) -> None:
        self.page.get_by_role("navigation").get_by_role("link", name=name).click()


@contextmanager
def visiting(browser: Browser, root: str, **options: Any) -> Iterator[Visit]:
    """Open a page with nothing stored. It may not log errors, such as violations of its policy."""
    context = browser.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    page.set_default_timeout(20_000)
    visit = Visit(page, root)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("console", lambda message: visit.complaints.append(message.text) if message.type == "error" else None)
    yield visit
    context.close()
    assert [each for each in visit.complaints if not REQUEST_FAILED.search(each)] == []


def serious_faults(page: Page) -> list[Any]:
    """Return the serious faults of accessibility that axe finds, each with where it is. Needs `bypass_csp`."""
    page.evaluate(Path(package("axe-core/axe.min.js")).read_text())
    violations = page.evaluate("async () => (await axe.run()).violations")
    return [
        (each["id"], [node["html"][:120] for node in each["nodes"]][:3])
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]
