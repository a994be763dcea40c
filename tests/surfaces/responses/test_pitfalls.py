"""Where other gateways have failed Codex and OpenAI's SDKs, and which test covers it here."""

import json
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.native_providers import Pieces, sse
from tests.providers.calls import asking, call
from tests.surfaces.pitfalls import check_table
from tests.surfaces.responses.event_order import ENDS, decoded, read
from tests.world import Reply, completion, delta, world
from tidegate.chat.operation import CHAT
from tidegate.domain.deployment import Deployment
from tidegate.providers.registry import Registry
from tidegate.surfaces.late_dialects import RESPONSES

PATH = "/v1/responses"
TRANSLATED, NATIVE = "mistral/mistral-small-latest", "openai/gpt-5"
TOOL: Any = {"type": "function", "name": "get", "parameters": {"type": "object", "properties": {}}}
HELLO: Any = [{"role": "user", "content": "Hello"}]

COVERED: dict[str, tuple[str, ...]] = {
    "39 a stream without its end": ("test_every_stream_has_its_end", "test_every_stream_is_in_order"),
    "40 text before its item": (
        "test_an_item_is_added_before_its_first_delta",
        "test_the_reading_fails_if_an_event_is_missing_or_comes_twice",
    ),
    "41 reasoning with a new id each and the message's place": ("test_reasoning_is_one_item_beside_the_message",),
    "42 calls that are never closed": ("test_a_call_is_closed_with_its_arguments_and_its_item",),
    "43 parallel calls as messages of their own": (
        "test_calls_of_one_turn_are_one_message_with_its_reasoning",
        "test_both_calls_and_both_results_reach_the_provider",
    ),
    "44 DeepSeek without its reasoning": ("test_deepseek_gets_its_reasoning_back_with_the_results",),
    "45 reasoning lost between turns of tools": (
        "test_calls_of_one_turn_are_one_message_with_its_reasoning",
        "test_own_reasoning_comes_back_with_the_next_turn",
    ),
    "46 other ids at the end, tools left out, arguments without an end": (
        "test_ids_of_the_stream_are_those_of_the_whole_reply",
        "test_tools_are_functions_and_their_names_lead_back",
        "test_a_call_is_closed_with_its_arguments_and_its_item",
    ),
    "47 a nested tool choice in the reply": ("test_a_tool_choice_comes_back_flat",),
    "48 the namespace functions": ("test_the_namespace_functions_reaches_no_provider",),
    "49 items of a newer client refused": ("test_what_new_clients_send_is_understood",),
    "50 tools in the history alone": ("test_a_turn_without_tools_may_follow_one_with_calls",),
    "51 a failure outside its response": ("test_a_failure_ends_the_stream_with_a_code_that_codex_reads",),
    "52 a list without models": ("test_the_list_of_models_is_codexs_if_it_asks",),
    "53 no list at the root": ("test_the_list_of_models_is_codexs_if_it_asks",),
    "54 probes for a websocket": ("test_a_websocket_is_refused_at_once",),
    "55 a previous response of another account": (
        "test_a_response_of_one_account_goes_on_at_another",
        "test_another_workspace_finds_nothing",
    ),
    "56 references to what is not stored": (
        "test_an_item_that_is_not_stored_is_not_found_in_openais_words",
        "test_references_stand_for_the_items_of_any_stored_response",
    ),
    "57 a result whose call was cut off": ("test_a_result_without_its_call_is_refused_in_openais_words",),
    "58 the object of reasoning as a parameter of chat completions": ("test_an_effort_is_a_text",),
}


def test_each_pitfall_has_a_test() -> None:
    others = ("api/test_codex.py", "api/test_stored_responses.py")
    check_table(COVERED, range(39, 59), "surfaces/responses/test_*.py", *others)


def event(kind: str, **fields: Any) -> bytes:
    return sse({"type": kind, **fields}, kind)


