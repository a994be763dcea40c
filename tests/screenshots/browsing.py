"""Visits of all pages of the dashboard: as a caller and as an admin, light, dark, and on a phone."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, Route

from tests.clients.browser import Visit, visiting
from tests.screenshots.tenants import ADMIN_KEY, CALLER_KEY, DAY, NOW, WORKSPACE
from tidegate.api.console import static_files

APP = Path(static_files.__file__).parent / "pages" / "app.js"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
MAX_HEIGHT = 2_400
OF_PHONES = ("overview", "calls", "call", "playground")

ANSWERS = {
    "openai/gpt-4.1-mini": "On Friday the tide is high at 09:42 and again at 22:10.",
    "anthropic/claude-sonnet-4-5": "High tide on Friday: 09:42 (3.1 m) and 22:10 (2.9 m). Leave berth A3 by 17:30.",
}
"""What models of the playground answer: no call is made."""

STEADY_TIMER = "let at = 0; performance.now = () => (at += 113)"
"""A timer whose times are the same with each run."""


class PageOfApp(NamedTuple):
    """A page: its name in addresses, and if only admins see it."""

    name: str
    is_of_admins: bool


def pages_of_app() -> list[PageOfApp]:
    """Return the pages that app.js lists, in its order."""
    rows = re.findall(r'^ {2}\["(\w+)", \(\) => t\("[^"]+"\), (\w+), \w+\],$', APP.read_text(), re.MULTILINE)
    return [PageOfApp(name, allows == "isAdmin") for name, allows in rows]


def picture_names() -> list[str]:
    """Return the names of all pictures that a run takes."""
    names = ("signin", *(page.name for page in pages_of_app()), "call", "session")
    return sorted(
        [f"{name}-{scheme}" for name in names for scheme in ("light", "dark")] + [f"{name}-phone" for name in OF_PHONES]
    )


def visit_pages(browser: Browser, root: str, call_id: str) -> Iterator[tuple[str, Page]]:
    """Open each page, and yield its name and what the browser shows."""
    for scheme, size in (("light", WIDE), ("dark", WIDE), ("phone", PHONE)):
        colours = "dark" if scheme == "dark" else "light"
        with visiting(
            browser, root, color_scheme=colours, viewport=size, timezone_id="UTC", reduced_motion="reduce"
        ) as visit:
            visit.page.clock.set_fixed_time(NOW)
            visit.page.add_init_script(STEADY_TIMER)
            visit.page.route("**/v1/chat/completions", _answer)
            for name in _visit_pages(visit, call_id, OF_PHONES if scheme == "phone" else None):
                yield f"{name}-{scheme}", visit.page


def _visit_pages(visit: Visit, call_id: str, wanted: tuple[str, ...] | None) -> Iterator[str]:
    if wanted is None:
        visit.open()
        visit.page.get_by_label("Key").wait_for()
        yield "signin"
    for key, is_admin in ((CALLER_KEY, False), (ADMIN_KEY, True)):
        visit.open()
        visit.page.evaluate("sessionStorage.clear()")
        visit.page.reload()
        visit.try_key(key)
        visit.page.get_by_role("button", name="Sign out").wait_for()
        for name, address in _addresses(call_id, is_admin):
            if wanted is None or name in wanted:
                _show(visit.page, address)
                yield name


def _addresses(call_id: str, is_admin: bool) -> Iterator[tuple[str, str]]:
    for page in pages_of_app():
        if page.is_of_admins != is_admin:
            continue
        query: dict[str, str | list[str]] = {"workspace": WORKSPACE} if is_admin else {}
        if page.name == "overview":
            query |= {"from": "2026-11-13T00:00:00.000Z", "step": "hour"}
        if page.name == "playground":
            query |= {"model": [*ANSWERS], "system": "Be short.", "prompt": "When is the tide high on Friday?"}
        yield page.name, f"#/{page.name}{'?' * bool(query)}{urlencode(query, doseq=True)}"
    if not is_admin:
        yield "call", f"#/calls/{call_id}"
        yield "session", f"#/sessions/harbour-app-{int(NOW // DAY) % 10}0"


def _answer(route: Route) -> None:
    model = route.request.post_data_json["model"]
    words = [f"{word} " for word in ANSWERS[model].split()]
    chunks: list[object] = [{"choices": [{"delta": {"content": word}}]} for word in words]
    usage = {"prompt_tokens": 24, "completion_tokens": len(words) * 4 // 3, "cost": 0.0001 * len(words)}
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in (*chunks, {"choices": [], "usage": usage})]
    route.fulfill(body="".join([*lines, "data: [DONE]\n\n"]), content_type="text/event-stream")


def _show(page: Page, address: str) -> None:
    page.evaluate("address => { location.hash = address }", address)
    page.wait_for_timeout(100)
    page.locator("main h1").first.wait_for()
    page.wait_for_function("() => !document.querySelector('main').textContent.includes('Loading…')")
    if address.startswith("#/playground"):
        page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)
