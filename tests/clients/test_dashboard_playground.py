"""Replays and the playground in a real browser: calls that the pages make, and that this gateway answers."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.clients.browser import Visit, serious_faults, visiting
from tests.clients.call_page import open_all, open_call, replay
from tests.clients.made_calls import (
    GPT,
    PNG,
    PNG_BYTES,
    conversation,
    details,
    echo_call,
    messages_request,
    responses_request,
    trace,
)
from tests.clients.world import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE

pytestmark = pytest.mark.slow


# Replay


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_replay_shows_both_answers_with_times_tokens_costs_and_their_difference(visit: Visit, stream: bool) -> None:
    page = open_call(
        visit, echo_call("Low tide is at noon today in Husum.", "Low tide is at one today in Husum.", stream=stream)
    )
    replay(page)
    expect(page.get_by_role("group", name="Recorded answer")).to_contain_text("Low tide is at one today")
    expect(page.get_by_role("group", name="Answer of the replay")).to_have_text("Low tide is at noon today in Husum.")
    table = page.get_by_role("table").last
    expect(table.get_by_role("columnheader")).to_have_text(["Figure", "Recorded", "Replay", "Change"])
    expect(table.get_by_role("row").filter(has_text="Output")).to_have_text("Output408−32")
    expect(table.get_by_role("row").filter(has_text="Cost")).to_have_text("Cost$0.0123$0.00−$0.0123")
    expect(table.get_by_role("row").filter(has_text="Duration")).to_contain_text("9 s")
    assert page.locator(".difference del, .difference ins").all_inner_texts() == ["one ", "noon "]
    expect(page.get_by_text("1 words added, 1 removed")).to_be_visible()
    page.get_by_role("link", name="Open this call").click()
    expect(page.get_by_role("heading", name="demo/echo ok")).to_be_visible()


def test_a_replay_offers_the_cheapest_model_for_the_tokens_of_the_call(visit: Visit) -> None:
    prices = {"harbour/dear": ("0.000003", "0.000015"), "harbour/cheap": ("0.0000001", "0.0000004")}
    models = [{"id": id, "pricing": {"prompt": input, "completion": output}} for id, (input, output) in prices.items()]
    visit.page.route("**/v1/models", lambda route: route.fulfill(json={"data": [{"id": "demo/echo"}, *models]}))
    page = open_call(visit, echo_call("Good morning, tide."))
    page.get_by_role("button", name="Choose the cheapest: harbour/cheap").click()
    expect(page.get_by_label("Model")).to_have_value("harbour/cheap")
    names = page.locator("#replay-models option").evaluate_all("all => all.map(each => [each.value, each.text])")
    assert names == [["harbour/cheap", "about $0.000028"], ["harbour/dear", "about $0.00096"], ["demo/echo", ""]]


EVENTS_OF_MESSAGES: tuple[dict[str, Any], ...] = (
    {"type": "message_start", "message": {"usage": {"input_tokens": 12, "cache_read_input_tokens": 8}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Noon."}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "At "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "noon."}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
)
EVENTS_OF_RESPONSES: tuple[dict[str, Any], ...] = (
    {"type": "response.created", "response": {"output": [], "usage": None}},
    {"type": "response.output_text.delta", "delta": "At noon."},
    {"type": "response.completed", "response": {"output": [], "usage": {"input_tokens": 20, "output_tokens": 5}}},
)


@pytest.mark.parametrize(
    ("path", "request_of", "events"),
    [
        ("/v1/messages", messages_request, EVENTS_OF_MESSAGES),
        ("/v1/responses", responses_request, EVENTS_OF_RESPONSES),
    ],
    ids=["messages", "responses"],
)
def test_calls_of_other_dialects_are_replayed_at_their_endpoint(
    visit: Visit, path: str, request_of: Callable[[], dict[str, Any]], events: Sequence[dict[str, Any]]
) -> None:
    sent = {**request_of(), "stream": True}
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    page = open_call(visit, details(trace(sent), endpoint=path))
    page.route(f"**{path}", lambda route: route.fulfill(body="".join(lines), content_type="text/event-stream"))
    with page.expect_request(lambda each: each.method == "POST") as made:
        replay(page, GPT)
    assert made.value.post_data_json == {**sent, "model": GPT}
    expect(page.get_by_role("group", name="Answer of the replay")).to_have_text("At noon.")
    expect(page.locator("article").filter(has_text="Replay:")).to_contain_text("20 → 5 tokens")


def test_a_replay_with_another_model_sends_the_recorded_request_to_it(visit: Visit) -> None:
    request: dict[str, Any] = {
        "stream": True,
        "temperature": 0.5,
        "user": "harbour",
        "stream_options": {"include_usage": False},
    }
    page = open_call(visit, echo_call("Good morning, tide.", **request))
    with page.expect_request(lambda each: each.method == "POST") as sent:
        replay(page, "demo/reasoning")
    expect(page.get_by_role("heading", name="Replay: demo/reasoning")).to_be_visible()
    expect(page.get_by_role("group", name="Answer of the replay")).to_have_text("Good morning, tide.")
    expect(page.get_by_text("The answers are equal.")).to_be_visible()
    expected = {
        "model": "demo/reasoning",
        "messages": [{"role": "user", "content": "Good morning, tide."}],
        **request,
        "stream_options": {"include_usage": True},
    }
    assert sent.value.post_data_json == expected
    assert sent.value.headers["authorization"] == f"Bearer {DEMO_KEY}"
    assert sent.value.headers["cache-control"] == "no-cache", "a stored answer would not be a replay"


def test_a_replay_that_fails_shows_the_error_beside_the_recorded_answer(visit: Visit) -> None:
    page = open_call(visit, echo_call("Good morning, tide."))
    replay(page, "demo/error-429")
    expect(page.get_by_role("alert")).to_contain_text("rate limit")
    expect(page.get_by_role("group", name="Recorded answer")).to_contain_text("Good morning, tide.")
    page.get_by_role("link", name="Open this call").click()
    expect(page.get_by_role("heading", name="demo/error-429 failed")).to_be_visible()
    expect(page.locator(".why")).to_contain_text("attempts at demo/error-429 failed (provider_rate_limited)")


def test_an_admin_key_is_told_why_it_cannot_replay(visit: Visit) -> None:
    page = open_call(visit, echo_call("Good morning, tide."), DEMO_ADMIN)
    expect(page.get_by_text("admin keys make none")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Replay|playground"))).to_have_count(0)


# The playground


def sent_bodies(page: Page) -> list[Any]:
    """Return the list that the bodies of calls are added to; each call is answered with an empty stream."""
    bodies: list[Any] = []

    def answer(route: Route) -> None:
        bodies.append(route.request.post_data_json)
        route.fulfill(body="data: [DONE]\n\n", content_type="text/event-stream")

    page.route("**/v1/chat/completions", answer)
    return bodies


def run(page: Page) -> None:
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()


def test_every_parameter_is_sent(visit: Visit) -> None:
    page = visit.page
    bodies = sent_bodies(page)
    visit.sign_in(DEMO_KEY)
    visit.show("Playground")
    page.get_by_label("Model 1").fill("demo/echo")
    page.get_by_label("Model 3").fill("demo/vision")
    page.get_by_label("System prompt").fill("Be short.")
    page.get_by_label("Prompt", exact=True).fill("What is this?")
    page.get_by_label("Add an image").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": PNG_BYTES})
    expect(page.get_by_alt_text("Image 1")).to_be_visible()
    page.get_by_role("button", name="Add a message").click()
    page.get_by_label("Answer", exact=True).fill("A pixel.")
    page.get_by_role("button", name="Add a message").click()
    page.get_by_label("Prompt", exact=True).last.fill("And now?")
    page.get_by_label("Temperature").fill("0.3")
    page.get_by_label("Most tokens").fill("50")
    page.get_by_label("Trace these calls").check()
    page.get_by_text("More parameters").click()
    page.get_by_label("top_p").fill("0.9")
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Reasoning effort").select_option("low")
    page.get_by_label("Answer in JSON").check()
    page.get_by_label("Stop at").fill("END\nSTOP")
    page.get_by_label("Tools").fill('[{"type":"function","function":{"name":"tide"}}]')
    page.get_by_label("Other fields").fill('{"user":"harbour"}')
    run(page)
    body = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.3,
        "top_p": 0.9,
        "max_tokens": 50,
        "seed": 7,
        "reasoning_effort": "low",
        "stop": ["END", "STOP"],
        "response_format": {"type": "json_object"},
        "tools": [{"type": "function", "function": {"name": "tide"}}],
        "observability": True,
        "user": "harbour",
        "messages": [
            {"role": "system", "content": "Be short."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": PNG}},
                ],
            },
            {"role": "assistant", "content": "A pixel."},
            {"role": "user", "content": "And now?"},
        ],
    }
    assert sorted(bodies, key=lambda each: each["model"]) == [
        {"model": "demo/echo", **body},
        {"model": "demo/vision", **body},
    ]
    assert DEMO_KEY not in page.url and "base64" not in page.url


def test_an_address_brings_all_settings_but_images_and_the_key(visit: Visit) -> None:
    page = visit.page
    bodies = sent_bodies(page)
    visit.sign_in(DEMO_KEY)
    visit.open(
        "#/playground?model=demo/echo&model=demo/json&prompt=One&assistant=Two&prompt=Three&system=Short&temperature=0"
        "&top_p=0.5&max_tokens=9&seed=1&reasoning_effort=low&stop=a%0Ab&tools=%5B%5D&other=%7B%7D&json=on&observability=on"
    )
    expect(page.get_by_label("Most tokens")).to_have_value("9")
    run(page)
    assert [body["model"] for body in bodies] == ["demo/echo", "demo/json"]
    shared = page.url
    first = bodies[0]
    assert [message["content"] for message in first["messages"]] == ["Short", "One", "Two", "Three"]
    page.goto("about:blank")
    page.goto(shared)
    expect(page.get_by_label("Most tokens")).to_have_value("9")
    run(page)
    assert bodies[2] == first


def test_an_address_that_is_too_long_is_refused_when_it_is_copied_and_when_it_is_opened(visit: Visit) -> None:
    page = visit.page
    bodies = sent_bodies(page)
    visit.sign_in(DEMO_KEY)
    visit.show("Playground")
    expect(page.get_by_label("Model 1")).to_have_value("demo/echo")
    page.get_by_label("Prompt", exact=True).fill("tide " * 2_000)
    page.get_by_role("button", name="Copy the address").click()
    expect(page.get_by_role("alert")).to_contain_text("This address is too long: 10,0")
    run(page)
    assert len(bodies) == 1 and len(page.url) < 100, "a call is made all the same"
    visit.open(f"#/playground?model=demo/echo&prompt={'x' * 8_000}")
    expect(page.get_by_role("alert")).to_contain_text("This address is too long: 8,0")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("")


def test_json_that_is_not_valid_is_refused_before_a_call_is_made(visit: Visit) -> None:
    page = visit.page
    bodies = sent_bodies(page)
    visit.sign_in(DEMO_KEY)
    visit.open(f"#/playground?model=demo/echo&prompt=Hello&tools={quote('[{]')}")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("Tools is not valid JSON")
    assert bodies == []


def test_an_answer_has_its_figures_its_tool_calls_and_a_link_to_its_call(visit: Visit) -> None:
    page = visit.page
    visit.sign_in(DEMO_KEY)
    tools = json.dumps(
        [
            {
                "type": "function",
                "function": {
                    "name": "tide",
                    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
                },
            }
        ]
    )
    visit.open(f"#/playground?model=demo/tools&model=demo/reasoning&prompt=Hello&tools={quote(tools)}")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("Hello")
    page.get_by_role("button", name="Run").click()
    with_tool, with_thought = (page.locator(".columns > article").nth(index) for index in (0, 1))
    expect(with_tool).to_contain_text("Calls the tool tide")
    expect(with_thought.get_by_role("status")).to_contain_text(
        re.compile(r"First token .* · Total .* · \d+ → \d+ tokens · [\d.]+ tokens a second · \$0.00")
    )
    with_thought.get_by_text("Reasoning", exact=True).click()
    expect(with_thought).to_contain_text("The demo model cannot think")
    with_thought.get_by_role("link", name="Open this call").click()
    expect(page.get_by_role("heading", name="demo/reasoning ok")).to_be_visible()


def test_a_traced_call_opens_in_the_playground_with_everything_that_was_sent(visit: Visit) -> None:
    request = conversation() | {"stop": ["END"], "response_format": {"type": "json_object"}, "top_k": 3, "seed": 4}
    page = open_call(visit, details(trace(request)))
    bodies = sent_bodies(page)
    page.get_by_role("button", name="Open in the playground").click()
    expect(page.get_by_label("Model 1")).to_have_value(GPT)
    assert "Answer%20in" not in page.url and "Answer+in" not in page.url, "content of a trace is not in an address"
    run(page)
    assert bodies == [request | {"stream_options": {"include_usage": True}}]


def test_the_conversation_is_kept_when_a_stream_breaks_and_when_the_key_expires(visit: Visit) -> None:
    page = visit.page
    visit.sign_in(DEMO_KEY)
    visit.open("#/playground?model=demo/echo&prompt=Hello")
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(
            body='data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n', content_type="text/event-stream"
        ),
    )
    run(page)
    expect(page.get_by_label("Answer of demo/echo")).to_have_text("Hel")
    expect(page.get_by_role("alert")).to_contain_text("The connection broke before the answer was complete.")
    page.unroute("**/v1/chat/completions")
    page.context.set_offline(True)
    run(page)
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.context.set_offline(False)
    expired = {"error": {"message": "The key is not valid.", "code": "invalid_api_key"}}
    page.route("**/v1/**", lambda route: route.fulfill(status=401, json=expired))
    run(page)
    expect(page.get_by_role("alert")).to_contain_text("not valid any more. Sign in again.")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("Hello")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Key")).to_be_visible()


# Calls of this gateway, with their traces


def post(root: str, path: str, key: str, body: object) -> Any:
    """Send a body. Returns the reply, and the id of the request."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with urlopen(Request(f"{root}{path}", json.dumps(body).encode(), headers), timeout=30) as reply:
        return json.load(reply), reply.headers["x-request-id"]


