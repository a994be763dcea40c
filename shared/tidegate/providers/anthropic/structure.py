"""An answer in JSON: natively where the model can promise it, else as the call of a tool that stands for the answer.

Sources: https://platform.claude.com/docs/en/build-with-claude/structured-outputs; `structured_outputs` is either the
`strict` of OpenAI's schema or vLLM's object (https://docs.vllm.ai/en/latest/features/structured_outputs).
"""

from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder
from tidegate.providers.anthropic.schema import has_open_objects, restrict_schema

ANSWER_TOOL = "respond_in_json"
"""The tool that stands for an answer in JSON, but where the caller has one of that name."""

_JSON_INSTRUCTION = "Answer with one JSON object and nothing else: no words around it, no code fence."


def write(draft: AnthropicRequestBuilder) -> None:
    _write_native_fields(draft)
    match _take_response_format(draft):
        case {"type": "json_schema", "json_schema": {"schema": dict(schema), **schema_fields}}:
            _write_schema(draft, schema, schema_fields.get("description"))
        case {"type": "json_object" | "json_schema"}:
            draft.system.append({"type": "text", "text": _JSON_INSTRUCTION})
            draft.ignored.append("response_format")  # asked for, not enforced
        case _:
            pass


def _write_native_fields(draft: AnthropicRequestBuilder) -> None:
    """Anthropic's own fields, for callers who know them."""
    output_config, output_format = draft.take("output_config"), draft.take("output_format")
    if isinstance(output_config, dict):
        draft.body["output_config"] = {**output_config}
        if "task_budget" in output_config:
            draft.betas.append("task-budgets-2026-03-13")
    if isinstance(output_format, dict):
        draft.set_output_config(format=output_format)


def _take_response_format(draft: AnthropicRequestBuilder) -> Json:
    response_format, structured_outputs = draft.take("response_format"), draft.take("structured_outputs")
    match structured_outputs:
        case {"json": dict(schema), **rest} if response_format is None:
            draft.ignored.extend(f"structured_outputs.{name}" for name in rest)
            return {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
        case dict():
            draft.ignored.append("structured_outputs")
        case True if response_format is None:
            draft.ignored.append("structured_outputs")
        case _:
            pass
    return response_format


def _write_schema(draft: AnthropicRequestBuilder, schema: JsonObject, description: Json) -> None:
    tool_description = description if isinstance(description, str) and description else None
    is_open = has_open_objects(schema)
    if draft.capabilities.structured and not (is_open and draft.capabilities.forced_tools):
        if is_open:
            draft.report_ignored("response_format.json_schema.schema")
        described_schema: JsonObject = (
            schema
            if tool_description is None or "description" in schema
            else {**schema, "description": tool_description}
        )
        draft.set_output_config(format={"type": "json_schema", "schema": restrict_schema(described_schema)})
        return
    draft.answer_tool = {
        "name": draft.tool_names.reserve_name(ANSWER_TOOL),
        "description": tool_description or "Give the final answer by calling this tool: its arguments are the answer.",
        "input_schema": schema if schema.get("type") else {"type": "object", **schema},
    }
