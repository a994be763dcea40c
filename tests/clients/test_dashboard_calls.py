"""The page of one call in a real browser, with its replay: of traces that were never made, and of this gateway's."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.clients.browser import Visit, visiting
from tests.clients.call_page import open_all, open_call
from tests.clients.made_calls import (
    CALL_ID,
    CLAUDE,
    GPT,
    OTHER_ANSWERS,
    PNG,
    SCRIPT,
    SLOW,
    attempt,
    conversation,
    details,
    echo_call,
    messages_request,
    responses_request,
    trace,
)
from tests.clients.world import DEMO_KEY
from tidegate.json import Json

pytestmark = pytest.mark.slow

PHONE = {"width": 390, "height": 844}


# Where the time went

EVENTS: Mapping[str, tuple[Sequence[tuple[str, float, str, str]], Mapping[str, Any], str]] = {
    "attempts that failed": (
        SLOW,
        {},
        f"7.8 s of 9 s: 2 attempts at {GPT} failed (provider_timeout); then {CLAUDE} answered.",
    ),
    "a model that thinks": (
        [("attempt", 0.01, "first", CLAUDE), ("first_token", 6.01, "", ""), ("last_token", 7, "", "")],
        {"seconds": 7.0},
        f"6 s of 7 s: {CLAUDE} took this long to the first token.",
    ),
    "a whole reply": (
        [("attempt", 0.01, "first", CLAUDE), ("first_token", 6.01, "", ""), ("settled", 6.02, "", "")],
        {"seconds": 6.02, "stream": False},
        f"6 s of 6.02 s: {CLAUDE} took this long to answer.",
    ),
    "a long answer": (
        [("attempt", 0.01, "first", CLAUDE), ("first_token", 0.5, "", ""), ("last_token", 7.5, "", "")],
        {"seconds": 7.5},
        f"7 s of 7.5 s: {CLAUDE} wrote 40 tokens (69 a second).",
    ),
    "pauses": (
        [
            ("attempt", 0.01, "first", CLAUDE),
            ("failed", 0.02, "rate_limited", CLAUDE),
            ("queued", 0.02, "retry_delay", ""),
            ("attempt", 3.02, "retry", CLAUDE),
            ("first_token", 3.1, "", ""),
            ("last_token", 3.2, "", ""),
        ],
        {"seconds": 3.2},
        f"3 s of 3.2 s: pauses before retries, because an attempt at {CLAUDE} failed (rate_limited).",
    ),
    "a second attempt beside the first": (
        [
            ("attempt", 0.0, "first", GPT),
            ("attempt", 3.0, "hedge", CLAUDE),
            ("failed", 3.5, "hedged", GPT),
            ("first_token", 3.5, "", ""),
            ("last_token", 3.6, "", ""),
        ],
        {"seconds": 3.6},
        f"3 s of 3.6 s: {GPT} was slower than a second attempt; then {CLAUDE} answered.",
    ),
    "an equal call": (
        [("queued", 0.1, "equal_call", ""), ("settled", 5.0, "", "")],
        {"seconds": 5.0, "status": "ok"},
        "4.9 s of 5 s: it waited for an equal call, to share its answer.",
    ),
    "guardrails": (
        [
            ("received", 0.1, "", ""),
            ("guardrails", 2.1, "input", ""),
            ("attempt", 2.1, "first", CLAUDE),
            ("first_token", 2.2, "", ""),
            ("settled", 2.3, "", ""),
        ],
        {"seconds": 2.3},
        "2 s of 2.3 s: the guardrails checked its texts.",
    ),
    "the cache": (
        [("authenticated", 0.002, "", ""), ("cache", 0.003, "hit", ""), ("settled", 0.004, "", "")],
        {"seconds": 0.004, "status": "cached", "cache": "hit"},
        "4 ms: the answer came from the cache.",
    ),
    "a refusal": (
        [("authenticated", 0.002, "", ""), ("settled", 0.004, "", "")],
        {"seconds": 0.004, "status": "failed", "error_code": "budget_exceeded"},
        "It was refused after 4 ms, before a provider was asked (budget_exceeded).",
    ),
    "nothing but failures": (
        [*SLOW[:9], ("settled", 8.0, "", "")],
        {"seconds": 8.0, "status": "failed", "error_code": "provider_timeout"},
        f"It failed after 8 s: 2 attempts at {GPT} failed (provider_timeout).",
    ),
    "a caller who leaves": (
        [("attempt", 0.01, "first", CLAUDE), ("first_token", 0.5, "", ""), ("settled", 4.5, "", "")],
        {"seconds": 4.5, "status": "cancelled", "tokens_per_second": None},
        "The caller left before the end.",
    ),
}


@pytest.mark.parametrize("name", EVENTS)
def test_a_sentence_says_where_the_time_went(visit: Visit, name: str) -> None:
    events, fields, sentence = EVENTS[name]
    page = open_call(visit, details(events=events, **fields))
    expect(page.locator(".why")).to_contain_text(sentence)


def test_attempts_are_drawn_on_a_time_axis(visit: Visit) -> None:
    page = open_call(visit, details())
    rows = page.get_by_role("listitem")
    failed, answered = rows.filter(has_text=GPT), rows.filter(has_text=CLAUDE)
    expect(failed).to_have_count(2)
    expect(failed.first).to_contain_text("first attempt")
    expect(failed.last).to_contain_text("retry provider_timeout")
    expect(answered).to_contain_text("fallbackFirst token 8.4 s · Last token 8.98 s")
    track = box(failed.first.locator(".track"))
    assert shares(failed.first, track) == [pytest.approx((0.035 / 9, 4.035 / 9), abs=0.01)]
    assert shares(failed.last, track) == [pytest.approx((4.136 / 9, 7.936 / 9), abs=0.01)]
    assert shares(answered, track) == [
        pytest.approx((7.937 / 9, 8.4 / 9), abs=0.01),
        pytest.approx((8.4 / 9, 8.98 / 9), abs=0.01),
    ]


def test_a_whole_reply_has_come_before_the_call_is_settled(visit: Visit) -> None:
    events, fields, _ = EVENTS["a whole reply"]
    page = open_call(visit, details(events=events, **fields))
    expect(page.get_by_role("listitem").filter(has_text=CLAUDE)).to_have_text(f"{CLAUDE} first attempt6 sat 10 ms")
    expect(page.get_by_role("listitem").filter(has_text="Settled")).to_have_text("Settled 10 msat 6.01 s")


def box(locator: Locator) -> tuple[float, float]:
    """Return where something begins, and how wide it is."""
    found = locator.bounding_box()
    assert found is not None
    return found["x"], found["width"]


def shares(row: Locator, track: tuple[float, float]) -> list[tuple[float, float]]:
    """Return where the bars of a row begin and end on the axis, from 0 to 1."""
    bars = [box(bar) for bar in row.locator(".track i").all()]
    return [((left - track[0]) / track[1], (left + width - track[0]) / track[1]) for left, width in bars]


# Content

STATUSES = {
    "not_asked": ("Not traced", '"observability": true'),
    "expired": ("past its retention: it was kept until Nov 22, 2026", "trace_days"),
    "lost": ("it was lost", "trace.lost"),
    "not_yours": ("Another key has made this call", "Sign in with that key"),
    "needs_scope": ("does not have the scope `content`", "Sign in with an admin key that has it"),
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_call_without_content_says_why_and_what_to_do(visit: Visit, status: str) -> None:
    page = open_call(visit, details(trace_status=status, trace_until="2026-11-22T12:00:00.000Z"))
    for text in STATUSES[status]:
        expect(page.locator("main")).to_contain_text(text)
    expect(page.get_by_text("this call has no trace of it")).to_be_visible()
    expect(page.get_by_role("button", name="Open in the playground")).to_have_count(0)


def test_a_masked_trace_says_what_was_masked_and_until_when_it_is_kept(visit: Visit) -> None:
    page = open_call(visit, details(trace({"messages": []}, masked=["pii", "secrets"])))
    expect(page.get_by_text("this content is deleted after Nov 28, 2026")).to_be_visible()
    expect(page.get_by_text("pii, secrets")).to_be_visible()


def test_messages_and_the_answer_are_readable(visit: Visit) -> None:
    foreign: list[str] = []
    visit.page.on("request", lambda request: foreign.append(request.url))
    page = open_call(visit, details(trace(conversation())))
    articles = page.get_by_role("article")
    assert articles.get_by_role("heading").all_inner_texts() == [
        *("System", "User", "Assistant", "Tool result call_1", "Assistant"),
    ]
    user, assistant, result = articles.nth(1), articles.nth(2), articles.nth(3)
    expect(user.locator("pre")).to_have_text("print('tide')")
    image = user.get_by_role("img")
    expect(image).to_have_count(1)
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    expect(user).to_contain_text("Image at another address, not loaded: //example.test/picture.png")
    expect(user).to_contain_text("Audio, not shown (3 B)")
    expect(user).to_contain_text("File, not shown: tides.pdf (3 B)")
    expect(assistant).to_contain_text("Calls the tool get_tide")
    expect(assistant.locator("pre")).to_have_text('{\n  "city": "Husum",\n  "unit": "celsius"\n}')
    expect(result.locator("pre")).to_have_text('{\n  "low": "12:00"\n}')
    expect(assistant).not_to_contain_text("The user asks for the tide.")
    assistant.get_by_text("Reasoning").click()
    expect(assistant.get_by_text("The user asks for the tide.")).to_be_visible()
    expect(articles.last).to_contain_text("Low tide is at noon.")
    assert [url for url in foreign if not url.startswith((visit.root, "data:"))] == []


@pytest.mark.parametrize(
    ("request_of", "turns_of_assistant"), [(messages_request, 1), (responses_request, 2)], ids=["messages", "responses"]
)
def test_requests_of_other_dialects_are_as_readable(
    visit: Visit, request_of: Callable[[], dict[str, Any]], turns_of_assistant: int
) -> None:
    page = open_call(visit, details(trace(request_of())))
    shown = page.locator("article.message")
    expect(shown.locator("h3")).to_have_text(
        ["System", "User", *["Assistant"] * turns_of_assistant, "Tool result call_1", "Assistant"]
    )
    expect(shown.nth(0)).to_contain_text("Be short.")
    expect(shown.nth(1)).to_contain_text("When is low tide?")
    expect(shown.nth(1).get_by_role("img")).to_have_attribute("src", PNG)
    shown.nth(2).get_by_text("Reasoning").click()
    expect(shown.nth(2)).to_contain_text("They ask for the tide.")
    call = shown.filter(has_text="Calls the tool get_tide")
    expect(call).to_contain_text('"city": "Husum"')
    expect(shown.filter(has_text="Tool result")).to_contain_text("At noon.")
    page.get_by_role("button", name="Open in the playground").click()
    expect(page.get_by_label("System prompt")).to_have_value("Be short.")


@pytest.mark.parametrize("answer", OTHER_ANSWERS.values(), ids=list(OTHER_ANSWERS))
def test_answers_of_other_dialects_are_as_readable(visit: Visit, answer: dict[str, Any]) -> None:
    page = open_call(visit, details(trace(conversation(), answer)))
    shown = page.locator("h2", has_text="Answer").locator("xpath=following-sibling::article")
    expect(shown.last).to_contain_text("Low tide is at noon.")
    expect(shown.last.locator("h3")).to_have_text("Assistant")


def test_what_went_over_the_wire_is_shown_for_both_sides_and_each_attempt(visit: Visit) -> None:
    page = open_call(visit, details(trace(conversation())))
    page.get_by_text("Request as received").click()
    expect(page.get_by_role("group").filter(has_text="Request as received").locator("pre")).to_contain_text('"stream"')
    page.get_by_text(f"Attempt 1 · {GPT} · provider_timeout · 35 ms – 4.04 s").click()
    expect(page.get_by_text("The text of the reply was not kept.")).to_be_visible()
    page.get_by_text(f"Attempt 2 · {CLAUDE} · 200").click()
    expect(page.get_by_text("2 pieces, 77 B, from 8.28 s to 8.63 s. The longest pause was 348 ms")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("2 pieces"))).to_be_visible()
    page.get_by_text("Pieces with their times").click()
    pieces = page.locator(".pieces li")
    assert pieces.all_inner_texts() == [
        '8.28 s\n63 B\ndata: {"choices":[{"index":0,"delta":{"content":"Grüße"}}]}',
        "8.63 s\n14 B\ndata: [DONE]",
    ]


def test_content_that_is_not_text_is_shown_as_it_was_kept(visit: Visit) -> None:
    kept = trace(
        {"base64": "//79"}, attempts=[attempt(GPT, "first", 0, 1, body={"base64": "//79"}, reply={"base64": "/w=="})]
    )
    page = open_call(
        visit, details(kept | {"answer": None, "error": {"code": "invalid_request", "message": "No JSON."}})
    )
    expect(page.get_by_text('"base64": "//79"').first).to_be_visible()
    expect(page.get_by_text("invalid_request No JSON.")).to_be_visible()
    expect(page.get_by_text("this call has no trace of it")).to_be_visible()


def hostile(value: Json) -> Any:
    """Return the value with a script in the place of every text, but for addresses of images."""
    if isinstance(value, dict):
        return {name: hostile(each) for name, each in value.items()}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return SCRIPT if isinstance(value, str) and not value.startswith("data:") else value


def test_scripts_in_every_place_are_text(visit: Visit) -> None:
    plain = conversation()
    roles = [message["role"] for message in plain["messages"]]
    request = hostile(plain) | {SCRIPT: SCRIPT}
    for message, role in zip(request["messages"], roles, strict=True):
        message |= {"role": role, "name": SCRIPT, SCRIPT: SCRIPT}
    request["messages"] += [hostile(plain)["messages"][1], SCRIPT, None, [SCRIPT], {"role": {SCRIPT: SCRIPT}}]
    answer = {"choices": [{"index": 0, "message": hostile(plain["messages"][2])}, SCRIPT, None], SCRIPT: SCRIPT}
    attempts = [
        {
            **hostile(attempt(GPT, "first", 0, 1, ["x"])),
            "headers": {SCRIPT: SCRIPT},
            "body": {SCRIPT: SCRIPT},
            "status": 200,
        },
        attempt(
            SCRIPT,
            SCRIPT,
            1,
            2,
            [SCRIPT, SCRIPT],
            reply_headers={SCRIPT: SCRIPT},
            error=SCRIPT,
            url=f"javascript:{SCRIPT}",
        ),
    ]
    kept = trace(request, answer, attempts=attempts, error={"code": SCRIPT, "message": SCRIPT}, masked=[SCRIPT])
    events = [
        *((kind, at, SCRIPT, SCRIPT) for kind, at, _, _ in SLOW),
        (SCRIPT, 8.99, SCRIPT, SCRIPT),
    ]
    texts = hostile(details(kept)["record"]) | {"id": CALL_ID, "time": "2026-11-21T12:00:00.000Z", "cost_usd": "1"}
    call = details(kept, events=events) | {
        "record": texts,
        "cost": [{"kind": SCRIPT, "count": 1, "rate_usd": "1", "cost_usd": "1"}],
    }
    page = open_call(visit, call)
    open_all(page)
    expect(page.locator(".why")).to_contain_text(SCRIPT)
    assert page.locator("main").inner_text().count("<script>") > 40
    assert page.locator("main script, main img:not([src^='data:image/png'])").count() == 0
    assert page.locator("main a").evaluate_all("links => links.every((link) => link.protocol === 'http:')")
    assert page.title() == "Calls · Tidegate"


# Large content

LONG = 5_000_000
PIECES = 100_000


def test_five_megabytes_and_a_hundred_thousand_pieces_do_not_freeze_the_page(visit: Visit) -> None:
    chunk = 'data: {"choices":[]}\n\n'
    answered = attempt(CLAUDE, "fallback", 0.1, 9.0, [chunk] * PIECES, status=200)
    many = [{"role": "user", "content": f"message {number}"} for number in range(1_000)]
    request = {"model": GPT, "messages": [{"role": "user", "content": "tide " * (LONG // 5)}, *many]}
    page = open_call(visit, details(trace(request, attempts=[answered])))
    assert page.evaluate("document.querySelectorAll('*').length") < 1_500
    assert page.evaluate("document.body.textContent.length") < 200_000
    assert turn(page) < 1
    expect(page.get_by_text("20,000 of 5,000,000 characters")).to_be_visible()
    page.get_by_role("button", name="Show more").first.click()
    expect(page.get_by_text("220,000 of 5,000,000 characters")).to_be_visible()
    expect(page.get_by_text("message 969", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Show earlier messages: 971 more").click()
    expect(page.get_by_text("message 969", exact=True)).to_have_count(1)
    expect(page.get_by_role("button", name="Show earlier messages: 871 more")).to_be_visible()
    page.get_by_text("Attempt 1 ·").click()
    page.get_by_text("Pieces with their times").click()
    expect(page.get_by_text("100,000 pieces, 2.2 MB")).to_be_visible()
    expect(page.locator(".pieces li")).to_have_count(200)
    assert turn(page) < 1
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").first.click()
    assert download.value.path().stat().st_size == LONG


def turn(page: Page) -> float:
    """Return how many seconds the page takes for a layout and its next frame."""
    return page.evaluate(
        """async () => {
          const begin = performance.now();
          document.body.style.setProperty("padding-top", "1px");
          document.body.getBoundingClientRect();
          await new Promise(requestAnimationFrame);
          return (performance.now() - begin) / 1000;
        }"""
    )


# As curl

PROMPTS = {
    "quotes": """It's "quoted" `date` $(date) $HOME \\ \\n '' ''' !! # & | ; < > * ? ~ {a,b} %s""",
    "lines": "one\ntwo\r\nthree\ttab\n\nEND_OF_REQUEST\nend",
    "unicode": "Grüße 日本語 🌊 e\u0301 \u202eright to left\u202c zero\u200bwidth \x7f \x9b31m",
    "at": "@/etc/passwd",
    "long": "It's_a_tide." * 20_000,
}


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("name", PROMPTS)
def test_the_command_makes_the_call_in_a_real_shell(visit: Visit, name: str, shell: str) -> None:
    prompt = PROMPTS[name].strip()
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = open_call(visit, echo_call(prompt))
    page.get_by_role("button", name="Copy", exact=True).last.click()
    expect(page.get_by_text("Copied")).to_be_visible()
    command = page.evaluate("navigator.clipboard.readText()")
    assert DEMO_KEY not in command
    assert not set(command) & set("\x7f\x9b\u202e\u202c\u200b\r"), "what a terminal obeys or does not show"
    done = subprocess.run(
        [shell],
        input=f"{command} -sS\n" if "<<" not in command else f"{command}\n",
        env={"KEY": DEMO_KEY, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == prompt, done.stderr


def test_without_a_trace_the_command_asks_for_one(visit: Visit) -> None:
    page = open_call(visit, details())
    expect(page.locator(".command")).to_contain_text('"observability":true')
    expect(page.get_by_text("put yours in the place of the dots")).to_be_visible()


# Keys and languages


def test_the_pages_work_with_keys_alone(visit: Visit) -> None:
    page = open_call(visit, details(trace(conversation())))
    page.get_by_text("Request as received").focus()
    page.keyboard.press("Enter")
    expect(page.locator("pre").filter(has_text='"temperature": 0.2').first).to_be_visible()
    page.get_by_role("button", name="Replay…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_pages_speak_german(browser: Browser, root: str) -> None:
    with visiting(browser, root, locale="de-DE") as visit:
        page = visit.page
        page.route(f"**/console/v1/calls/{CALL_ID}*", lambda route: route.fulfill(json=details(trace(conversation()))))
        visit.open()
        page.get_by_label("Schlüssel").fill(DEMO_KEY)
        page.get_by_role("button", name="Anmelden").click()
        page.get_by_role("navigation").wait_for()
        visit.open(f"#/calls/{CALL_ID}")
        expect(page.locator(".why")).to_have_text(
            f"7,8 s von 9 s: 2 Versuche bei {GPT} scheiterten (provider_timeout); dann antwortete {CLAUDE}."
        )
        open_all(page)
        page.get_by_role("button", name="Wiederholen…").click()
        expect(page.get_by_role("dialog")).to_contain_text("das kostet Geld")