def traced_call(root: str, key: str = DEMO_KEY, **fields: Any) -> str:
    """Make a traced call. Returns its id."""
    messages = [{"role": "user", "content": "When is low tide?"}]
    body = {"model": "demo/echo", "observability": True, "messages": messages, **fields}
    return post(root, "/v1/chat/completions", key, body)[1]


def test_a_call_that_the_playground_traces_shows_its_content_and_is_replayed(visit: Visit) -> None:
    page = visit.page
    visit.sign_in(DEMO_KEY)
    visit.open("#/playground?model=demo/reasoning&prompt=When+is+low+tide&observability=on")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("When is low tide")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("link", name="Open this call").click()
    expect(page.get_by_text("Traced: this content is deleted after")).to_be_visible()
    prompt, answer = page.get_by_role("article").all()
    expect(prompt).to_contain_text("When is low tide")
    expect(answer).to_contain_text("When is low tide")
    answer.get_by_text("Reasoning", exact=True).click()
    expect(answer).to_contain_text("The demo model cannot think")
    page.get_by_text("Attempt 1 · demo/reasoning · 200").click()
    expect(page.get_by_role("img", name=re.compile(r"\d+ pieces"))).to_be_visible()
    page.get_by_text("Pieces with their times").click()
    expect(page.locator(".pieces li").filter(has_text='"content":"tide"')).to_have_count(1)
    replay(page, cost="$0.00")
    expect(page.get_by_text("The answers are equal.")).to_be_visible()
    expect(page.get_by_role("table").last).to_contain_text("Time to the first token")


