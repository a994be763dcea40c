"""Bad input in each dialect: refused in that dialect's own shape, as the official SDKs' error classes read it."""

import json
import threading
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from msgspec.structs import replace

from tests.native_providers import ANTHROPIC
from tests.world import KEY, SECRET, WORKSPACE, Client, world
from tidegate.domain.server_options import ServerOptions
from tidegate.offload import LONG_BYTES
from tidegate.surfaces import sealed_details
from tidegate.surfaces.late_dialects import MessagesSurface, ResponsesSurface
from tidegate.surfaces.openai import OpenAISurface

CHAT_MODEL = "mistral/mistral-small-latest"
HELLO: Any = {"role": "user", "content": "Hi"}
YES: Any = {"role": "assistant", "content": "Yes."}

TOOL_USE: Any = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "get", "input": {}}]}
TOOL_RESULT: Any = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]}
CALL: Any = {"type": "function_call", "call_id": "c1", "name": "get", "arguments": "{}"}
OUTPUT: Any = {"type": "function_call_output", "call_id": "c1", "output": "x"}
WRONG_KEY = {"authorization": "Bearer sk-wrong", "x-api-key": ""}
FORGED = sealed_details.PREFIX + "AAAA"
"""A text that begins like a signature of the gateway's, and is not one."""


@dataclass(frozen=True)
class Bad:
    """A request, the class of the SDK's error, and what its message says. `param` is the path in OpenAI's error."""

    name: str
    fields: dict[str, Any]
    error: type[Exception]
    says: str
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return self.name


def messages(name: str, says: str, *turns: Any, **fields: Any) -> Bad:
    return Bad(name, {"messages": [*turns], **fields}, anthropic.BadRequestError, says)


def responses(name: str, says: str, param: str, *items: Any, **fields: Any) -> Bad:
    return Bad(name, {"input": [*items], **fields}, openai.BadRequestError, says, param)


MESSAGES = [
    messages("a result without its call", "unexpected `tool_use_id`", HELLO, TOOL_RESULT),
    messages("a result before its call", "messages.0.content.0: unexpected", TOOL_RESULT, TOOL_USE),
    messages("two results of a call", "must have a single result", HELLO, TOOL_USE, TOOL_RESULT, TOOL_RESULT),
    messages("a call without its result", "`tool_use` ids were found without", HELLO, TOOL_USE, HELLO),
    messages("a late result", "`tool_use` ids were found without", HELLO, TOOL_USE, HELLO, YES, TOOL_RESULT),
    messages("an unknown role", "messages[0].role", {"role": "critic", "content": "x"}),
    messages("a turn without its content", "messages.0.content: Field required", {"role": "user"}),
    messages("a turn that is a text", "messages.0.role", "Hi"),
    messages("no turn", "at least one message"),
    messages("tools that are no list", "'tools'", HELLO, tools="x"),
    messages("a tool that is no object", "'tools[0]'", HELLO, tools=[7]),
    messages("a limit below one", "'max_tokens'", HELLO, max_tokens=-1),
    Bad(
        "a wrong version",
        {"messages": [HELLO]},
        anthropic.BadRequestError,
        "anthropic-version: 'v9' is not a valid version",
        headers={"anthropic-version": "v9"},
    ),
    Bad("another workspace's model", {"messages": [HELLO], "model": "nobody/m"}, anthropic.NotFoundError, "nobody/m"),
    Bad("a wrong key", {"messages": [HELLO]}, anthropic.AuthenticationError, "Tidegate: ", headers=WRONG_KEY),
]
RESPONSES = [
    responses("a result without its call", "No tool call found", "input", HELLO, OUTPUT),
    responses("a result before its call", "No tool call found", "input", OUTPUT, CALL),
    responses("a call without its result", "No tool output found", "input", HELLO, CALL),
    responses("a call twice", "Duplicate call_id", "input[1]", CALL, CALL),
    responses("an unknown item alone", "cannot take input", "input", {"type": "brand_new"}),
    responses("an unknown role", "input[0].role", "input[0].role", {"role": "critic", "content": "x"}),
    responses("a message without its content", "input[0].content", "input[0].content", {"role": "user"}),
    responses("an item that is a text", "expected an object", "input[0]", "Hi"),
    responses("a type that is a number", "expected a string", "input[1].type", HELLO, {"type": 7}),
    responses("no item", "Missing required parameter: 'input'", "input"),
    responses("tools that are no list", "'tools'", "tools", HELLO, tools="x"),
    responses("a limit that is no number", "max_output_tokens", "max_output_tokens", HELLO, max_output_tokens="x"),
    responses("an unknown response", "not found", "previous_response_id", HELLO, previous_response_id="resp_1"),
    responses("a background that is a text", "'background'", "background", HELLO, background="x"),
    Bad("an unknown item's id", {"input": [{"type": "item_reference", "id": "msg_1"}]}, openai.NotFoundError, "msg_1"),
    Bad("another workspace's model", {"input": "Hi", "model": "nobody/m"}, openai.NotFoundError, "nobody/m"),
    Bad("a wrong key", {"input": "Hi"}, openai.AuthenticationError, "key", headers=WRONG_KEY),
]


