"""What the key of one workspace can learn of another, at every endpoint of the data plane; and where secrets may go."""

import logging
import re

import httpx
import pytest
from msgspec.structs import replace
from starlette.routing import Route

from tests.world import KEY, SECRET, USER, WORKSPACE, Client, Reply, completion, world
from tidegate.domain.limits import Limits

BODY = {"model": "openai/gpt-4o-mini", "messages": USER}
PUBLIC = {"/public/models", "/health", "/api/ds-prototypes/health"}
UNKNOWN_CALL = "01KCZZZZZZZZZZZZZZZZZZZZZZ"
OTHER, UNKNOWN = "ws_other", "ws_never"
MOMENTS = re.compile(rb'\d{4}-\d\d-\d\dT[0-9:.]+Z|"request_id":"[0-9A-Z]{26}"')
REFUSALS = re.compile(b"workspace_forbidden|This key may not use this workspace")
LIMITED = replace(WORKSPACE, limits=Limits(requests_per_minute=100, tokens_per_day=1_000_000))


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=completion())


def routes(client: Client) -> list[tuple[str, str]]:
    """Every endpoint, as method and path."""
    known = [route for route in client.app.router.routes if isinstance(route, Route)]
    return [("POST" if "POST" in (route.methods or ()) else "GET", route.path) for route in known]


def filled(path: str, workspace_id: str) -> str:
    path = re.sub(r"\{(model_id|deployment):path\}", "openai/gpt-4o", path)
    return path.replace("{workspace_id}", workspace_id).replace("{generation_id}", UNKNOWN_CALL)


def seen(reply: Reply, asked: str) -> tuple[int, bytes]:
    """What tells something: neither the moment, nor what the caller said itself."""
    return reply.status, MOMENTS.sub(b"", reply.body).replace(asked.encode(), b"?")


async def test_a_foreign_workspace_is_the_same_as_none_at_every_endpoint() -> None:
    async with world(answer, workspace=LIMITED) as client:
        for method, path in routes(client):
            found: list[tuple[int, bytes]] = []
            for asked in (OTHER, UNKNOWN):
                headers = {"x-workspace-id": asked}
                found.append(seen(await client.post(BODY, filled(path, asked), headers, method=method), asked))
            assert found[0] == found[1], path
            if path not in PUBLIC:
                assert (found[0][0], bool(REFUSALS.search(found[0][1]))) == (403, True), path
        assert (client.requests, client.recorder.outcomes, client.recorder.ledger.accounts) == ([], [], {})


async def test_a_foreign_workspace_in_the_path_is_the_same_as_none() -> None:
    async with world(answer, workspace=LIMITED) as client:
        named = [(method, path) for method, path in routes(client) if "{workspace_id}" in path]
        assert named
        for method, path in named:
            for headers in ({}, {"x-workspace-id": "ws_test"}):
                found = [
                    seen(await client.post(BODY, filled(path, asked), headers, method=method), asked)
                    for asked in (OTHER, UNKNOWN)
                ]
                assert found[0] == found[1]
                assert found[0][0] in (403, 404)


async def test_no_endpoint_but_the_public_ones_answers_a_stranger() -> None:
    async with world(answer) as client:
        guess = {"authorization": "Bearer sk-tidegate-guess", "x-workspace-id": "ws_test"}
        for number, (method, path) in enumerate(routes(client)):
            address = f"192.0.2.{number}"  # one address is told to wait after many guesses
            reply = await client.post(BODY, filled(path, "ws_test"), guess, method=method, address=address)
            expected = 200 if path in PUBLIC else 401
            assert reply.status == expected, path
        assert client.requests == []


async def test_no_secret_is_in_a_reply_or_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="tidegate")

    def refuses(request: httpx.Request) -> httpx.Response:
        """As some providers do, which repeat the key that they do not know."""
        key = request.headers["authorization"].removeprefix("Bearer ")
        return httpx.Response(401, json={"error": {"message": f"Incorrect API key provided: {key}.", "code": "x"}})

    said = b""
    for handler in (answer, refuses):
        for key in (KEY, replace(KEY, status="revoked"), replace(KEY, networks=("203.0.113.0/24",))):
            async with world(handler, key=key) as client:
                for method, path in routes(client):
                    headers = {"x-workspace-id": "ws_test"}
                    reply = await client.post(BODY, filled(path, "ws_test"), headers, method=method)
                    said += reply.body + str(reply.headers).encode()
    logged = str([record.__dict__ for record in caplog.records])
    assert "call.settled" in logged
    for secret in (SECRET, "provider-secret-1", "provider-secret-2", KEY.hash):
        assert secret not in logged
        assert secret.encode() not in said
