"""The dashboard's pages for operators in a real browser: what can be changed, by whom, and what is refused."""

import json
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.clients.browser import Visit, serious_faults, visiting
from tests.clients.world import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE

pytestmark = pytest.mark.slow

PHONE = {"width": 390, "height": 800}
SCRIPT = "<img src=x onerror=\"document.title='run'\">"
CALLER_PAGES = ("Overview", "Calls", "Sessions", "Batches", "Playground", "Other models", "Providers")
ADMIN_PAGES = ("Workspaces", "Keys", "Limits", "Plans", "Routes", "Guardrails", "Access", "Audit log")
EVERY_PAGE = ("providers", "workspaces", "keys", "limits", "plans", "routes", "guardrails", "access", "audit")


@pytest.fixture
def operator(visit: Visit) -> Visit:
    visit.sign_in(DEMO_ADMIN)
    return visit


def send(root: str, method: str, path: str, body: object = None, key: str = DEMO_ADMIN, **headers: str) -> Any:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    request = Request(
        f"{root}{path}",
        None if body is None else json.dumps(body).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json", **named},
        method=method,
    )
    with urlopen(request, timeout=30) as reply:
        return json.loads(reply.read() or b"null")


def status_of(root: str, method: str, path: str, body: object, key: str) -> int:
    try:
        send(root, method, path, body, key, if_match="*")
    except HTTPError as error:
        return error.code
    return 200


def new_workspace(root: str, **fields: Any) -> str:
    id = f"ws_{uuid.uuid4().hex[:8]}"
    send(root, "POST", "/admin/v1/workspaces", {"id": id, "name": id, **fields})
    return id


def stored(root: str, workspace_id: str) -> Mapping[str, Any]:
    return send(root, "GET", f"/admin/v1/workspaces/{workspace_id}")


def say(root: str, model: str = "demo/echo", key: str = DEMO_KEY, **headers: str) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello, tide."}]}
    return send(root, "POST", "/v1/chat/completions", body, key, **headers)


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


def press(place: Page | Locator, name: str) -> None:
    place.get_by_role("button", name=name, exact=True).click()


def confirm(page: Page, name: str) -> None:
    """Send the form of the dialog, and wait until it is closed."""
    press(page.get_by_role("dialog"), name)
    expect(page.get_by_role("dialog")).to_have_count(0)


# Navigation


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


def test_on_a_wide_screen_all_pages_are_one_click_away(operator: Visit) -> None:
    expect(operator.page.get_by_role("button", name="Menu")).to_be_hidden()
    links = operator.page.get_by_role("navigation").get_by_role("link")
    expect(links).to_have_text([*CALLER_PAGES, *ADMIN_PAGES])


# Sessions


def test_a_session_is_a_tree_of_agents_and_their_calls(visit: Visit, root: str) -> None:
    page, session = visit.page, f"tide-{uuid.uuid4().hex[:6]}"
    for agent, parent in (("planner", ""), ("planner", ""), ("writer", "planner"), ("ghost", "spirit")):
        above = {"x_claude_code_parent_agent_id": parent} if parent else {}
        say(root, x_session_id=session, x_claude_code_agent_id=agent, **above)
    say(root, x_session_id=session, x_claude_code_agent_id="spirit", x_claude_code_parent_agent_id="ghost")
    with pytest.raises(HTTPError):
        say(root, "demo/error-400", x_session_id=session)
    visit.sign_in(DEMO_KEY)
    visit.show("Sessions")
    link = page.get_by_role("link", name=session)
    deadline = time.monotonic() + 30
    while link.count() == 0 and time.monotonic() < deadline:  # sums follow a few seconds later
        page.wait_for_timeout(1_000)
        page.reload()
        page.get_by_role("heading", name="Sessions", exact=True).wait_for()
        page.wait_for_timeout(500)
    expect(row(page, session)).to_contain_text("6")
    link.click()
    tree = page.locator(".tree")
    expect(tree.locator("summary")).to_have_count(5)
    expect(tree.locator("summary").first).to_contain_text("planner 2 calls")
    expect(tree.locator("ul ul li summary").first).to_contain_text("writer 1 calls")  # below the planner
    expect(tree.get_by_text("without an agent 1 calls · $0.00 · 1 failed")).to_have_count(1)
    expect(tree.get_by_text("spirit", exact=True)).to_have_count(1)  # above each other, as they say
    expect(tree.get_by_role("row")).to_have_count(5 + 6)
    tree.get_by_role("rowheader").get_by_role("link").first.click()
    expect(page.get_by_role("definition").filter(has_text=session)).to_be_visible()


