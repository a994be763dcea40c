"""An attempt of a call in its trace: the request to a provider, and its reply as it arrived, without credentials."""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tidegate.domain.call import SentAttempt
from tidegate.domain.folded_stream import fold
from tidegate.domain.otel import Attempt
from tidegate.domain.trace import TracedAttempt
from tidegate.pipeline.components import Components
from tidegate.providers.base import UpstreamRequest
from tidegate.transport.base import HttpResponse
from tidegate.transport.silence import Receive, Recording

MAX_REPLY_BYTES = 5 * 1024 * 1024
"""Bytes of providers' replies that one trace keeps, of all attempts."""

MAX_PIECES = 100_000
"""Pieces of providers' replies that one trace keeps, of all attempts."""

LOOK_BYTES = 64 * 1024
"""Bytes of replies after which all that a trace has recorded is compared with its limits."""

MIN_SECRET_CHARACTERS = 8
"""Characters of a secret from which on its start is hidden at the end of a reply that was cut off."""

_REQUEST_HEADERS = frozenset({"accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta"})
_REPLY_HEADERS = frozenset(
    {
        *("content-length", "content-type", "date", "retry-after", "retry-after-ms", "server"),
        *("apim-request-id", "cf-ray", "request-id", "x-amzn-requestid", "x-ms-request-id", "x-request-id"),
        *("openai-processing-ms", "openai-version", "x-envoy-upstream-service-time"),
    }
)
_REPLY_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")
_QUERY_FIELDS = frozenset({"alt", "api-version", "beta"})
"""Headers and fields of URLs that a trace keeps: those of other names may have credentials, or name an account."""


class RepliesRoom:
    """Counts what a trace may still keep of providers' replies, of all attempts.

    Recorders of pieces lower `left`, and ask `take` when it is not enough: one number for both limits, because there
    can be no more pieces than bytes. `look` is called then, with True when nothing more is kept.
    """

    __slots__ = ("_bytes", "_given", "_look", "_max_pieces", "_replies", "left")

    def __init__(self, look: Callable[[bool], None]) -> None:
        self._look = look
        self._bytes, self._max_pieces = MAX_REPLY_BYTES, MAX_PIECES
        self._replies: list[list[bytes]] = []
        self._given = self.left = 0

    def open_reply(self) -> list[bytes]:
        """Return the list for the pieces of one more reply."""
        self._replies.append([])
        return self._replies[-1]

    def take(self, size: int) -> int:
        """Return how many of the first bytes of a piece of `size` bytes the trace may keep: from 0 to `size`."""
        self._bytes -= self._given - self.left
        pieces = self._max_pieces - sum(map(len, self._replies))
        kept = min(size, self._bytes) if pieces > 0 else 0
        self._bytes = self._bytes - kept if kept == size else 0  # nothing is kept after what is missing
        self._given = self.left = max(min(self._bytes, pieces - 1, LOOK_BYTES), 0)
        self._look(not self.left)
        return kept


