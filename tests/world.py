"""A gateway in memory whose provider the test plays, and a client that speaks ASGI to it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from msgspec.structs import replace

from tidegate.api.app import ENDPOINTS, build_app
from tidegate.aws.credentials import find_credentials
from tidegate.chat.operation import CHAT
from tidegate.compose import Overrides
from tidegate.domain.call import Call, Outcome
from tidegate.domain.keys import hash_secret
from tidegate.domain.limits import Limits
from tidegate.domain.operation import Operation
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.surface import Surface
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import StoreUnavailable
from tidegate.memory.ledger import MemoryLedger
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.world import open_memory_gateway
from tidegate.pipeline.plan import Plan
from tidegate.policy.routing.retry import Retries
from tidegate.ports import Keys, Tenants
from tidegate.settings import Settings
from tidegate.surfaces.openai import OPENAI
from tidegate.transport.base import Transport
from tidegate.transport.httpx import HttpxTransport
from tidegate.transport.media_fetcher import MediaFetcher

SECRET = "sk-tidegate-test"
USER = [{"role": "user", "content": "Write a tagline for an AI content platform."}]

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


@dataclass
class Recorder:
    """The port Meter. `unavailable` makes it fail, `gate` makes it wait; what it takes is kept in `kept`."""

    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    kept: MemoryMeter = field(default_factory=MemoryMeter)
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    unavailable: bool = False
    gate: asyncio.Event | None = None

    @property
    def records_at_once(self) -> bool:
        return self.gate is None

    async def record(self, outcome: Outcome) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.unavailable:
            raise StoreUnavailable("down")
        self.outcomes.append(outcome)
        await self.kept.record(outcome)


@dataclass
class Client:
    """One process. `requests` are what the provider was sent; `delays` the seconds between tries, not waited."""

    app: Any
    recorder: Recorder
    requests: list[httpx.Request]
    delays: list[float] = field(default_factory=list[float])

    async def post(
        self,
        body: Any,
        path: str = "/v1/chat/completions",
        headers: dict[str, str] | None = None,
        extensions: dict[str, Any] | None = None,
        method: str = "POST",
        address: str | None = "127.0.0.1",
    ) -> "Reply":
        exchange = Exchange(self.app, body, path, headers, extensions, method, address)
        await exchange.run()
        return exchange.reply()

    async def get(self, path: str, **headers: str) -> "Reply":
        return await self.post(b"", path, dict(headers), method="GET")


class Exchange:
    """One request, message by message; `hang_up` is the client leaving.

    From `slow_at` on, what is sent waits until the client `reads`, in the order in which it was sent. At `refused_at`
    the server tells that the client has gone, as ASGI wants it: by an `OSError`.
    """

    def __init__(
        self,
        app: Any,
        body: Any,
        path: str,
        headers: dict[str, str] | None = None,
        extensions: dict[str, Any] | None = None,
        method: str = "POST",
        address: str | None = "127.0.0.1",
    ) -> None:
        sent = {"authorization": f"Bearer {SECRET}", "content-type": "application/json", **(headers or {})}
        bare, _, query = path.partition("?")
        self._app = app
        self._body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._asked = False
        self._gone = asyncio.Event()
        self.slow_at: bytes | None = None
        self.refused_at: bytes | None = None
        self.reads = asyncio.Event()
        self._held = False
        self.messages: list[Any] = []
        self.arrived = asyncio.Condition()
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": bare,
            "raw_path": bare.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value],
            "client": (address, 1) if address else None,
            "server": ("127.0.0.1", 80),
            "state": dict(app.lifespan_state),
            "extensions": extensions or {},
        }

    async def run(self) -> None:
        await self._app(self._scope, self._receive, self._send)

    def hang_up(self) -> None:
        self._gone.set()

    async def until(self, done: Callable[[bytes], bool]) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: done(self.body))

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    def reply(self) -> "Reply":
        start = self.messages[0]
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], headers, self.body)

    async def _receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if self.refused_at is not None and self.refused_at in message.get("body", b""):
            raise OSError("the client has gone")
        if self.slow_at is not None and (self.slow_at in message.get("body", b"") or self._held):
            self._held = True
            await self.reads.wait()
        async with self.arrived:
            self.messages.append(message)
            self.arrived.notify_all()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The events of a stream: objects, "[DONE]", and comments as they are."""
        # A comment ends with one line end: some clients take a blank line for the end of an event.
        blocks = [piece for piece in re.split(r"\n\n|^(:.*)\n", self.body.decode(), flags=re.M) if piece is not None]
        assert blocks.pop() == ""
        blocks = [block for block in blocks if block]
        return [
            block if block.startswith(":") else ("[DONE]" if block == "data: [DONE]" else json.loads(block[6:]))
            for block in blocks
        ]


WORKSPACE = Workspace("ws_test", "Test")
KEY = VirtualKey("key_test", hash_secret(SECRET), "sk-tide", ("ws_test",), "ws_test")