def test_a_workspace_without_sessions_learns_how_to_name_them(operator: Visit, root: str) -> None:
    operator.open(f"#/sessions?workspace={new_workspace(root)}")
    expect(operator.page.locator(".hint pre")).to_contain_text("-H 'x-session-id: review-42'")


def test_a_session_of_another_workspace_is_not_found(visit: Visit) -> None:
    visit.sign_in(DEMO_KEY)
    visit.open("#/sessions/other?workspace=ws_other")
    expect(visit.page.get_by_role("alert")).to_contain_text("There is no workspace 'ws_other'")


def test_older_calls_of_a_session_are_added_to_the_newer_ones(visit: Visit) -> None:
    def page_of(number: int, cost: str, **fields: Any) -> dict[str, Any]:
        time = f"2026-11-2{number}T05:00:00.000Z"
        call = {"id": f"01{number}", "time": time, "status": "ok", "model": f"m{number}", "input_tokens": None}
        sums = {"calls": 1, "failed": 0, "cost_usd": cost, "tokens": 3}
        agents = [{"agent_id": None, **sums, "calls_listed": [call]}]
        return {**sums, "started": time, "ended": time, "agents": agents, "searched_since": time, **fields}

    pages = {
        None: page_of(5, "0.5", next_cursor="015", hours_left_out=0, errors=[{"name": "late", "calls": 1}]),
        "015": page_of(3, "0.25", next_cursor=None, hours_left_out=24, errors=[{"name": "late", "calls": 2}]),
    }

    def answer(route: Route) -> None:
        route.fulfill(json=pages[parse_qs(urlsplit(route.request.url).query).get("cursor", [None])[0]])

    page = visit.page
    page.route("**/console/v1/sessions/*", answer)
    visit.sign_in(DEMO_KEY)
    visit.open("#/sessions/x")
    expect(page.get_by_text(re.compile(r"Calls since Nov 2[456], 2026, .* are listed\."))).to_be_visible()
    press(page, "Show older calls")
    expect(page.locator(".tree summary")).to_have_text("without an agent 2 calls · $0.75")
    expect(page.locator(".tree tbody tr")).to_contain_text(["m3", "m5"])
    expect(page.get_by_text("late · 3")).to_be_visible()
    expect(page.get_by_text(re.compile(r"Calls since Nov 2[234], 2026, .* were looked up\."))).to_be_visible()
    expect(page.get_by_text("24 hours were left out")).to_be_visible()
    expect(page.get_by_role("button", name="Show older calls")).to_have_count(0)


def test_scripts_in_a_session_are_text(visit: Visit) -> None:
    call = {"id": "01A", "time": "2026-11-30T05:00:00Z", "status": SCRIPT, "model": SCRIPT, "input_tokens": None}
    sums = {"calls": 1, "failed": 1, "cost_usd": "1", "tokens": 3}
    agent = {"agent_id": SCRIPT, **sums, "calls_listed": [call]}
    tree = {"session_id": SCRIPT, **sums, "total": None, "agents": [agent], "next_cursor": None}
    errors = [{"name": SCRIPT, "calls": 1}]
    visit.page.route("**/console/v1/sessions/*", lambda route: route.fulfill(json={**tree, "errors": errors}))
    visit.sign_in(DEMO_KEY)
    visit.open("#/sessions/x")
    expect(visit.page.locator(".tree summary")).to_contain_text(SCRIPT)
    assert visit.page.locator("main img").count() == 0


