"""Questions of a newcomer who has the address and a key: each is answered by a few clicks, over a week of calls."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.clients.browser import Visit, chromium, serious_faults, visiting
from tests.screenshots.gateway import serving_invented_data
from tests.screenshots.tenants import ADMIN_KEY, CALLER_KEY, NOW, WORKSPACE
from tidegate.sqlite.folder import DataFolder

pytestmark = pytest.mark.slow

WHY = "7.8 s of 9 s: an attempt at openai/gpt-4.1 failed (provider_timeout)"
TRACE_FAILURES = "Trace every call of this workspace that fails…"


@pytest.fixture(scope="module")
def browser(slow_call: tuple[str, str]) -> Iterator[Browser]:  # no event loop may run while the data are made
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def slow_call() -> Iterator[tuple[str, str]]:
    """The address of a gateway, and the id of a call that took nine seconds."""
    with tempfile.TemporaryDirectory() as folder, serving_invented_data(DataFolder(Path(folder))) as served:
        yield served


@pytest.fixture
def visit(browser: Browser, slow_call: tuple[str, str]) -> Iterator[Visit]:
    with visiting(browser, slow_call[0], timezone_id="UTC") as opened:
        opened.page.clock.set_fixed_time(NOW)
        yield opened


def rows(page: Page) -> Locator:
    return page.locator("main tbody tr")


def click(page: Page, name: str) -> None:
    """Click the only link or button of this name."""
    page.get_by_role("link", name=name, exact=True).or_(page.get_by_role("button", name=name, exact=True)).click()


def test_which_key_spent_most_yesterday(visit: Visit) -> None:
    visit.sign_in(CALLER_KEY)
    click(visit.page, "Yesterday")
    click(visit.page, "Key")
    expect(rows(visit.page).first).to_contain_text("key_coding")
    assert visit.page.url.endswith("#/overview?range=yesterday")


def test_which_model_has_the_worst_time_to_the_first_token_today(visit: Visit) -> None:
    visit.sign_in(CALLER_KEY)
    click(visit.page, "Today")
    expect(visit.page.get_by_role("columnheader", name="Cost")).to_have_attribute("aria-sort", "descending")
    visit.page.get_by_role("columnheader").get_by_role("button", name="First token, 95 %").click()
    expect(rows(visit.page).first).to_contain_text("anthropic/claude-sonnet-4-5")
    expect(visit.page.get_by_role("columnheader", name="First token, 95 %")).to_have_attribute(
        "aria-sort", "descending"
    )


def test_how_much_of_the_budget_is_left_and_when_it_resets(visit: Visit) -> None:
    visit.sign_in(CALLER_KEY)
    budget = visit.page.locator(".budgets .panel").first
    expect(budget).to_contain_text("USD a day ws_harbour")
    expect(budget).to_contain_text("$3.11 of $4.00 remain. Resets Nov 20, 2026, 12:00 AM.")


def test_why_a_call_took_nine_seconds(visit: Visit, slow_call: tuple[str, str]) -> None:
    visit.sign_in(ADMIN_KEY)
    visit.open("#/calls?workspace=ws_lighthouse")  # the call is in another workspace
    visit.page.get_by_label("Id of a call (x-request-id)").fill(slow_call[1])
    click(visit.page, "Open")
    expect(visit.page.locator(".why")).to_contain_text(WHY)
    assert visit.page.url.endswith(f"#/calls/{slow_call[1]}?workspace={WORKSPACE}")


def test_an_id_that_does_not_exist_says_so(visit: Visit) -> None:
    visit.sign_in(CALLER_KEY)
    visit.show("Calls")
    visit.page.get_by_label("Id of a call (x-request-id)").fill("01NOTHING")
    click(visit.page, "Open")
    expect(visit.page.get_by_role("status").filter(has_text="01NOTHING")).to_be_visible()


def test_which_session_cost_most_and_which_agent_in_it(visit: Visit) -> None:
    visit.sign_in(CALLER_KEY)
    visit.show("Sessions")
    expect(visit.page.get_by_role("columnheader", name="Hour of the last call")).to_be_visible()
    fits = "element => element.scrollWidth <= element.clientWidth"
    assert visit.page.locator("main .scroll").evaluate(fits)  # no column is cut off
    rows(visit.page).get_by_role("link").first.click()
    agents = visit.page.locator(".tree summary")
    expect(agents.first).to_contain_text("$")
    costs = [float(text.split("$")[1].split(" ")[0]) for text in agents.all_inner_texts()]
    assert costs == sorted(costs, reverse=True)


def test_which_provider_fails_right_now_and_with_which_error(visit: Visit) -> None:
    visit.sign_in(CALLER_KEY)
    visit.show("Providers")
    first = visit.page.get_by_role("article").first
    expect(first).to_contain_text("openai")
    expect(first).to_contain_text("failed in the last hour")
    first.get_by_text("Errors of the last hour").get_by_role("link").first.click()
    expect(visit.page.locator(".rows .failed").first).to_be_visible()


def test_who_created_a_key_and_when(visit: Visit) -> None:
    visit.sign_in(ADMIN_KEY)
    visit.open(f"#/keys?workspace={WORKSPACE}")
    key = rows(visit.page).filter(has_text="key_support")
    expect(key).to_contain_text("Oct 19, 2026")
    key.get_by_role("link", name="by whom").click()
    changes = visit.page.get_by_role("row").filter(has_text="command-line")
    expect(changes).to_have_count(1)
    expect(changes).to_contain_text("keys/key_support")


def test_how_to_get_the_content_of_the_next_call_that_fails(visit: Visit) -> None:
    visit.sign_in(ADMIN_KEY)
    visit.open(f"#/overview?workspace={WORKSPACE}")
    visit.page.locator(".card").filter(has_text="Failed").get_by_role("link").click()
    visit.page.locator(".rows [data-row]").first.click()
    click(visit.page, TRACE_FAILURES)
    expect(visit.page.get_by_role("dialog").get_by_label("Every call that fails is traced")).to_be_checked()


def test_all_failed_calls_of_yesterday_are_a_file(visit: Visit) -> None:
    visit.sign_in(CALLER_KEY)
    click(visit.page, "Yesterday")
    failed = visit.page.locator(".card").filter(has_text="Failed").get_by_role("link")
    expect(failed).to_have_attribute("href", re.compile("range=yesterday"))  # until then, it counts those of today
    count = int(failed.inner_text().split(" ")[0])
    failed.click()
    with visit.page.expect_download() as download:
        click(visit.page, "Download CSV")
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == count + 1
    assert all(",failed," in line for line in lines[1:])
    expect(visit.page.get_by_label("Live")).to_have_count(0)  # a range that is over has no new calls


def test_what_the_calls_would_have_cost_on_another_model(visit: Visit) -> None:
    visit.sign_in(CALLER_KEY)
    click(visit.page, "7d")
    click(visit.page, "on other models")
    expect(visit.page.get_by_role("heading", name="Other models")).to_be_visible()
    expect(rows(visit.page).first).to_contain_text("the models that answered")
    expect(rows(visit.page).nth(1)).to_contain_text("mistral/mistral-small-latest")
    expect(rows(visit.page).nth(1)).to_contain_text("−")
    visit.page.get_by_label("Model", exact=True).fill("openai/gpt-4.1-nano")
    click(visit.page, "Compare")
    expect(rows(visit.page).nth(1)).to_contain_text("openai/gpt-4.1-nano")
    assert visit.page.url.endswith("#/reprice?range=7d&model=openai%2Fgpt-4.1-nano")
    visit.page.get_by_title("Remove this model").click()
    expect(rows(visit.page).nth(1)).to_contain_text("mistral/mistral-small-latest")
    click(visit.page, "Last month")
    expect(visit.page.get_by_text("No calls in this range yet.")).to_be_visible()


def test_a_workspace_without_such_calls_leads_to_the_others(visit: Visit) -> None:
    visit.sign_in(ADMIN_KEY)
    visit.open("#/calls?workspace=ws_lighthouse&app=harbour-office")
    click(visit.page, "Harbour")
    expect(visit.page.locator(".rows [data-row]").first).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_these_pages_have_no_serious_faults_of_accessibility(
    browser: Browser, slow_call: tuple[str, str], scheme: str, width: int
) -> None:
    size, found = {"width": width, "height": 900}, dict[str, object]()
    with visiting(browser, slow_call[0], color_scheme=scheme, viewport=size, bypass_csp=True) as visit:
        visit.page.clock.set_fixed_time(NOW)
        visit.sign_in(CALLER_KEY)
        for name in ("overview", "calls", "sessions", "reprice", "providers"):
            visit.open(f"#/{name}?range=7d")
            visit.page.get_by_role("heading", level=1).wait_for()
            visit.page.wait_for_function("() => !document.querySelector('main').textContent.includes('Loading…')")
            found[name] = serious_faults(visit.page)
    assert {name: faults for name, faults in found.items() if faults} == {}
