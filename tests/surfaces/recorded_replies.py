"""Every recorded reply of a provider as the gateway reads it, with an independent reading of its raw body."""

import random
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.providers import reading, reading_anthropic, reading_bedrock, reading_cohere, reading_gemini
from tests.providers.assembling import reads, run
from tests.providers.reading import Reading
from tests.providers.recorded import FOREIGN, Exchange, chats, dialect, exchanges
from tests.providers.recorded import PROVIDERS as SPEAKING_OPENAIS
from tidegate.providers import Registry
from tidegate.providers.base import Provider
from tidegate.upstream.eventstream import EventStreamDecoder

PROVIDERS = (*SPEAKING_OPENAIS, "anthropic", "cohere", "vertex")


@dataclass(frozen=True)
class RecordedReply:
    """A whole reply as its `completion`, or a streamed one as its `chunks`."""

    id: str
    reading: Reading
    completion: Any = None
    chunks: list[Any] | None = None


def recorded_replies(provider: str) -> Iterator[RecordedReply]:
    """The chat replies of that provider in all dialects in which it was recorded, but for broken ones."""
    if provider in SPEAKING_OPENAIS:
        for one in chats(provider, streams=False):
            yield RecordedReply(one.id, reading.plain(one.body), dialect(provider).parse_completion(one.body))
        for one in chats(provider, streams=True):
            found = reading.streamed(one.body)
            if found.error is None:
                yield RecordedReply(one.id, found, chunks=_chunks(dialect(provider), one))
    if provider in FOREIGN or provider not in SPEAKING_OPENAIS:
        own = Registry().load(provider)
        for one in exchanges(provider):
            found = _own_reading(one) if one.status == 200 else None
            if found is None:
                pass
            elif one.kind == "json":
                yield RecordedReply(one.id, found, own.parse_completion(one.body))
            else:
                yield RecordedReply(one.id, found, chunks=_chunks(own, one))


def _own_reading(one: Exchange) -> Reading | None:
    """The reading of a reply in its provider's own dialect; None for one that is broken, or not a chat's."""
    match one.endpoint, one.kind:
        case "messages", "json":
            return reading_anthropic.plain(one.body)
        case "messages", "sse":
            return reading_anthropic.plain(reading_anthropic.whole(one.body))
        case "generateContent", "json":
            return None if reading_gemini.is_broken([one.body]) else reading_gemini.read([one.body])
        case "streamGenerateContent", "sse":
            replies = reading_gemini.events(one.body)
            return None if reading_gemini.is_broken(replies) else reading_gemini.read(replies)
        case "converse", "json":
            return reading_bedrock.plain(one.body)
        case "converse-stream", _:
            return reading_bedrock.streamed(b64decode(one.body))
        case "v2/chat", "json":
            return reading_cohere.plain(one.body)
        case "v2/chat", "sse":
            return reading_cohere.streamed(one.body)
        case _:
            return None


def _chunks(provider: Provider, one: Exchange) -> list[Any]:
    if one.kind == "eventstream_b64":
        batches = [EventStreamDecoder().feed(b64decode(one.body))]
    else:
        batches = reads(one.body.encode(), random.Random(one.id))
    return [chunk for batch in run(provider, batches) for chunk in batch]