# Workspaces, limits and plans


def test_a_workspace_is_created_changed_suspended_and_each_step_is_in_the_audit_log(operator: Visit, root: str) -> None:
    page, id = operator.page, f"ws_{uuid.uuid4().hex[:8]}"
    operator.show("Workspaces")
    press(page, "Create a workspace")
    page.get_by_label("Id", exact=True).fill(id)
    page.get_by_label("Name").fill("Harbour")
    page.get_by_label("USD a month").fill("12.50")
    confirm(page, "Create")
    press(row(page, id), "Settings")
    page.get_by_label("Replies are cached for (s)").fill("60")
    page.get_by_label("lowers_max_tokens").check()
    page.locator("select[name=batch_mode]").select_option("provider_batch")
    confirm(page, "Save")
    after = stored(root, id)
    assert (after["cache_ttl_seconds"], after["lowers_max_tokens"], after["batch_mode"]) == (60, True, "provider_batch")
    assert (after["limits"], after["version"]) == ({"usd_per_month": "12.50"}, 2)
    press(row(page, id), "Suspend")
    confirm(page, "Suspend")
    expect(row(page, id)).to_contain_text("suspended")
    expect(page.locator("main")).to_be_focused()  # the button that was pressed is gone
    operator.open(f"#/audit?workspace={id}")
    expect(page.get_by_role("cell", name=f"workspaces/{id}")).to_have_count(3)
    expect(page.locator("tbody tr").first).to_contain_text("suspend")
    page.get_by_label("Action").fill("update")
    press(page, "Filter")
    expect(page.get_by_role("cell", name=f"workspaces/{id}")).to_have_count(1)
    changes = page.locator("details").get_by_role("row")
    expect(changes.filter(has_text="cache_ttl_seconds")).to_have_text("cache_ttl_secondsnull60")
    expect(changes.filter(has_text="batch_mode")).to_have_text("batch_modecallsprovider_batch")


def test_traces_of_a_workspace_are_set_and_destroyed(operator: Visit, root: str) -> None:
    page, id = operator.page, new_workspace(root)
    operator.show("Workspaces")
    press(row(page, id), "Settings")
    page.get_by_label("Share of calls that are traced").fill("0.25")
    page.get_by_label("Every call that fails is traced").check()
    page.get_by_label("Traces are kept for (days)").fill("3")
    confirm(page, "Save")
    expect(row(page, id)).to_contain_text("25%, failures, 3 days")
    press(row(page, id), "Destroy traces")
    confirm(page, "Destroy traces")
    expect(page.get_by_role("status").filter(has_text="are destroyed")).to_be_visible()


def test_a_stale_change_says_so_and_changes_nothing(operator: Visit, root: str) -> None:
    page, id = operator.page, new_workspace(root)
    operator.open(f"#/limits?workspace={id}")
    press(page, "Change the limits")
    page.get_by_label("Tokens a day").fill("1000")
    send(root, "PATCH", f"/admin/v1/workspaces/{id}", {"name": "Elsewhere"}, if_match="*")
    press(page.get_by_role("dialog"), "Save")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Somebody changed it meanwhile")
    press(page.get_by_role("dialog"), "Close")
    expect(page.get_by_role("heading", name="Elsewhere")).to_be_visible()  # the new state is behind the dialog
    assert stored(root, id)["limits"] == {}
    press(page, "Change the limits")
    page.get_by_label("Tokens a day").fill("1000")
    confirm(page, "Save")
    assert stored(root, id)["limits"] == {"tokens_per_day": 1000}