def app_of(client: Client) -> Any:
    """The gateway as an ASGI application for a transport of HTTP, which has no lifespan."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await client.app({**scope, "state": dict(client.app.lifespan_state)}, receive, send)

    return app


async def send_message(client: Client, bad: Bad, **fields: Any) -> Any:
    """Send the request with Anthropic's SDK."""
    options: Any = {"api_key": SECRET, "base_url": "http://127.0.0.1", "max_retries": 0}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app_of(client))) as http:
        sdk: Any = anthropic.AsyncAnthropic(http_client=http, **options)
        body = {"model": CHAT_MODEL, "max_tokens": 5, **bad.fields, **fields}
        return await sdk.messages.with_raw_response.create(extra_headers=bad.headers, **body)


async def send_response(client: Client, bad: Bad, **fields: Any) -> Any:
    """Send the request with OpenAI's SDK."""
    options: Any = {"api_key": SECRET, "base_url": "http://127.0.0.1/v1", "max_retries": 0}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of(client))) as http:
        sdk: Any = openai.AsyncOpenAI(http_client=http, **options)
        body = {"model": CHAT_MODEL, **bad.fields, **fields}
        return await sdk.responses.with_raw_response.create(extra_headers=bad.headers, **body)


@pytest.mark.parametrize("bad", MESSAGES, ids=str)
async def test_a_bad_message_is_refused_in_anthropics_shape(bad: Bad) -> None:
    async with world() as client:
        with pytest.raises(bad.error) as raised:
            await send_message(client, bad)
        assert client.requests == []
    error: Any = raised.value
    assert type(error) is bad.error
    assert error.body.keys() == {"type", "error", "request_id"}
    assert (error.body["type"], error.body["error"].keys()) == ("error", {"type", "message"})
    assert bad.says in error.body["error"]["message"]
    assert error.request_id == error.body["request_id"]


@pytest.mark.parametrize("bad", RESPONSES, ids=str)
async def test_a_bad_response_is_refused_in_openais_shape(bad: Bad) -> None:
    async with world() as client:
        with pytest.raises(bad.error) as raised:
            await send_response(client, bad)
        assert client.requests == []
    error: Any = raised.value
    assert type(error) is bad.error
    assert error.body.keys() == {"message", "type", "param", "code"}
    assert bad.says in error.body["message"]
    assert bad.param is None or error.param == bad.param
    assert error.type and error.code


async def test_a_body_of_30_mb_is_refused_in_each_shape() -> None:
    text = "x" * 30_000_000
    async with world(options=ServerOptions(max_body_bytes=10_000_000)) as client:
        with pytest.raises(anthropic.APIStatusError) as message:
            await send_message(client, messages("large", "", {"role": "user", "content": text}))
        with pytest.raises(openai.APIStatusError) as response:
            await send_response(client, responses("large", "", "", {"role": "user", "content": text}))
    bodies: list[Any] = [message.value.body, response.value.body]
    assert (message.value.status_code, bodies[0]["error"]["type"]) == (413, "request_too_large")
    assert (response.value.status_code, bodies[1]["type"]) == (413, "invalid_request_error")


async def test_another_workspaces_response_is_not_found() -> None:
    key = replace(KEY, workspace_ids=(WORKSPACE.id, "ws_other"), default_workspace_id=WORKSPACE.id)
    hello = responses("hello", "", "", HELLO)
    async with world(key=key) as client:
        first = json.loads((await send_response(client, hello)).content)["id"]
        other = Bad("", hello.fields, openai.BadRequestError, "", headers={"x-workspace-id": "ws_other"})
        with pytest.raises(openai.BadRequestError) as raised:
            await send_response(client, other, previous_response_id=first)
        assert (await send_response(client, hello, previous_response_id=first)).status_code == 200
    assert (raised.value.code, raised.value.param) == ("previous_response_not_found", "previous_response_id")


