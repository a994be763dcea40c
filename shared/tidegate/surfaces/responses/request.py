"""A request of the Responses API as a chat request; the body as sent stays in its origin.

Source: https://platform.openai.com/docs/api-reference/responses/create (2026-11).
"""

from collections.abc import Callable, Mapping
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from tidegate.chat.parse import decode_body
from tidegate.chat.reasoning import EFFORTS
from tidegate.chat.request import ChatRequest, build_chat_request
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.domain.origin import ConversationToStore, NeedsState, Origin
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.surfaces import sealed_details
from tidegate.surfaces.responses.calls import CallNames
from tidegate.surfaces.responses.items import Conversation
from tidegate.surfaces.responses.portable import portable_body
from tidegate.surfaces.responses.state_fields import StateFields, read_state
from tidegate.surfaces.responses.summaries import is_trigger, own_summary
from tidegate.surfaces.responses.tools import Tools

DIALECT = "responses"

_SAME_NAMES = GATEWAY_FIELDS | {
    *("model", "stream", "temperature", "top_p", "metadata", "user", "safety_identifier", "service_tier"),
    *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "stop", "seed"),
    *("frequency_penalty", "presence_penalty", "top_k"),
}
"""Fields that mean the same in a chat request. OpenAI's Responses API lacks the last ones, and clients send them."""

_READ_ELSEWHERE = frozenset(
    {
        *("input", "instructions", "tools", "tool_choice", "top_logprobs", "stream_options", "client_metadata"),
        *("store", "previous_response_id", "conversation", "background", "prompt"),
    }
)
_TRANSLATED = _READ_ELSEWHERE | {
    *("max_output_tokens", "parallel_tool_calls", "reasoning", "text", "include", "truncation")
}
_CALLERS_TOOLS = ("function", "custom", "namespace", "local_shell", "shell", "apply_patch", "tool_search")
_SEALED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"
_CALLER_NAMES = {
    "max_completion_tokens": "max_output_tokens",
    "response_format.json_schema": "text.format",
    "response_format": "text.format",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
}
"""The names of fields in messages about a chat request, and those that the caller sent."""


class Notes(Struct, frozen=True):
    """Keeps what the reply needs: the request as sent, its tools by their functions, and what it says of state.

    `raw` has the fields that a response repeats, such as the tools. `compacts`: the reply is a summary of the items.
    """

    raw: JsonObject
    names: CallNames
    state: StateFields
    compacts: bool = False


def parse(body: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
    """Return the chat request in `body`. Raises `InvalidRequest`, also for one that refers to something kept."""
    raw = decode_body(body)
    state = read_state(raw)
    check_references(raw, state, build_request)
    return build_request(raw, state, len(body))


def check_references(
    raw: JsonObject, state: StateFields, build: Callable[[JsonObject, StateFields, int], ChatRequest]
) -> None:
    """Raise `NeedsState` for a request that refers to something kept; `build` is called with all of its items."""
    for name in state.references:
        message = f"'{name}' refers to something that is kept, and nothing is kept here."
        raise NeedsState(message, name, raw, state, lambda body, _, size: build(body, state, size))


def build_request(raw: JsonObject, state: StateFields, size: int = 0) -> ChatRequest:
    """Return the chat request for a body whose references are resolved; `state` has the fields as they were sent.

    The call is kept unless its caller forbids it, as at OpenAI. Raises `InvalidRequest`, with the field's path in
    `param`.
    """
    if state.is_background:
        raise InvalidRequest("'background' is not supported: send the request with stream: true.", param="background")
    chat_body, conversation, names = _translate(raw)
    try:
        request = build_chat_request(chat_body, size)
    except InvalidRequest as error:
        raise _in_caller_names(error) from None
    origin = Origin(
        DIALECT,
        without_own_reasoning(raw) if conversation.has_own_reasoning else raw,
        notes=Notes(raw, names, state, conversation.compacts),
        ignored=tuple(conversation.ignored),
        session_id=state.conversation_id,
        make_portable=portable_body,
        add_lost_fields=partial(_with_lost_fields, raw),
        conversation=None if state.store is False else ConversationToStore(_kept_items(raw), state.conversation_id),
        refusals=conversation.refusals,
        drop_sealed_reasoning=without_sealed_reasoning,
    )
    return replace(request, origin=origin)


def chat_request(body: bytes) -> ChatRequest | None:
    """Return the chat request for a body that a client has sent to the path of chat completions; None for others.

    Cursor does so, and reads chunks of a chat completion.
    Source: https://docs.litellm.ai/docs/proxy/cursor (2026-10).
    """
    raw = decode_body(body)
    if "input" not in raw or "messages" in raw:
        return None
    translated = parse(body, {})
    options, origin = raw.get("stream_options"), translated.origin
    fields: JsonObject = {"stream_options": options} if isinstance(options, dict) else {}
    request = build_chat_request(translated.body | fields, len(body))
    if origin is None:
        return request
    origin.check_translatable()
    return replace(request, ignored=(*request.ignored, *origin.ignored))


def _with_lost_fields(raw: JsonObject, body: JsonObject) -> JsonObject:
    """Return the translated body with the fields and tools that only a provider of this dialect gets."""
    lost = {name: value for name, value in raw.items() if name not in _TRANSLATED and name not in body}
    listed = raw.get("tools")
    tools: list[Json] = [tool for tool in listed if not _is_callers(tool)] if isinstance(listed, list) else []
    if not lost and not tools:
        return body
    return {**lost, **body, **({"tools": tools} if tools else {})}


def _is_callers(tool: Json) -> bool:
    """True for a tool that the caller runs."""
    return isinstance(tool, dict) and tool.get("type") in _CALLERS_TOOLS


def input_items(raw: JsonObject) -> list[Json]:
    """Return the items of a request's input, whose form may be a text."""
    match raw.get("input"):
        case str(text):
            return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}]
        case list(items):
            return items
        case _:
            return []


