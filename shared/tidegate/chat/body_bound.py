"""An upper bound for the input tokens of a body that is sent to a provider, whatever its dialect and its fields.

All of the body counts as text, its keys, numbers and punctuation too. So a new field counts without being named here.
Only media and signatures in base64 are taken out first, where their dialects have them: see `media_bound`.
"""

from collections.abc import Callable

from msgspec.structs import replace

from tidegate.chat.text_bound import bound_utf8
from tidegate.domain.usage import TokenCounts
from tidegate.json import Json, decode_or_none, encode
from tidegate.lazy import load

_MEDIA_KEYS = (
    *(b'"image_url"', b'"video_url"', b'"input_audio"', b'"document_url"', b'"file"', b'"source"'),
    *(b'"inlineData"', b'"fileData"', b'ignature"', b'"redacted', b'"input_file"', b'"encrypted_content"'),
)
"""A body with media or a signature has one of these."""

_ESCAPES = ((b"\\n", b"\n"), (b'\\"', b'"'), (b"\\t", b"\t"))
"""Pairs of characters in JSON that stand for one character, which is what a vocabulary reads."""

_SYNTAX = (
    *(b'"role":"user",', b'"role":"assistant",', b'"role":"system",', b'"role":"model",', b'"role":"tool",'),
    *(b'"content":', b'"parts":', b'"type":"text",', b'"text":'),
    *(b'"stream":true', b'"stream_options":{"include_usage":true}'),
)
"""Syntax that models do not read. A schema can have it as well, but there it is a small part."""

MESSAGE_TOKENS = 5
ENVELOPE_TOKENS = 40
"""Tokens for each message, in place of its syntax, and the tokens of a body's outer fields, which models do not read:
the model's name, `max_tokens`, `stream`.
"""


def bound_body(body: bytes) -> TokenCounts:
    """Return the most input tokens that the body can take, by kind. `input` includes all kinds."""
    find = body.find  # `in` first takes bytes for a number, and the error that is raised for that is dear
    if not [key for key in _MEDIA_KEYS if find(key) >= 0]:
        return TokenCounts(input=max(1, _text_tokens(body)), estimated=True)
    value = decode_or_none(body)
    take_media: Callable[[Json], TokenCounts] = load("tidegate.chat.media_bound", "take_media")
    media = take_media(value)
    return replace(media, input=max(1, _text_tokens(encode(value))) + media.input, estimated=True)


def _text_tokens(body: bytes) -> int:
    tokens = MESSAGE_TOKENS * body.count(b'"role":') - ENVELOPE_TOKENS
    for syntax in _SYNTAX:
        body = body.replace(syntax, b"")
    if body.find(b"\\") >= 0:
        for escape, char in _ESCAPES:
            body = body.replace(escape, char)
    return tokens + bound_utf8(body)
