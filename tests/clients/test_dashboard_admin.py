"""The dashboard's pages for operators in a real browser: what can be changed, and by whom."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.clients.browser import Visit, chromium, visiting
from tests.clients.world import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE, serving

pytestmark = pytest.mark.slow

PHONE = {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    with serving("--store", "memory") as (program, port):
        yield f"http://127.0.0.1:{port}"
    assert program.err == []


@pytest.fixture
def visit(browser: Browser, root: str) -> Iterator[Visit]:
    with visiting(browser, root) as opened:
        yield opened


def test_on_a_phone_the_pages_are_in_a_menu_that_keys_open_and_close(browser: Browser, root: str) -> None:
    with visiting(browser, root, viewport=PHONE) as visit:
        page = visit.page
        visit.sign_in(DEMO_ADMIN)
        menu = page.get_by_role("button", name="Menu")
        expect(menu).to_have_attribute("aria-expanded", "false")
        expect(page.get_by_role("link", name="Audit log")).to_be_hidden()
        menu.focus()
        page.keyboard.press("Enter")
        expect(menu).to_have_attribute("aria-expanded", "true")
        expect(page.get_by_role("group", name="Administration").get_by_role("link", name="Audit log")).to_be_visible()
        page.keyboard.press("Escape")
        expect(menu).to_be_focused()
        menu.click()
        page.get_by_role("link", name="Audit log").click()
        expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
        expect(menu).to_have_attribute("aria-expanded", "false")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_a_wide_screen_all_pages_are_one_click_away(visit: Visit) -> None:
    visit.sign_in(DEMO_ADMIN)
    expect(visit.page.get_by_role("button", name="Menu")).to_be_hidden()
    expect(visit.page.get_by_role("link", name="Audit log")).to_be_visible()
