"""Translates a complete reply of the dialect into one shape.

Source: https://platform.openai.com/docs/api-reference/chat/object, and replies recorded from each provider to 2026-07.
"""

import msgspec

from tidegate.chat.completion import Choice, Completion, CompletionMessage
from tidegate.errors import ProviderMalformed, UpstreamError
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import failure, normalise, think_tags, toolcalls, usage
from tidegate.providers.openai.plain import (
    PlainAnswer,
    PlainCompletion,
    TextAnswer,
    TextCompletion,
    decode_completion,
    decode_text,
    plain_completion,
)
from tidegate.providers.openai.quirks import Quirks

_NOISE = frozenset({"usage", "choices", "x_groq", "obfuscation", "p", "system_fingerprint", "object"})
_EMPTY_MESSAGE_FIELDS = 3  # the role, and null as content and refusal
_ENDINGS = ("stop", "tool_calls")
"""Finish reasons in place of which the reply's tool calls decide: see `normalise.finish_reason`."""

_OF_CHOICE = frozenset(
    {"index", "message", "delta", "text", "error", "finish_reason", "native_finish_reason", "logprobs"}
)
_OF_MESSAGE = frozenset({"role", "content", "refusal", "tool_calls", "function_call", "audio"})


def parse(provider: str, quirks: Quirks, body: Json) -> Completion:
    """Return the completion in `body`. Raises `UpstreamError`, also for an error inside a 200."""
    plain = None if quirks.think_tags else plain_completion(body)
    return _parse_any(provider, quirks, body) if plain is None else _parse_plain(plain)


