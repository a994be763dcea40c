"""Builds a chat request for Cohere. Source: https://docs.cohere.com/reference/chat (2026-11), version 2 of the API."""

from tidegate.chat.request import ChatCall
from tidegate.json import Json, JsonObject
from tidegate.providers.cohere import messages, thinking, tools
from tidegate.providers.cohere.request_builder import CohereRequestBuilder
from tidegate.providers.openai import legacy_functions
from tidegate.providers.request_builder import provider_fields
from tidegate.providers.toolnames import NameRules, ToolNames

_TOOL_NAME_RULES = NameRules("a-zA-Z0-9_", first="a-zA-Z_")
"""Source: https://docs.cohere.com/v1/reference/chat (`tools.name`), which gives no maximum length."""

_NATIVE_FIELDS = (
    *("citation_options", "safety_mode", "strict_tools", "priority", "stop_sequences", "temperature", "k", "p"),
)
"""Fields that are passed on unchanged: Cohere's own, and those with the same name in both dialects."""

_HANDLED_ELSEWHERE = frozenset({"model", "stream", "stream_options"})
"""Fields that other parts of the request translate."""

_RANGES: tuple[tuple[str, str, float, float], ...] = (
    ("top_p", "p", 0.01, 0.99),
    ("top_k", "k", 0, 500),
    ("frequency_penalty", "frequency_penalty", 0, 1),
    ("presence_penalty", "presence_penalty", 0, 1),
    ("seed", "seed", 0, 2**64 - 1),
)
"""The caller's fields, Cohere's names for them, and the minimum and maximum that Cohere accepts."""


def build(call: ChatCall, model: str) -> CohereRequestBuilder:
    """Build the request for `model`. Raises `InvalidRequest` for a value that cannot be translated."""
    fields, is_plain = provider_fields(call), call.request.is_plain
    if not is_plain and legacy_functions.uses_functions(fields):
        legacy_functions.translate_to_tools(fields)
    names = ToolNames(_TOOL_NAME_RULES, None if is_plain else fields)
    builder = CohereRequestBuilder(call, fields, names, supports_thinking=thinking.supports_thinking(model))
    builder.body["model"] = model
    messages.write(builder)
    if not is_plain:
        tools.write(builder)
        thinking.write(builder)
    _write_limits(builder)
    if not is_plain:
        _write_structure(builder)
        _write_documents(builder)
    _write_other_fields(builder)
    if call.request.stream:
        builder.body["stream"] = True
    return builder


def _write_limits(builder: CohereRequestBuilder) -> None:
    builder.take("max_completion_tokens")
    builder.take("max_tokens")
    if builder.call.request.output_limit is not None:
        builder.body["max_tokens"] = builder.call.request.output_limit
    match builder.take("stop"):
        case str(sequence):
            builder.body["stop_sequences"] = [sequence]
        case list(sequences) if sequences:
            builder.body["stop_sequences"] = sequences
        case _:
            pass
    for name, cohere_name, minimum, maximum in _RANGES:
        match builder.take(name):
            case int() | float() as value if minimum <= value <= maximum:
                if value or name in ("seed", "top_k"):
                    builder.body[cohere_name] = value
            case None:
                pass
            case _:
                builder.report_ignored(name)  # also top_p 1: it is not Cohere's default
    if builder.take("logprobs"):
        builder.body["logprobs"] = True
        if not builder.remaining.get("top_logprobs"):
            builder.take("top_logprobs")


def _write_structure(builder: CohereRequestBuilder) -> None:
    """Translate the response format. Cohere always enforces a schema strictly; its name has no effect."""
    match builder.take("response_format"), builder.take("structured_outputs"):
        case {"type": "json_schema", "json_schema": dict(json_schema)}, _:
            description = json_schema.get("description")
            if not tools.answer_in_json(builder, json_schema.get("schema"), description, "response_format.json_schema"):
                builder.body["response_format"] = _json_format(json_schema.get("schema"))
                if description:
                    builder.report_ignored("response_format.json_schema.description")
        case {"type": "json_object"}, _:
            if not tools.answer_in_json(builder, None, None, "response_format"):
                builder.body["response_format"] = _json_format(None)
        case _, {"json": dict(schema), **rest}:
            if not tools.answer_in_json(builder, schema, None, "structured_outputs.json"):
                builder.body["response_format"] = _json_format(schema)
            for name in rest:
                builder.report_ignored(f"structured_outputs.{name}")
        case _, True | {}:
            builder.report_ignored("structured_outputs")
        case _:
            pass


def _json_format(schema: Json) -> JsonObject:
    response_format: JsonObject = {"type": "json_object"}
    if schema is not None:
        response_format["json_schema"] = schema
    return response_format


def _write_documents(builder: CohereRequestBuilder) -> None:
    documents = builder.take("documents")
    if builder.documents:
        documents = [*(documents if isinstance(documents, list) else []), *builder.documents]
    if documents is not None:
        builder.body["documents"] = documents


def _write_other_fields(builder: CohereRequestBuilder) -> None:
    for name, value in builder.remaining.items():
        if name in _NATIVE_FIELDS:
            builder.body[name] = value
        elif name not in _HANDLED_ELSEWHERE:
            builder.leave_out(name, value)
