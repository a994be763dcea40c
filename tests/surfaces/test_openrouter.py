"""OpenRouter's dialect towards clients: the exact bytes."""

import json
from typing import Any

from tidegate.chat.operation import CHAT
from tidegate.errors import ProviderOverloaded, StreamCut
from tidegate.surfaces.openrouter import OPENROUTER

CHUNK: dict[str, Any] = {"id": "gen-1-x", "created": 1, "model": "openai/gpt-4o", "choices": []}
REQUEST = CHAT.parse(b'{"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}')
CALL_ID = "01KCZZZZZZZZZZZZZZZZZZZZZZ"


def test_a_reply_names_its_provider_and_its_call() -> None:
    assert OPENROUTER.reply_id(CALL_ID, 1_795_262_400.7) == f"gen-1795262400-{CALL_ID}"
    reply = {**CHUNK, "usage": {"prompt_tokens": 1, "cost": 0.5}}
    assert json.loads(OPENROUTER.reply(reply, REQUEST)) == {**reply, "provider": "openai"}


def test_an_unknown_cost_is_left_out_because_the_ai_sdk_refuses_null() -> None:
    usage = json.loads(OPENROUTER.reply({**CHUNK, "usage": {"prompt_tokens": 1, "cost": None}}, REQUEST))["usage"]
    assert usage == {"prompt_tokens": 1}


def test_details_of_usage_have_the_counts_that_the_ai_sdk_requires() -> None:
    details = {"prompt_tokens_details": {"audio_tokens": 2}, "completion_tokens_details": {"reasoning_tokens": 3}}
    usage = json.loads(OPENROUTER.reply({**CHUNK, "usage": details}, REQUEST))["usage"]
    assert usage == {
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_an_error_has_its_status_as_code_and_the_gateways_code_beside() -> None:
    assert json.loads(OPENROUTER.error(ProviderOverloaded("Later."))) == {
        "error": {
            "message": "Later.",
            "type": "upstream_error",
            "param": None,
            "code": 503,
            "metadata": {"error_type": "provider_overloaded"},
        }
    }


def test_an_error_in_a_stream_is_a_chunk_of_it() -> None:
    stream = OPENROUTER.open_stream(REQUEST)
    first = json.loads(stream.events([CHUNK])[6:])
    error = StreamCut("The stream ended early.")
    error.usage = {"prompt_tokens": 3, "cost": None}
    last = json.loads(stream.error(error)[6:])
    assert {name: last[name] for name in ("id", "created", "model", "provider")} == {
        name: first[name] for name in ("id", "created", "model", "provider")
    }
    assert (last["object"], last["choices"][0]["finish_reason"]) == ("chat.completion.chunk", "error")
    assert (last["error"]["code"], last["usage"]) == (502, {"prompt_tokens": 3})


def test_an_error_before_the_first_chunk_is_a_chunk_as_well() -> None:
    last = json.loads(OPENROUTER.open_stream(REQUEST).error(StreamCut("Ended."))[6:])
    assert {"id", "object", "created", "model", "choices", "error"} <= set(last)