def _kept_items(raw: JsonObject) -> list[Json]:
    """Return the items that a later request goes on from: without the trigger, which this reply answers."""
    items = input_items(raw)
    return items[:-1] if items and is_trigger(items[-1]) else items


def without_own_reasoning(raw: JsonObject) -> JsonObject:
    """Return the body without reasoning that another provider has made, whose encrypted content OpenAI refuses.

    A summary that the gateway has made of a conversation becomes a message.
    """
    items = raw.get("input")
    if not isinstance(items, list):
        return raw
    return {**raw, "input": [_as_message(item) for item in items if not _is_own_reasoning(item)]}


def without_sealed_reasoning(raw: JsonObject) -> tuple[JsonObject, tuple[str, ...]]:
    """See `Origin.drop_sealed_reasoning`."""
    items = raw.get("input")
    if not isinstance(items, list):
        return raw, ()
    rest: list[Json] = [item for item in items if not _is_sealed(item)]
    return {**raw, "input": rest}, tuple(f"input[{number}]" for number, item in enumerate(items) if _is_sealed(item))


def _is_sealed(item: Json) -> bool:
    return isinstance(item, dict) and item.get("type") == "reasoning" and bool(item.get("encrypted_content"))


def _as_message(item: Json) -> Json:
    summary = own_summary(item) if isinstance(item, dict) else None
    return item if summary is None else {"type": "message", "role": "user", "content": summary}


def _is_own_reasoning(item: Json) -> bool:
    return (
        isinstance(item, dict)
        and item.get("type") == "reasoning"
        and sealed_details.is_ours(item.get("encrypted_content"))
    )


def _translate(raw: JsonObject) -> tuple[JsonObject, Conversation, CallNames]:
    if not isinstance(raw.get("model"), str):
        raise InvalidRequest("Missing required parameter: 'model'.", param="model")
    tools = Tools()
    conversation = Conversation(tools)
    tools.add(raw.get("tools"), "tools", conversation.ignored)
    _read_input(raw, conversation, tools)
    body: JsonObject = {"messages": _messages(raw, conversation)}
    for name, value in raw.items():
        if value is not None and name not in _READ_ELSEWHERE:
            _write_field(body, name, value, conversation.ignored)
    if conversation.effort is not None:
        body["reasoning"] = {**_object(body.get("reasoning")), "effort": conversation.effort}
    _write_logprobs(body, raw)
    if conversation.compacts:
        body.pop("response_format", None)
    else:
        body |= tools.fields(raw.get("tool_choice"), conversation.ignored)
    if "tools" not in body:
        body.pop("parallel_tool_calls", None)
    return body, conversation, tools.names