CHUNK = sse(delta("Hel"))
CREATED = event("response.created", sequence_number=0, response={"id": "resp_p", "output": [], "status": "in_progress"})
ITEM = {"id": "msg_p", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
BEGUN = b"".join(
    [
        CREATED,
        event("response.output_item.added", sequence_number=1, output_index=0, item=ITEM),
        event("response.output_text.delta", sequence_number=2, output_index=0, item_id="msg_p", delta="Hel"),
    ]
)
GONE = httpx.ReadError("gone")


@pytest.mark.parametrize(
    ("model", "pieces"),
    [
        pytest.param(TRANSLATED, (CHUNK, sse(delta(finish="stop")), sse("[DONE]")), id="translated, whole"),
        pytest.param(TRANSLATED, (CHUNK, sse("[DONE]")), id="translated, without a reason"),
        pytest.param(TRANSLATED, (CHUNK,), id="translated, cut"),
        pytest.param(TRANSLATED, (CHUNK, GONE), id="translated, broken"),
        pytest.param(TRANSLATED, (CHUNK, sse({"error": {"message": "Overloaded"}})), id="translated, failed"),
        pytest.param(NATIVE, (BEGUN,), id="native, cut"),
        pytest.param(NATIVE, (BEGUN, GONE), id="native, broken"),
        pytest.param(NATIVE, (BEGUN, event("error", code="server_error", message="No")), id="native, failed"),
    ],
)
async def test_every_stream_has_its_end(model: str, pieces: tuple[bytes | Exception, ...]) -> None:
    """Pitfall 39: Codex sends its request again, up to five times, if a stream has no end that it knows."""
    headers = {"content-type": "text/event-stream"}
    async with world(lambda _: httpx.Response(200, headers=headers, stream=Pieces(pieces))) as client:
        reply = await client.post({"model": model, "input": "Hello", "stream": True}, PATH)
    kinds = [each["type"] for each in decoded(reply.body)]
    assert (kinds[0], [kind for kind in kinds if kind in ENDS]) == ("response.created", [kinds[-1]])


async def streamed(*deltas: Any, **fields: Any) -> list[Any]:
    """The events of a stream of those deltas, all with ids in order."""
    events = [delta(None, choices=[{"index": 0, "delta": each, "finish_reason": None}]) for each in deltas]
    body = b"".join(map(sse, [*events, delta(finish="stop"), "[DONE]"]))
    headers = {"content-type": "text/event-stream"}
    async with world(lambda _: httpx.Response(200, headers=headers, content=body)) as client:
        reply = await client.post({"model": TRANSLATED, "input": "Hello", "stream": True, **fields}, PATH)
    read(reply.body)
    return decoded(reply.body)


async def test_an_item_is_added_before_its_first_delta() -> None:
    """Pitfall 40: Codex loses a text whose item it does not know."""
    kinds = [each["type"] for each in await streamed({"content": "Hello"})]
    assert kinds.index("response.output_item.added") < kinds.index("response.content_part.added")
    assert kinds.index("response.content_part.added") < kinds.index("response.output_text.delta")


async def test_reasoning_is_one_item_beside_the_message() -> None:
    """Pitfall 41: Codex shows no reasoning whose deltas have other ids than their item."""
    deltas = await streamed({"reasoning_content": "H"}, {"reasoning_content": "m"}, {"content": "Hello"})
    places = {
        kind: {(each["item_id"], each["output_index"]) for each in deltas if each["type"] == f"response.{kind}.delta"}
        for kind in ("reasoning_summary_text", "output_text")
    }
    items = [each["item"]["id"] for each in deltas if each["type"] == "response.output_item.added"]
    assert places == {"reasoning_summary_text": {(items[0], 0)}, "output_text": {(items[1], 1)}}


async def test_a_call_is_closed_with_its_arguments_and_its_item() -> None:
    """Pitfalls 42 and 46: a session waits for a call that does not end."""
    function = {"index": 0, "id": "c", "function": {"name": "get", "arguments": '{"a":'}}
    rest = {"index": 0, "function": {"arguments": "1}"}}
    events = await streamed({"tool_calls": [function]}, {"tool_calls": [rest]}, tools=[TOOL])
    kinds = [each["type"].removeprefix("response.") for each in events]
    assert kinds[2:-1] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert (events[-3]["arguments"], events[-2]["item"]["arguments"]) == ('{"a":1}',) * 2


async def test_ids_of_the_stream_are_those_of_the_whole_reply() -> None:
    """Pitfall 46: what was added, what was done and what the end has are one item."""
    call_delta = {"index": 0, "id": "c", "function": {"name": "get", "arguments": "{}"}}
    events = await streamed({"content": "Hello"}, {"tool_calls": [call_delta]}, tools=[TOOL])
    ids = {
        kind: [each["item"]["id"] for each in events if each["type"] == f"response.output_item.{kind}"]
        for kind in ("added", "done")
    }
    assert ids["added"] == ids["done"] == [item["id"] for item in events[-1]["response"]["output"]]
    assert len(set(ids["added"])) == 2


async def whole(**fields: Any) -> Reply:
    async with world(completion()) as client:
        return await client.post({"model": TRANSLATED, "input": "Hello", **fields}, PATH)


@pytest.mark.parametrize("choice", ["auto", {"type": "function", "name": "get"}])
async def test_a_tool_choice_comes_back_flat(choice: Any) -> None:
    """Pitfall 47: SDKs fail at chat completions' form."""
    reply = await whole(tools=[TOOL], tool_choice=choice)
    assert (reply.status, reply.json["tool_choice"], reply.json["tools"]) == (200, choice, [TOOL])


async def test_the_namespace_functions_reaches_no_provider() -> None:
    """Pitfall 48: some providers have a namespace of that name, and refuse another."""
    tools = [{"type": "namespace", "name": "functions", "tools": [{"type": "function", "name": "exec"}]}]
    calls = [{"id": "c", "type": "function", "function": {"name": "exec", "arguments": "{}"}}]
    async with world(completion("", tool_calls=calls)) as client:
        reply = await client.post({"model": TRANSLATED, "input": "Hello", "tools": tools}, PATH)
    sent = json.loads(client.requests[0].content)
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["exec"]
    made = reply.json["output"][-1]
    assert (made["type"], made["name"], made["namespace"]) == ("function_call", "exec", "functions")


async def test_a_response_of_one_account_goes_on_at_another() -> None:
    """Pitfall 55: a provider's id is known to the account alone that got it, so none is sent."""
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi!"}]}
    native = {"id": "resp_p", "object": "response", "status": "completed", "output": [said]}
    async with world({**native, "previous_response_id": None}, XAI_API_KEY="not-a-key-xai") as client:
        first = await client.post({"model": NATIVE, "input": "One"}, PATH)
        body = {"model": "xai/grok-4", "input": "Two", "previous_response_id": first.json["id"]}
        second = await client.post(body, PATH)
        assert client.requests[-1].url.host == "api.x.ai"
        sent = json.loads(client.requests[-1].content)
    assert (second.status, sent.get("previous_response_id"), sent["store"]) == (200, None, False)
    assert [item["role"] for item in sent["input"]] == ["user", "assistant", "user"]
    assert second.json["previous_response_id"] == first.json["id"] != "resp_p"


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        *(("openai", "gpt-5"), ("azure", "gpt-5"), ("groq", "openai/gpt-oss-20b"), ("xai", "grok-3-mini")),
        *(("vllm", "m"), ("cerebras", "gpt-oss-120b"), ("mistral", "magistral-small-latest")),
    ],
)
def test_an_effort_is_a_text(provider: str, model: str) -> None:
    """Pitfall 58: no provider of chat completions takes the object."""
    body = {"model": "x", "input": HELLO, "reasoning": {"effort": "low", "summary": "auto"}}
    request: Any = RESPONSES.parse(CHAT, json.dumps(body).encode())
    request = replace(request, converted_body=request.translated().body, origin=None)
    translator = Registry().translator(provider, "chat")
    deployment = Deployment(provider, model, "https://host.invalid/v1")
    sent = json.loads(translator.build_request(replace(call(asking()), request=request), deployment).body)
    assert "reasoning" not in sent
    assert isinstance(sent.get("reasoning_effort", "low"), str)