def test_limits_show_what_remains_and_where_they_come_from(operator: Visit, root: str) -> None:
    page, plan = operator.page, f"plan_{uuid.uuid4().hex[:8]}"
    limits = {"usd_per_month": "5", "tokens_per_day": 9000}
    send(root, "POST", "/admin/v1/plans", {"id": plan, "name": "Team", "limits": limits})
    id = new_workspace(root, plan_id=plan, limits={"tokens_per_day": 4000})
    operator.open(f"#/limits?workspace={id}")
    expect(page.get_by_role("meter", name="Tokens a day")).to_have_attribute("aria-valuemax", "4000")
    expect(page.get_by_text("4,000 of 4,000 remain")).to_be_visible()
    expect(row(page, "Tokens a day")).to_have_text("Tokens a day4,000this workspace")
    expect(row(page, "USD a month")).to_contain_text(f"plan {plan}")


def test_a_limit_below_what_is_used_is_saved_only_if_one_insists(operator: Visit, root: str) -> None:
    page, id = operator.page, new_workspace(root, limits={"tokens_per_month": 10**6})
    key = send(root, "POST", "/admin/v1/keys", {"name": "app", "workspace_ids": [id]})["secret"]
    say(root, key=key)
    operator.open(f"#/limits?workspace={id}")
    press(page, "Change the limits")
    page.get_by_role("dialog").get_by_label("Tokens a month").fill("1")
    press(page.get_by_role("dialog"), "Save")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("is less than the")
    assert stored(root, id)["limits"] == {"tokens_per_month": 10**6}
    confirm(page, "Save all the same")
    assert stored(root, id)["limits"] == {"tokens_per_month": 1}


def test_a_plan_is_created_copied_to_its_workspaces_and_deleted_when_nobody_has_it(operator: Visit, root: str) -> None:
    page, plan = operator.page, f"plan_{uuid.uuid4().hex[:8]}"
    operator.show("Plans")
    press(page, "Create a plan")
    page.get_by_label("Id", exact=True).fill(plan)
    page.get_by_label("Name").fill(plan)
    page.get_by_label("USD a month").fill("20")
    confirm(page, "Create")
    id = new_workspace(root, plan_id=plan)
    page.reload()
    expect(row(page, plan).get_by_role("link", name=id)).to_be_visible()
    press(row(page, plan), f"Change {plan}")
    page.get_by_label("USD a month").fill("30")
    confirm(page, "Save")
    expect(page.get_by_text("1 workspaces have the new limits.")).to_be_visible()
    assert stored(root, id)["effective_limits"] == {"usd_per_month": "30"}
    press(row(page, plan), f"Delete {plan}")
    press(page.get_by_role("dialog"), "Delete")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(f"Workspaces are on this plan: {id}")
    press(page.get_by_role("dialog"), "Close")
    send(root, "PATCH", f"/admin/v1/workspaces/{id}", {"plan_id": None}, if_match="*")
    press(row(page, plan), f"Delete {plan}")
    confirm(page, "Delete")
    expect(row(page, plan)).to_have_count(0)


# Keys


def test_a_key_is_restricted_rotated_and_its_secret_is_shown_once(operator: Visit, root: str) -> None:
    page, id = operator.page, new_workspace(root)
    operator.open(f"#/keys?workspace={id}")
    expect(page.locator(".hint pre")).to_contain_text(f"--workspace {id}")
    press(page, "Create a key")
    page.get_by_label("Name").fill("app")
    page.get_by_label("Expires").fill("2030-01-31T12:00")
    page.get_by_text("Restrictions and traces").click()
    page.get_by_label("Endpoints").fill("/v1/chat/*, /v1/models")
    page.get_by_label("Networks").fill("127.0.0.0/8")
    page.get_by_label("Share of calls that are traced").fill("0.5")
    confirm(page, "Create")
    first = page.locator(".hint pre").inner_text()
    assert say(root, key=first)
    expect(row(page, "app")).to_contain_text("Endpoints: /v1/chat/*, /v1/models")
    press(row(page, "app"), "Settings")
    page.get_by_label("Networks").fill("nowhere")
    press(page.get_by_role("dialog"), "Save")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("networks")
    page.get_by_label("Networks").fill("")
    confirm(page, "Save")
    key = send(root, "GET", f"/admin/v1/workspaces/{id}/keys")["data"][0]
    assert (key["networks"], key["endpoints"], key["version"]) == (None, ["/v1/chat/*", "/v1/models"], 2)
    assert (key["trace_sample"], key["expires_at"][:4]) == (0.5, "2030")
    press(row(page, "app"), "Rotate")
    confirm(page, "Rotate")
    second = page.locator(".hint pre").inner_text()
    assert second != first
    assert say(root, key=first), "the old secret stays valid for a day"
    expect(row(page, "app")).to_contain_text("The old secret works until")
    page.reload()
    expect(row(page, "app")).to_be_visible()
    assert second not in page.content()


