"""The gateway's rules on messages that a provider gets as they were sent: guardrails, budgets, prices, ids, media."""

import json
from typing import Any

import httpx
from msgspec.structs import replace

from tests.native_providers import ANTHROPIC
from tests.world import WORKSPACE, Reply, world
from tidegate.domain.limits import Limits

PATH = "/v1/messages"
MAIL = "jane@example.com"
CALL: dict[str, Any] = {"model": ANTHROPIC.id, "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
MASKING = ["personal-data-mask"]


def saying(text: str) -> Any:
    """Anthropic, which says `text`, whole or in two pieces."""

    def answer(request: httpx.Request) -> httpx.Response:
        if not json.loads(request.content).get("stream"):
            return httpx.Response(200, json={**ANTHROPIC.plain, "content": [{"type": "text", "text": text}]})
        pieces = b"".join(ANTHROPIC.pieces).decode()
        half = len(text) // 2
        return ANTHROPIC.stream(pieces.replace("Create ", text[:half]).replace("smarter.", text[half:]).encode())

    return answer


async def asked(handler: Any = None, **fields: Any) -> tuple[Reply, Any]:
    """The reply to the call with these fields, and what the provider was sent, if it was asked."""
    async with world(handler or ANTHROPIC.answer, **ANTHROPIC.env) as client:
        reply = await client.post({**CALL, **fields}, PATH)
        return reply, json.loads(client.requests[0].content) if client.requests else None


async def test_a_masked_prompt_reaches_the_provider_masked() -> None:
    messages = [{"role": "user", "content": f"Write to {MAIL}."}]
    reply, sent = await asked(messages=messages, guardrails=MASKING, unheard_of=1)
    assert reply.status == 200
    assert MAIL not in json.dumps(sent) and "guardrails" not in sent


async def test_a_masked_answer_is_not_the_providers_own() -> None:
    for stream in (False, True):
        reply, _ = await asked(saying(f"Ask {MAIL}."), guardrails=MASKING, stream=stream)
        assert reply.status == 200
        assert MAIL.encode() not in reply.body and b"Ask " in reply.body


async def test_a_blocked_prompt_is_refused_in_anthropics_envelope_and_names_the_gateway() -> None:
    messages = [{"role": "user", "content": f"Write to {MAIL}."}]
    reply, sent = await asked(messages=messages, guardrails=["personal-data"])
    assert (reply.status, reply.json["type"], sent) == (400, "error", None)
    assert reply.json["error"]["message"].startswith("Tidegate: ") and MAIL not in reply.json["error"]["message"]


async def test_an_answer_that_a_budget_shortens_is_asked_for_with_the_lower_limit() -> None:
    workspace = replace(WORKSPACE, limits=Limits(tokens_per_month=1_000), lowers_max_tokens=True)
    async with world(ANTHROPIC.answer, workspace=workspace, **ANTHROPIC.env) as client:
        reply = await client.post({**CALL, "max_tokens": 5_000, "unheard_of": 1}, PATH)
    sent = json.loads(client.requests[0].content)
    assert (reply.status, sent["unheard_of"]) == (200, 1)
    assert sent["max_tokens"] == int(reply.headers["x-tidegate-max-tokens"]) < 1_000


async def test_a_field_without_a_price_is_left_out_and_named() -> None:
    reply, sent = await asked(speed="fast")
    assert (reply.status, "speed" in sent, reply.headers["x-tidegate-ignored-params"]) == (200, False, "speed")


async def test_an_id_of_the_providers_account_is_left_out_and_named() -> None:
    reply, sent = await asked(container="container_1")
    assert (reply.status, "container" in sent, reply.headers["x-tidegate-ignored-params"]) == (200, False, "container")


async def test_the_gateway_fetches_nothing_from_private_addresses() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "http://169.254.169.254/latest"}}
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        reply = await client.post({**CALL, "messages": [{"role": "user", "content": [image]}]}, PATH)
    assert (reply.status, client.requests, reply.json["error"]["type"]) == (400, [], "invalid_request_error")


async def test_a_call_is_recorded_with_its_words_and_its_endpoint() -> None:
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        await client.post(CALL, PATH, {"x-claude-code-session-id": "s_1", "x-claude-code-agent-id": "a_1"})
    outcome = client.recorder.outcomes[0]
    assert (outcome.call.endpoint, outcome.call.session_id, outcome.call.agent_id) == (PATH, "s_1", "a_1")
    assert (outcome.finish_reason, outcome.bill.words.used > 0) == ("stop", True)
    assert not [name for name in client.requests[0].headers if name.startswith("x-claude-code")]
