"""What must hold of every exchange, whatever is sent and whatever the provider answers."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

import httpx

from tests.api.admin.world import Api, open_api
from tests.api.batch_app import FORM, batch_app, form
from tests.batch.world import PATH
from tests.fuzz.batch_requests import KNOWN_IDS, KNOWN_PART
from tests.fuzz.replies import Exchange
from tests.fuzz.requests import Sent
from tests.fuzz.shapes import check_answer
from tests.fuzz.state_requests import KNOWN_CONVERSATION, KNOWN_ITEM, KNOWN_RESPONSE
from tests.hostile import KEYS, answer
from tests.providers.calls import CASES
from tests.world import Client, Handler, world
from tidegate.domain.limits import Limits

LIMITS = Limits(tokens_per_minute=10**9, words_per_day=10**9, parallel_calls=5, requests_per_minute=10**6)
"""Limits that every call fits, so that it has a hold."""

PROVIDERS = {
    f"{folder.name.upper()}_{name}": value
    for folder in CASES.iterdir()
    for name, value in {"API_KEY": "not-a-key", "BASE_URL": f"https://{folder.name}.test/v1"}.items()
} | KEYS

SPARE_BYTES, BYTES_PER_BYTE = 8_000_000, 200
"""What an exchange may hold at once: a fixed part for modules that load late, and so much for each byte of it."""

HTTPX_TURNS = 8
"""httpx does not close its generators, four of them one in another: each closes a turn of the event loop later."""


def check_request(sent: Sent) -> None:
    """A request gets a reply of the API, or an error that is defined; and nothing is left."""
    _run(lambda: _exchange(answer, sent), len(sent.body))


def check_batch_request(sent: Sent) -> None:
    """A request about files and batches gets a reply, or an error that is defined; and nothing is left."""
    _run(lambda: _batch_exchange(sent), len(sent.body))


def check_state_request(sent: Sent) -> None:
    """A request about stored responses gets a reply, or an error that is defined; and nothing is left."""
    _run(lambda: _state_exchange(sent), len(sent.body))


def check_reply(exchange: Exchange) -> None:
    """A provider's reply becomes a reply of the API, or an error that is defined; and nothing is left."""

    def provider(request: httpx.Request) -> httpx.Response:
        headers = [(name.encode(), value.encode()) for name, value in exchange.headers.items()]
        return httpx.Response(exchange.status, headers=headers, stream=_Pieces(exchange))

    sent = Sent("POST", exchange.path, {}, exchange.request)
    try:
        _run(lambda: _exchange(provider, sent), len(sent.body) + sum(map(len, exchange.pieces)))
    except AssertionError as error:
        error.add_note(repr(exchange))
        raise


@contextmanager
def admin_api() -> Iterator[Callable[[Sent], None]]:
    """A check of requests of the admin API, which is built once: that takes a third of a second.

    A request gets a reply, or an error that is defined; and no task is left.
    """
    with asyncio.Runner() as runner:
        api = AsyncExitStack()
        opened = runner.run(api.enter_async_context(open_api()))
        yield lambda sent: runner.run(_alone(lambda: _admin_exchange(opened, sent)))
        runner.run(api.aclose())


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._exchange.pieces:
            yield piece
        if self._exchange.breaks:
            raise httpx.ReadError("broken")


def _run(work: Callable[[], Awaitable[None]], size: int) -> None:
    with _bounded_memory(size):
        asyncio.run(_alone(work))


async def _alone(work: Callable[[], Awaitable[None]]) -> None:
    await work()
    for _ in range(HTTPX_TURNS):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks are left: {left}"


@contextmanager
def _bounded_memory(size: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < SPARE_BYTES + BYTES_PER_BYTE * size, f"{peak:,} bytes for {size:,}"


async def _exchange(provider: Handler, sent: Sent) -> None:
    async with world(provider, limits=LIMITS, **PROVIDERS) as client:
        await _answered(client, sent)


async def _answered(client: Client, sent: Sent) -> None:
    reply = await client.post(sent.body, sent.path, sent.headers, method=sent.method)
    try:
        check_answer(sent.path, sent.method, reply.status, reply.headers, reply.body)
        _check_settled(client)
    except AssertionError as error:
        error.add_note(f"{sent!r}\n{reply!r}")
        raise


async def _state_exchange(sent: Sent) -> None:
    async with world(answer, limits=LIMITS, **PROVIDERS) as client:
        hello = {"model": "mistral/mistral-small-latest", "input": "Hello"}
        response = (await client.post(hello, "/v1/responses")).json
        items = [{"type": "message", "role": "user", "content": "Hello"}]
        conversation = (await client.post({"items": items}, "/v1/conversations")).json
        listed = (await client.get(f"/v1/conversations/{conversation['id']}/items")).json["data"]
        path, body = sent.path, sent.body
        ids = (response["id"], conversation["id"], listed[0]["id"])
        for name, made in zip((KNOWN_RESPONSE, KNOWN_CONVERSATION, KNOWN_ITEM), ids, strict=True):
            path, body = path.replace(name, made), body.replace(name.encode(), made.encode())
        await _answered(client, Sent(sent.method, path, sent.headers, body))


async def _batch_exchange(sent: Sent) -> None:
    async with batch_app() as (client, _):
        headers = {"content-type": FORM}
        content = form({"purpose": "batch", "file": ("a", b"{}\n")})
        file = (await client.post(content, "/v1/files", headers)).json
        fields = {"filename": "a", "bytes": 3, "mime_type": "a/b", "purpose": "batch"}
        upload = (await client.post(fields, "/v1/uploads")).json
        part = (await client.post(form({"data": ("a", b"{}\n")}), f"/v1/uploads/{upload['id']}/parts", headers)).json
        fields = {"input_file_id": file["id"], "endpoint": PATH, "completion_window": "24h"}
        batch = (await client.post(fields, "/v1/batches")).json
        path, body = sent.path, sent.body
        known = {KNOWN_PART: part["id"]}
        known |= {KNOWN_IDS[kind]: made["id"] for kind, made in zip(KNOWN_IDS, (file, upload, batch), strict=True)}
        for name, made in known.items():
            path, body = path.replace(name, made), body.replace(name.encode(), made.encode())
        reply = await client.post(body, path, sent.headers, method=sent.method)
        try:
            check_answer(sent.path, sent.method, reply.status, reply.headers, reply.body)
        except AssertionError as error:
            error.add_note(f"{sent!r}\n{reply!r}")
            raise


def _check_settled(client: Client) -> None:
    for account in client.recorder.ledger.accounts.values():
        assert not account.holds, f"held: {account.holds}"


async def _admin_exchange(api: Api, sent: Sent) -> None:
    headers = {name: value for name, value in sent.headers.items() if value}
    for client in (api.reader, api.one, api.whole):
        reply = await client.http.request(sent.method, f"/admin/v1{sent.path}", content=sent.body, headers=headers)
        assert b'"internal_error"' not in reply.content, (sent, reply.content)
        assert reply.status_code < 500, (sent, reply.status_code, reply.content)
