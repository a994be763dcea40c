"""A gateway in memory behind a real HTTP server, in this process, and a client that says what it saw."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from msgspec.structs import asdict

from tidegate.api.app import build_app
from tidegate.compose import Overrides
from tidegate.domain.call import Outcome
from tidegate.domain.keys import hash_secret
from tidegate.domain.record import call_record
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.memory.world import open_memory_gateway
from tidegate.policy.routing.retry import Retries
from tidegate.ports import Keys, Tenants
from tidegate.server.server import Server
from tidegate.server.server import serving as serving_until_exit
from tidegate.settings import Settings
from tidegate.transport.base import Transport
from tidegate.transport.httptools import HttptoolsTransport
from tidegate.transport.reqwest import ReqwestTransport

SECRET = "sk-tidegate-test"
USER = [{"role": "user", "content": "Write a tagline for an AI content platform."}]


@dataclass
class Recorder:
    """The port Meter. `of` waits for the record of one call, of which there must be one only."""

    kept: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    records_at_once = False

    async def record(self, outcome: Outcome) -> None:
        async with self.arrived:
            assert outcome.call.id not in self.kept, "recorded twice"
            self.kept[outcome.call.id] = asdict(call_record(outcome))
            self.arrived.notify_all()

    async def of(self, call_id: str) -> dict[str, Any]:
        async with self.arrived:
            await self.arrived.wait_for(lambda: call_id in self.kept)
        return self.kept[call_id]


@dataclass(frozen=True)
class Seen:
    """What the client saw of one call. `complete` is False where its connection broke."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    @property
    def call_id(self) -> str:
        return self.headers["x-request-id"]

    @property
    def events(self) -> list[Any]:
        """The events of a stream: objects, and "[DONE]". Comments are left out."""
        blocks = [block for block in self.body.decode().split("\n\n") if block and not block.startswith(":")]
        return ["[DONE]" if block == "data: [DONE]" else json.loads(block.removeprefix("data: ")) for block in blocks]

    @property
    def error(self) -> Any:
        """The error, of a reply or of a stream's last event; None where there is none."""
        if self.headers["content-type"].startswith("text/event-stream"):
            last = self.events[-1] if self.events else None
        else:
            last = json.loads(self.body)
        return last.get("error") if isinstance(last, dict) else None


@dataclass(frozen=True)
class Harbour:
    """A running gateway. `waits` are the seconds that it would have waited before it asked again."""

    url: str
    recorder: Recorder
    client: httpx.AsyncClient
    waits: list[float]

    async def call(self, body: Any, on_word: Callable[[], None] = lambda: None) -> Seen:
        """One call to its end. `on_word` is called when the first word of a stream has come."""
        headers = {"authorization": f"Bearer {SECRET}"}
        pieces: list[bytes] = []
        complete = True
        async with self.client.stream("POST", f"{self.url}/chat/completions", json=body, headers=headers) as reply:
            try:
                async for piece in reply.aiter_bytes():
                    pieces.append(piece)
                    if b'"content":"Create ' in b"".join(pieces):
                        on_word()
            except httpx.RemoteProtocolError:
                complete = False
        return Seen(reply.status_code, dict(reply.headers), b"".join(pieces), complete)


TransportName = Literal["pyreqwest", "httptools"]
_TRANSPORTS = {"pyreqwest": ReqwestTransport, "httptools": HttptoolsTransport}


async def _at_once(seconds: float) -> None:
    pass


@asynccontextmanager
async def harbour(
    root: bytes | None = None,
    *,
    transport: TransportName = "pyreqwest",
    draw: float = 1.0,
    sleep: Callable[[float], Awaitable[None]] = _at_once,
    **env: str,
) -> AsyncIterator[Harbour]:
    """A gateway with those settings and that transport, and `root` as an authority that it trusts.

    Before it asks again it draws `draw` of the longest delay, and sleeps by `sleep`: not at all.
    """
    needed = {"TIDEGATE_TABLE": "t", "AWS_REGION": "us-east-1", "TIDEGATE_TRANSPORT": transport}
    settings = Settings.from_env(needed | env)
    recorder = Recorder()
    trusting = _TRANSPORTS[transport](root_certificate_pem=root) if root else None

    def wrap(inner: Transport) -> Transport:
        return trusting or inner

    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(round(seconds, 3))
        await sleep(seconds)

    overrides = Overrides(wrap=wrap, meter=recorder, retries=Retries(lambda: draw, wait))
    app = build_app(lambda: open_memory_gateway(settings, overrides, seed=_seed), settings.server_options())
    try:
        async with serving(app) as url, httpx.AsyncClient(timeout=60, verify=False) as client:
            yield Harbour(url, recorder, client, waits)
    finally:
        if trusting is not None:
            await trusting.close()


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The application behind our own server on a free port, in this loop."""
    async with serving_until_exit(Server(app), socket.create_server(("127.0.0.1", 0))) as (host, port):
        yield f"http://{host}:{port}/v1"


async def _seed(tenants: Tenants, keys: Keys) -> None:
    await tenants.put_workspace(Workspace("ws_test", "Test"))
    await keys.put_key(VirtualKey("key_test", hash_secret(SECRET), "sk-tide", ("ws_test",), "ws_test"))
