"""Claude on Bedrock in Anthropic's own dialect: InvokeModel, whose streams have each event in a frame of their own.

InvokeModel is at the host of Converse, with the credentials and the permission that Converse needs, in all regions.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
(2026-11).
"""

from base64 import b64decode
from collections.abc import Sequence

from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import ReplyChunk
from tidegate.errors import ProviderMalformed, UpstreamError
from tidegate.json import decode_reply_or_none, encode
from tidegate.providers.base import Auth, StreamEvent, StreamParser, UpstreamRequest
from tidegate.providers.bedrock import failure
from tidegate.providers.messages_hosts import BEDROCK, caller_body_for, is_native
from tidegate.providers.request_builder import quote_name

_FAILURES = ("exception:", "error:")


def native_request(call: ChatCall, deployment: Deployment, auth: Auth) -> UpstreamRequest | None:
    """See `Provider.native_request`. Only for models whose name says that they are Anthropic's."""
    if not is_native(call, deployment.model) or call.media:  # it refuses the URLs of media, which were fetched
        return None
    body, headers, refused = caller_body_for(call, deployment.model, BEDROCK)
    verb = "invoke-with-response-stream" if call.request.stream else "invoke"
    return UpstreamRequest(
        f"{deployment.base_url.rstrip('/')}/model/{quote_name(deployment.model, safe='')}/{verb}",
        encode(body),
        headers={"content-type": "application/json", **headers},
        auth=auth,
        ignored=tuple(refused),
        call_id=call.id,
        dialect="messages",
        is_native=True,
        has_framed_events=True,
    )


class UnframedStream:
    """A `StreamParser` for frames that have Anthropic's events in base64, which `parser` translates."""

    __slots__ = ("_failure", "_parser")

    def __init__(self, parser: StreamParser) -> None:
        self._parser = parser
        self._failure: UpstreamError | None = None

    @property
    def done(self) -> bool:
        return self._parser.done

    @property
    def failure(self) -> UpstreamError | None:
        return self._parser.failure or self._failure

    def feed(self, batch: Sequence[StreamEvent]) -> Sequence[ReplyChunk]:
        """See `StreamParser.feed`. A frame with an error is the `failure` after the chunks before it."""
        events: list[StreamEvent] = []
        for frame in batch:
            raw = decode_reply_or_none(frame.data)
            if frame.type.startswith(_FAILURES):
                self._failure = failure.from_event(frame.type.partition(":")[2], raw)
                break
            match raw:
                case {"bytes": str(encoded)}:
                    events.append(_event(encoded))
                case _:
                    pass  # a type of frames that is unknown yet
        return self._parser.feed(events) if events else ()

    def end(self) -> Sequence[ReplyChunk]:
        """See `StreamParser.end`."""
        return self._parser.end()


def _event(encoded: str) -> StreamEvent:
    try:
        data = b64decode(encoded, validate=True)
    except ValueError:
        raise ProviderMalformed("bedrock sent an event that is not valid base64.") from None
    event = decode_reply_or_none(data)
    kind = event.get("type") if isinstance(event, dict) else None
    return StreamEvent(str(kind or "message"), data.decode("utf-8", "replace"))