# Routes and guardrails


def test_a_route_is_edited_as_json_with_the_error_beside_it(operator: Visit, root: str) -> None:
    page, id = operator.page, new_workspace(root)
    operator.open(f"#/routes?workspace={id}")
    expect(page.locator(".hint pre")).to_contain_text(f"tidegate workspaces set {id} --routes @routes.json")
    press(page, "by weight")
    text = page.get_by_label("Definition")
    text.fill('{"name": "fast", "targets": [')
    press(page.get_by_role("dialog"), "Save")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("This is not valid JSON")
    text.fill(json.dumps({"name": "fast", "targets": [{"model": "demo/echo", "weight": -1}]}))
    press(page.get_by_role("dialog"), "Save")
    expect(page.get_by_role("dialog").get_by_role("alert").locator("code")).to_have_text("routes[0].targets[0].weight")
    text.fill(json.dumps({"name": SCRIPT, "targets": [{"model": "demo/echo"}]}))
    press(page.get_by_role("dialog"), "Save")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("routes[0].name")
    text.fill(json.dumps({"name": "fast", "by": "weight", "targets": [{"model": "demo/echo", "weight": 3}]}))
    confirm(page, "Save")
    expect(page.get_by_role("article").filter(has_text="fast")).to_contain_text("demo/echo · weight 3")
    key = send(root, "POST", "/admin/v1/keys", {"name": "app", "workspace_ids": [id]})["secret"]
    assert say(root, "fast", key)["model"]
    press(page, "Change fast")
    send(root, "PATCH", f"/admin/v1/workspaces/{id}", {"name": "Elsewhere"}, if_match="*")
    press(page.get_by_role("dialog"), "Save")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Somebody changed it meanwhile")
    press(page.get_by_role("dialog"), "Close")
    press(page, "Remove fast")
    confirm(page, "Remove")
    expect(page.get_by_text("This workspace has no routes.")).to_be_visible()
    assert stored(root, id)["routes"] == []


def test_a_guardrail_is_added_from_an_example_and_listed_readably(operator: Visit, root: str) -> None:
    page, id = operator.page, new_workspace(root)
    operator.open(f"#/guardrails?workspace={id}")
    press(page, "mask a pattern")
    confirm(page, "Save")
    card = page.get_by_role("article").filter(has_text="projects")
    expect(card).to_contain_text("masks what it finds")
    expect(card).to_contain_text("on every call")
    assert [each["name"] for each in stored(root, id)["guardrails"]] == ["projects"]
    for example in ("mask personal data", "limit the prompt"):
        press(page, example)
        confirm(page, "Save")
    assert [each["name"] for each in stored(root, id)["guardrails"]] == ["projects", "people", "short"]


# Access


def test_members_and_admin_keys_are_created_and_removed(operator: Visit, root: str) -> None:
    page, id = operator.page, new_workspace(root)
    operator.open(f"#/access?workspace={id}")
    press(page, "Add a member")
    page.get_by_label("Subject").fill("ada@example.com")
    page.get_by_label("Role").select_option("admin")
    confirm(page, "Save")
    expect(row(page, "ada@example.com")).to_contain_text("admin")
    press(page, "Remove ada@example.com")
    confirm(page, "Remove")
    expect(row(page, "ada@example.com")).to_have_count(0)
    name = f"ops {uuid.uuid4().hex[:6]}"
    press(page, "Create an admin key")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Workspaces").fill(id)
    confirm(page, "Create")
    secret = page.locator("pre").filter(has_text="sk-tidegate-admin-").inner_text()
    found = send(root, "GET", "/console/v1/me", key=secret)
    assert (found["scopes"], [each["id"] for each in found["workspaces"]]) == (["read"], [id])
    press(page, f"Revoke {name}")
    confirm(page, "Revoke")
    expect(row(page, name)).to_contain_text("revoked")