def sent(client: Client) -> list[tuple[str, Any]]:
    """The messages that the provider got: their roles and texts."""
    return [(each["role"], each.get("content")) for each in json.loads(client.requests[-1].content)["messages"]]


def ignored(reply: Any) -> str | None:
    return reply.headers.get("x-tidegate-ignored-params")


@pytest.mark.parametrize("block", [{"type": "brand_new", "x": 1}, {"x": 1}, {"type": "image"}, {"type": 7}, 7])
async def test_an_unknown_block_is_a_text_and_is_named(block: Any) -> None:
    async with world() as client:
        reply = await send_message(client, messages("", "", {"role": "user", "content": [block]}))
        assert sent(client) == [("user", json.dumps(block, separators=(",", ":")))]
    assert ignored(reply) == "messages[0].content[0]"


@pytest.mark.parametrize("item", [{"type": "brand_new", "x": 1}, {"x": 1}])
async def test_an_unknown_item_is_left_out_and_named(item: Any) -> None:
    async with world() as client:
        reply = await send_response(client, responses("", "", "", HELLO, item))
        assert sent(client) == [("user", "Hi")]
    assert ignored(reply) == "input[1]"


@pytest.mark.parametrize("signature", ["EqoBCkgIARAB", FORGED, "", 7, None])
async def test_a_signature_that_is_not_the_gateways_reaches_no_other_provider(signature: Any) -> None:
    thinking = {"type": "thinking", "thinking": "Hm", "signature": signature}
    reasoning = {"type": "reasoning", "summary": [], "encrypted_content": signature}
    async with world() as client:
        turn = {"role": "assistant", "content": [thinking, {"type": "text", "text": "Yes."}]}
        await send_message(client, messages("", "", HELLO, turn, HELLO), model="openai/gpt-4.1-mini")
        assert sent(client) == [("user", "Hi"), ("assistant", "Yes."), ("user", "Hi")]
        await send_response(client, responses("", "", "", HELLO, reasoning, YES, HELLO))
        assert sent(client) == [("user", "Hi"), ("assistant", "Yes."), ("user", "Hi")]
        assert not any(b"EqoB" in request.content or FORGED.encode() in request.content for request in client.requests)


async def test_a_signature_that_is_not_the_gateways_goes_on_to_the_provider_that_may_have_made_it() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm", "signature": "EqoBCkgIARAB"},
        {"type": "thinking", "thinking": "Hm", "signature": FORGED},
        {"type": "text", "text": "Yes."},
    ]
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        bad = messages("", "", HELLO, {"role": "assistant", "content": blocks}, HELLO)
        await send_message(client, bad, model=ANTHROPIC.id)
        assert sent(client)[1] == ("assistant", [blocks[0], blocks[2]])


STEERING: Any = {"role": "user", "content": "Wait"}


@pytest.mark.parametrize(
    ("turns", "items", "roles"),
    [
        ([HELLO, HELLO], [HELLO, HELLO], "user user"),
        ([YES, HELLO], [YES, HELLO], "assistant user"),
        ([HELLO, YES, YES, HELLO], [HELLO, YES, YES, HELLO], "user assistant assistant user"),
        (
            [HELLO, TOOL_USE, STEERING, TOOL_RESULT],
            [HELLO, CALL, STEERING, OUTPUT],
            "user assistant tool user",
        ),
    ],
)
async def test_interleaved_roles_keep_their_order_and_results_follow_their_calls(
    turns: list[Any], items: list[Any], roles: str
) -> None:
    async with world() as client:
        for send, bad in ((send_message, messages("", "", *turns)), (send_response, responses("", "", "", *items))):
            await send(client, bad)
            assert [role for role, _ in sent(client)] == roles.split()


@pytest.mark.parametrize(
    ("path", "surface"),
    [
        ("/v1/chat/completions", OpenAISurface),
        ("/v1/messages", MessagesSurface),
        ("/v1/responses", ResponsesSurface),
    ],
)
async def test_a_long_body_is_refused_beside_the_event_loop(
    path: str, surface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    parse = surface.parse

    def parse_and_note(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return parse(*arguments)

    monkeypatch.setattr(surface, "parse", parse_and_note)
    async with world() as client:
        short, long = [await client.post({"model": 7, "padding": "x" * size}, path=path) for size in (1, LONG_BYTES)]
    here, elsewhere = threads
    assert here is threading.current_thread()
    assert elsewhere is not here
    assert (short.status, short.json["error"]["message"]) == (400, long.json["error"]["message"])
