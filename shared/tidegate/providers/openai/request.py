"""Builds the request body for one provider from the caller's body.

Sources: https://platform.openai.com/docs/api-reference/chat/create (2026), and what each provider's row cites.
"""

from tidegate.chat.request import ChatCall
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import legacy_functions, messages, thinking, tool_names, tools
from tidegate.providers.openai.quirks import ModelRule, Quirks
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder, rule_for
from tidegate.providers.request_builder import is_email, provider_fields


def build(call: ChatCall, model: str, quirks: Quirks) -> OpenAIRequestBuilder:
    """Build the request for `model`. Raises `InvalidRequest` for a value that cannot be translated."""
    caller_body = call.request.body
    body = provider_fields(call)
    rule = rule_for(model, quirks)
    caching = quirks.caching or rule.caching
    builder = OpenAIRequestBuilder(call.request, quirks, body, call.signatures, call.media, caching)
    body["model"] = model if "/" in model else quirks.model_prefix + model
    if not quirks.functions and legacy_functions.uses_functions(body):
        legacy_functions.translate_to_tools(body)
        builder.leave_out("functions")
        builder.leave_out("function_call")
        builder.legacy_functions = legacy_functions.expects_function_call(caller_body)
    messages.write(builder, rule)
    _write_limit(builder, rule)
    _write_structure(builder)
    tools.write(builder, rule)
    if not caching:
        builder.take("cache_control")
    _omit_unsupported(builder, rule)  # before thinking.write: it judges the caller's fields, not the provider's
    thinking.write(builder, rule)
    _rename(builder)
    if quirks.tool_names:
        builder.caller_tool_names = tool_names.rename_tools(body)
    _write_stream(builder)
    return builder


def _write_limit(builder: OpenAIRequestBuilder, rule: ModelRule) -> None:
    name = rule.limit_field or builder.quirks.limit_field
    newer, older = builder.take("max_completion_tokens"), builder.take("max_tokens")
    if newer is not None:
        builder.body[name or "max_completion_tokens"] = newer
    elif older is not None:
        builder.body[name or "max_tokens"] = older


def _omit_unsupported(builder: OpenAIRequestBuilder, rule: ModelRule) -> None:
    _omit_all(builder, builder.quirks.unsupported)
    _omit_all(builder, rule.unsupported)
    if is_email(builder.body.get("user")):
        builder.leave_out("user")
    if rule.unsupported_reasoning and builder.reasons(rule):
        _omit_all(builder, rule.unsupported_reasoning)
    if builder.quirks.routes and builder.request.fields.require_parameters:
        routing = builder.body.get("provider")
        builder.body["provider"] = {**(routing if isinstance(routing, dict) else {}), "require_parameters": True}


def _omit_all(builder: OpenAIRequestBuilder, names: frozenset[str]) -> None:
    if not names.isdisjoint(builder.body):
        for name in sorted(names & builder.body.keys()):
            builder.leave_out(name)


def _write_structure(builder: OpenAIRequestBuilder) -> None:
    """Translate `structured_outputs`: a boolean sets the schema's `strict`; vLLM's object has its schema in `json`."""
    if builder.quirks.structured_outputs == "as_sent":
        return
    match builder.take("structured_outputs"), builder.body.get("response_format"):
        case None, _:
            pass
        case bool(strict), {"type": "json_schema", "json_schema": dict(schema)} as response_format:
            builder.body["response_format"] = {**response_format, "json_schema": {**schema, "strict": strict}}
        case {"json": dict(schema), **others}, None:
            named: JsonObject = {"name": "response", "schema": schema}
            builder.body["response_format"] = {"type": "json_schema", "json_schema": named}
            builder.ignored.extend(f"structured_outputs.{name}" for name in others)
        case True | {}, _:
            builder.ignored.append("structured_outputs")
        case _:
            pass


def _rename(builder: OpenAIRequestBuilder) -> None:
    for name, new_name in builder.quirks.renames.items():
        value = builder.take(name)
        if value is not None:
            builder.body[new_name] = value


def _write_stream(builder: OpenAIRequestBuilder) -> None:
    """Always request usage: the gateway meters it, even if the caller does not want to see it."""
    if not builder.request.stream:
        builder.take("stream_options")
        if builder.body.get("stream") is False:
            del builder.body["stream"]
        return
    options: Json = builder.take("stream_options")
    if builder.quirks.stream_usage:
        builder.body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