# Providers


def test_a_provider_shows_its_errors_and_what_cools_down_and_is_tested_with_one_click(visit: Visit, root: str) -> None:
    page = visit.page
    targets = [{"model": "demo/error-429"}, {"model": "demo/echo"}]
    routes = [{"name": "cooling", "targets": targets, "cooldown_failures": 1, "cooldown_seconds": 300}]
    body = {"name": "app", "workspace_ids": [new_workspace(root, routes=routes)]}
    key = send(root, "POST", "/admin/v1/keys", body)["secret"]
    say(root, "cooling", key)
    visit.sign_in(key)
    visit.show("Providers")
    card = page.get_by_role("article").filter(has_text="demo")
    expect(card).to_contain_text("cools down")
    expect(card).to_contain_text("cooling#1 (error-429) is asked last until")
    press(card, "Test demo")
    expect(page.get_by_role("dialog")).to_contain_text("It costs a fraction of a cent")
    expect(page.get_by_label("Model")).to_have_value("demo/echo")
    press(page.get_by_role("dialog"), "Test")
    expect(page.get_by_role("dialog")).to_contain_text("It answers, after")
    expect(page.get_by_role("dialog")).to_contain_text("Say OK.")
    page.get_by_label("Model").fill("demo/error-401")
    press(page.get_by_role("dialog"), "Test")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    page.get_by_label("Model").fill("openai/gpt-4.1-nano")
    press(page.get_by_role("dialog"), "Test")
    expect(page.get_by_role("dialog")).to_contain_text("start the gateway again")
    press(page.get_by_role("dialog"), "Close")
    page.get_by_text("providers without settings").click()
    expect(page.get_by_role("definition").filter(has_text="OPENAI_API_KEY").first).to_be_visible()


def test_an_admin_tests_with_a_virtual_key_that_is_kept_in_memory_alone(operator: Visit, root: str) -> None:
    page = operator.page
    say(root)
    operator.show("Providers")
    press(page, "Test demo")
    field = page.get_by_label("Virtual key for the test")
    field.fill("sk-tidegate-wrong")
    page.get_by_label("Model").fill("demo/echo")
    press(page.get_by_role("dialog"), "Test")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("not valid")
    expect(page.get_by_role("navigation")).to_be_visible()  # the operator stays signed in
    field.fill(DEMO_KEY)
    press(page.get_by_role("dialog"), "Test")
    expect(page.get_by_role("dialog")).to_contain_text("It answers, after")
    press(page.get_by_role("dialog"), "Close")
    press(page, "Test demo")
    expect(field).to_have_value(DEMO_KEY)
    texts = page.evaluate("[...Object.values(localStorage), ...Object.values(sessionStorage), location.href]")
    assert [text for text in texts if text == DEMO_KEY] == []
    page.reload()
    press(page, "Test demo")
    expect(field).to_have_value("")


