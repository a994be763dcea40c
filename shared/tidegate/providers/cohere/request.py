"""A chat request in Cohere's words.

Source: https://docs.cohere.com/reference/chat (2026-11), version 2 of the API.
"""

from tidegate.chat.request import ChatCall
from tidegate.json import Json, JsonObject
from tidegate.providers.cohere import messages, thinking, tools
from tidegate.providers.cohere.request_builder import CohereRequestBuilder
from tidegate.providers.openai import legacy_functions
from tidegate.providers.request_builder import provider_fields
from tidegate.providers.toolnames import NameRules, ToolNames

_TOOL_NAME_RULES = NameRules("a-zA-Z0-9_", first="a-zA-Z_")
"""Source: https://docs.cohere.com/v1/reference/chat (`tools.name`); a length is not told."""

_NATIVE_FIELDS = (
    "citation_options",
    "safety_mode",
    "strict_tools",
    "priority",
    "stop_sequences",
    "temperature",
    "k",
    "p",
)
"""Fields that go through as they are: Cohere's own, and what both call the same."""

_HANDLED_ELSEWHERE = frozenset({"model", "stream", "stream_options"})
"""Fields that are honoured elsewhere."""

_WITHIN: tuple[tuple[str, str, float, float], ...] = (
    ("top_p", "p", 0.01, 0.99),
    ("top_k", "k", 0, 500),
    ("frequency_penalty", "frequency_penalty", 0, 1),
    ("presence_penalty", "presence_penalty", 0, 1),
    ("seed", "seed", 0, 2**64 - 1),
)
"""The caller's fields, what Cohere calls them, and the least and the most that it takes."""


def build(call: ChatCall, model: str) -> CohereRequestBuilder:
    """The request for that model. Raises `InvalidRequest` for what cannot be said."""
    left = provider_fields(call)
    if legacy_functions.uses_functions(left):
        legacy_functions.translate_to_tools(left)
    names = ToolNames(_TOOL_NAME_RULES, left)
    draft = CohereRequestBuilder(
        call, left, {"model": model}, supports_thinking=thinking.supports_thinking(model), tool_names=names
    )
    messages.write(draft)
    tools.write(draft)
    thinking.write(draft)
    _write_limits(draft)
    _write_structure(draft)
    _write_documents(draft)
    _write_rest(draft)
    if call.request.stream:
        draft.body["stream"] = True
    return draft


def _write_limits(draft: CohereRequestBuilder) -> None:
    draft.take("max_completion_tokens")
    draft.take("max_tokens")
    if draft.call.request.output_limit is not None:
        draft.body["max_tokens"] = draft.call.request.output_limit
    match draft.take("stop"):
        case str(one):
            draft.body["stop_sequences"] = [one]
        case list(several) if several:
            draft.body["stop_sequences"] = several
        case _:
            pass
    for name, wire, least, most in _WITHIN:
        match draft.take(name):
            case int() | float() as value if least <= value <= most:
                if value or name in ("seed", "top_k"):
                    draft.body[wire] = value
            case None:
                pass
            case _:
                draft.report_ignored(name)  # also top_p 1: what Cohere does without it is not the same
    if draft.take("logprobs"):
        draft.body["logprobs"] = True
        if not draft.remaining.get("top_logprobs"):
            draft.take("top_logprobs")


def _write_structure(draft: CohereRequestBuilder) -> None:
    """A schema is always held strictly, and its name has no meaning for the model."""
    match draft.take("response_format"), draft.take("structured_outputs"):
        case {"type": "json_schema", "json_schema": dict(wanted)}, _:
            about = wanted.get("description")
            if not tools.answer_in_json(draft, wanted.get("schema"), about, "response_format.json_schema"):
                draft.body["response_format"] = _json(wanted.get("schema"))
                if about:
                    draft.report_ignored("response_format.json_schema.description")
        case {"type": "json_object"}, _:
            if not tools.answer_in_json(draft, None, None, "response_format"):
                draft.body["response_format"] = _json(None)
        case _, {"json": dict(schema), **rest}:
            if not tools.answer_in_json(draft, schema, None, "structured_outputs.json"):
                draft.body["response_format"] = _json(schema)
            for name in rest:
                draft.report_ignored(f"structured_outputs.{name}")
        case _, True | {}:
            draft.report_ignored("structured_outputs")
        case _:
            pass


def _json(schema: Json) -> JsonObject:
    asked: JsonObject = {"type": "json_object"}
    if schema is not None:
        asked["json_schema"] = schema
    return asked


def _write_documents(draft: CohereRequestBuilder) -> None:
    given = draft.take("documents")
    if draft.documents:
        given = [*(given if isinstance(given, list) else []), *draft.documents]
    if given is not None:
        draft.body["documents"] = given


def _write_rest(draft: CohereRequestBuilder) -> None:
    for name, value in draft.remaining.items():
        if name in _NATIVE_FIELDS:
            draft.body[name] = value
        elif name not in _HANDLED_ELSEWHERE:
            draft.leave_out(name, value)
