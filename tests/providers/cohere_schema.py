"""What Cohere accepts, written strictly from its documents: an unknown field or a wrong type is an error.

Source: https://docs.cohere.com/reference/chat (2026-11).
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, convert


class Strict(Struct, forbid_unknown_fields=True):
    pass


class Text(Strict, tag_field="type", tag="text"):
    text: str


class Thinking(Strict, tag_field="type", tag="thinking"):
    thinking: str


class Address(Strict):
    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class Image(Strict, tag_field="type", tag="image_url"):
    image_url: Address


class Data(Strict):
    data: dict[str, Any]
    id: str | None = None


class Document(Strict, tag_field="type", tag="document"):
    document: Data


class Function(Strict):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    arguments: str


class Call(Strict):
    id: str
    type: Literal["function"]
    function: Function


class System(Strict, tag_field="role", tag="system"):
    content: str | list[Text]


class User(Strict, tag_field="role", tag="user"):
    content: str | list[Text | Image]


class Assistant(Strict, tag_field="role", tag="assistant"):
    content: str | list[Text | Thinking] | None = None
    tool_calls: list[Call] | None = None
    tool_plan: str | None = None


class ToolResult(Strict, tag_field="role", tag="tool"):
    tool_call_id: str
    content: str | list[Text | Document]


class Definition(Strict):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    parameters: dict[str, Any]
    description: str | None = None


class Tool(Strict):
    type: Literal["function"]
    function: Definition


class Format(Strict):
    type: Literal["text", "json_object"]
    json_schema: dict[str, Any] | None = None


class Reasoning(Strict):
    type: Literal["enabled", "disabled"]
    token_budget: Annotated[int, Meta(gt=0)] | None = None


class Citations(Strict):
    mode: Literal["ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF"]


class Request(Strict):
    model: str
    messages: Annotated[list[System | User | Assistant | ToolResult], Meta(min_length=1)]
    tools: Annotated[list[Tool], Meta(min_length=1)] | None = None
    strict_tools: bool | None = None
    documents: list[str | Data] | None = None
    citation_options: Citations | None = None
    response_format: Format | None = None
    safety_mode: Literal["CONTEXTUAL", "STRICT", "OFF"] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=5)] | None = None
    temperature: Annotated[float, Meta(ge=0)] | None = None
    seed: Annotated[int, Meta(ge=0)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=0, le=1)] | None = None
    k: Annotated[int, Meta(ge=0, le=500)] | None = None
    p: Annotated[float, Meta(ge=0.01, le=0.99)] | None = None
    logprobs: bool | None = None
    tool_choice: Literal["REQUIRED", "NONE"] | None = None
    thinking: Reasoning | None = None
    priority: int | None = None
    stream: bool = False


def check(body: Any) -> None:
    """Raises `msgspec.ValidationError` for what Cohere would refuse."""
    request = convert(body, Request)
    assert request.tool_choice is None or request.tools
    called = {call.id for one in request.messages if isinstance(one, Assistant) for call in one.tool_calls or ()}
    assert {one.tool_call_id for one in request.messages if isinstance(one, ToolResult)} <= called