def test_scripts_and_large_figures_of_providers_fit_a_phone(browser: Browser, root: str) -> None:
    figures = {"calls": 10**9, "failed": 10**8, "input_tokens": 10**12, "output_tokens": 10**12, "ttft_p95": 1234.5}
    cooling = [{"name": SCRIPT, "model": "m" * 80, "until": "2026-11-30T05:00:00Z"}]
    settings = {"setting": "S" * 60, "missing_settings": ["S" * 60], "workspaces_with_key": ["ws_" + "x" * 60]}
    errors = [{"code": SCRIPT, "calls": 10**9}]
    provider = {"name": SCRIPT, **settings, "hour": figures, "day": figures, "errors": errors, "cooling": cooling}
    others = provider | {"name": "other", "day": figures | {"calls": 0}, "cooling": [], "workspaces_with_key": []}
    times = {"hour_since": "2026-11-30T05:00:00Z", "day_since": "2026-11-29T05:00:00Z"}
    with visiting(browser, root, viewport=PHONE) as visit:
        visit.page.route(
            "**/console/v1/providers*", lambda route: route.fulfill(json={**times, "data": [provider, others]})
        )
        visit.sign_in(DEMO_KEY)
        visit.open("#/providers")
        visit.page.get_by_label("Language / Sprache").select_option("de")  # its words are longer
        expect(visit.page.get_by_role("article").get_by_role("heading")).to_have_text(SCRIPT)
        visit.page.get_by_text("1 Anbieter ohne Einstellungen").click()
        assert visit.page.locator("main img").count() == 0
        wide = (
            "[...document.querySelectorAll('main *')].filter((each) => each.getBoundingClientRect().right > innerWidth)"
        )
        assert visit.page.evaluate(f"{wide}.map((each) => each.outerHTML.slice(0, 80))") == []


# Who may see what


def test_a_callers_key_has_no_page_for_admins(visit: Visit, root: str) -> None:
    visit.sign_in(DEMO_KEY)
    expect(visit.page.get_by_role("navigation").get_by_role("link")).to_have_text(list(CALLER_PAGES))
    for page in ("plans", "limits", "routes", "guardrails", "access", "audit", "workspaces", "keys"):
        visit.open(f"#/{page}")
        expect(visit.page.get_by_role("heading", level=1)).to_have_text("Overview")
        assert status_of(root, "GET", f"/admin/v1/{page}", None, DEMO_KEY) in (401, 404)
    assert status_of(root, "GET", f"/admin/v1/workspaces/{DEMO_WORKSPACE}", None, DEMO_KEY) == 401


def test_a_key_that_may_only_read_sees_no_button_that_would_be_refused(visit: Visit, root: str) -> None:
    workspace_id = new_workspace(root, routes=[{"name": "fast", "targets": [{"model": "demo/echo"}]}])
    send(root, "POST", "/admin/v1/keys", {"name": "app", "workspace_ids": [workspace_id]})
    send(root, "POST", "/admin/v1/plans", {"id": f"plan_{workspace_id}", "name": "P"})
    reader = send(root, "POST", "/admin/v1/admins", {"name": "reader", "scopes": ["read"]})["secret"]
    visit.sign_in(reader)
    harmless = ["Menu", "Sign out", "Filter", "Clear", "Copy", "Show older changes"]
    for name in EVERY_PAGE:
        visit.open(f"#/{name}?workspace={workspace_id}")
        settled(visit.page)
        buttons = visit.page.get_by_role("button").all_inner_texts()
        expected = [*harmless, "Test"] if name == "providers" else harmless
        assert [text for text in buttons if text not in expected] == [], name
    changes: list[tuple[str, str, object]] = [
        ("POST", "/plans", {"id": "plan_no", "name": "no"}),
        ("POST", "/workspaces", {"name": "no"}),
        ("PATCH", f"/workspaces/{workspace_id}", {"routes": []}),
        ("POST", "/keys", {"name": "no", "workspace_ids": [workspace_id]}),
        ("POST", "/admins", {"name": "no", "scopes": ["read"]}),
        ("PUT", f"/workspaces/{workspace_id}/members/ada@example.com", {"role": "admin"}),
    ]
    refused = {path: status_of(root, method, f"/admin/v1{path}", body, reader) for method, path, body in changes}
    assert set(refused.values()) == {403}, refused


