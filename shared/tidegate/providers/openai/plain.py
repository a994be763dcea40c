"""Exact schemas of the chunks that most servers send: what decodes has no other field, so most of the cleaning is idle.

Sources: as in `stream.py`. A chunk that a schema refuses is not wrong: it goes through all of the cleaning.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

_Word = Annotated[str, Meta(min_length=1)]


class PlainChoice(Struct, forbid_unknown_fields=True):
    """A choice without any other field. `text` repeats the delta (Hugging Face)."""

    index: int
    delta: dict[str, Any]
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    logprobs: None = None
    text: Any = None
    seed: None = None
    token_ids: None = None
    content_filter_results: dict[str, Any] | None = None


class PlainChunk(Struct, forbid_unknown_fields=True):
    """A chunk without any other field. `object`, `obfuscation` and `p` are never passed on."""

    id: _Word
    created: int
    model: _Word
    choices: list[PlainChoice]
    system_fingerprint: str | None = None
    service_tier: str | None = None
    provider: str | None = None
    usage: dict[str, Any] | None = None
    object: Any = None
    obfuscation: Any = None
    p: Any = None


decode_chunk = msgspec.json.Decoder(PlainChunk).decode
"""Decode a chunk. Raises `msgspec.DecodeError` for one that is not plain."""
