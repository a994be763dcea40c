"""The origin of a chat request that was sent in another dialect."""

from msgspec.structs import replace

from tidegate.chat.request import ChatRequest, parse_chat_request
from tidegate.domain.origin import Origin

ORIGIN = Origin("messages", {"model": "anthropic/claude", "max_tokens": 5}, {"anthropic-beta": "b"}, ("note",))


def request_with_origin() -> ChatRequest:
    request = parse_chat_request(b'{"model": "anthropic/claude", "messages": [{"role": "user", "content": "Hi"}]}')
    return replace(request, origin=ORIGIN)


def test_another_model_or_limit_keeps_the_body_as_sent() -> None:
    request = request_with_origin()
    assert request.with_model("openai/gpt-4o").origin == ORIGIN
    assert request.with_output_limit(3).origin == ORIGIN


def test_a_changed_body_can_only_be_translated() -> None:
    request = request_with_origin()
    masked = request.with_body({**request.body, "messages": [{"role": "user", "content": "***"}]})
    for changed in (masked, request.without_fields(["temperature"])):
        assert changed.origin == Origin("messages", None, ORIGIN.headers, ORIGIN.notes)
