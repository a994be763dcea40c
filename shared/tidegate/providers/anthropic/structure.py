"""Answers in JSON: by native structured output where the model supports it, else as the input of an answer tool.

A schema that Anthropic cannot compile goes to the answer tool, or into the prompt if the model cannot be forced to call
tools.

Sources: https://platform.claude.com/docs/en/build-with-claude/structured-outputs; `structured_outputs` is either the
`strict` of OpenAI's schema or vLLM's object (https://docs.vllm.ai/en/latest/features/structured_outputs).
"""

from tidegate.json import Json, JsonObject, encode
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder
from tidegate.providers.anthropic.schema import has_open_objects, restrict_schema

ANSWER_TOOL = "respond_in_json"
"""Name of the tool whose input is the answer, unless the caller has a tool of that name."""

_JSON_INSTRUCTION = "Answer with one JSON object and nothing else: no words around it, no code fence."


def write(builder: AnthropicRequestBuilder) -> None:
    """Write `output_config`, or set the answer tool, for the caller's `response_format`."""
    _write_native_fields(builder)
    match _take_response_format(builder):
        case {"type": "json_schema", "json_schema": {"schema": dict(schema), **schema_fields}}:
            _write_schema(builder, schema, schema_fields.get("description"))
        case {"type": "json_object" | "json_schema"}:
            builder.system.append({"type": "text", "text": _JSON_INSTRUCTION})
            builder.ignored.append("response_format")  # requested from the model, not enforced
        case _:
            pass


def _write_native_fields(builder: AnthropicRequestBuilder) -> None:
    """Pass on Anthropic's own fields for structured output."""
    output_config, output_format = builder.take("output_config"), builder.take("output_format")
    if isinstance(output_config, dict):
        builder.body["output_config"] = {**output_config}
        if "task_budget" in output_config:
            builder.betas.append("task-budgets-2026-03-13")
    if isinstance(output_format, dict):
        builder.set_output_config(format=output_format)


def _take_response_format(builder: AnthropicRequestBuilder) -> Json:
    response_format, structured_outputs = builder.take("response_format"), builder.take("structured_outputs")
    match structured_outputs:
        case {"json": dict(schema), **rest} if response_format is None:
            builder.ignored.extend(f"structured_outputs.{name}" for name in rest)
            return {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
        case dict():
            builder.ignored.append("structured_outputs")
        case True if response_format is None:
            builder.ignored.append("structured_outputs")
        case _:
            pass
    return response_format


def _write_schema(builder: AnthropicRequestBuilder, schema: JsonObject, description: Json) -> None:
    text = description if isinstance(description, str) and description else None
    can_force_tools = builder.capabilities.can_force_tools
    is_open = has_open_objects(schema)
    if builder.capabilities.structured_output and not (is_open and can_force_tools):
        described: JsonObject = schema if text is None else {**schema, "description": schema.get("description", text)}
        restricted = restrict_schema(described)
        if builder.schemas.admit_schema(restricted):
            if is_open:
                builder.report_ignored("response_format.json_schema.schema")
            builder.set_output_config(format={"type": "json_schema", "schema": restricted})
            return
    if not can_force_tools:
        instruction = f"{_JSON_INSTRUCTION} It follows this JSON schema: {encode(schema).decode()}"
        builder.system.append({"type": "text", "text": instruction})
        builder.report_ignored("response_format")  # requested from the model, not enforced
        return
    builder.answer_tool = builder.tool_names.reserve_name(ANSWER_TOOL)
    builder.answer_definition = {
        "name": builder.answer_tool,
        "description": text or "Give the final answer by calling this tool: its arguments are the answer.",
        "input_schema": schema if schema.get("type") else {"type": "object", **schema},
    }