class AttemptRecorder:
    """Records one attempt: the request to a provider, and the pieces of its reply."""

    __slots__ = (
        *("_base_url", "_body", "_clock", "_deployment", "_headers", "_omitted_bytes", "_pieces", "_reply_headers"),
        *("_room", "_secrets", "_shows_host", "_status", "_times", "_url", "number"),
    )

    def __init__(
        self,
        room: RepliesRoom,
        components: Components,
        attempt: SentAttempt,
        request: UpstreamRequest,
        *,
        keeps_body: bool,
    ) -> None:
        self.number = attempt.number
        self._room, self._clock, self._shows_host = room, components.clock, components.shows_upstream_urls
        self._deployment, self._base_url = attempt.deployment.display_name, attempt.deployment.base_url.rstrip("/")
        self._url, self._headers = request.url, request.headers
        self._body = request.body if keeps_body else b""
        self._omitted_bytes = 0 if keeps_body else len(request.body)
        self._status: int | None = None
        self._reply_headers: Mapping[str, str] = {}
        self._secrets: Sequence[str] = ()
        self._pieces = room.open_reply()
        self._times: list[float] = []

    def watch(self, response: HttpResponse, secrets: Sequence[str]) -> Recording:
        """Return what records each piece of the response; `secrets` are the credentials of its request."""
        self._status, self._reply_headers, self._secrets = response.status, response.headers, secrets
        room, add_piece, add_time, clock = self._room, self._pieces.append, self._times.append, self._clock

        # Closures, of which one records and hands on: each chunk of a stream is recorded.
        def recording(receive: Receive) -> Receive:
            def record(piece: bytes) -> bool:
                left = room.left - len(piece)
                if left < 0:
                    self._add_part(piece)
                else:
                    room.left = left
                    add_piece(piece)
                    add_time(clock())
                return receive(piece)

            return record

        return recording

    def _add_part(self, piece: bytes) -> None:
        """Record the beginning of a piece of the reply, as far as the trace has room, and count the rest."""
        size = self._room.take(len(piece))
        self._omitted_bytes += len(piece) - size
        if size:
            self._pieces.append(piece[:size])  # a whole piece is not copied
            self._times.append(self._clock())

    @property
    def size(self) -> int:
        """The number of bytes to encode."""
        return len(self._body) + sum(map(len, self._pieces))

    def traced(self, attempt: Attempt, started_at: float, *, folds: bool) -> TracedAttempt:
        """Return what was recorded of this attempt, whose reason, times and error `attempt` has.

        The call began at `started_at`, in UTC seconds. `folds`: the reply may be folded. A trace that is masked before
        it is stored needs the reply as it is.
        """
        joined = b"".join(self._pieces)
        reply = self._redacted(joined)
        # The pieces are not redacted.
        folded = fold(self._pieces) if folds and reply == joined else None
        return TracedAttempt(
            deployment=self._deployment,
            reason=attempt.reason,
            started=attempt.started,
            ended=attempt.ended,
            url=_shown_url(self._url, None if self._shows_host else self._base_url),
            headers={name: value for name, value in self._headers.items() if name in _REQUEST_HEADERS},
            body=self._body,
            status=self._status,
            reply_headers={
                name: value
                for name, value in self._reply_headers.items()
                if name in _REPLY_HEADERS or name.startswith(_REPLY_PREFIXES)
            },
            reply=b"" if folded else reply,
            folded=folded,
            started_at=started_at,
            arrivals=self._times,
            sizes=() if folded else list(map(len, self._pieces)),
            omitted_bytes=self._omitted_bytes,
            error=attempt.error,
        )

    def _redacted(self, reply: bytes) -> bytes:
        """Return the reply with stars in place of credentials, which some providers repeat in their errors."""
        secrets = [secret.encode() for secret in self._secrets]
        if not self._shows_host and self._status is not None and not 200 <= self._status < 300:
            secrets.append(urlsplit(self._url).netloc.rpartition("@")[2].encode())
        for secret in filter(None, secrets):
            reply = reply.replace(secret, b"*" * len(secret))
            if self._omitted_bytes:
                reply = _without_start(secret, reply)
        return reply


def _without_start(secret: bytes, reply: bytes) -> bytes:
    """Return the reply, which was cut off, with stars in place of the start of the secret at its end."""
    for size in range(min(len(secret), len(reply)), MIN_SECRET_CHARACTERS - 1, -1):
        if reply.endswith(secret[:size]):
            return reply[:-size] + b"*" * size
    return reply


def _shown_url(url: str, hidden: str | None) -> str:
    """Return the URL without user information and unknown fields, and with stars in place of the base URL `hidden`.

    A base URL names a host, and its path can have a token or an account. None: callers may see it.
    """
    try:
        parts = urlsplit(url)
        query = urlencode([field for field in parse_qsl(parts.query, True) if field[0] in _QUERY_FIELDS])
    except ValueError:
        return ""
    if hidden is None:
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))
    path = urlsplit(url.removeprefix(hidden)).path if hidden and url.startswith(f"{hidden}/") else ""
    return urlunsplit(("", "", f"***{path}", query, ""))
