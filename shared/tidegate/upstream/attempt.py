"""One request to one deployment, with its credentials, and the reply."""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.domain.redacted import Redacted
from tidegate.domain.timeouts import DEFAULT_TIMEOUTS, ProviderTimeouts
from tidegate.errors import (
    GatewayTimeout,
    NotConfigured,
    ProviderMalformed,
    ProviderUnreachable,
    StreamCut,
    UpstreamError,
)
from tidegate.json import Json, decode_reply, encode
from tidegate.lazy import load
from tidegate.ports import Secrets
from tidegate.providers.base import Framing, KeyAuth, SigV4Auth, StreamEvent, Translator, UpstreamRequest
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport, take_notes
from tidegate.transport.sigv4 import AwsKeys, SigningScope, sign
from tidegate.transport.silence import open_with_timeouts

log = logging.getLogger(__name__)

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 1024 * 1024
MAX_STREAM_BYTES = 256 * 1024 * 1024
"""Enough for a million tokens with one event each: a longer stream would never end."""


_DECODERS: dict[Framing, tuple[str, str]] = {
    "sse": ("tidegate.upstream.sse", "SseDecoder"),
    "eventstream": ("tidegate.upstream.eventstream", "EventStreamDecoder"),
}


class StreamDecoder(Protocol):
    """Decodes a stream's bytes into events. `SseDecoder` and `EventStreamDecoder` implement it."""

    @property
    def broken(self) -> ProviderMalformed | None: ...

    def feed(self, data: bytes) -> list[StreamEvent]: ...

    def end(self) -> list[StreamEvent]: ...


class ResponseRecorder(Protocol):
    """Records the response to one request. `pipeline.trace` implements it."""

    def watch(self, response: HttpResponse, secrets: Sequence[str]) -> Callable[[bytes], None]:
        """Return what records each piece of the response; `secrets` are the credentials of the request."""
        ...


class ProviderReply(Struct, frozen=True):
    """A provider's answer: a whole `reply`, or `batches` of chunks of which the first has arrived."""

    reply: Reply | None
    batches: AsyncIterator[Sequence[ReplyChunk]] | None


