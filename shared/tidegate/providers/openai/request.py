"""Builds the request body for one provider from the caller's body.

Sources: https://platform.openai.com/docs/api-reference/chat/create (2026), and what each provider's row cites.
"""

from msgspec import UNSET, Struct
from msgspec.structs import replace

from tidegate.chat.fields import PlainBody
from tidegate.chat.request import ChatCall
from tidegate.json import JsonObject, encode
from tidegate.providers.openai import legacy_functions, messages, thinking, tool_names, tools
from tidegate.providers.openai.quirks import LimitField, ModelRule, Quirks
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder, rule_for
from tidegate.providers.request_builder import is_email, provider_fields

_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})


class PlainModel(Struct, frozen=True):
    """Tells how plain requests to one model are sent, by its rule and its provider's quirks.

    `name` is the model's name as sent, `limit_field` the only output limit that it accepts. `changed_fields` are those
    of a plain body that are not sent as they came. The field `continues` marks a last message of the assistant. With
    `stream_usage`, streams can end with their usage.
    """

    name: str
    limit_field: LimitField | None
    changed_fields: tuple[str, ...]
    continues: str | None
    stream_usage: bool


def plain_model(model: str, quirks: Quirks) -> PlainModel:
    """Return what `build_plain` needs to know of a model."""
    rule = rule_for(model, quirks)
    limit_field = rule.limit_field or quirks.limit_field
    changed_fields = quirks.unsupported | rule.unsupported | frozenset(quirks.renames)
    if rule.reasons != "when_asked":
        changed_fields |= rule.unsupported_reasoning
    if limit_field in changed_fields:
        changed_fields |= _LIMITS
    changed = tuple(name for name in PlainBody.__struct_fields__ if name in changed_fields)
    return PlainModel(_sent_name(model, quirks), limit_field, changed, quirks.continues, quirks.stream_usage)


def build_plain(plain: PlainBody, model: PlainModel) -> bytes | None:
    """Return the body that `build` makes of a plain request; None if the model does not take all of it as it came."""
    for name in model.changed_fields:
        if getattr(plain, name) is not UNSET:
            return None
    if plain.user is not UNSET and is_email(plain.user):
        return None
    if model.continues is not None and plain.messages[-1].role == "assistant":
        return None
    sent = replace(plain, model=model.name)
    if plain.max_tokens is not UNSET or plain.max_completion_tokens is not UNSET:
        sent = _with_limit(sent, model.limit_field)
    if plain.stream is not UNSET or plain.stream_options is not UNSET:
        sent = _with_stream(sent, usage=model.stream_usage)
    return encode(sent)


def _with_limit(sent: PlainBody, name: LimitField | None) -> PlainBody:
    """Do what `_write_limit` does."""
    limit = sent.max_tokens if sent.max_completion_tokens is UNSET else sent.max_completion_tokens
    if name is None:
        name = "max_tokens" if sent.max_completion_tokens is UNSET else "max_completion_tokens"
    if name == "max_tokens":
        return replace(sent, max_tokens=limit, max_completion_tokens=UNSET)
    return replace(sent, max_tokens=UNSET, max_completion_tokens=limit)


def _with_stream(sent: PlainBody, *, usage: bool) -> PlainBody:
    """Do what `_write_stream` does."""
    if sent.stream is not True:
        return replace(sent, stream=UNSET, stream_options=UNSET)
    options = {} if sent.stream_options is UNSET else sent.stream_options
    return replace(sent, stream_options={**options, "include_usage": True} if usage else UNSET)


def build(call: ChatCall, model: str, quirks: Quirks) -> OpenAIRequestBuilder:
    """Build the request for `model`. Raises `InvalidRequest` for a value that cannot be translated."""
    caller_body = call.request.body
    body = provider_fields(call)
    rule = rule_for(model, quirks)
    caching = quirks.caching or rule.caching
    builder = OpenAIRequestBuilder(call.request, quirks, body, call.signatures, call.media, caching)
    body["model"] = _sent_name(model, quirks)
    if not quirks.functions and legacy_functions.uses_functions(body):
        legacy_functions.translate_to_tools(body)
        builder.leave_out("functions")
        builder.leave_out("function_call")
        builder.legacy_functions = legacy_functions.expects_function_call(caller_body)
    messages.write(builder, rule)
    _write_limit(body, rule.limit_field or quirks.limit_field)
    _write_structure(builder)
    tools.write(builder, rule)
    if not caching:
        builder.take("cache_control")
    _omit_unsupported(builder, rule)  # before thinking.write: it judges the caller's fields, not the provider's
    thinking.write(builder, rule)
    _rename(builder)
    if quirks.tool_names:
        builder.caller_tool_names = tool_names.rename_tools(body)
    _write_stream(body, stream=call.request.stream, usage=quirks.stream_usage)
    return builder


def _sent_name(model: str, quirks: Quirks) -> str:
    return model if "/" in model else quirks.model_prefix + model


def _write_limit(body: JsonObject, name: LimitField | None) -> None:
    """Write the output limit under `name`; `max_completion_tokens` overrides `max_tokens`."""
    if "max_completion_tokens" in body:
        body.pop("max_tokens", None)
        body[name or "max_completion_tokens"] = body.pop("max_completion_tokens")
    elif "max_tokens" in body:
        body[name or "max_tokens"] = body.pop("max_tokens")


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


def _write_stream(body: JsonObject, *, stream: bool, usage: bool) -> None:
    """Always request usage: the gateway meters it, even if the caller does not want to see it."""
    options = body.pop("stream_options") if "stream_options" in body else None
    if not stream:
        if "stream" in body and body["stream"] is False:
            del body["stream"]
    elif usage:
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
