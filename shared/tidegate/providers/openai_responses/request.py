"""Translates the body of a chat completion into that of OpenAI's Responses API.

Sources, read in 2026-11: https://platform.openai.com/docs/api-reference/responses/create,
https://platform.openai.com/docs/guides/migrate-to-responses, https://github.com/BerriAI/litellm/issues/16032 (summaries
of reasoning need a verified organization, so that they must be asked for).
"""

from msgspec.structs import replace

from tidegate.chat.request import ChatCall
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import request as chat_request
from tidegate.providers.openai.quirks import ModelRule, Quirks
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder, rule_for
from tidegate.providers.openai_responses import messages, tools

MIN_OUTPUT_TOKENS = 16
"""A smaller limit is a 400."""

_UNSUPPORTED = frozenset(
    {"stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "prediction", "modalities", "audio"}
)
_SAME_NAMES = (
    *("model", "stream", "temperature", "top_p", "top_logprobs", "metadata", "user", "safety_identifier"),
    *("service_tier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
    *("parallel_tool_calls", "max_tool_calls", "truncation"),
)
_SUMMARIES = ("auto", "concise", "detailed")


def build(call: ChatCall, model: str, quirks: Quirks) -> OpenAIRequestBuilder:
    """Build the request for `model`. Raises `InvalidRequest` for a value that cannot be translated."""
    if call.request.choices > 1:
        raise InvalidRequest("OpenAI's Responses API, which this call needs, gives one choice only.", param="n")
    model_rule = rule_for(model, quirks)
    can_search = "search" in quirks.responses and model_rule.web_search is None
    rule = replace(model_rule, pattern="", tools_while_reasoning=True, web_search="as_sent")
    builder = chat_request.build(call, model, _responses_quirks(quirks, rule))
    reasons = rule.reasoning != "none" and builder.reasons(rule)
    body: JsonObject = {name: builder.body.pop(name) for name in _SAME_NAMES if name in builder.body}
    chat_messages = builder.take("messages")
    body["input"] = messages.input_items(chat_messages if isinstance(chat_messages, list) else [], reasons)
    tools.write(builder, body, can_search)
    _write_limit(builder, body)
    _write_text(builder, body)
    _write_reasoning(builder, call, body, reasons)
    _write_include(builder, body, reasons)
    body["store"] = builder.take("store") is True  # the API's own default is true
    builder.take("n")
    for name in list(builder.body):
        builder.leave_out(name)
    builder.body = body
    return builder


def _responses_quirks(quirks: Quirks, rule: ModelRule) -> Quirks:
    """Return the quirks with which a chat completion is built that can be translated."""
    return replace(
        quirks,
        unsupported=quirks.unsupported | _UNSUPPORTED,
        functions=False,
        message_names=False,
        developer_role=True,
        stream_usage=False,
        replays=("reasoning_details",),
        models=(rule,),
    )


def _write_limit(builder: OpenAIRequestBuilder, body: JsonObject) -> None:
    for name in ("max_completion_tokens", "max_tokens"):
        limit = builder.take(name)
        if isinstance(limit, int):
            body["max_output_tokens"] = max(limit, MIN_OUTPUT_TOKENS)
            if limit < MIN_OUTPUT_TOKENS:
                sent = builder.request.body
                builder.report_ignored("max_tokens" if sent.get("max_completion_tokens") is None else name)


def _write_text(builder: OpenAIRequestBuilder, body: JsonObject) -> None:
    text: JsonObject = {}
    match builder.take("response_format"):
        case {"type": "json_schema", "json_schema": dict(schema)}:
            named = {name: value for name, value in schema.items() if value is not None}
            text["format"] = {"type": "json_schema", "schema": {}, **named}
        case {"type": "json_object"}:
            text["format"] = {"type": "json_object"}
        case _:
            pass
    verbosity = builder.take("verbosity")
    if verbosity is not None:
        text["verbosity"] = verbosity
    if text:
        body["text"] = text


def _write_reasoning(builder: OpenAIRequestBuilder, call: ChatCall, body: JsonObject, reasons: bool) -> None:
    """Write the effort; and ask for a summary where the caller asked for reasoning by an object.

    Those who send `reasoning_effort` know from chat completions that no reasoning comes back.
    """
    reasoning: JsonObject = {}
    effort = builder.take("reasoning_effort")
    if effort is not None:
        reasoning["effort"] = effort
    asked, caller_body = call.request.reasoning, call.request.body
    if reasons and asked is not None and asked.enabled and not asked.exclude:
        summary = _summary(caller_body)
        if summary is not None:
            reasoning["summary"] = summary
    if reasoning:
        body["reasoning"] = reasoning


def _summary(caller_body: JsonObject) -> str | None:
    match caller_body.get("reasoning"):
        case {"summary": str(summary)} if summary in _SUMMARIES:
            return summary
        case dict():
            return "auto"
        case _:
            return "auto" if isinstance(caller_body.get("thinking"), dict) else None


def _write_include(builder: OpenAIRequestBuilder, body: JsonObject, reasons: bool) -> None:
    """Ask for encrypted reasoning, which models without reasoning refuse, and for log probabilities."""
    include: list[Json] = ["reasoning.encrypted_content"] if reasons else []
    if builder.take("logprobs") is True:
        include.append("message.output_text.logprobs")
    if include:
        body["include"] = include