class Upstream(Struct, frozen=True):
    """Sends requests to providers.

        async with upstream.open(translator, request, secret="OPENAI_API_KEY", stream=False, seconds=60) as reply:
            print(reply.reply)

    `aws_keys` sign requests to AWS.
    """

    transport: Transport
    secrets: Secrets
    aws_keys: AwsKeys | None = None
    clock: Callable[[], float] = time.time

    @asynccontextmanager
    async def open(
        self,
        translator: Translator,
        request: UpstreamRequest,
        *,
        secret: str | None,
        stream: bool,
        seconds: float,
        workspace_keys: Secrets | None = None,
        timeouts: ProviderTimeouts = DEFAULT_TIMEOUTS,
        recorder: ResponseRecorder | None = None,
    ) -> AsyncGenerator[ProviderReply]:
        """Send the request; yield the provider's reply once its first content has arrived and been parsed.

        The key is read from `workspace_keys` if the workspace brought its own. The reply must end within `seconds` and
        `timeouts`. Leaving the context closes the connection. Raises `UpstreamError`, `NotConfigured`, and
        `GatewayTimeout` if no time is left.
        """
        if seconds <= 0:
            raise GatewayTimeout("The call timed out before its provider could be asked.")
        if request.further is not None:
            open_part = partial(
                self.open, translator, secret=secret, stream=False, workspace_keys=workspace_keys, timeouts=timeouts
            )
            ask_all = load("tidegate.upstream.further", "ask_all")
            deadline = self.clock() + seconds
            yield ProviderReply(await ask_all(open_part, request, request.further, deadline, self.clock), None)
            return
        key = await self._find_key(request, secret, workspace_keys or self.secrets)
        headers = await self._headers(request, key)
        http_request = HttpRequest("POST", request.url, headers, request.body, peer=translator.name)
        redaction = _Redaction(translator.name, request, headers, key)
        with redaction.errors():
            async with open_with_timeouts(self.transport, http_request, _http_timeouts(seconds, timeouts)) as response:
                if recorder is not None:
                    response.record = recorder.watch(response, _credentials(request, headers, key))
                if not 200 <= response.status < 300:
                    body = _decode_body(await response.read(MAX_ERROR_BYTES))
                    raise _error_reply(translator, request, response, body)
                if not stream:
                    body = _decode_body(await response.read(MAX_REPLY_BYTES))
                    if isinstance(body, str):
                        raise ProviderMalformed(f"{translator.name} answered with something that is not JSON.")
                    yield ProviderReply(translator.parse_reply(request, body), None)
                    return
                async with aclosing(response.chunks()) as pieces:
                    start = await _first_piece(translator, pieces)
                    if start.lstrip()[:1] in (b"{", b"["):
                        events, chunks = await _read_json(translator, request, start, pieces)
                        if chunks is not None:
                            yield ProviderReply(None, _batches_of(chunks))
                            return
                    else:
                        events = _decode_events(translator, start, pieces)
                    async with aclosing(events), aclosing(translator.parse_stream(request, events)) as batches:
                        first = await _first_content_batch(translator, batches)
                        yield ProviderReply(None, _with_first_batch(first, batches, redaction))

    @asynccontextmanager
    async def send(
        self,
        name: str,
        method: str,
        request: UpstreamRequest,
        *,
        secret: str | None,
        seconds: float,
        workspace_keys: Secrets | None = None,
    ) -> AsyncGenerator[HttpResponse]:
        """Send a request that is not a call to the provider `name`; yield the response, whatever its status.

        Errors that are raised inside the context have no key and no address in their messages. Raises `UpstreamError`
        and `NotConfigured`.
        """
        key = await self._find_key(request, secret, workspace_keys or self.secrets)
        headers = await self._headers(request, key, method)
        http_request = HttpRequest(method, request.url, headers, request.body, peer=name)
        with _Redaction(name, request, headers, key).errors():
            async with self.transport.open(http_request, Timeouts(seconds)) as response:
                yield response

    async def _find_key(self, request: UpstreamRequest, secret: str | None, secrets: Secrets) -> str | None:
        if secret is None or not isinstance(request.auth, KeyAuth):
            return None
        key = await secrets.get(secret)
        if not key:
            raise missing_key(secret)
        return key

    async def _headers(self, request: UpstreamRequest, key: str | None, method: str = "POST") -> dict[str, str]:
        match request.auth:
            case KeyAuth() as auth if key is not None:
                name, value = auth.header_of(key)
                return {**request.headers, name: value}
            case SigV4Auth(service, region):
                if self.aws_keys is None:
                    raise NotConfigured("The provider needs AWS credentials, and none were found.", param="model")
                scope = SigningScope(service, region)
                aws_key = await self.aws_keys()
                return sign(method, request.url, request.headers, request.body, aws_key, scope, at=self.clock())
            case _:
                return request.headers


def missing_key(secret: str) -> NotConfigured:
    """Return the error for a missing provider key; `secret` is the name of its setting."""
    return NotConfigured(f"The provider has no key: set {secret}.", param="model")


def _credentials(request: UpstreamRequest, headers: Mapping[str, str], key: str | None) -> list[str]:
    """Return all secrets of a request that is sent with `headers`: its key, what signs it, and those in its URL."""
    added = [value for name, value in headers.items() if request.headers.get(name) != value]
    parts = urlsplit(request.url)
    return list(filter(None, [key, *added, parts.password, parts.username]))


def _http_timeouts(seconds: float, timeouts: ProviderTimeouts) -> Timeouts:
    total = seconds if timeouts.total is None else min(seconds, timeouts.total)
    return Timeouts(total, timeouts.connect, timeouts.first_byte, timeouts.between)


class _Redaction(Redacted, Struct, frozen=True):
    """Masks in errors what callers must not read: credentials, which some providers repeat, and the address."""

    provider: str
    request: UpstreamRequest
    headers: Mapping[str, str]
    key: str | None

    @contextmanager
    def errors(self) -> Generator[None]:
        """Mask credentials and the address in the message of an `UpstreamError`; log its notes for the operator."""
        try:
            yield
        except UpstreamError as error:
            address = urlsplit(self.request.url).netloc.rpartition("@")[2]
            for secret in (*_credentials(self.request, self.headers, self.key), address):
                if secret:
                    error.message = error.message.replace(secret, "***")
                    error.native_body = error.native_body and error.native_body.replace(secret, "***")
            reason = take_notes(error)
            if reason is not None:
                log.warning("provider.unreachable", extra={"provider": self.provider, "reason": reason})
            raise


