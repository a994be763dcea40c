"""A gateway in this process and in memory, whose provider answers from `replies`: its steps can be counted.

No sockets, no clock: the application is called as a server calls it, and a transport hands it the provider's bytes,
each piece in a turn of the event loop of its own. So equal calls take equal steps.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from msgspec import Struct, field

from tests.bench import replies
from tidegate.api.app import build_app
from tidegate.compose import Overrides
from tidegate.domain.keys import hash_secret
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.memory.world import open_memory_gateway
from tidegate.ports import Keys, Tenants
from tidegate.settings import Settings
from tidegate.transport.base import HttpRequest, StreamedResponse, Timeouts
from tidegate.transport.silence import Recording, SelfTimed, receive_any

SECRET = "sk-tidegate-counts"
WORKSPACE = Workspace("ws_counts", "Counts")
PROVIDER_KEYS = {
    **{"OPENAI_API_KEY": "bench", "ANTHROPIC_API_KEY": "bench", "GEMINI_API_KEY": "bench"},
    **{"AWS_BEARER_TOKEN_BEDROCK": "bench", "AWS_REGION": "us-east-1"},
}
"""Keys of providers that nobody asks."""

_SETTLING_TURNS = 3
"""Turns of the event loop after each reply, in which what a call left behind is done."""


class Scripted:
    """A transport whose provider answers at once: with `completion`, or a stream of `chunks` texts."""

    def __init__(self, chunks: int = replies.CHUNKS) -> None:
        self._completion = replies.completion()
        self._streams = {ending: (kind, render(chunks)) for ending, (kind, render) in replies.STREAMS.items()}

    def open(self, request: HttpRequest, timeouts: Timeouts) -> "_Pieces":
        """See `Transport.open`."""
        path = request.url.partition("?")[0]
        if path.endswith("/embeddings"):
            return _Pieces("application/json", [replies.embeddings(len(json.loads(request.body)["input"]))])
        if path.endswith("/chat/completions") and b'"stream":true' not in request.body:
            return _Pieces("application/json", [self._completion])
        ending = next(ending for ending in self._streams if path.endswith(ending))
        return _Pieces(*self._streams[ending])

    async def close(self) -> None:
        """See `Transport.close`."""


class _Pieces(StreamedResponse, SelfTimed):
    """A response in pieces, which is its own context and can push them, as that of `transport.httptools`."""

    recording: Recording | None = None

    def __init__(self, content_type: str, pieces: list[bytes]) -> None:
        super().__init__(200, [("content-type", content_type)])
        self._pieces = iter(pieces)

    async def __aenter__(self) -> "_Pieces":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def take_whole(self, limit: int) -> bytes | None:
        """See `TimedResponse.take_whole`."""
        return None

    async def next_chunk(self) -> bytes | None:
        """See `TimedResponse.next_chunk`."""
        await asyncio.sleep(0)
        piece = next(self._pieces, None)
        if self.recording is not None and piece is not None:
            self.recording(receive_any)(piece)
        return piece

    async def chunks(self) -> AsyncGenerator[bytes]:
        while (piece := await self.next_chunk()) is not None:
            yield piece

    async def push_chunks(self, receive: Callable[[bytes], bool]) -> bool:
        """See `TimedResponse.push_chunks`."""
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.recording is not None:
            receive = self.recording(receive)
        self._deliver(receive, ended)
        return await ended

    def _deliver(self, receive: Callable[[bytes], bool], ended: asyncio.Future[bool]) -> None:
        """Push the next piece in the next turn of the event loop, as a connection does."""
        asyncio.get_running_loop().call_soon(self._push, receive, ended)

    def _push(self, receive: Callable[[bytes], bool], ended: asyncio.Future[bool]) -> None:
        piece = next(self._pieces, None)
        try:
            wants_more = piece is not None and receive(piece)
        except Exception as error:  # for the task that waits
            ended.set_exception(error)
            return
        if wants_more:
            self._deliver(receive, ended)
        else:
            ended.set_result(piece is not None)


class _Client:
    """The `tidegate.client` of a request, as our own server gives it. Its client stays, and takes what it is sent."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self.status = 0
        self.pieces: list[bytes] = []

    def watch(self, callback: Callable[[], None]) -> None:
        pass

    def unwatch(self) -> None:
        pass

    def write(self, data: bytes) -> bool:
        self.pieces.append(data)
        return True

    def take_body(self) -> bytes | None:
        body, self._body = self._body, None
        return body

    def write_reply(self, status: int, body: bytes, lines: object) -> bool:
        self.status = status
        self.pieces.append(body)
        return True

    async def send_reply(self, status: int, body: bytes, headers: object) -> None:
        self.write_reply(status, body, b"")

    def begin_reply(self, status: int, lines: object) -> bool:
        self.status = status
        return True

    async def send(self, message: Any) -> None:
        """Take a message of the application."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.pieces.append(message.get("body", b""))


class Call(Struct, frozen=True):
    """A request of a caller: the path and the fields of its body."""

    path: str
    fields: Mapping[str, Any]
    secret: str = SECRET

    def encode(self) -> bytes:
        """Return the body as it is sent."""
        return json.dumps(self.fields, separators=(",", ":"), ensure_ascii=False).encode()


def chat(model: str = "openai/gpt-4o-mini", **fields: Any) -> Call:
    """Return a call of chat completions."""
    messages = [{"role": "user", "content": "Write a tagline for an AI content platform."}]
    return Call("/v1/chat/completions", {"model": model, "messages": messages, **fields})


class InProcess(Struct):
    """A gateway that is open. `bodies` are the replies so far, the last one at the end."""

    app: Any
    state: Mapping[str, Any]
    bodies: list[bytes] = field(default_factory=list[bytes])

    async def send(self, call: Call, body: bytes | None = None) -> None:
        """Make a call, wait until it is answered and settled. Raises `RuntimeError` if it is refused."""
        await self.drive(call, call.encode() if body is None else body)
        for _ in range(_SETTLING_TURNS):
            await asyncio.sleep(0)

    async def drive(self, call: Call, body: bytes) -> None:
        """Make a call, and return when it is answered. Raises `RuntimeError` if it is refused."""
        headers = [(b"authorization", b"Bearer " + call.secret.encode()), (b"content-type", b"application/json")]
        client, stays = _Client(body), asyncio.Event()
        scope = {
            **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"},
            **{"path": call.path, "raw_path": call.path.encode(), "query_string": b"", "root_path": ""},
            **{"headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)},
            "extensions": {"tidegate.client": client},
            "state": dict(self.state),
        }

        async def receive() -> Any:
            rest = client.take_body()
            if rest is not None:
                return {"type": "http.request", "body": rest, "more_body": False}
            await stays.wait()
            return {"type": "http.disconnect"}

        await self.app(scope, receive, client.send)
        reply = b"".join(client.pieces)
        if client.status != 200:
            raise RuntimeError(f"the call was refused: {reply[:300]!r}")
        self.bodies[:] = [reply]


@asynccontextmanager
async def open_gateway(
    workspace: Workspace = WORKSPACE,
    *,
    chunks: int = replies.CHUNKS,
    seed: Callable[[Tenants, Keys], Awaitable[None]] | None = None,
    **env: str,
) -> AsyncGenerator[InProcess]:
    """Open a gateway with that workspace, and one key of it. `seed` puts further ones."""
    settings = Settings.from_env({"TIDEGATE_TABLE": "none", **PROVIDER_KEYS, **env})
    transport = Scripted(chunks)

    async def fill(tenants: Tenants, keys: Keys) -> None:
        await tenants.put_workspace(workspace)
        secret = VirtualKey("key_counts", hash_secret(SECRET), "sk-tide", (workspace.id,), workspace.id)
        await keys.put_key(secret)
        if seed is not None:
            await seed(tenants, keys)

    app = build_app(
        lambda: open_memory_gateway(settings, Overrides(wrap=lambda _: transport), seed=fill),
        settings.server_options(),
    )
    async with app.lifespan() as state:
        yield InProcess(app, dict(state or {}))
