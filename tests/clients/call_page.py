"""The page of one call in a browser: of a call that the API is made to answer with."""

from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Page, expect

from tests.clients.browser import Visit
from tests.clients.made_calls import CALL_ID
from tests.clients.world import DEMO_KEY, DEMO_WORKSPACE


def open_call(visit: Visit, call: Mapping[str, Any], key: str = DEMO_KEY) -> Page:
    """Open the page of a call that the API answers with. Other calls are the gateway's."""
    visit.page.route(f"**/console/v1/calls/{CALL_ID}*", lambda route: route.fulfill(json=call))
    visit.sign_in(key)
    visit.open(f"#/calls/{CALL_ID}?workspace={DEMO_WORKSPACE}")
    visit.page.get_by_role("heading", name="Timeline").wait_for()
    return visit.page


def open_all(page: Page) -> None:
    """Open everything that is folded, also what is inside of it."""
    closed = page.locator("main details:not([open]) > summary:visible")
    while closed.count():
        closed.first.click()


def replay(page: Page, model: str | None = None, cost: str = "$0.0123") -> None:
    """Replay the call that is shown, with another model if one is named."""
    section = page.locator("form").filter(has=page.get_by_role("button", name="Replay…"))
    if model is not None:
        section.get_by_label("Model").fill(model)
    section.get_by_role("button", name="Replay…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"costs money. The recorded call has cost {cost}.")
    dialog.get_by_role("button", name="Replay").click()
