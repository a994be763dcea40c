"""Pages that stay open for hours: they ask the server seldom, and not at all while nobody can see them."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.clients.browser import Visit, visiting
from tests.clients.world import DEMO_KEY, DEMO_WORKSPACE, serving

pytestmark = pytest.mark.slow

MOST_ROWS = 10_000
QUICK = """
window.pauses = [];
Object.defineProperty(document, "hidden", { get: () => Boolean(window.isHidden) });
const later = window.setTimeout;
window.setTimeout = (task, milliseconds, ...rest) => {
  if (milliseconds >= 1000) window.pauses.push(milliseconds);
  return later(task, milliseconds >= 1000 ? 5 : milliseconds, ...rest);
};
"""
"""Pauses of a second and more take no time, and are remembered."""


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    with serving("--store", "memory") as (program, port):
        yield f"http://127.0.0.1:{port}"
    assert program.err == []


@pytest.fixture
def visit(browser: Browser, root: str) -> Iterator[Visit]:
    with visiting(browser, root) as opened:
        opened.page.add_init_script(QUICK)
        opened.page.add_init_script(f"window.origin === 'null' || sessionStorage.setItem('tidegate.key', '{DEMO_KEY}')")
        yield opened


class LiveCalls:
    """Answers lists of calls in place of the server: `new` have ended between two looks. Looks get `status`.

    The first page has `first` calls, and older ones follow if there is a `cursor`.
    """

    def __init__(self, new: int = 0, status: int = 200, first: int = 30, cursor: str | None = None) -> None:
        self.new, self.status, self.first, self.cursor, self.asked, self.made = new, status, first, cursor, 0, 0

    def __call__(self, route: Route) -> None:
        self.asked += 1
        if self.status != 200 and self.asked > 1:
            route.fulfill(status=self.status, json={"error": {"code": "store_unavailable", "message": "Busy."}})
            return
        self.made += self.new if "after=" in route.request.url else self.first
        data = [call_number(self.made - each) for each in range(min(self.made, 200))]
        known = 200 - self.new if "after=" in route.request.url else 0
        route.fulfill(json={"data": data[: 200 - max(0, known)], "next_cursor": self.cursor})


def call_number(number: int) -> dict[str, Any]:
    names = dict.fromkeys(("provider", "answered_model", "app_id", "session_id", "error_code", "ignored"))
    numbers = {"input_tokens": 1, "output_tokens": 2, "first_event_seconds": 0.1, "seconds": 0.2, "cost_usd": "0.1"}
    fixed = {"time": "2026-11-21T12:00:00.000Z", "status": "ok", "workspace_id": DEMO_WORKSPACE, "model": "demo/echo"}
    return {"id": f"01{number:024}", **fixed, **names, **numbers}


def wait(visit: Visit, pauses: int) -> list[int]:
    """Let the page pause so often. Returns how long each pause would be, in seconds."""
    before = visit.page.evaluate("window.pauses.length")
    visit.page.wait_for_function("number => window.pauses.length >= number", arg=before + pauses)
    return [pause // 1000 for pause in visit.page.evaluate("window.pauses")[before : before + pauses]]


def open_calls(visit: Visit, calls: LiveCalls) -> None:
    visit.page.route("**/console/v1/calls?*", calls)
    visit.open("#/calls")
    expect(visit.page.locator("[data-row]").first).to_be_visible()


def test_a_quiet_page_asks_every_ten_seconds_and_a_hidden_one_not_at_all(visit: Visit) -> None:
    calls = LiveCalls()
    open_calls(visit, calls)
    wait(visit, 60)
    before = calls.asked
    assert set(wait(visit, 100)) == {2}
    assert 18 <= calls.asked - before <= 26  # a look in five pauses of two seconds
    visit.page.evaluate("window.isHidden = true")
    wait(visit, 2)
    before = calls.asked
    wait(visit, 50)
    assert calls.asked == before
    visit.page.evaluate("window.isHidden = false")
    wait(visit, 12)
    assert calls.asked > before


def test_a_server_that_fails_is_asked_once_a_minute(visit: Visit) -> None:
    calls = LiveCalls(status=503)
    open_calls(visit, calls)
    visit.page.wait_for_function("() => window.pauses.length >= 8")
    assert visit.page.evaluate("window.pauses")[:8] == [2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]


def test_a_page_of_few_calls_does_not_ask_for_older_ones_without_a_pause(visit: Visit) -> None:
    calls = LiveCalls(status=503, first=1, cursor="01")
    open_calls(visit, calls)
    wait(visit, 1)
    assert calls.asked <= 20
    expect(visit.page.get_by_text("Busy.")).to_be_visible()


def test_more_calls_than_a_look_lists_leave_no_gap(visit: Visit) -> None:
    calls = LiveCalls(new=500)
    open_calls(visit, calls)
    wait(visit, 3)
    calls.new = 0
    wait(visit, 2)
    newest = call_number(calls.made)["id"]
    expect(visit.page.locator(f'[data-row="{newest}"]')).to_be_visible()
    expect(visit.page.locator(".rows")).to_have_attribute("aria-rowcount", "201")


def test_a_page_that_is_open_for_days_keeps_the_newest_rows(visit: Visit) -> None:
    calls = LiveCalls(new=199)
    open_calls(visit, calls)
    wait(visit, MOST_ROWS // 199 + 5)
    assert calls.made > MOST_ROWS
    expect(visit.page.locator(".rows")).to_have_attribute("aria-rowcount", str(MOST_ROWS + 1))