def _seed(workspace: Workspace, key: VirtualKey) -> Callable[[Tenants, Keys], Awaitable[None]]:
    async def seed(tenants: Tenants, keys: Keys) -> None:
        await tenants.put_workspace(workspace)
        await tenants.put_workspace(Workspace("ws_other", "Other"))
        await keys.put_key(key)

    return seed


@asynccontextmanager
async def world(
    provider: Handler | dict[str, Any] | None = None,
    *,
    options: ServerOptions | None = None,
    fetcher: Callable[[Transport], MediaFetcher] | None = None,
    workspace: Workspace = WORKSPACE,
    limits: Limits | None = None,
    key: VirtualKey = KEY,
    endpoints: Mapping[str, tuple[Surface, Operation]] = ENDPOINTS,
    change_plan: Callable[[Plan], Plan] | None = None,
    **env: str,
) -> AsyncIterator[Client]:
    """A gateway with the workspace ws_test; `provider` answers for every provider, openai and mistral have keys.

    A `provider` that is no function is the body of every answer; without one, that is a `completion()`. `limits` are
    the workspace's. `fetcher` makes what fetches callers' URLs: `provider` answers for those as well. The process's
    credentials at AWS are those in `env`, if there are any.
    """
    handler = provider if callable(provider) else answers(provider or completion())
    workspace = workspace if limits is None else replace(workspace, limits=limits)
    requests: list[httpx.Request] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        response = handler(request)
        return response if isinstance(response, httpx.Response) else await response

    keys = {"OPENAI_API_KEY": "provider-secret-1", "MISTRAL_API_KEY": "provider-secret-2"}
    settings = Settings.from_env({"TIDEGATE_TABLE": "t", "AWS_REGION": "us-east-1", **keys, **env})
    recorder = Recorder()
    fake = HttpxTransport(httpx.MockTransport(answer))
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    overrides = Overrides(
        wrap=lambda _: fake,
        fetcher=fetcher(fake) if fetcher else None,
        meter=recorder,
        retries=Retries(lambda: 1.0, sleep),
        change_plan=change_plan,
    )
    credentials = find_credentials(env) if "AWS_ACCESS_KEY_ID" in env else None
    seed = _seed(workspace, key)
    app = build_app(
        lambda: open_memory_gateway(settings, overrides, seed=seed, credentials=credentials),
        options or ServerOptions(),
        endpoints=endpoints,
    )
    async with app.lifespan() as state:
        client, gateway = Client(app, recorder, requests, delays), state["gateway"]
        app.lifespan_state = state
        recorder.ledger, recorder.kept = gateway.ledger, gateway.open_usages()
        yield client


def completion(content: str = "Hello.", usage: Any = None, **message: Any) -> dict[str, Any]:
    """A provider's whole reply."""
    return {
        "id": "upstream-id",
        "object": "chat.completion",
        "created": 1,
        "model": "upstream-model",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
        ],
        "usage": usage or {"prompt_tokens": 14, "completion_tokens": 12, "total_tokens": 26},
    }


def answers(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    """A provider that answers every request with `body`."""
    return lambda _: httpx.Response(status, json=body, headers=headers)


def streams(*events: Any) -> Handler:
    """A provider that answers every request with a stream of `events`."""
    return lambda _: event_stream(sse(*events))


@dataclass
class Gated:
    """A provider that was `reached`, and answers when its `gate` is open."""

    reply: Callable[[], httpx.Response] = lambda: httpx.Response(200, json=completion())
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _: httpx.Request) -> httpx.Response:
        self.reached.set()
        await self.gate.wait()
        return self.reply()


def sse(*events: Any) -> bytes:
    return b"".join(
        b"data: " + (e.encode() if isinstance(e, str) else json.dumps(e).encode()) + b"\n\n" for e in events
    )


def delta(content: str | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    change = {"content": content} if content is not None else {}
    choice = {"index": 0, "delta": change, "finish_reason": finish}
    return {"id": "u", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **fields}


USAGE = {"choices": [], "usage": {"prompt_tokens": 14, "completion_tokens": 12, "total_tokens": 26}}
STREAM = [delta(""), delta("Create "), delta("smarter."), delta(finish="stop"), USAGE, "[DONE]"]


class Trickle(httpx.AsyncByteStream):
    """A body that the test sends piece by piece; None ends it, an exception breaks it."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self.pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self.closed.set()


def event_stream(body: bytes | httpx.AsyncByteStream) -> httpx.Response:
    headers = {"content-type": "text/event-stream"}
    if isinstance(body, bytes):
        return httpx.Response(200, headers=headers, content=body)
    return httpx.Response(200, headers=headers, stream=body)


async def new_call(gateway: Any, body: Any, secret: str = SECRET) -> Call:
    """A chat call of the key with that secret, as the endpoint would make it."""
    principal, workspace = await gateway.authenticate(OPENAI, f"Bearer {secret}", None)
    return gateway.new_call(principal, workspace, OPENAI, CHAT, CHAT.parse(json.dumps(body).encode()))
