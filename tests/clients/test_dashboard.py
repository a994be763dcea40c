"""The dashboard in a real browser: over a running gateway, as callers and operators use it."""

import io
import json
import time
from typing import Any
from urllib.request import Request, urlopen

import openai
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.clients.browser import Visit, serious_faults, visiting
from tests.clients.world import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE

pytestmark = pytest.mark.slow

SCRIPT = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
SECRET_NOTE = "It is shown once"
CALLER_PAGES = ("overview", "calls", "batches", "playground")
ADMIN_PAGES = ("keys", "workspaces", "audit")
ROWS = 10_000


def call(root: str, model: str = "demo/echo", key: str = DEMO_KEY, **headers: str) -> str:
    """Make a call. Returns its id."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello, tide."}]}).encode()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    request = Request(
        f"{root}/v1/chat/completions",
        body,
        {"authorization": f"Bearer {key}", "content-type": "application/json", **named},
    )
    with urlopen(request, timeout=30) as reply:
        return reply.headers["x-request-id"]


def row(page: Page, call_id: str) -> Any:
    return page.locator(f'[data-row="{call_id}"]')


def test_a_caller_signs_in_and_sees_a_call_appear_and_opens_it(visit: Visit, root: str) -> None:
    page = visit.page
    visit.sign_in(DEMO_KEY)
    visit.show("Calls")
    expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    call_id = call(root, x_app_id="shop")
    row(page, call_id).click()
    expect(page.get_by_text(call_id).first).to_be_visible()
    expect(page.get_by_text("Not traced")).to_be_visible()
    expect(page.get_by_role("definition").filter(has_text="shop")).to_be_visible()
    assert DEMO_KEY not in page.url
    stored = page.evaluate("[JSON.stringify(localStorage), document.cookie, JSON.stringify(sessionStorage)]")
    assert [DEMO_KEY in text for text in stored] == [False, False, True]
    assert DEMO_KEY not in page.content()


def test_a_filter_is_in_the_address_and_can_be_shared(visit: Visit, root: str) -> None:
    page = visit.page
    plain, of_app = call(root), call(root, x_app_id="harbour")
    visit.sign_in(DEMO_KEY)
    visit.open("#/calls")
    expect(row(page, plain)).to_be_visible()
    page.get_by_text("Filters").click()
    page.get_by_label("App").fill("harbour")
    page.get_by_role("button", name="Filter").click()
    expect(row(page, of_app)).to_be_visible()
    expect(row(page, plain)).to_have_count(0)
    assert page.url.endswith("#/calls?app=harbour")
    page.reload()
    expect(row(page, of_app)).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(row(page, plain)).to_be_visible()


def test_the_overview_shows_calls_and_leads_to_them(visit: Visit, root: str) -> None:
    call(root)
    visit.sign_in(DEMO_KEY)
    link = visit.page.get_by_role("rowheader").get_by_role("link", name="demo/echo")
    deadline = time.monotonic() + 30
    while link.count() == 0 and time.monotonic() < deadline:  # aggregates follow a few seconds later
        visit.page.wait_for_timeout(1_000)
        visit.page.reload()
        visit.page.get_by_role("heading", name="Overview").wait_for()
        visit.page.wait_for_timeout(500)
    link.click()
    expect(visit.page.get_by_title("Remove this filter")).to_have_text("Model: demo/echo ✕")
    assert "model=demo%2Fecho" in visit.page.url


def test_calls_are_saved_as_csv(visit: Visit, root: str) -> None:
    call_id = call(root)
    visit.sign_in(DEMO_KEY)
    visit.show("Calls")
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Download CSV").click()
    assert call_id in download.value.path().read_text()


def test_an_admin_creates_and_revokes_a_key_and_finds_both_in_the_audit_log(visit: Visit, root: str) -> None:
    page = visit.page
    visit.sign_in(DEMO_ADMIN)
    visit.show("Keys")
    page.get_by_role("button", name="Create a key").click()
    page.get_by_label("Name").fill(SCRIPT[:100])
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text(SECRET_NOTE)).to_be_visible()
    secret = page.locator(".code pre").inner_text()
    assert call(root, key=secret)
    table_row = page.get_by_role("row").filter(has_text="<img src=x")
    table_row.get_by_role("button", name="Limits").click()
    page.get_by_label("Requests a minute").fill("7")
    page.get_by_role("button", name="Save").click()
    expect(table_row).to_contain_text("Requests a minute: 7")
    table_row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(table_row).to_contain_text("revoked")
    visit.show("Audit log")
    expect(page).to_have_title("Audit log · Tidegate")
    expect(page.get_by_role("row").filter(has_text="revoke").first).to_be_visible()
    assert page.title() == "Audit log · Tidegate"  # no script has changed it


@pytest.mark.parametrize("key", ["sk-tidegate-wrong", "sk-tidegate-admin-wrong"])
def test_a_wrong_key_is_refused_with_what_to_do(visit: Visit, key: str) -> None:
    visit.open()
    visit.try_key(key)
    expect(visit.page.get_by_role("alert")).to_contain_text("not valid: it is unknown, revoked or expired")
    expect(visit.page.get_by_label("Key")).to_be_focused()
    assert visit.page.evaluate("sessionStorage.length") == 0


def test_a_key_that_has_become_invalid_leads_back_to_the_sign_in(visit: Visit) -> None:
    visit.sign_in(DEMO_KEY)
    visit.page.evaluate("sessionStorage.setItem('tidegate.key', 'sk-tidegate-gone')")
    visit.page.reload()
    expect(visit.page.get_by_role("alert")).to_contain_text("not valid")
    expect(visit.page.get_by_label("Key")).to_be_visible()


@pytest.mark.parametrize("address", ["#/calls?workspace=ws_other", "#/overview?workspace=ws_other"])
def test_another_workspace_is_not_found(visit: Visit, address: str) -> None:
    visit.sign_in(DEMO_KEY)
    visit.open(address)
    expect(visit.page.get_by_role("alert")).to_contain_text("There is no workspace 'ws_other'")


def test_an_address_that_was_cut_off_is_a_call_that_does_not_exist(visit: Visit) -> None:
    visit.sign_in(DEMO_KEY)
    visit.open("#/calls/01%E")
    expect(visit.page.get_by_role("alert")).to_contain_text("No call of this workspace has the id")


def test_without_a_network_the_page_says_so_and_tries_again(visit: Visit) -> None:
    visit.sign_in(DEMO_KEY)
    visit.page.context.set_offline(True)
    visit.show("Calls")
    expect(visit.page.get_by_role("alert")).to_contain_text("cannot be reached")
    visit.page.context.set_offline(False)
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.page.get_by_role("alert")).to_have_count(0)
    expect(visit.page.get_by_role("button", name="Download CSV")).to_be_visible()


def many_calls(route: Route) -> None:
    """Answer a page of `ROWS` made-up calls, whose texts are scripts."""
    query = dict(part.split("=", 1) for part in route.request.url.partition("?")[2].split("&"))
    first = int(query.get("cursor", "0"))
    if "after" in query:
        route.fulfill(json={"data": [], "next_cursor": None})
        return
    numbers = range(first, min(first + 200, ROWS))
    data = [made_up_call(number) for number in numbers]
    route.fulfill(json={"data": data, "next_cursor": str(numbers[-1] + 1) if numbers[-1] + 1 < ROWS else None})


def made_up_call(number: int) -> dict[str, Any]:
    texts = dict.fromkeys(
        ("model", "provider", "answered_model", "app_id", "session_id", "error_code", "ignored"), SCRIPT
    )
    numbers = {"input_tokens": 1, "output_tokens": 2, "first_event_seconds": 0.1, "seconds": 0.2, "cost_usd": "0.1"}
    fixed = {"time": "2026-11-21T12:00:00.000Z", "status": SCRIPT, "workspace_id": DEMO_WORKSPACE}
    return {"id": f"{ROWS - number:026}", **fixed, **texts, **numbers}


def test_ten_thousand_rows_scroll_smoothly_and_scripts_in_them_are_text(visit: Visit) -> None:
    page = visit.page
    page.route("**/console/v1/calls?*", many_calls)
    visit.sign_in(DEMO_KEY)
    visit.show("Calls")
    rows = page.locator(".rows")
    expect(rows.get_by_text(SCRIPT).first).to_be_visible()
    while int(rows.get_attribute("aria-rowcount") or 0) <= ROWS:
        rows.evaluate("box => { box.scrollTop = box.scrollHeight }")
        page.wait_for_timeout(20)
    times = rows.evaluate(
        """async box => {
          const times = [];
          for (let step = 0; step < 60; step++) {
            const begin = performance.now();
            box.scrollTop = step * 6000;
            box.dispatchEvent(new Event("scroll"));
            box.getBoundingClientRect();
            times.push(performance.now() - begin);
            await new Promise(requestAnimationFrame);
          }
          return times.sort((one, other) => one - other);
        }"""
    )
    assert page.locator(".rows [role=row]").count() < 100
    assert times[30] < 16, times  # milliseconds: a frame at 60 Hz
    assert page.locator("main img, main script").count() == 0
    assert page.title() == "Calls · Tidegate"


def test_scripts_in_one_call_are_text(visit: Visit) -> None:
    details = {
        "record": made_up_call(0) | {"endpoint": SCRIPT, "key_id": SCRIPT},
        "timeline": [{"at": 0.1, "kind": SCRIPT, "detail": SCRIPT, "deployment": SCRIPT}],
        "cost": [{"kind": SCRIPT, "count": 1, "rate_usd": "1", "cost_usd": "1"}],
        "trace": None,
        "trace_status": "not_asked",
    }
    visit.page.route("**/console/v1/calls/*", lambda route: route.fulfill(json=details))
    visit.sign_in(DEMO_KEY)
    visit.open("#/calls/01ABC")
    expect(visit.page.get_by_role("heading", name="Timeline")).to_be_visible()
    assert visit.page.locator("main img, main script").count() == 0
    assert visit.page.title() == "Calls · Tidegate"


def test_the_playground_streams_several_models_beside_each_other(visit: Visit) -> None:
    page = visit.page
    visit.sign_in(DEMO_KEY)
    visit.show("Playground")
    page.get_by_label("Model 1").fill("demo/echo")
    page.get_by_label("Model 2").fill("demo/error-429")
    page.get_by_label("Prompt", exact=True).fill(SCRIPT)
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_label("Answer of demo/echo")).to_have_text(SCRIPT)
    expect(page.get_by_role("article").first).to_contain_text("tokens")
    expect(page.get_by_role("article").nth(1).get_by_role("alert")).to_be_visible()
    assert "model=demo%2Fecho" in page.url and DEMO_KEY not in page.url
    assert page.title() == "Playground · Tidegate"


def test_a_batch_shows_its_progress_and_its_results(visit: Visit, root: str) -> None:
    client = openai.OpenAI(api_key=DEMO_KEY, base_url=f"{root}/v1")
    request = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello"}]}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": request}
    file = client.files.create(file=("one.jsonl", io.BytesIO(json.dumps(line).encode())), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    client.close()
    visit.sign_in(DEMO_KEY)
    visit.show("Batches")
    card = visit.page.get_by_role("article").filter(has_text=batch.id)
    expect(card).to_contain_text("1 of 1 lines answered", timeout=60_000)
    with visit.page.expect_download() as download:
        card.get_by_role("button", name="Results (JSONL)").click()
    assert '"custom_id":"1"' in download.value.path().read_text().replace(" ", "")


def test_the_pages_speak_german_to_a_german_browser(browser: Browser, root: str) -> None:
    with visiting(browser, root, locale="de-DE") as visit:
        visit.open()
        visit.page.get_by_label("Schlüssel").fill(DEMO_KEY)
        visit.page.get_by_role("button", name="Anmelden").click()
        expect(visit.page.get_by_role("heading", name="Übersicht")).to_be_visible()
        visit.page.get_by_label("Language / Sprache").select_option("en")
        expect(visit.page.get_by_role("heading", name="Overview")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_serious_faults_of_accessibility(browser: Browser, root: str, scheme: str, width: int) -> None:
    call_id = call(root)
    size = {"width": width, "height": 900}
    with visiting(browser, root, color_scheme=scheme, viewport=size, bypass_csp=True) as visit:
        visit.open()
        found = {"signin": serious_faults(visit.page)}
        visit.sign_in(DEMO_KEY)
        for name in (*CALLER_PAGES, f"calls/{call_id}"):
            found[name] = faults_of_page(visit, name)
        visit.page.get_by_role("button", name="Sign out").click()
        visit.try_key(DEMO_ADMIN)
        visit.page.get_by_role("navigation").wait_for()
        for name in ADMIN_PAGES:
            found[name] = faults_of_page(visit, name)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_axe_finds_a_fault(visit: Visit) -> None:
    visit.page.set_content("<main><img src='data:,'><button></button></main>")
    found = serious_faults(visit.page)
    assert {"button-name", "image-alt"} <= {name for name, _ in found}


def faults_of_page(visit: Visit, name: str) -> list[Any]:
    visit.open(f"#/{name}")
    visit.page.get_by_role("heading", level=1).wait_for()
    visit.page.wait_for_function("() => !document.querySelector('main').textContent.includes('Loading…')")
    return serious_faults(visit.page)