def test_a_fallback_of_this_gateway_is_drawn_and_explained(visit: Visit, root: str) -> None:
    call_id = traced_call(root, model="demo/error-503", fallbacks=["demo/echo"])
    visit.sign_in(DEMO_KEY)
    visit.open(f"#/calls/{call_id}")
    rows = visit.page.get_by_role("listitem")
    expect(rows.filter(has_text="demo/error-503").first).to_contain_text("first attempt")
    expect(rows.filter(has_text="demo/echo")).to_contain_text("fallback")
    expect(visit.page.get_by_text(re.compile("^Attempt 1 · demo/error-503 · 503"))).to_be_visible()
    expect(visit.page.locator(".why")).to_contain_text(re.compile(r"ms of|s of"))


def test_the_content_is_shown_to_its_key_and_to_admins_that_may_read_it(visit: Visit, root: str) -> None:
    created, _ = post(root, "/admin/v1/keys", DEMO_ADMIN, {"name": "other", "workspace_ids": [DEMO_WORKSPACE]})
    call_id = traced_call(root, created["secret"])
    page = visit.page
    visit.sign_in(DEMO_KEY)
    visit.open(f"#/calls/{call_id}")
    expect(page.get_by_text("Another key has made this call")).to_be_visible()
    expect(page.get_by_text("When is low tide?")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    visit.try_key(DEMO_ADMIN)
    expect(page.get_by_role("article").first).to_contain_text("When is low tide?")


# Both


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_have_no_serious_faults_of_accessibility(
    browser: Browser, root: str, scheme: str, width: int
) -> None:
    size = {"width": width, "height": 900}
    with visiting(browser, root, color_scheme=scheme, viewport=size, bypass_csp=True) as visit:
        call = echo_call("Low tide is at noon today in Husum.", "Low tide is at one today in Husum.")
        call["trace"]["request"]["messages"] = [*conversation()["messages"], *call["trace"]["request"]["messages"]]
        page = open_call(visit, call | {"record": call["record"] | {"ignored": "seed"}})
        open_all(page)
        replay(page)
        page.get_by_role("heading", name="Difference of the answers").wait_for()
        found = {"call": serious_faults(page)}
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="Open in the playground").click()
        open_all(page)
        run(page)
        found["playground"] = serious_faults(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert {name: faults for name, faults in found.items() if faults} == {}
