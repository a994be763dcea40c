"""One request to one deployment, with its credentials, and the reply."""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

from msgspec import Struct, field

from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.domain.redacted import Redacted
from tidegate.domain.timeouts import DEFAULT_TIMEOUTS, ProviderTimeouts
from tidegate.errors import GatewayTimeout, NotConfigured, ProviderMalformed, UpstreamError
from tidegate.json import Json
from tidegate.lazy import load
from tidegate.ports import Secrets
from tidegate.providers.base import FurtherRequests, KeyAuth, SigV4Auth, Translator, UpstreamRequest
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport, take_notes
from tidegate.transport.sigv4 import AwsKeys, SigningScope, sign
from tidegate.transport.silence import Recording, TimedResponse, open_with_timeouts
from tidegate.upstream.remembered_headers import RememberedHeaders, SignedHeaders
from tidegate.upstream.reply_stream import (
    MAX_REPLY_BYTES,
    ParsedBatches,
    Receive,
    decode_body,
    first_content_batch,
    first_piece,
    read_json,
)

log = logging.getLogger(__name__)

MAX_ERROR_BYTES = 1024 * 1024


class ResponseRecorder(Protocol):
    """Records the response to one request. `pipeline.trace` implements it."""

    def watch(self, response: HttpResponse, secrets: Sequence[str]) -> Recording:
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
    remembered_headers: RememberedHeaders = field(default_factory=RememberedHeaders)

    def open(
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
    ) -> "ProviderConnection":
        """Send the request; the context gives the reply once its first content has arrived and been parsed.

        The key is read from `workspace_keys` if the workspace brought its own. The reply must end within `seconds` and
        `timeouts`. Leaving the context closes the connection. Raises `UpstreamError`, `NotConfigured`, and
        `GatewayTimeout` if no time is left.
        """
        secrets = workspace_keys or self.secrets
        return ProviderConnection(self, translator, request, secret, stream, seconds, secrets, timeouts, recorder)

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
        key = await self.find_key(request, secret, workspace_keys or self.secrets)
        headers = await self.sign_headers(request, key, method)
        http_request = HttpRequest(method, request.url, headers, request.body, peer=name)
        try:
            async with self.transport.open(http_request, Timeouts(seconds)) as response:
                yield response
        except UpstreamError as error:
            _Redaction(name, request, headers, key).mask(error)
            raise

    async def find_key(self, request: UpstreamRequest, secret: str | None, secrets: Secrets) -> str | None:
        """Return the key of a request that is sent with one. Raises `NotConfigured` if it is not set."""
        if secret is None or not isinstance(request.auth, KeyAuth):
            return None
        key = await secrets.get(secret)
        if not key:
            raise missing_key(secret)
        return key

    async def sign_headers(self, request: UpstreamRequest, key: str | None, method: str = "POST") -> dict[str, str]:
        """Return the headers of the request with its credentials. Raises `NotConfigured` without AWS credentials."""
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


class ProviderConnection(Redacted, Struct, eq=False):
    """The context of `Upstream.open`. A generator in its place would cost four times as much.

    The key named `secret` is read from `secrets`. The reply must end within `seconds`. `context` and `batches` are open
    until the reply has ended.
    """

    upstream: Upstream
    translator: Translator
    request: UpstreamRequest
    secret: str | None
    stream: bool
    seconds: float
    secrets: Secrets
    timeouts: ProviderTimeouts
    recorder: ResponseRecorder | None
    context: AbstractAsyncContextManager[TimedResponse] | None = None
    batches: AsyncGenerator[Sequence[ReplyChunk]] | None = None

    async def __aenter__(self) -> ProviderReply:
        request, total = self.request, self.seconds
        if total <= 0:
            raise GatewayTimeout("The call timed out before its provider could be asked.")
        if request.further is not None:
            return await self._ask_in_parts(request, request.further)
        upstream, translator, limits = self.upstream, self.translator, self.timeouts
        key: str | None = None
        if self.secret is not None and isinstance(request.auth, KeyAuth):
            key = self.secrets.cached(self.secret) or await upstream.find_key(request, self.secret, self.secrets)
        signed = upstream.remembered_headers.find(translator, request, key)
        if signed is None:
            headers = await upstream.sign_headers(request, key)
            signed = upstream.remembered_headers.add(translator, request, key, headers)
        if limits.total is not None and limits.total < total:
            total = limits.total
        http_request = HttpRequest(
            "POST", request.url, signed.headers, request.body, None, signed.name, signed.remembered_head
        )
        timeouts = Timeouts(total, limits.connect, limits.first_byte, limits.between)
        try:
            context = open_with_timeouts(upstream.transport, http_request, timeouts)
            response = await context.__aenter__()
            self.context = context
            if self.recorder is not None:
                response.recording = self.recorder.watch(response, _credentials(request, signed.headers, signed.key))
            if not 200 <= response.status < 300:
                body = decode_body(await response.read(MAX_ERROR_BYTES))
                raise _error_reply(translator, request, response, body)
            if self.stream:
                return await self._read_stream(request, response, signed)
            raw = response.take_whole(MAX_REPLY_BYTES)
            if raw is None:
                raw = await response.read(MAX_REPLY_BYTES)
                self.context = None
                await context.__aexit__(None, None, None)
            self.context = None
            reply = None if request.parse_plain is None else request.parse_plain(raw)
            return ProviderReply(_parse_reply(translator, request, raw) if reply is None else reply, None)
        except BaseException as error:
            try:
                await self._close()
            finally:
                if isinstance(error, UpstreamError):
                    self._redaction(signed).mask(error)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close()

    async def _read_stream(
        self, request: UpstreamRequest, pieces: TimedResponse, signed: SignedHeaders
    ) -> ProviderReply:
        translator = self.translator
        start = await first_piece(translator, pieces)
        if start.lstrip()[:1] in (b"{", b"["):
            self.batches = batches = read_json(translator, request, start, pieces)
        else:
            batches = ParsedBatches(translator, request, start, pieces)
        first = await first_content_batch(translator, batches)
        return ProviderReply(None, _MaskedBatches(first, batches, self._redaction(signed)))

    async def _close(self) -> None:
        batches, context = self.batches, self.context
        self.batches = self.context = None
        try:
            if batches is not None:
                await batches.aclose()
        finally:
            if context is not None:
                await context.__aexit__(None, None, None)

    def _redaction(self, signed: SignedHeaders) -> "_Redaction":
        return _Redaction(signed.name, self.request, signed.headers, signed.key)

    async def _ask_in_parts(self, request: UpstreamRequest, further: FurtherRequests) -> ProviderReply:
        open_part = partial(
            self.upstream.open,
            self.translator,
            secret=self.secret,
            stream=False,
            workspace_keys=self.secrets,
            timeouts=self.timeouts,
        )
        ask_all, clock = load("tidegate.upstream.further", "ask_all"), self.upstream.clock
        return ProviderReply(await ask_all(open_part, request, further, clock() + self.seconds, clock), None)


