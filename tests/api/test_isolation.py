"""Nobody learns of another's workspace, and nothing that is secret is said or written down.

The routes are those of the application itself, so that a new one is walked as soon as there is one.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from tests.api.world import KEY, SECRET, WORKSPACE, Client, Reply, completion, world
from tidegate.domain.account import Scope
from tidegate.domain.keys import hash_secret
from tidegate.domain.limits import Limits
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import StoreUnavailable

THEIRS, NOBODYS = "ws_bravo", "ws_never"
BRAVO_SECRET = "sk-tidegate-bravo"
BRAVO = Workspace(THEIRS, "Bravo Industries", limits=Limits(tokens_per_day=7_654_321, requests_per_minute=4321))
BRAVO_KEY = VirtualKey("key_bravo", hash_secret(BRAVO_SECRET), "sk-tide", (THEIRS,), THEIRS)
BRAVOS = ("Bravo", "key_bravo", BRAVO_SECRET, BRAVO_KEY.hash, "7654321", "4321", "call_bravo")

PROMPT = "zebra umbrella quixotic"
CALL = {"model": "openai/gpt-4.1-mini", "max_tokens": 50, "messages": [{"role": "user", "content": PROMPT}]}
OF_THIS_REPLY = re.compile(r'(chatcmpl-|gen-)[\w-]+|"created":\d+|"(updatedAt|resets_at)":"[^"]+"')
NOT_COMPARED = {"x-request-id", "x-tidegate-overhead-ms", "content-length"}
NOT_COUNTED = re.compile(r'"(calls\w*|\w*tokens|\w*words|used|held|available)":\d+|"cost_usd":"[^"]*"')


def requests_of(app: Any, id: str) -> Iterator[tuple[str, str, dict[str, str], Any]]:
    """Method, path, headers and body: every route, with the id in every place that a caller may put it."""
    for route in app.routes:
        assert isinstance(route, Route), "a kind of route that this walk does not know"
        named = re.sub(r"\{[^}]+\}", id, route.path)
        own = re.sub(r"\{[^}]+\}", WORKSPACE.id, route.path)
        queries = "&".join(
            f"{name}={id}" for name in ("workspace_id", "workspaceId", "workspace", "id", "usageTypeKey")
        )
        for method in [*sorted((route.methods or {"GET"}) - {"HEAD"}), "DELETE", "PUT"]:
            body: Any = CALL if method == "POST" else b""
            yield method, own, {"x-workspace-id": id}, body
            yield method, named, {}, body
            yield method, named, {"x-workspace-id": WORKSPACE.id}, body
            yield method, named, {"x-workspace-id": id}, body
            yield method, f"{own}?{queries}", {"x-workspace-id": WORKSPACE.id}, body
            if method == "POST":
                more = {"user": id, "metadata": {"workspace_id": id}, "workspace_id": id}
                yield method, own, {"x-workspace-id": WORKSPACE.id, "x-app-id": id}, {**CALL, **more}


def seen(reply: Reply, id: str) -> tuple[int, dict[str, str], str]:
    """A reply without what no two replies share, and without the id that was asked for."""
    text = NOT_COUNTED.sub("", OF_THIS_REPLY.sub("", reply.body.decode().replace(id, "<id>")))
    headers = {name: value for name, value in reply.headers.items() if name not in NOT_COMPARED}
    kept = {name: value.replace(id, "<id>") for name, value in headers.items() if not name.startswith("x-ratelimit")}
    return reply.status, {name: ", ".join(sorted(value.split(", "))) for name, value in kept.items()}, text


async def state_of_bravo(gateway: Any) -> tuple[Any, ...]:
    account = await gateway.ledger.account(Scope("workspace", THEIRS, BRAVO.limits))
    own = await gateway.ledger.account(Scope("key", BRAVO_KEY.id, BRAVO.limits))
    counters = await gateway.usages.days(THEIRS, "2000-01-01", "2100-01-01")
    calls = await gateway.usages.calls(THEIRS, 100)
    kept = await gateway.signatures.find(THEIRS, ["call_bravo"])
    return repr(account), repr(own), counters, calls, kept


def run(scenario: Callable[[Client], Awaitable[None]], answer: Any = None, **limits: Any) -> None:
    async def main() -> None:
        def reply(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json=completion())

        limited = replace(WORKSPACE, limits=Limits(**limits))
        async with world(answer or reply, workspace=limited, key=KEY) as client:
            await scenario(client)

    asyncio.run(main())


async def settle_bravo(client: Client) -> Any:
    """Another workspace with limits, usage and signatures; the gateway."""
    gateway = client.app.lifespan_state["gateway"]
    tenants = gateway.authenticator._directory
    assert await tenants.put_workspace(BRAVO)
    assert await tenants.put_key(BRAVO_KEY)
    called = await client.post(CALL, headers={"authorization": f"Bearer {BRAVO_SECRET}"})
    assert called.status == 200
    await gateway.signatures.keep(THEIRS, "call_bravo", [{"type": "reasoning.text", "text": "Bravo"}])
    return gateway


def test_a_foreign_workspace_is_no_different_from_one_that_does_not_exist() -> None:
    async def scenario(client: Client) -> None:
        gateway = await settle_bravo(client)
        before = await state_of_bravo(gateway)
        pairs = zip(requests_of(client.app, THEIRS), requests_of(client.app, NOBODYS), strict=True)
        walked = 0
        for (method, path, headers, body), (_, nobodys_path, nobodys_headers, nobodys_body) in pairs:
            theirs = await client.post(body, path, headers, method=method)
            nobodys = await client.post(nobodys_body, nobodys_path, nobodys_headers, method=method)
            assert seen(theirs, THEIRS) == seen(nobodys, NOBODYS), (method, path, headers)
            said = f"{theirs.headers} {theirs.body.decode()}"
            assert not [name for name in BRAVOS if name in said], (method, path, headers)
            walked += 1
        assert walked > 100
        assert await state_of_bravo(gateway) == before
        assert await gateway.signatures.find(WORKSPACE.id, ["call_bravo"]) == {}
        known = gateway.authenticator._known.values()
        assert {(each.key.id, each.workspace.id) for each in known} == {
            (KEY.id, WORKSPACE.id),
            (BRAVO_KEY.id, BRAVO.id),
        }

    run(scenario, requests_per_minute=10_000)


def test_every_route_that_needs_a_workspace_refuses_a_foreign_one() -> None:
    async def scenario(client: Client) -> None:
        await settle_bravo(client)
        open_to_all = {"/health", "/api/ds-prototypes/health", "/public/models"}
        for route in client.app.routes:
            path = re.sub(r"\{[^}]+\}", "gpt-4.1-mini" if "models" in route.path else WORKSPACE.id, route.path)
            method = "POST" if "POST" in route.methods else "GET"
            reply = await client.post(CALL, path, {"x-workspace-id": THEIRS}, method=method)
            assert reply.status == (200 if route.path in open_to_all else 403), path

    run(scenario)


UPSTREAM: list[Any] = [
    httpx.Response(400, json={"error": {"message": "provider-secret-1 is an odd key."}}),
    httpx.Response(401, json={"error": {"message": "Incorrect API key provided: provider-secret-1."}}),
    httpx.Response(403, json={"error": {"message": "provider-secret-1 may not do that."}}),
    httpx.Response(429, headers={"retry-after": "3"}, json={"error": {"message": "slow down"}}),
    httpx.Response(500, text="provider-secret-1 crashed"),
    httpx.Response(503, json={"error": {"message": "overloaded"}}),
    httpx.Response(200, text="{not json"),
    httpx.Response(200, json={"choices": [{"message": 5}]}),
    httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b'data: {"choices": 3}\n\n'),
    httpx.ConnectError("no way to provider-secret-1"),
    httpx.ReadTimeout("provider-secret-1 is slow"),
]


def written(records: list[logging.LogRecord]) -> str:
    """All that a log may show of its lines: texts, values, and what was raised for them."""
    form = logging.Formatter()
    parts = [(form.format(record), str(vars(record))) for record in records]
    return "\n".join(text for pair in parts for text in pair)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("answer", UPSTREAM, ids=str)
def test_failures_of_providers_tell_no_secret(answer: Any, streamed: bool, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    bodies: list[str] = []

    async def scenario(client: Client) -> None:
        reply = await client.post({**CALL, "stream": streamed})
        bodies.append(f"{reply.headers} {reply.body.decode()}")

    with caplog.at_level(logging.DEBUG):
        run(scenario, fail, tokens_per_day=100_000)
    assert [record for record in caplog.records if record.name.startswith("tidegate")]
    for secret in (SECRET, "provider-secret-1", PROMPT):
        assert secret not in written(caplog.records)
        assert secret not in "".join(bodies)


def test_refusals_tell_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    guess = "sk-tidegate-a-guess-of-somebody"

    async def scenario(client: Client) -> None:
        gateway = client.app.lifespan_state["gateway"]
        replies = [
            await client.post(CALL, headers={"authorization": f"Bearer {guess}"}),
            await client.post(CALL, headers={"authorization": f"Basic {guess}"}),
            await client.post(CALL, headers={"authorization": f"Bearer {guess} {guess}"}),
            await client.post(CALL, headers={"x-workspace-id": THEIRS}),
            await client.post({**CALL, "messages": [{"role": "user", "content": [PROMPT]}]}),
            await client.post({**CALL, "messages": [{"role": "wizard", "content": PROMPT}]}),
            await client.post(b'{"messages": "' + PROMPT.encode()),
            await client.post({**CALL, "model": "nobody/nothing"}),
            await client.post({**CALL, "max_tokens": 10**6}),
            await client.post(CALL, "/v1/nothing"),
            await client.post(CALL, method="PUT"),
            await client.get("/v1/usage?from=x"),
            await client.get("/v1/usage", authorization=f"Bearer {guess}"),
        ]

        async def dead(*_: object) -> None:
            raise StoreUnavailable("The store does not answer; try again in a moment.")

        object.__setattr__(gateway.authenticator, "_directory", type("Dead", (), {"find": staticmethod(dead)}))
        gateway.authenticator._known.clear()
        replies += [await client.post(CALL), await client.get("/v1/quotas")]
        assert {reply.status for reply in replies} == {400, 401, 403, 404, 405, 429, 503}
        said = "".join(f"{reply.headers} {reply.body.decode()}" for reply in replies)
        for secret in (SECRET, guess, "provider-secret-1", PROMPT):
            assert secret not in said
            assert secret not in written(caplog.records)

    with caplog.at_level(logging.DEBUG):
        run(scenario, tokens_per_day=100_000)