def parse_plain(raw: bytes) -> Completion | None:
    """Return the completion in the bytes of a reply to a plain request; None unless it is plain, and calls no tools."""
    try:
        try:
            text = decode_text(raw)
            return _completion(text, [_text_choice(each) for each in text.choices])
        except msgspec.ValidationError:
            plain = decode_completion(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for choice in plain.choices:
        if choice.message.tool_calls:
            return None
    return _parse_plain(plain)


def _parse_plain(plain: PlainCompletion) -> Completion:
    return _completion(plain, [_plain_choice(each) for each in plain.choices])


def _completion(plain: PlainCompletion | TextCompletion, choices: list[Json]) -> Completion:
    completion: JsonObject = {"id": plain.id, "created": plain.created, "model": plain.model}
    if plain.provider is not None:
        completion["provider"] = plain.provider
    if plain.service_tier is not None:
        completion["service_tier"] = plain.service_tier
    completion["object"] = "chat.completion"
    completion["choices"] = choices
    counts = plain.usage
    if counts:
        normalised = usage.normalise(counts) if isinstance(counts, dict) else usage.normalise_plain(counts)
        # A TypedDict is JSON.
        completion["usage"] = normalised  # pyright: ignore[reportArgumentType]
    completion["system_fingerprint"] = plain.system_fingerprint or None
    # Unknown fields pass through a TypedDict.
    return completion  # pyright: ignore[reportReturnType]


def _text_choice(plain: TextAnswer) -> JsonObject:
    raw = plain.message
    message: JsonObject = {"role": "assistant", "content": raw.content, "refusal": raw.refusal}
    if raw.annotations is not None:
        message["annotations"] = raw.annotations
    return {"index": plain.index, "message": message, "logprobs": None, "finish_reason": plain.finish_reason}


def _plain_choice(plain: PlainAnswer) -> JsonObject:
    raw = plain.message
    message: JsonObject = {"role": "assistant", "content": raw.content, "refusal": raw.refusal or None}
    if raw.annotations is not None:
        message["annotations"] = raw.annotations
    if raw.reasoning or raw.reasoning_content:
        message |= {"reasoning": raw.reasoning, "reasoning_content": raw.reasoning_content}
        normalise.normalise_reasoning(message)
    calls = toolcalls.parse_tool_calls(raw.tool_calls) if raw.tool_calls else None
    if calls:
        # TypedDicts are JSON.
        message["tool_calls"] = calls  # pyright: ignore[reportArgumentType]
    native, reason = plain.native_finish_reason or plain.finish_reason, plain.finish_reason
    if reason in _ENDINGS:
        reason = "tool_calls" if calls else "stop"
    choice: JsonObject = {"index": plain.index, "message": message, "logprobs": None, "finish_reason": reason}
    if native != reason:
        choice["native_finish_reason"] = native
    return choice


def _parse_any(provider: str, quirks: Quirks, body: Json) -> Completion:
    """Return the completion in any `body`."""
    if not isinstance(body, dict):
        raise ProviderMalformed(f"{provider} answered with something that is not a chat completion.")
    if failure.is_error_body(body):
        raise failure.from_reply(provider, 200, {}, body)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise ProviderMalformed(f"{provider} answered without any choices.")
    fingerprint = body.get("system_fingerprint")
    empty = normalise.EMPTY_VALUES
    completion = {name: value for name, value in body.items() if name not in _NOISE and value not in empty}
    normalise.move_service_tier(completion)
    if "service_tier" in completion:  # the order of `_parse_plain`, after the provider's name
        completion["service_tier"] = completion.pop("service_tier")
    completion["object"] = "chat.completion"
    sources = normalise.url_annotations(body) if "citations" in body or "search_results" in body else []
    completion["choices"] = _choices(provider, quirks, choices, sources)  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON
    raw_usage = body.get("usage") or _usage_of_groq(body)
    if isinstance(raw_usage, dict) and raw_usage:
        completion["usage"] = usage.normalise(raw_usage)  # pyright: ignore[reportArgumentType]  # as above
    completion["system_fingerprint"] = fingerprint if isinstance(fingerprint, str) and fingerprint else None
    return completion  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def _usage_of_groq(body: JsonObject) -> Json:
    match body.get("x_groq"):
        case {"usage": dict(raw_usage)}:
            return raw_usage
        case _:
            return None


def _choices(provider: str, quirks: Quirks, raw: list[Json], sources: list[Json]) -> list[Choice]:
    """Return the choices that can be used. If there are none, raises the first one's `UpstreamError`."""
    choices: list[Choice] = []
    first_error: UpstreamError | None = None
    for ordinal, raw_choice in enumerate(raw):
        try:
            choices.append(_choice(provider, quirks, raw_choice, ordinal, sources))
        except UpstreamError as error:
            first_error = first_error or error
    if not choices and first_error is not None:
        raise first_error
    return choices


def _choice(provider: str, quirks: Quirks, raw: Json, ordinal: int, sources: list[Json]) -> Choice:
    if not isinstance(raw, dict):
        raise ProviderMalformed(f"{provider}'s choice is not an object.")
    if raw.get("error"):
        raise failure.from_event(provider, {"error": raw["error"]})
    message = _message(quirks, choice_content(raw), sources)
    has_tools, has_function_call = bool(message.get("tool_calls")), "function_call" in message
    reason, native = normalise.finish_reason(raw.get("finish_reason"), has_tools, has_function_call)
    if not raw.get("finish_reason") and not (message["content"] or len(message) > _EMPTY_MESSAGE_FIELDS):
        raise ProviderMalformed(f"{provider}'s choice has no message.")
    native = raw.get("native_finish_reason") or native
    choice: JsonObject = {name: value for name, value in raw.items() if name not in _OF_CHOICE and value is not None}
    index = raw.get("index")
    choice["index"] = index if isinstance(index, int) else ordinal
    choice["message"] = message  # pyright: ignore[reportArgumentType]  # a TypedDict is JSON
    choice["logprobs"] = clean_logprobs(raw.get("logprobs"))
    choice["finish_reason"] = reason
    if isinstance(native, str) and native != reason:
        choice["native_finish_reason"] = native
    return choice  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def choice_content(raw: JsonObject) -> JsonObject:
    """Return a choice's message or delta, whichever it has; one with `text`, as in old completions, has that content.

    Azure's filtered choice has neither.
    """
    for name in ("message", "delta"):
        content = raw.get(name)
        if isinstance(content, dict):
            return content
    return {"content": raw["text"]} if isinstance(raw.get("text"), str) else {}


def clean_logprobs(raw: Json) -> Json:
    """Return the log probabilities, None if the provider sent an object without any."""
    return raw if isinstance(raw, dict) and any(value is not None for value in raw.values()) else None


def _message(quirks: Quirks, raw: JsonObject, sources: list[Json]) -> CompletionMessage:
    refusal = raw.get("refusal")
    message: JsonObject = {"role": "assistant", "content": raw.get("content"), "refusal": None}
    if isinstance(refusal, str) and refusal:
        message["refusal"] = refusal
    message.update({name: value for name, value in raw.items() if name not in _OF_MESSAGE and value is not None})
    if quirks.think_tags:
        think_tags.extract_thinking(message)
    normalise.normalise_reasoning(message)
    calls = toolcalls.parse_tool_calls(raw.get("tool_calls"))
    if calls:
        message["tool_calls"] = calls  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON
    match raw.get("function_call"):
        case {"name": str(name), **rest} if name:
            message["function_call"] = {"name": name, "arguments": toolcalls.arguments_text(rest.get("arguments"))}
        case _:
            pass
    match raw.get("audio"):
        case {"id": str(name)} as audio if name:
            message["audio"] = audio
        case _:
            pass
    if sources and not message.get("annotations"):
        message["annotations"] = sources
    return message  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
