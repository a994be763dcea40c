"""A stored reply, packed and unpacked, and what is not a reply."""

import zlib
from typing import Any

import pytest
from msgspec.structs import replace

from tidegate.chat.operation import CHAT
from tidegate.domain.stored_reply import StoredReply, unpack_reply
from tidegate.json import encode

COMPLETION: Any = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "openai/m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Grüße 🌊", "refusal": None, "unknown": {"kept": [1.5, None]}},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 1e-07},
    "system_fingerprint": None,
}
KEPT = StoredReply(COMPLETION, "openai", "m", 1795262400.25, ("seed",))
OTHER_REPLIES: list[Any] = [{}, {**COMPLETION, "choices": []}, {**COMPLETION, "object": "vector"}]
PACKED = zlib.compress(encode(KEPT))


def test_a_reply_comes_back_to_the_letter() -> None:
    assert unpack_reply(PACKED, CHAT.is_reply) == KEPT


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no zlib",
        PACKED[:-4],
        zlib.compress(b"{"),
        zlib.compress(b"[]"),
        zlib.compress(b'{"completion": {}}'),
        *(zlib.compress(encode(replace(KEPT, completion=each))) for each in OTHER_REPLIES),
    ],
)
def test_what_is_no_reply_is_none(packed: bytes) -> None:
    assert unpack_reply(packed, CHAT.is_reply) is None
