"""An answer in JSON: natively where the model can promise it, else as the call of a tool that stands for the answer.

Sources: https://platform.claude.com/docs/en/build-with-claude/structured-outputs; `structured_outputs` is either the
`strict` of OpenAI's schema or vLLM's object (https://docs.vllm.ai/en/latest/features/structured_outputs).
"""

from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic.request_builder import Draft
from tidegate.providers.anthropic.schema import has_open_objects, narrow

ANSWER = "respond_in_json"
"""The tool that stands for an answer in JSON, but where the caller has one of that name."""

_IN_JSON = "Answer with one JSON object and nothing else: no words around it, no code fence."


def write(draft: Draft) -> None:
    _write_own(draft)
    match _wanted(draft):
        case {"type": "json_schema", "json_schema": {"schema": dict(schema), **about}}:
            _write_schema(draft, schema, about.get("description"))
        case {"type": "json_object" | "json_schema"}:
            draft.system.append({"type": "text", "text": _IN_JSON})
            draft.ignored.append("response_format")  # asked for, not enforced
        case _:
            pass


def _write_own(draft: Draft) -> None:
    """Anthropic's own fields, for callers who know them."""
    config, old = draft.take("output_config"), draft.take("output_format")
    if isinstance(config, dict):
        draft.body["output_config"] = {**config}
        if "task_budget" in config:
            draft.betas.append("task-budgets-2026-03-13")
    if isinstance(old, dict):
        draft.configure_output(format=old)


def _wanted(draft: Draft) -> Json:
    wanted, other = draft.take("response_format"), draft.take("structured_outputs")
    match other:
        case {"json": dict(schema), **rest} if wanted is None:
            draft.ignored.extend(f"structured_outputs.{name}" for name in rest)
            return {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
        case dict():
            draft.ignored.append("structured_outputs")
        case True if wanted is None:
            draft.ignored.append("structured_outputs")
        case _:
            pass
    return wanted


def _write_schema(draft: Draft, schema: JsonObject, description: Json) -> None:
    about = description if isinstance(description, str) and description else None
    is_open = has_open_objects(schema)
    if draft.abilities.structured and not (is_open and draft.abilities.forced_tools):
        if is_open:
            draft.report("response_format.json_schema.schema")
        wanted: JsonObject = schema if about is None or "description" in schema else {**schema, "description": about}
        draft.configure_output(format={"type": "json_schema", "schema": narrow(wanted)})
        return
    draft.answer_tool = {
        "name": draft.names.free(ANSWER),
        "description": about or "Give the final answer by calling this tool: its arguments are the answer.",
        "input_schema": schema if schema.get("type") else {"type": "object", **schema},
    }
