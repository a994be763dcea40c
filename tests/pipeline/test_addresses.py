"""Callers are not told where providers are: their errors name the provider, and the operator's log has the address."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.world import USER, delta, sse, world

HOST = "10.0.0.7:8443"
ENV = {"OPENAI_BASE_URL": f"https://{HOST}/acct-17/v1"}
CALL = {"model": "openai/gpt-4.1-mini", "messages": USER, "num_retries": 0}
INTERNAL = ("10.0.0.7", "8443", "acct-17")


class Broken(httpx.AsyncByteStream):
    """A stream that breaks off after its first chunk."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield sse(delta("Cre"))
        raise httpx.ReadError(f"read from {HOST} failed")


def raising(error: Exception) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


FAILURES = {
    "refused": raising(httpx.ConnectError(f"connection to {HOST} refused")),
    "slow to connect": raising(httpx.ConnectTimeout(f"{HOST} timed out")),
    "slow": raising(httpx.ReadTimeout(f"{HOST} timed out")),
    "reset": raising(httpx.ReadError(f"{HOST} reset")),
    "redirect": lambda _: httpx.Response(
        307, headers={"location": f"https://{HOST}/x"}, text=f"Go to https://{HOST}/x"
    ),
    "error page": lambda _: httpx.Response(502, text=f"<html>Bad gateway: https://{HOST}/x</html>"),
    "bad request": lambda _: httpx.Response(400, json={"error": {"message": f"POST https://{HOST}/x: no such model"}}),
    "not JSON": lambda _: httpx.Response(200, text=f"https://{HOST}/"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("failure", FAILURES)
async def test_no_error_tells_where_the_provider_is(failure: str, stream: bool) -> None:
    async with world(FAILURES[failure], **ENV) as client:
        reply = await client.post({**CALL, "stream": stream})
    text = json.dumps([reply.body.decode(), dict(reply.headers)])
    assert "error" in text
    assert [part for part in INTERNAL[:2] if part in text] == []


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("refused", "openai could not be reached."),
        ("slow to connect", "openai could not be reached in time."),
        ("slow", "openai did not answer in time."),
        ("reset", "openai broke off the connection."),
    ],
)
async def test_an_error_names_the_provider_and_the_log_has_the_address(
    failure: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with world(FAILURES[failure], **ENV) as client:
        assert (await client.post(CALL)).json["error"]["message"] == message
    [line] = [vars(record) for record in caplog.records if record.message == "provider.unreachable"]
    assert (line["provider"], line["reason"].split(": ")[0]) == ("openai", f"https://{HOST}")


async def test_a_stream_that_breaks_off_is_logged_once_with_the_address(caplog: pytest.LogCaptureFixture) -> None:
    async with world(lambda _: httpx.Response(200, stream=Broken()), **ENV) as client:
        reply = await client.post({**CALL, "stream": True})
    assert reply.events[-1]["error"]["message"] == "openai's stream broke off."
    [line] = [vars(record) for record in caplog.records if record.message == "provider.unreachable"]
    assert line["reason"].startswith(f"https://{HOST}: ")
    assert "10.0.0.7" not in reply.body.decode()