def _messages(raw: JsonObject, conversation: Conversation) -> list[Json]:
    """Return all messages. An input that only OpenAI can read has one without a text, and is refused to others."""
    messages = conversation.messages()
    if len(messages) == bool(isinstance(raw.get("instructions"), str) and raw["instructions"]):
        messages.append({"role": "user", "content": " "})
        conversation.refusals.setdefault("input", "only its maker's models can read these items")
    return messages


def _read_input(raw: JsonObject, conversation: Conversation, tools: Tools) -> None:
    """Read the instructions and the input. Tools of all items come first: calls of earlier turns name them."""
    instructions, items = raw.get("instructions"), raw.get("input")
    if isinstance(instructions, list):
        first: Json = {"role": "user", "content": items}
        items = [*instructions, *(items if isinstance(items, list) else [first])]
    else:
        conversation.add_text("system", instructions)
    match items:
        case str(text):
            conversation.add_text("user", text or " ")
        case list() if items:
            for number, item in enumerate(items):
                if isinstance(item, dict) and item.get("type") == "additional_tools":
                    tools.add(item.get("tools"), f"input[{number}].tools", conversation.ignored)
            for number, item in enumerate(items):
                if is_trigger(item) and number == len(items) - 1 and conversation.ask_for_summary():
                    break
                conversation.add(item, f"input[{number}]")
        case _:
            raise InvalidRequest("Missing required parameter: 'input': a text or a list of items.", param="input")


def _write_field(body: JsonObject, name: str, value: Json, ignored: list[str]) -> None:
    match name, value:
        case "max_output_tokens", _:
            body["max_completion_tokens"] = value
        case "parallel_tool_calls", _:
            body[name] = value
        case "reasoning", dict(reasoning):
            _write_reasoning(body, reasoning, ignored)
        case "text", dict(text):
            _write_text(body, text, ignored)
        case "include", list(included):
            ignored += [f"include[{i}]" for i, each in enumerate(included) if each not in (_SEALED, _LOGPROBS)]
        case "truncation", "disabled":
            pass
        case _ if name in _SAME_NAMES:
            body[name] = value
        case _:
            ignored.append(name)


def _write_reasoning(body: JsonObject, reasoning: JsonObject, ignored: list[str]) -> None:
    """Write the effort, with how to summarise. A summary alone does not ask for reasoning: Codex always sends it."""
    effort, summary = reasoning.get("effort"), reasoning.get("summary") or reasoning.get("generate_summary")
    if isinstance(effort, str) and effort not in EFFORTS:
        ignored.append("reasoning.effort")
    elif effort is not None:
        body["reasoning"] = {"effort": effort, **({} if summary is None else {"summary": summary})}


def _write_text(body: JsonObject, text: JsonObject, ignored: list[str]) -> None:
    for name, value in text.items():
        match name, value:
            case "format", {"type": "json_schema"} as schema:
                named: JsonObject = {key: each for key, each in schema.items() if key != "type" and each is not None}
                body["response_format"] = {"type": "json_schema", "json_schema": named}
            case "format", {"type": "json_object"}:
                body["response_format"] = {"type": "json_object"}
            case ("format", {"type": "text"}) | (_, None):
                pass
            case "verbosity", _:
                body["verbosity"] = value
            case _:
                ignored.append(f"text.{name}")


def _write_logprobs(body: JsonObject, raw: JsonObject) -> None:
    included, count = raw.get("include"), raw.get("top_logprobs")
    if count or (isinstance(included, list) and _LOGPROBS in included):
        body["logprobs"] = True
        if count:
            body["top_logprobs"] = count


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _in_caller_names(error: InvalidRequest) -> InvalidRequest:
    """Return the error of a chat request with the names that the caller knows."""
    message, param = error.message, error.param or ""
    for chat_name, name in _CALLER_NAMES.items():
        if param == chat_name or param.startswith((f"{chat_name}.", f"{chat_name}[")):
            changed = name + param.removeprefix(chat_name)
            return InvalidRequest(message.replace(param, changed), param=changed)
    return error
