"""OpenAI's dialect towards clients, and neuroflash's where it differs: the exact bytes."""

import json
import re

import pytest

from tidegate.chat.operation import CHAT
from tidegate.domain.ids import ulid
from tidegate.domain.surface import Surface
from tidegate.errors import InvalidRequest, RateLimited, StreamCut
from tidegate.surfaces.neuroflash import NEUROFLASH
from tidegate.surfaces.openai import OPENAI

BODY = b'{"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}'
NOW = 1_795_262_400.7


def test_the_surfaces_differ_in_their_settings_and_ids_alone() -> None:
    settings = {
        surface.name: (surface.requires_workspace, surface.always_includes_usage) for surface in (OPENAI, NEUROFLASH)
    }
    assert settings == {"openai": (False, False), "neuroflash": (True, True)}
    assert re.fullmatch(r"chatcmpl-[0-9A-Za-z]{29}", OPENAI.reply_id(ulid(NOW), NOW))
    assert re.fullmatch(r"gen-1795262400-[0-9A-Za-z]{8}", NEUROFLASH.reply_id(ulid(NOW), NOW))
    assert len({OPENAI.reply_id(ulid(NOW), NOW) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("surface", [OPENAI, NEUROFLASH], ids=lambda surface: surface.name)
def test_a_stream_is_events_an_end_or_an_error(surface: Surface) -> None:
    stream = surface.open_stream(CHAT.parse(BODY))
    assert stream.events([{"choices": []}, {"choices": [1]}]) == b'data: {"choices":[]}\n\ndata: {"choices":[1]}\n\n'
    assert stream.end() == b"data: [DONE]\n\n"
    assert stream.keep_alive == b": keep-alive\n"
    error = StreamCut("The stream ended early.")
    error.usage = {"prompt_tokens": 3}
    text = stream.error(error)
    assert text.startswith(b"data: ") and text.endswith(b"\n\n") and text.count(b"\n") == 2
    assert json.loads(text[6:])["error"]["usage"] == {"prompt_tokens": 3}


def test_an_error_is_openais_object() -> None:
    error = InvalidRequest("The body must be a JSON object.", param="messages")
    assert json.loads(OPENAI.error(error)) == {
        "error": {
            "message": "The body must be a JSON object.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "invalid_request",
        }
    }
    limit = RateLimited("Wait.", limit="requests_per_minute", maximum=1, remaining=0, retry_after_seconds=1)
    assert json.loads(OPENAI.error(limit))["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ({b"authorization": b"Bearer sk-x"}, "Bearer sk-x"),
        ({b"authorization": b"  "}, None),
        ({b"api-key": b"sk-x"}, "Bearer sk-x"),
        ({b"x-api-key": b" sk-x "}, "Bearer sk-x"),
        ({b"x-goog-api-key": b"sk-x"}, "Bearer sk-x"),
        ({b"x-api-key": b"sk-other", b"authorization": b"bearer sk-x"}, "bearer sk-x"),
        ({b"x-api-key": b"sk-x", b"authorization": b"Basic eDp5"}, "Bearer sk-x"),
        ({b"x-api-key": b"sk-x", b"authorization": b"Bearer"}, "Bearer sk-x"),
        ({b"x-api-key": b"", b"authorization": b"Basic eDp5"}, "Basic eDp5"),
        ({}, None),
    ],
)
@pytest.mark.parametrize("surface", [OPENAI, NEUROFLASH], ids=lambda surface: surface.name)
def test_a_bearer_token_wins_over_the_headers_of_other_sdks(
    surface: Surface, headers: dict[bytes, bytes], credential: str | None
) -> None:
    assert surface.credential(headers) == credential


def test_a_request_is_the_operations_own_dialect() -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}'
    assert OPENAI.parse(CHAT, body) == CHAT.parse(body)
    with pytest.raises(InvalidRequest):
        OPENAI.parse(CHAT, b"[]")
