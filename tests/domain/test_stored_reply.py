"""A kept reply: there and back, and nothing that is none."""

import zlib
from typing import Any

import pytest

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
PACKED = zlib.compress(encode(KEPT))


def test_a_reply_comes_back_to_the_letter() -> None:
    assert unpack_reply(PACKED) == KEPT


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no zlib",
        PACKED[:-4],
        zlib.compress(b"{"),
        zlib.compress(b"[]"),
        zlib.compress(b'{"completion": {}}'),
        zlib.compress(encode({"completion": {**COMPLETION, "choices": []}, "provider": "p", "model": "m", "at": 1})),
    ],
)
def test_what_is_no_reply_is_none(packed: bytes) -> None:
    assert unpack_reply(packed) is None