def test_an_admin_of_one_workspace_sees_it_alone_and_changes_its_keys(visit: Visit, root: str) -> None:
    page, own, other = visit.page, new_workspace(root), new_workspace(root)
    admin = {"name": "one", "scopes": ["read", "write"], "workspace_ids": [own]}
    secret = send(root, "POST", "/admin/v1/admins", admin)["secret"]
    visit.sign_in(secret)
    visit.show("Workspaces")
    expect(page.get_by_role("row")).to_have_count(2)
    press(row(page, own), "Destroy traces")
    confirm(page, "Destroy traces")
    expect(page.get_by_role("status").filter(has_text="are destroyed")).to_be_visible()
    for name, button in (("Workspaces", "Settings"), ("Limits", "Change the limits"), ("Plans", "Create a plan")):
        visit.show(name)
        settled(page)
        expect(page.get_by_role("button", name=button)).to_have_count(0)
    visit.show("Access")
    expect(page.get_by_role("heading", name=f"Members of {own}")).to_be_visible()
    expect(page.get_by_role("heading", name="Admin keys")).to_have_count(0)
    visit.show("Keys")
    press(page, "Create a key")
    page.get_by_label("Name").fill("mine")
    confirm(page, "Create")
    expect(row(page, "mine")).to_be_visible()
    for name in ("keys", "limits", "routes", "guardrails", "access", "audit", "providers"):
        visit.open(f"#/{name}?workspace={other}")
        expect(page.get_by_role("alert")).to_contain_text(f"There is no workspace '{other}'")
    assert status_of(root, "PATCH", f"/admin/v1/workspaces/{own}", {"name": "no"}, secret) == 403
    assert status_of(root, "GET", "/admin/v1/admins", None, secret) == 403
    assert status_of(root, "GET", f"/admin/v1/workspaces/{other}", None, secret) == 404


# Form


def settled(page: Page) -> None:
    page.get_by_role("heading", level=1).wait_for()
    expect(page.get_by_text("Loading…")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_admin_page_has_serious_faults_of_accessibility(
    browser: Browser, root: str, width: int, scheme: Any
) -> None:
    routes = [{"name": "fast", "targets": [{"model": "demo/error-500"}, {"model": "demo/echo"}]}]
    filled = new_workspace(root, routes=routes, guardrails=[{"name": "short", "kind": "max_input", "max_tokens": 9000}])
    key = send(root, "POST", "/admin/v1/keys", {"name": "app", "workspace_ids": [filled]})["secret"]
    say(root, "fast", key, x_session_id="tide")
    send(root, "PUT", f"/admin/v1/workspaces/{filled}/members/ada@example.com", {"role": "reader"})
    size = {"width": width, "height": 900}
    found: dict[str, Any] = {}
    with visiting(browser, root, viewport=size, color_scheme=scheme, bypass_csp=True) as visit:
        visit.sign_in(DEMO_ADMIN)
        for name in (*EVERY_PAGE, "sessions", "sessions/tide"):
            for workspace_id in (filled, new_workspace(root)):
                visit.open(f"#/{name}?workspace={workspace_id}")
                settled(visit.page)
                found[f"{name} {workspace_id}"] = serious_faults(visit.page)
                is_wider = visit.page.evaluate("document.documentElement.scrollWidth > innerWidth")
                assert not is_wider, f"{name} scrolls sideways"
        visit.open(f"#/workspaces?workspace={filled}")
        press(row(visit.page, filled), "Settings")
        found["dialog"] = serious_faults(visit.page)
        press(visit.page.get_by_role("dialog"), "Close")
        if width < 640:
            visit.page.get_by_role("button", name="Menu").click()
            found["menu"] = serious_faults(visit.page)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_the_admin_pages_speak_german(browser: Browser, root: str) -> None:
    with visiting(browser, root, locale="de-DE") as visit:
        visit.open()
        visit.page.get_by_label("Schlüssel").fill(DEMO_ADMIN)
        visit.page.get_by_role("button", name="Anmelden").click()
        titles = {"plans": "Tarife", "providers": "Anbieter", "access": "Zugriff", "routes": "Routen"}
        for name, title in titles.items():
            visit.open(f"#/{name}")
            expect(visit.page.get_by_role("heading", level=1)).to_have_text(title)
