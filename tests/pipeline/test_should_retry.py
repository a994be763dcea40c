"""What a stock SDK does after an error: it asks once where the gateway has retried, or where a retry is useless."""

from typing import Any

import httpx
import openai
import pytest

from tests.world import SECRET, USER, Client, Handler, completion, event_stream, sse, world

CALL: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER}


def answers(status: int, body: Any = None, **headers: str) -> Handler:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: httpx.Response(status, headers=named, json=body or {"error": {"message": "no"}})


class Wire(httpx.AsyncBaseTransport):
    """The SDK's connection to the gateway; `requests` are those of the SDK."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = await self._client.post(await request.aread(), request.url.path)
        return httpx.Response(reply.status, headers=reply.headers, content=reply.body)


async def ask(client: Client, **fields: Any) -> tuple[int, int | None]:
    """How often a stock SDK asks the gateway, and the status of its error."""
    wire = Wire(client)
    async with httpx.AsyncClient(transport=wire) as http:
        sdk = openai.AsyncOpenAI(base_url="http://gateway.invalid/v1", api_key=SECRET, http_client=http)  # pyright: ignore[reportArgumentType]  # another httpx
        try:
            await sdk.chat.completions.create(**{**CALL, **fields})
        except openai.APIStatusError as error:
            return len(wire.requests), error.status_code
    return len(wire.requests), None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("handler", "status", "attempts"),
    [
        (answers(500), 502, 3),
        (answers(503), 503, 3),
        (answers(429), 429, 3),
        (answers(429, retry_after="1"), 429, 3),
        (answers(429, {"error": {"message": "no credit", "code": "insufficient_quota"}}), 429, 1),
        (answers(401), 502, 1),
        (answers(403), 502, 1),
        (answers(302), 502, 1),
        (answers(409), 400, 3),
        (answers(200, {"no": "reply"}), 502, 3),
    ],
    ids=["500", "503", "429", "429-short", "unpaid", "401", "403", "302", "409", "malformed"],
)
async def test_a_stock_sdk_asks_once_after_the_gateways_own_retries(
    handler: Handler, status: int, attempts: int, stream: bool
) -> None:
    async with world(handler) as client:
        assert await ask(client, stream=stream) == (1, status)
        assert len(client.requests) == attempts


@pytest.mark.parametrize("model", ["groq/llama-3.3-70b-versatile", "anthropic/claude-sonnet-4-5"])
async def test_a_stock_sdk_asks_once_for_a_provider_that_is_not_configured(model: str) -> None:
    async with world(answers(200, completion())) as client:
        assert await ask(client, model=model) == (1, 503)
        assert (await client.post({**CALL, "model": model})).json["error"]["code"] == "provider_not_configured"


async def test_a_call_whose_time_is_over_is_not_repeated() -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("silent")

    async with world(silent) as client:
        assert await ask(client) == (1, 504)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("seconds", ["6", "30", "3600"])
async def test_a_pause_that_the_provider_names_is_the_callers(status: int, seconds: str, stream: bool) -> None:
    async with world(answers(status, retry_after=seconds)) as client:
        reply = await client.post({**CALL, "stream": stream})
        assert (reply.status, reply.headers["retry-after"]) == (status, seconds)
        assert "x-should-retry" not in reply.headers
        assert (len(client.requests), client.delays) == (1, [])


async def test_a_caller_that_switches_off_the_gateways_retries_has_its_own() -> None:
    async with world(answers(500)) as client:
        reply = await client.post({**CALL, "num_retries": 0})
        assert (reply.status, "x-should-retry" in reply.headers, len(client.requests)) == (502, False, 1)


async def test_a_failed_stream_that_has_begun_has_no_such_header() -> None:
    async with world(lambda _: event_stream(sse({"choices": [{"index": 0, "delta": {"content": "Hi"}}]}))) as client:
        assert "x-should-retry" not in (await client.post({**CALL, "stream": True})).headers