def _error_reply(
    translator: Translator, request: UpstreamRequest, response: HttpResponse, body: Json | str
) -> UpstreamError:
    error = translator.parse_error(response.status, response.headers, body)
    if request.is_native:
        load("tidegate.providers.native", "keep_native_body")(error, body)
    return error


@contextmanager
def _cut_if_unreachable(translator: Translator) -> Generator[None]:
    """Turn a connection that breaks off within the body into `StreamCut`."""
    try:
        yield
    except ProviderUnreachable as error:
        cut = StreamCut(f"{translator.name}'s stream broke off.")
        cut.add_note(take_notes(error) or error.message)
        raise cut from None


async def _first_piece(translator: Translator, pieces: AsyncIterator[bytes]) -> bytes:
    """Return the start of the body, which tells JSON from events: content types are not reliable."""
    start = b""
    with _cut_if_unreachable(translator):
        while not start.strip():
            piece = await anext(pieces, None)
            if piece is None:
                break
            start += piece
    return start


async def _read_json(
    translator: Translator, request: UpstreamRequest, start: bytes, pieces: AsyncIterator[bytes]
) -> tuple[AsyncGenerator[Sequence[StreamEvent]], Sequence[ReplyChunk] | None]:
    """Read a JSON body in place of a stream: the chunks of a whole reply, or the events in a list.

    Raises the reply's `UpstreamError` if it is an error.
    """
    collected, size = [start], len(start)
    with _cut_if_unreachable(translator):
        async for piece in pieces:
            collected.append(piece)
            size += len(piece)
            if size > MAX_REPLY_BYTES:
                raise ProviderMalformed(f"The response of {translator.name} is larger than {MAX_REPLY_BYTES} bytes.")
    body = _decode_body(b"".join(collected))
    if isinstance(body, str):
        raise ProviderMalformed(f"{translator.name} answered with something that is not JSON.")
    if isinstance(body, list):
        return _events_of(body), None
    return _events_of([]), translator.reply_chunks(translator.parse_reply(request, body))


async def _events_of(items: list[Json]) -> AsyncGenerator[Sequence[StreamEvent]]:
    yield [StreamEvent("message", encode(item).decode()) for item in items]


async def _batches_of(chunks: Sequence[ReplyChunk]) -> AsyncIterator[Sequence[ReplyChunk]]:
    yield chunks


def _create_decoder(translator: Translator) -> StreamDecoder:
    module, name = _DECODERS[translator.framing]
    return load(module, name)()


async def _decode_events(
    translator: Translator, start: bytes, pieces: AsyncIterator[bytes]
) -> AsyncGenerator[Sequence[StreamEvent]]:
    decoder = _create_decoder(translator)
    size, piece = 0, start
    with _cut_if_unreachable(translator):
        while piece is not None:
            size += len(piece)
            if size > MAX_STREAM_BYTES:
                raise ProviderMalformed(f"The provider's stream is larger than {MAX_STREAM_BYTES} bytes.")
            events = decoder.feed(piece)
            if events:
                yield events
            if decoder.broken is not None:
                raise decoder.broken
            piece = await anext(pieces, None)
    events = decoder.end()
    if events:
        yield events


async def _first_content_batch(
    translator: Translator, batches: AsyncIterator[Sequence[ReplyChunk]]
) -> list[ReplyChunk]:
    """Read chunks until one has content; some providers send the usage before it."""
    first: list[ReplyChunk] = []
    async for batch in batches:
        first += batch
        if any(map(translator.has_content, batch)):
            return first
    raise StreamCut("The provider's stream ended before its first content.")


async def _with_first_batch(
    first_batch: Sequence[ReplyChunk], remaining_batches: AsyncIterator[Sequence[ReplyChunk]], redaction: _Redaction
) -> AsyncIterator[Sequence[ReplyChunk]]:
    yield first_batch
    with redaction.errors():
        async for batch in remaining_batches:
            if batch:
                yield batch


def _decode_body(body: bytes) -> Json | str:
    try:
        return decode_reply(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace")