def missing_key(secret: str) -> NotConfigured:
    """Return the error for a missing provider key; `secret` is the name of its setting."""
    return NotConfigured(f"The provider has no key: set {secret}.", param="model")


def _credentials(request: UpstreamRequest, headers: Mapping[str, str], key: str | None) -> list[str]:
    """Return all secrets of a request that is sent with `headers`: its key, what signs it, and those in its URL."""
    added = [value for name, value in headers.items() if request.headers.get(name) != value]
    parts = urlsplit(request.url)
    return list(filter(None, [key, *added, parts.password, parts.username]))


class _Redaction(Redacted, Struct, frozen=True):
    """Masks in errors what callers must not read: credentials, which some providers repeat, and the address."""

    provider: str
    request: UpstreamRequest
    headers: Mapping[str, str]
    key: str | None

    def mask(self, error: UpstreamError) -> None:
        """Mask credentials and the address in the error's message; log its notes for the operator."""
        address = urlsplit(self.request.url).netloc.rpartition("@")[2]
        for secret in (*_credentials(self.request, self.headers, self.key), address):
            if secret:
                error.message = error.message.replace(secret, "***")
                error.native_body = error.native_body and error.native_body.replace(secret, "***")
        reason = take_notes(error)
        if reason is not None:
            log.warning("provider.unreachable", extra={"provider": self.provider, "reason": reason})


def _parse_reply(translator: Translator, request: UpstreamRequest, raw: bytes) -> Reply:
    body = decode_body(raw)
    if isinstance(body, str):
        raise ProviderMalformed(f"{translator.name} answered with something that is not JSON.")
    return translator.parse_reply(request, body)


def _error_reply(
    translator: Translator, request: UpstreamRequest, response: HttpResponse, body: Json | str
) -> UpstreamError:
    error = translator.parse_error(response.status, response.headers, body)
    if request.is_native:
        load("tidegate.providers.native", "keep_native_body")(error, body)
    return error


class _MaskedBatches:
    """The batches of a stream whose first one has arrived. Errors in them are masked."""

    __slots__ = ("_first", "_redaction", "_remaining")

    def __init__(
        self, first: Sequence[ReplyChunk], remaining: AsyncIterator[Sequence[ReplyChunk]], redaction: _Redaction
    ) -> None:
        self._first: Sequence[ReplyChunk] | None = first
        self._remaining = remaining
        self._redaction = redaction

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[ReplyChunk]:
        first = self._first
        if first is not None:
            self._first = None
            return first
        try:
            while True:
                batch = await anext(self._remaining)
                if batch:
                    return batch
        except UpstreamError as error:
            self._redaction.mask(error)
            raise

    def push(self, receive: Receive) -> Awaitable[bool]:
        """See `ParsedBatches.push`. The batches of a reply in JSON are pulled."""
        first, self._first = self._first, None
        remaining, mask = self._remaining, self._redaction.mask
        if isinstance(remaining, ParsedBatches):
            return remaining.push(receive, first, mask)
        return _pull_and_push(remaining, receive, first, mask)


async def _pull_and_push(
    batches: AsyncIterator[Sequence[ReplyChunk]],
    receive: Receive,
    first: Sequence[ReplyChunk] | None,
    mask: Callable[[UpstreamError], None],
) -> bool:
    if first is not None and not receive(first):
        return True
    try:
        async for batch in batches:
            if not receive(batch):
                return True
    except UpstreamError as error:
        mask(error)
        raise
    return False
