"""Where other gateways have failed Claude Code, and which test covers it here; tests that have no other place."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.native_providers import ANTHROPIC
from tests.providers.calls import asking, call
from tests.surfaces.pitfalls import check_table
from tests.world import Client, completion, world
from tidegate.chat.operation import CHAT
from tidegate.domain.deployment import Deployment
from tidegate.providers import Registry
from tidegate.providers.chat_translator import ChatTranslator
from tidegate.surfaces.late_dialects import MESSAGES

PATH = "/v1/messages?beta=true"
USER = [{"role": "user", "content": "Hi"}]
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {}}
PLAIN = json.dumps({"model": "m", "max_tokens": 5, "messages": USER}).encode()
TOOL = {"name": "get", "input_schema": {"type": "object", "properties": {}}}

COVERED: dict[str, tuple[str, ...]] = {
    "1 thinking inside a text block": ("test_thinking_text_and_calls_are_blocks_in_order",),
    "2 message_start twice": ("test_a_translated_stream_ends_with_its_usage_and_without_a_done",),
    "3 arguments lost at the start of a call": ("test_arguments_with_the_start_of_a_call_are_not_lost",),
    "4 blocks that were not opened": ("test_calls_whose_arguments_are_mixed_come_one_after_the_other",),
    "5 message_start without cache counts": ("test_the_first_event_has_all_counts",),
    "6 thinking parts for providers of text": ("test_thinking_reaches_no_provider_as_a_part",),
    "7 unknown blocks of results dropped": ("test_every_kind_of_result_stays_with_its_call",),
    "8 text beside results dropped": ("test_results_come_before_the_rest_of_their_turn",),
    "9 images in results dropped": ("test_python_streams_thinking_and_tools_with_images_over_two_turns",),
    "10 a result of an image alone": ("test_a_result_of_an_image_alone_stays_a_result",),
    "11 a turn emptied by filters": ("test_a_turn_of_thinking_alone_stays_a_message",),
    "12 results first and together": ("test_results_come_before_the_rest_of_their_turn",),
    "13 context_management refused": ("test_a_field_without_its_beta_is_left_out",),
    "14 fields of tools refused": ("test_bedrock_gets_what_it_takes_and_the_rest_is_named",),
    "15 unknown betas": ("test_a_reply_of_anthropics_goes_out_as_it_is",),
    "16 other names of betas": ("test_bedrock_gets_what_it_takes_and_the_rest_is_named",),
    "17 wrapped errors": ("test_an_error_of_anthropics_goes_out_with_its_status_and_words",),
    "18 the attribution in the cache's key": (
        "test_the_system_is_a_message_without_the_entry_that_tells_who_pays",
        "test_the_system_reaches_anthropic_entry_by_entry",
    ),
    "19 counts of text alone": ("test_an_estimate_counts_everything_and_asks_nobody",),
    "20 count_tokens demands max_tokens": ("test_anthropic_counts_the_callers_own_body",),
    "21 another vendor's tokenizer": ("test_an_estimate_is_hardly_ever_too_low",),
    "22 usage missing": ("test_a_reply_without_usage_still_has_all_counts",),
    "23 inflated usage": ("test_usage_has_the_input_that_no_cache_gave_and_what_it_wrote",),
    "24 blocks without their text": ("test_a_recorded_reply_is_read_by_anthropics_sdk",),
    "25 another content type": ("test_a_stream_of_anthropics_goes_out_as_it_is",),
    "26 404 on streams": ("test_every_path_answers",),
    "27 replies without a body": ("test_every_path_answers",),
    "28 silence": ("test_silence_is_filled_with_pings",),
    "29 server tools": (
        "test_server_tools_of_earlier_turns_become_text_and_no_calls",
        "test_citations_divide_the_text",
        "test_the_reason_for_the_end_is_told_in_anthropics_words",
        "test_a_stream_of_bedrocks_goes_out_as_anthropics_events",
    ),
    "30 web search silently dead": ("test_a_search_that_the_provider_does_not_have_is_named",),
    "31 empty arguments": ("test_empty_arguments_are_an_empty_object",),
    "32 tools in the history alone": ("test_bedrock_gets_tools_if_the_history_has_calls",),
    "33 stop_sequences and top_k dropped": ("test_stop_sequences_are_sent_and_top_k_is_named",),
    "34 signatures that cannot be decoded": ("test_a_whole_reply_comes_back", "test_a_streamed_reply_comes_back"),
    "35 sessions ignored": ("test_the_session_and_the_headers_are_read",),
    "36 discovery hidden": ("test_the_whole_list_is_in_anthropics_format",),
    "37 adaptive thinking refused": ("test_adaptive_thinking_is_no_error_for_models_that_do_not_think",),
    "38 a small model that is not served": ("test_a_small_model_that_is_not_served_is_not_found",),
}


def test_each_pitfall_has_a_test() -> None:
    others = ("providers/test_messages_hosts.py", "clients/test_anthropic_sdks.py")
    check_table(COVERED, range(1, 39), "surfaces/messages/test_*.py", "api/test_*.py", *others)


def translated(provider: str, model: str, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    """The body that a provider of another dialect gets, and what is named as ignored."""
    body = {"model": "x", "max_tokens": 50, "messages": USER, **fields}
    request = MESSAGES.parse(CHAT, json.dumps(body).encode())
    chat_call: Any = replace(call(asking()), request=request.translated())
    translator = ChatTranslator(Registry().load(provider))
    built = translator.build_request(
        chat_call, Deployment(provider, model, "https://host.invalid/v1", region="us-east-1")
    )
    return json.loads(built.body), built.ignored


def test_the_first_event_has_all_counts() -> None:
    stream = MESSAGES.open_stream(
        MESSAGES.parse(CHAT, json.dumps({"model": "m", "max_tokens": 5, "messages": USER}).encode())
    )
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    first = stream.events([{"id": "msg_1", "choices": [choice]}]).split(b"\n\n")[0]
    usage = json.loads(first.partition(b"data: ")[2])["message"]["usage"]
    assert usage.pop("input_tokens") > 0
    assert usage == {
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1,
    }


@pytest.mark.parametrize("provider", ["vllm", "openai", "groq", "deepseek"])
def test_thinking_reaches_no_provider_as_a_part(provider: str) -> None:
    thinking = {"type": "thinking", "thinking": "Hm", "signature": "abc"}
    turns = [*USER, {"role": "assistant", "content": [thinking, {"type": "text", "text": "Yes."}]}, *USER]
    body, _ = translated(provider, "some-model", messages=turns)
    assert body["messages"][1]["content"] == "Yes."
    assert "abc" not in json.dumps(body)


def test_a_result_of_an_image_alone_stays_a_result() -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [IMAGE]}
    turns = [*USER, {"role": "assistant", "content": [CALL]}, {"role": "user", "content": [result]}]
    body, _ = translated("openai", "gpt-4.1-mini", messages=turns, tools=[TOOL])
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "user"]
    assert "iVBORw0KGgo=" in json.dumps(body["messages"][3])


async def test_the_system_reaches_anthropic_entry_by_entry() -> None:
    system = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"},
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
    ]
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        await client.post({"model": ANTHROPIC.id, "max_tokens": 5, "messages": USER, "system": system}, PATH)
    assert json.loads(client.requests[0].content)["system"] == system


def test_silence_is_filled_with_pings() -> None:
    stream = MESSAGES.open_stream(
        MESSAGES.parse(CHAT, json.dumps({"model": "m", "max_tokens": 5, "messages": USER}).encode())
    )
    assert stream.keep_alive == b'event: ping\ndata: {"type":"ping"}\n\n'


async def test_a_search_that_the_provider_does_not_have_is_named(client: Client) -> None:
    search = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]
    body = {"model": "mistral/mistral-small-latest", "max_tokens": 5, "messages": USER, "tools": search}
    reply = await client.post(body, PATH)
    assert (reply.status, "tools[0]" in reply.headers["x-tidegate-ignored-params"]) == (200, True)


@pytest.mark.parametrize("arguments", ["", "  ", "{}"])
async def test_empty_arguments_are_an_empty_object(arguments: str) -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "get", "arguments": arguments}}]
    async with world(completion("", tool_calls=calls)) as client:
        body = {"model": "openai/gpt-4.1-mini", "max_tokens": 5, "messages": USER, "tools": [TOOL]}
        reply = await client.post(body, PATH)
    assert reply.json["content"][-1] == {"type": "tool_use", "id": "c", "name": "get", "input": {}}


def test_bedrock_gets_tools_if_the_history_has_calls() -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"}
    turns = [*USER, {"role": "assistant", "content": [CALL]}, {"role": "user", "content": [result]}]
    body, _ = translated("bedrock", "amazon.nova-pro-v1:0", messages=turns)
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["get"]


def test_stop_sequences_are_sent_and_top_k_is_named() -> None:
    body, ignored = translated("openai", "gpt-4.1-mini", stop_sequences=["END"], top_k=5)
    assert (body["stop"], "top_k" in body, ignored) == (["END"], False, ("top_k",))


def test_adaptive_thinking_is_no_error_for_models_that_do_not_think() -> None:
    body, _ = translated("openai", "gpt-4.1-mini", thinking={"type": "adaptive"}, output_config={"effort": "high"})
    assert {"thinking", "output_config"}.isdisjoint(body)


async def test_a_small_model_that_is_not_served_is_not_found(client: Client) -> None:
    reply = await client.post({"model": "nobody/claude-haiku", "max_tokens": 5, "messages": USER}, PATH)
    assert (reply.status, reply.json["error"]["type"]) == (404, "not_found_error")
