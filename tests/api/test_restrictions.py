"""Keys that are limited to endpoints and networks, at every endpoint that takes a key."""

import re

from msgspec.structs import replace
from starlette.routing import Route

from tests.api.endpoint_calls import PROVIDER_KEYS, answer, valid_body
from tests.world import KEY, Client, Reply, world

BODY = valid_body("/v1/chat/completions")
PUBLIC = {"/public/models", "/health", "/api/ds-prototypes/health"}
PARAMETER = re.compile(r"\{[^}]*\}")
HEADERS = {"x-workspace-id": "ws_test"}
QUERY = "?id=unknown"


async def replies(client: Client, address: str | None = "203.0.113.7") -> dict[str, Reply]:
    """What every endpoint answers, by its path."""
    routes = [route for route in client.app.router.routes if isinstance(route, Route)]
    return {
        route.path: await client.post(
            valid_body(route.path),
            PARAMETER.sub("ws_test", re.sub(r"\{(model_id|deployment):path\}", "openai/gpt-4o", route.path)) + QUERY,
            HEADERS,
            method="POST" if "POST" in (route.methods or ()) else "GET",
            address=address,
        )
        for route in routes
    }


def codes(found: dict[str, Reply]) -> dict[str, str | None]:
    return {path: code(reply) if reply.status != 200 else None for path, reply in found.items()}


def code(reply: Reply) -> str:
    """The gateway's own code, also of an error for OpenRouter's clients. A call that nobody made is not found.

    Errors of Anthropic and Ollama have no code, only a message.
    """
    error = reply.json["error"]
    if isinstance(error, str) or reply.json.get("type") == "error":
        message = error if isinstance(error, str) else error["message"]
        return "endpoint_not_allowed" if "endpoint" in message else "network_not_allowed"
    return error["metadata"]["error_type"] if "metadata" in error else error["code"]


def codes_of_an_open_door(found: dict[str, Reply]) -> dict[str, str | None]:
    """What `codes` returns if every endpoint let the caller in. Only those that look up something find nothing."""
    return {path: "not_found" if "/generation" in path else None for path in found}


async def test_a_key_of_one_endpoint_opens_no_other() -> None:
    async with world(answer, key=replace(KEY, endpoints=("/v1/chat/completions",))) as client:
        found = codes(await replies(client))
        usable = {"/v1/chat/completions", *PUBLIC}
        assert found == {path: None if path in usable else "endpoint_not_allowed" for path in found}
        assert len(client.requests) == 1


async def test_a_key_of_a_network_opens_nothing_from_elsewhere() -> None:
    async with world(answer, key=replace(KEY, networks=("203.0.113.0/24", "2001:db8::/32")), **PROVIDER_KEYS) as client:
        for address in ("203.0.113.7", "2001:db8::1", "::ffff:203.0.113.9"):
            found = await replies(client, address)
            assert codes(found) == codes_of_an_open_door(found)
        asked = len(client.requests)
        for address in ("198.51.100.1", "2001:db9::1", None):  # the key itself is known by now
            found = codes(await replies(client, address))
            assert found == {path: None if path in PUBLIC else "network_not_allowed" for path in found}
        assert len(client.requests) == asked


async def test_no_header_says_where_a_request_comes_from() -> None:
    async with world(answer, key=replace(KEY, networks=("203.0.113.0/24",))) as client:
        forged = {"x-forwarded-for": "203.0.113.7", "forwarded": "for=203.0.113.7", "x-real-ip": "203.0.113.7"}
        reply = await client.post(BODY, headers=forged, address="198.51.100.1")
        assert reply.json == {
            "error": {
                "message": "This key may not be used from this network.",
                "type": "permission_error",
                "param": None,
                "code": "network_not_allowed",
            }
        }


async def test_a_stranger_does_not_learn_that_there_are_restrictions() -> None:
    async with world(answer, key=replace(KEY, networks=("203.0.113.0/24",), endpoints=("/v1/models",))) as client:
        reply = await client.post(BODY, headers={"authorization": "Bearer sk-tidegate-guess"}, address="198.51.100.1")
        assert (reply.status, reply.json["error"]["code"]) == (401, "invalid_api_key")


async def test_an_address_of_many_guesses_is_told_to_wait_and_a_valid_key_is_not() -> None:
    async with world(answer) as client:
        for _ in range(30):
            await client.get("/v1/models", authorization="Bearer sk-tidegate-guess")
        found = await replies_of_a_guess(client)
        assert {(reply.status, reply.json["error"]["code"]) for reply in found} == {(429, "too_many_failures")}
        assert {(reply.headers["retry-after"], reply.headers["x-should-retry"]) for reply in found} == {("2", "false")}
        assert (await client.post(BODY)).status == 200


async def replies_of_a_guess(client: Client) -> list[Reply]:
    guess = {"authorization": "Bearer sk-tidegate-guess", "x-workspace-id": "ws_test"}
    return [await client.post(BODY, headers=guess), await client.get("/v1/models", **guess)]


async def test_a_key_without_restrictions_is_used_from_anywhere() -> None:
    async with world(answer, **PROVIDER_KEYS) as client:
        found = await replies(client, None)
        assert codes(found) == codes_of_an_open_door(found)
