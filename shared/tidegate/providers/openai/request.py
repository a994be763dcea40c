"""A request in the dialect of one provider, out of the caller's own body.

Sources: https://platform.openai.com/docs/api-reference/chat/create (2026), and what each provider's row cites.
"""

from tidegate.chat.request import ChatCall
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import legacy_functions, messages, thinking, tool_names, tools
from tidegate.providers.openai.quirks import ModelRule, Quirks
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder, rule_for
from tidegate.providers.request_builder import is_email


def build(call: ChatCall, model: str, quirks: Quirks) -> OpenAIRequestBuilder:
    """The body to send, and what it leaves out. Raises `InvalidRequest` for what cannot be said."""
    sent = call.request.body
    body: JsonObject = {name: value for name, value in sent.items() if value is not None and name not in GATEWAY_FIELDS}
    rule = rule_for(model, quirks)
    caching = quirks.caching or rule.caching
    draft = OpenAIRequestBuilder(call.request, quirks, body, call.signatures, call.media, caching)
    body["model"] = model if "/" in model else quirks.model_prefix + model
    if not quirks.functions and legacy_functions.uses_functions(body):
        legacy_functions.translate_to_tools(body)
        draft.leave_out("functions")
        draft.leave_out("function_call")
        draft.legacy_functions = legacy_functions.expects_function_call(sent)
    messages.write(draft)
    _write_limit(draft, rule)
    _write_structure(draft)
    tools.write(draft, rule)
    if not caching:
        draft.take("cache_control")
    _leave_out(draft, rule)  # before reasoning: it reads what the caller wished
    thinking.write(draft, rule)
    _rename(draft)
    if quirks.tool_names:
        draft.caller_tool_names = tool_names.rename_tools(body)
    _write_stream(draft)
    return draft


def _write_limit(draft: OpenAIRequestBuilder, rule: ModelRule) -> None:
    name = rule.limit_field or draft.quirks.limit_field
    newer, older = draft.take("max_completion_tokens"), draft.take("max_tokens")
    if newer is not None:
        draft.body[name or "max_completion_tokens"] = newer
    elif older is not None:
        draft.body[name or "max_tokens"] = older


def _leave_out(draft: OpenAIRequestBuilder, rule: ModelRule) -> None:
    for name in sorted(draft.quirks.unsupported):
        draft.leave_out(name)
    for name in sorted(rule.unsupported):
        draft.leave_out(name)
    if is_email(draft.body.get("user")):
        draft.leave_out("user")
    wish = draft.request.reasoning
    if rule.reasons if wish is None else wish.enabled:
        for name in sorted(rule.unsupported_reasoning):
            draft.leave_out(name)
    if draft.quirks.routes and draft.request.fields.require_parameters:
        routing = draft.body.get("provider")
        draft.body["provider"] = {**(routing if isinstance(routing, dict) else {}), "require_parameters": True}


def _write_structure(draft: OpenAIRequestBuilder) -> None:
    """`structured_outputs`: a boolean is the schema's `strict`; vLLM's object has a schema under `json`."""
    if draft.quirks.structured_outputs == "as_sent":
        return
    match draft.take("structured_outputs"), draft.body.get("response_format"):
        case None, _:
            pass
        case bool(strict), {"type": "json_schema", "json_schema": dict(schema)} as wanted:
            draft.body["response_format"] = {**wanted, "json_schema": {**schema, "strict": strict}}
        case {"json": dict(schema), **rest}, None:
            named: JsonObject = {"name": "response", "schema": schema}
            draft.body["response_format"] = {"type": "json_schema", "json_schema": named}
            draft.ignored.extend(f"structured_outputs.{name}" for name in rest)
        case True | {}, _:
            draft.ignored.append("structured_outputs")
        case _:
            pass


def _rename(draft: OpenAIRequestBuilder) -> None:
    for name, other in draft.quirks.renames.items():
        value = draft.take(name)
        if value is not None:
            draft.body[other] = value


def _write_stream(draft: OpenAIRequestBuilder) -> None:
    """Usage is always asked for: the gateway meters it, whether the caller wants to see it or not."""
    if not draft.request.stream:
        draft.take("stream_options")
        if draft.body.get("stream") is False:
            del draft.body["stream"]
        return
    options: Json = draft.take("stream_options")
    if draft.quirks.stream_usage:
        draft.body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
